"""Credentials of workspaces in a dictionary."""

from collections.abc import Callable, Mapping

from msgspec import Struct, field

from tidegate.domain.redacted import Redacted


class MemoryVault(Redacted, Struct):
    """The port `Vault`."""

    credentials_by_workspace: dict[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])

    async def read(self, workspace_id: str) -> Mapping[str, str]:
        """See `Vault.read`."""
        return self.credentials_by_workspace.get(workspace_id, {})

    async def update(self, workspace_id: str, change: Callable[[Mapping[str, str]], Mapping[str, str]]) -> None:
        """See `Vault.update`."""
        self.credentials_by_workspace[workspace_id] = dict(change(self.credentials_by_workspace.get(workspace_id, {})))

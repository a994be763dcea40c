"""Keys of providers that workspaces brought: a call with one costs no read more than once in a minute."""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import NamedTuple

from msgspec import Struct, field

from tidegate.domain.redacted import Confidential
from tidegate.domain.workspace import Workspace
from tidegate.ports import Secrets, Vault

CACHE_SECONDS = 60.0
MAX_CACHED = 1_000


class _Known(NamedTuple):
    credentials: Mapping[str, str]
    monotonic: float
    wall: float


class OwnKeys(Confidential, Struct):
    """What the vault has, remembered for `CACHE_SECONDS` by both clocks, and no longer than until it is changed."""

    vault: Vault | None = None
    monotonic: Callable[[], float] = time.monotonic
    clock: Callable[[], float] = time.time
    _known: OrderedDict[str, _Known] = field(default_factory=OrderedDict[str, _Known])

    def of(self, workspace: Workspace, name: str | None) -> Secrets | None:
        """Where the workspace's key of that name is, None where it uses the gateway's."""
        return _Own(self, workspace) if name is not None and workspace.owns(name) else None

    async def get(self, workspace: Workspace, name: str) -> str | None:
        """The key, None when it is lost: the gateway's own is never used for it. Raises `StoreUnavailable`."""
        if self.vault is None:
            return None
        known = self._known.get(workspace.id)
        if known is None or not self._is_fresh(known, workspace):
            monotonic, wall = self.monotonic(), self.clock()
            known = _Known(await self.vault.read(workspace.id), monotonic, wall)
            self._known[workspace.id] = known
            if len(self._known) > MAX_CACHED:
                self._known.popitem(last=False)
        return known.credentials.get(name)

    def _is_fresh(self, known: _Known, workspace: Workspace) -> bool:
        changed_at = max(credential.changed_at for credential in workspace.credentials)
        age = max(self.monotonic() - known.monotonic, self.clock() - known.wall)
        return age < CACHE_SECONDS and changed_at < known.wall


class _Own(Struct, frozen=True):
    """The port `Secrets` of one workspace."""

    keys: OwnKeys
    workspace: Workspace

    async def get(self, name: str) -> str | None:
        return await self.keys.get(self.workspace, name)

"""Provider keys that workspaces bring themselves (BYOK), read from the vault at most once a minute."""

import time
from collections.abc import Callable, Mapping

from msgspec import Struct

from tidegate.domain.timed_cache import TimedCache
from tidegate.domain.workspace import Workspace
from tidegate.ports import Secrets, Vault

CACHE_SECONDS = 60.0
MAX_CACHED = 1_000


class WorkspaceKeys:
    """Reads the vault, and caches keys for `CACHE_SECONDS` by both clocks, or until the workspace changes one."""

    def __init__(
        self,
        vault: Vault | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.vault = vault
        self._cache = TimedCache[str, Mapping[str, str]](MAX_CACHED, monotonic=monotonic, wall=clock)

    def secrets_for(self, workspace: Workspace, name: str | None) -> Secrets | None:
        """Return the source of the workspace's own key, None if the workspace uses the gateway's key of that name."""
        return _WorkspaceSecrets(self, workspace) if name is not None and workspace.has_credential(name) else None

    def cached_key(self, workspace: Workspace, name: str) -> str | None:
        """Return the key if it is cached; None if it is not, or lost: `find_key` tells."""
        keys = self._cached_keys(workspace)
        return None if keys is None else keys.get(name)

    async def find_key(self, workspace: Workspace, name: str) -> str | None:
        """Return the key; None if it is lost: the gateway's key never replaces it. Raises `StoreUnavailable`."""
        if self.vault is None:
            return None
        keys = self._cached_keys(workspace)
        if keys is not None:
            return keys.get(name)
        read_at = self._cache.now()
        credentials = await self.vault.read(workspace.id)
        self._cache.put(workspace.id, credentials, read_at)
        return credentials.get(name)

    def _cached_keys(self, workspace: Workspace) -> Mapping[str, str] | None:
        entry = self._cache.find(workspace.id, CACHE_SECONDS)
        if entry is not None and max(each.changed_at for each in workspace.credentials) < entry.read_at.wall:
            return entry.value
        return None


class _WorkspaceSecrets(Struct, frozen=True):
    """Port `Secrets` over the keys of one workspace."""

    keys: WorkspaceKeys
    workspace: Workspace

    def cached(self, name: str) -> str | None:
        return self.keys.cached_key(self.workspace, name)

    async def get(self, name: str) -> str | None:
        return await self.keys.find_key(self.workspace, name)

"""Provider keys that workspaces bring themselves (BYOK), read from the vault at most once a minute."""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import NamedTuple

from msgspec import Struct, field

from tidegate.domain.redacted import Redacted
from tidegate.domain.workspace import Workspace
from tidegate.ports import Secrets, Vault

CACHE_SECONDS = 60.0
MAX_CACHED = 1_000


class _CachedCredentials(NamedTuple):
    credentials: Mapping[str, str]
    monotonic: float
    wall: float


class WorkspaceKeys(Redacted, Struct):
    """Reads the vault, and caches keys for `CACHE_SECONDS` by both clocks, or until the workspace changes one."""

    vault: Vault | None = None
    monotonic: Callable[[], float] = time.monotonic
    clock: Callable[[], float] = time.time
    _cache: OrderedDict[str, _CachedCredentials] = field(default_factory=OrderedDict[str, _CachedCredentials])

    def secrets_for(self, workspace: Workspace, name: str | None) -> Secrets | None:
        """Return the source of the workspace's own key, None if the workspace uses the gateway's key of that name."""
        return _WorkspaceSecrets(self, workspace) if name is not None and workspace.has_credential(name) else None

    async def find_key(self, workspace: Workspace, name: str) -> str | None:
        """Return the key; None if it is lost: the gateway's key never replaces it. Raises `StoreUnavailable`."""
        if self.vault is None:
            return None
        cached = self._cache.get(workspace.id)
        if cached is None or not self._is_fresh(cached, workspace):
            monotonic, wall = self.monotonic(), self.clock()
            cached = _CachedCredentials(await self.vault.read(workspace.id), monotonic, wall)
            self._cache[workspace.id] = cached
            if len(self._cache) > MAX_CACHED:
                self._cache.popitem(last=False)
        return cached.credentials.get(name)

    def _is_fresh(self, cached: _CachedCredentials, workspace: Workspace) -> bool:
        changed_at = max(credential.changed_at for credential in workspace.credentials)
        age = max(self.monotonic() - cached.monotonic, self.clock() - cached.wall)
        return age < CACHE_SECONDS and changed_at < cached.wall


class _WorkspaceSecrets(Struct, frozen=True):
    """Port `Secrets` over the keys of one workspace."""

    keys: WorkspaceKeys
    workspace: Workspace

    async def get(self, name: str) -> str | None:
        return await self.keys.find_key(self.workspace, name)

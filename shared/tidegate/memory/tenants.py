"""Workspaces and keys in dictionaries."""

import time
from collections.abc import Callable, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from tidegate.domain.keys import implied_workspace, is_only_grant, is_subject_key, key_of_grants, previous_key
from tidegate.domain.workspace import VirtualKey, Workspace, WorkspaceStatus


class MemoryTenants(Struct):
    """The ports `KeyLookup`, `Tenants` and `Keys` over the same two dictionaries.

    `keys` has virtual keys by their hash, and grants of OIDC subjects by their id. `reads` counts the calls of
    `KeyLookup`'s methods.
    """

    workspaces: dict[str, Workspace] = field(default_factory=dict[str, Workspace])
    keys: dict[str, VirtualKey] = field(default_factory=dict[str, VirtualKey])
    reads: int = 0
    clock: Callable[[], float] = time.time

    async def find_key(self, key_hash: str, workspace_id: str | None) -> tuple[VirtualKey | None, Workspace | None]:
        """See `KeyLookup.find_key`; a key without a default implies its only workspace."""
        self.reads += 1
        key = self.keys.get(key_hash) or self._previous_key(key_hash)
        return self._with_workspace(None if key and is_subject_key(key) else key, workspace_id)

    async def find_subject(
        self, subject_hash: str, workspace_id: str | None
    ) -> tuple[VirtualKey | None, Workspace | None]:
        """See `KeyLookup.find_subject`."""
        self.reads += 1
        grants = [key for key in self.keys.values() if key.hash == subject_hash and is_subject_key(key)]
        if workspace_id is None:
            return self._with_workspace(key_of_grants(grants, self.clock()), None)
        of_workspace = [grant for grant in grants if workspace_id in grant.workspace_ids]
        grant = next(iter((*of_workspace, *filter(is_only_grant, grants))), None)
        return self._with_workspace(grant, workspace_id)

    async def find_workspace(self, workspace_id: str) -> Workspace | None:
        """See `KeyLookup.find_workspace`."""
        self.reads += 1
        return self.workspaces.get(workspace_id)

    async def find_workspaces(self, ids: Sequence[str]) -> Sequence[Workspace]:
        """See `KeyLookup.find_workspaces`."""
        self.reads += 1
        return [self.workspaces[id] for id in dict.fromkeys(ids) if id in self.workspaces]

    def _with_workspace(
        self, key: VirtualKey | None, workspace_id: str | None
    ) -> tuple[VirtualKey | None, Workspace | None]:
        named = workspace_id or (implied_workspace(key) if key else None)
        return key, self.workspaces.get(named) if named else None

    async def put_workspace(self, workspace: Workspace) -> bool:
        """See `Tenants.put_workspace`."""
        if workspace.id in self.workspaces:
            return False
        self.workspaces[workspace.id] = workspace
        return True

    async def get_workspace(self, workspace_id: str) -> Workspace | None:
        """The workspace with that id, None if it does not exist."""
        return self.workspaces.get(workspace_id)

    async def list_workspaces(self) -> Sequence[Workspace]:
        """See `Tenants.list_workspaces`."""
        return sorted(self.workspaces.values(), key=lambda workspace: workspace.id)

    async def set_workspace_status(self, workspace_id: str, status: WorkspaceStatus) -> bool:
        """See `Tenants.set_workspace_status`."""
        workspace = self.workspaces.get(workspace_id)
        if workspace is None:
            return False
        self.workspaces[workspace_id] = replace(workspace, status=status, version=workspace.version + 1)
        return True

    async def put_key(self, key: VirtualKey) -> bool:
        """See `Keys.put_key`. The id is compared with the other keys of the same workspaces only."""
        if self.find_stored(key) is not None:
            return False
        self.keys[storage_name(key)] = key
        return True

    def find_stored(self, key: VirtualKey) -> VirtualKey | None:
        """The key that is stored with this secret, or in one of the workspaces with this id or for this subject."""
        if not is_subject_key(key) and key.hash in self.keys:
            return self.keys[key.hash]
        in_workspaces = (each for each in self.keys.values() if set(each.workspace_ids) & set(key.workspace_ids))
        return next((each for each in in_workspaces if key.id == each.id or key.hash == each.hash), None)

    async def list_keys(self, workspace_id: str) -> Sequence[VirtualKey]:
        """See `Keys.list_keys`."""
        keys = (key for key in self.keys.values() if workspace_id in key.workspace_ids)
        return sorted(keys, key=lambda key: key.id)

    async def revoke_key(self, workspace_id: str, key_id: str) -> bool:
        """See `Keys.revoke_key`."""
        key = self._find_in_workspace(workspace_id, key_id)
        if key is None:
            return False
        if is_subject_key(key):
            del self.keys[key.id]
        else:
            self.keys[key.hash] = replace(key, status="revoked", version=key.version + 1)
        return True

    def _previous_key(self, key_hash: str) -> VirtualKey | None:
        rotated = (key for key in self.keys.values() if key.previous_hash == key_hash)
        return next((previous_key(key) for key in rotated), None)

    def _find_in_workspace(self, workspace_id: str, key_id: str) -> VirtualKey | None:
        keys = self.keys.values()
        return next((key for key in keys if key.id == key_id and workspace_id in key.workspace_ids), None)


def storage_name(key: VirtualKey) -> str:
    """The name under which `MemoryTenants.keys` has a key."""
    return key.id if is_subject_key(key) else key.hash

"""Who pays for a batch: its workspace and its key, in memory."""

from msgspec import Struct

from tidegate.batch.callers import check_caller
from tidegate.domain.workspace import Principal, Workspace
from tidegate.memory.tenants import MemoryTenants


class MemoryCallers(Struct, frozen=True):
    """The port `Callers`. `has_claims`: access tokens name their workspaces, see `check_caller`."""

    tenants: MemoryTenants
    has_claims: bool = False

    async def find_caller(self, workspace_id: str, key_id: str | None) -> tuple[Principal, Workspace]:
        """See `Callers.find_caller`."""
        workspace = await self.tenants.get_workspace(workspace_id)
        keys = await self.tenants.list_keys(workspace_id)
        key = next((key for key in keys if key.id == key_id), None)
        return check_caller(workspace, key_id, key, self.tenants.clock(), has_claims=self.has_claims)

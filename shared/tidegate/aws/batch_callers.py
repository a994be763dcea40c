"""Who pays for a batch: its workspace and its key, in one consistent read of the table."""

from msgspec import Struct

from tidegate.aws.store import Store
from tidegate.aws.table import MAX_ID, key_from_item, listed_key_item_key, workspace_from_item, workspace_item_key
from tidegate.batch.callers import check_caller
from tidegate.domain.workspace import Principal, Workspace
from tidegate.errors import WorkspaceForbidden


class DynamoCallers(Struct, frozen=True):
    """The port `Callers`. `has_claims`: access tokens name their workspaces, see `check_caller`."""

    store: Store
    has_claims: bool = False

    async def find_caller(self, workspace_id: str, key_id: str | None) -> tuple[Principal, Workspace]:
        """See `Callers.find_caller`."""
        if len(workspace_id) > MAX_ID or not workspace_id.isascii():
            raise WorkspaceForbidden("The workspace of this batch is unknown.")
        workspace_key, key_key = workspace_item_key(workspace_id), listed_key_item_key(workspace_id, key_id or "")
        items = await self.store.read(*((workspace_key, key_key) if key_id else (workspace_key,)))
        workspace, key = items.get(workspace_key), items.get(key_key)
        return check_caller(
            workspace_from_item(workspace) if workspace else None,
            key_id,
            key_from_item(key) if key else None,
            self.store.clock(),
            has_claims=self.has_claims,
        )

"""Deletes the files and batches of a workspace that is deleted, with their objects."""

from collections.abc import Sequence

from msgspec import Struct

from tidegate.batch import keys
from tidegate.batch.ports import BatchObjects
from tidegate.control.ports import WorkspaceBatches


class WorkspaceCleanup(Struct, frozen=True):
    """The port `WorkspaceBatches`, over that of the table. Without `objects`, these are left to the bucket's rules."""

    entries: WorkspaceBatches
    objects: BatchObjects | None = None

    async def open_batch_ids(self, workspace_id: str) -> Sequence[str]:
        """See `WorkspaceBatches.open_batch_ids`."""
        return await self.entries.open_batch_ids(workspace_id)

    async def delete_all(self, workspace_id: str) -> None:
        """See `WorkspaceBatches.delete_all`. Entries go first, so that workers stop before they write more objects."""
        await self.entries.delete_all(workspace_id)
        if self.objects is not None:
            for prefix in keys.workspace_prefixes(workspace_id):
                await self.objects.delete(await self.objects.list_keys(prefix))

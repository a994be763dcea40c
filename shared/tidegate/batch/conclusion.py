"""Concludes a batch that has ended: tells who wants to know, and deletes its temporary objects."""

from tidegate.batch.announcements import announce_end
from tidegate.batch.components import BatchStores
from tidegate.batch.files import delete_unlisted_input
from tidegate.batch.keys import batch_prefix
from tidegate.domain.batch import Batch

_ONE_DAY = 86_400.0


async def conclude_batch(stores: BatchStores, batch: Batch) -> None:
    """Announce the end of a terminal batch, and delete the objects that only its steps needed."""
    await announce_end(stores, batch)
    await _delete_temporary_objects(stores, batch)
    await stores.table.claim_once(_claim(batch), _ONE_DAY)


async def conclude_again(stores: BatchStores, workspace_id: str, batch_id: str) -> None:
    """Do what is left of the conclusion of a batch that has ended: its process may have died, or come too late."""
    batch = await stores.table.find_batch(workspace_id, batch_id)
    if batch is None or not batch.is_terminal:
        return
    if await stores.table.claim_once(_claim(batch), _ONE_DAY):
        await announce_end(stores, batch)
    await _delete_temporary_objects(stores, batch)


async def _delete_temporary_objects(stores: BatchStores, batch: Batch) -> None:
    """Delete ranges, journals, results of parts and what steps remember, and the content of a deleted input file."""
    keys = await stores.objects.list_keys(batch_prefix(batch.workspace_id, batch.id))
    await stores.objects.delete(keys)
    await delete_unlisted_input(stores, batch)


def _claim(batch: Batch) -> str:
    return f"concluded#{batch.id}"

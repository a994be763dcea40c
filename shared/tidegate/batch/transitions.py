"""Changes of a stored batch, each decided again if another process has written it in between."""

from collections.abc import Callable

from msgspec.structs import replace

from tidegate.batch.components import BatchStores
from tidegate.domain.batch import Batch, Part, StoredFile
from tidegate.errors import StoreUnavailable

CHANGE_TRIES = 50
"""Tries of one change. A batch's parts end at about the same time only if their number is small."""


async def change_batch(
    stores: BatchStores,
    workspace_id: str,
    batch_id: str,
    change: Callable[[Batch], Batch | None],
    *values: Part | StoredFile,
) -> Batch | None:
    """Write what `change` makes of the batch now, together with `values`, and return the batch as stored.

    None if the batch does not exist, if `change` returns None, or if one of the parts is not the stored version any
    more: then nothing is written. Files must be new. `change` must not change anything else, because it may be called
    several times.
    """
    parts = [value for value in values if isinstance(value, Part)]
    for _ in range(CHANGE_TRIES):
        batch = await stores.table.find_batch(workspace_id, batch_id)
        changed = change(batch) if batch is not None else None
        if batch is None or changed is None:
            return None
        if await stores.table.save(changed, *values):
            return replace(changed, version=changed.version + 1)
        if parts:
            stored = await stores.table.find_parts(batch, [part.number for part in parts])
            if any((found := stored.get(part.number)) and found.version != part.version for part in parts):
                return None
            if any(part.version and part.number not in stored for part in parts):
                return None
    raise StoreUnavailable("Too many processes change this batch; try again in a moment.", retry_after_seconds=1)

"""Deletes the contents of files that have expired, whose entries the table has deleted by itself, once a day."""

import asyncio

from tidegate.batch.components import BatchComponents
from tidegate.domain.ids import min_ulid

INTERVAL_SECONDS = 86_400.0
"""Also the least age of what is deleted: the content of a file is written before its entry."""

UPLOAD_SECONDS = 4 * 86_400.0
"""The age at which parts of uploads are deleted. On AWS, the bucket itself has deleted them before."""

_AT_ONCE = 32


async def delete_expired_contents(components: BatchComponents, deadline: float) -> None:
    """Delete what has no entry and no reader, until `deadline`. Parts of forgotten uploads are deleted as well."""
    now = components.clock()
    if not await components.table.claim_once("file-cleanup", INTERVAL_SECONDS):
        return
    newest = min_ulid(now - INTERVAL_SECONDS)
    keys = [key for key in await components.objects.list_keys("files/") if _ulid_of(key) < newest]
    # Where there is no time for all, another day begins with others.
    begin = int(now // INTERVAL_SECONDS) * 7919 % max(1, len(keys))
    keys = keys[begin:] + keys[:begin]
    read = {batch.input_key for batch in await components.table.open_batches()}
    for first in range(0, len(keys), _AT_ONCE):
        if components.clock() >= deadline:
            return
        some = [key for key in keys[first : first + _AT_ONCE] if key not in read]
        is_listed = await asyncio.gather(*(_is_listed(components, key) for key in some))
        await components.objects.delete([key for key, listed in zip(some, is_listed, strict=True) if not listed])
    uploads, newest = await components.objects.list_keys("uploads/"), min_ulid(now - UPLOAD_SECONDS)
    await components.objects.delete([key for key in uploads if _ulid_of(key) < newest])


async def _is_listed(components: BatchComponents, key: str) -> bool:
    _, workspace_id, file_id = key.split("/")
    return await components.table.find_file(workspace_id, file_id) is not None


def _ulid_of(key: str) -> str:
    """The ULID in the third part of a key, which is the id of a file or an upload; it begins with the time."""
    return key.split("/")[2].replace("_", "-").rpartition("-")[2]

"""Objects that jobs drop under `workspaces/<workspace>/in/`: each becomes a batch, or is moved to `rejected/`.

Whoever may write there may start batches of that workspace: IAM has decided it, and no key is asked for.
"""

import hashlib
import logging
import re
from itertools import chain
from typing import NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tidegate.batch.components import BatchComponents, BatchStores
from tidegate.batch.keys import dropped_prefix, rejected_prefix, results_prefix
from tidegate.batch.lines import LineCutter
from tidegate.batch.messages import Sweep, Validate
from tidegate.domain.batch import Batch, BatchFault, StoredFile
from tidegate.domain.ids import derived_ulid
from tidegate.errors import NotFound, WorkspaceForbidden
from tidegate.json import Json, encode

log = logging.getLogger(__name__)

WINDOW = "24h"
WINDOW_SECONDS = 86_400.0
FILE_SECONDS = 30 * 86_400.0
CLAIM_SECONDS = 14 * 86_400.0
"""As long as a queue keeps a message."""

_KEY = re.compile(r"workspaces/([A-Za-z0-9_-]{1,64})/(.+)", re.DOTALL)


class StoredObject(Struct, frozen=True, kw_only=True):
    """An object that an event names. `version` is its version or ETag, `at` the time of the event."""

    bucket: str
    key: str
    version: str
    size: int | None
    event_id: str
    at: float


class ObjectPlace(NamedTuple):
    """The workspace of an object, and the rest of its name."""

    workspace_id: str
    name: str


class _Line(Struct):
    url: str


def find_place(key: str) -> ObjectPlace | None:
    """Return whose object it is, None for an object that belongs to no workspace."""
    match = _KEY.fullmatch(key)
    return ObjectPlace(match[1], match[2]) if match else None


async def take_object(components: BatchComponents, stored: StoredObject) -> None:
    """Make a batch of a dropped object, once for each version of it. Raises `StoreUnavailable`."""
    place = find_place(stored.key)
    name = stored.key.removeprefix(dropped_prefix(place.workspace_id)) if place else ""
    if place is None or name in ("", stored.key) or name.endswith("/"):
        return  # a folder, or an object elsewhere
    size = await components.objects.size(stored.key)
    if size is None or stored.size not in (None, size):
        log.info("object.replaced", extra={"workspace_id": place.workspace_id})  # by one with an event of its own
        return
    batch = await new_batch(components, stored, place.workspace_id, name, size)
    if isinstance(batch, BatchFault):
        await reject_object(components, place.workspace_id, stored.key, (batch,))
        return
    await create_once(components, stored, batch)


async def new_batch(
    components: BatchComponents, stored: StoredObject, workspace_id: str, name: str, size: int
) -> Batch | BatchFault:
    """Return the batch of an object, which is not stored yet, or what is wrong with the object.

    Its endpoint is that of its first line; validation checks all others.
    """
    options, now = components.options, components.clock()
    if size == 0:
        return BatchFault("empty_file", "The object is empty.")
    if size > options.max_object_bytes:
        return BatchFault("request_too_large", f"An object may have at most {options.max_object_bytes} bytes.")
    try:
        await components.callers.find_caller(workspace_id, None)
    except WorkspaceForbidden as error:
        return BatchFault("workspace_forbidden", error.message)
    endpoint = _find_endpoint(components, await components.objects.read(stored.key, 0, options.max_line_bytes + 1))
    if isinstance(endpoint, BatchFault):
        return endpoint
    identifier = derived_ulid(stored.at, _identity(stored))
    return Batch(
        id=f"batch_{identifier}",
        workspace_id=workspace_id,
        key_id=None,
        endpoint=endpoint,
        input_file_id=f"file-{identifier}",
        input_key=stored.key,
        input_bytes=size,
        completion_window=WINDOW,
        created_at=now,
        expires_at=now + WINDOW_SECONDS,
        source="object",
        metadata={"object": name[:512]},
        output_prefix=f"{results_prefix(workspace_id)}{name}/",
    )


async def create_once(components: BatchComponents, stored: StoredObject, batch: Batch) -> None:
    """Store the batch and send its first messages, unless another event was about this version of the object.

    An event that comes again, perhaps because its process has died, goes on where that was.
    """
    table, identity = components.table, _identity(stored)
    is_new_event = await table.claim_once(f"object:{identity}:{stored.event_id}", CLAIM_SECONDS)
    is_first_event = await table.claim_once(f"object:{identity}", CLAIM_SECONDS)
    if is_new_event and not is_first_event:
        log.info("object.duplicate", extra={"workspace_id": batch.workspace_id})
        return
    file = StoredFile(
        id=batch.input_file_id,
        workspace_id=batch.workspace_id,
        filename=batch.input_key.rpartition("/")[2][:512],
        purpose="batch",
        bytes=batch.input_bytes,
        key=batch.input_key,
        created_at=batch.created_at,
        expires_at=batch.created_at + FILE_SECONDS,
    )
    await table.save(file, batch)  # refused if they exist
    await components.queue.send(Validate(batch.workspace_id, batch.id))
    await components.queue.send(Sweep())
    log.info("object.taken", extra={"workspace_id": batch.workspace_id, "batch_id": batch.id})


async def reject_object(stores: BatchStores, workspace_id: str, key: str, faults: tuple[BatchFault, ...]) -> str:
    """Move a dropped object to `rejected/`, with the reasons beside it; return its new name. May be repeated."""
    target = rejected_prefix(workspace_id) + key.removeprefix(dropped_prefix(workspace_id))
    reasons: list[Json] = [{"code": each.code, "message": each.message, "line": each.line} for each in faults]
    log.warning(
        "object.rejected", extra={"workspace_id": workspace_id, "codes": sorted({each.code for each in faults})}
    )
    size = await stores.objects.size(key)
    try:
        if size:
            async with stores.objects.writer(target) as writer:
                await writer.append_object(key, size)
        elif size == 0:
            await stores.objects.put(target, b"")
    except NotFound:
        pass  # another process has moved it
    await stores.objects.put(f"{target}.reason.json", encode({"object": key, "errors": reasons}))
    await stores.objects.delete([key])
    return target


async def reject_input(stores: BatchStores, batch: Batch) -> None:
    """Move the dropped object of a batch that failed validation to `rejected/`."""
    target = await reject_object(stores, batch.workspace_id, batch.input_key, batch.errors)
    file = await stores.table.find_file(batch.workspace_id, batch.input_file_id)
    if file is not None and file.key != target:
        await stores.table.save(replace(file, key=target))


def _find_endpoint(components: BatchComponents, data: bytes | None) -> str | BatchFault:
    """Return the url of the first line that is not empty."""
    data = data or b""
    cutter = LineCutter(len(data))
    for line in chain(cutter.feed(data), cutter.last()):
        try:
            url = msgspec.json.decode(line.data or b"", type=_Line).url
        except (msgspec.DecodeError, UnicodeDecodeError):
            message = "The first line is not a JSON object with a url, or it is too long."
            return BatchFault("invalid_json_line", message, line=line.number)
        if url in components.endpoints:
            return url
        known = ", ".join(sorted(components.endpoints))
        return BatchFault("invalid_url", f"The url of a line must be one of: {known}.", line=line.number, param="url")
    return BatchFault("empty_file", "The object has no lines.")


def _identity(stored: StoredObject) -> str:
    name = f"{stored.bucket}#{stored.key}#{stored.version}"
    return hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()

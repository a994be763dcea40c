"""Batches of workspaces: created, listed, cancelled and resumed. Another workspace's batch is an unknown one."""

import asyncio
import logging
import re
from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from tidegate.batch.components import BatchComponents
from tidegate.batch.feeder import feed_parts
from tidegate.batch.fields import Fields, invalid
from tidegate.batch.files import find_file
from tidegate.batch.messages import Message, PollJobs, Sweep, Validate
from tidegate.batch.ports import Page
from tidegate.batch.transitions import change_batch
from tidegate.batch.views import batch_json
from tidegate.domain.batch import Batch, BatchMode
from tidegate.domain.ids import ulid
from tidegate.errors import Conflict, InvalidRequest, NotFound, RateLimited, StoreUnavailable
from tidegate.json import JsonObject

log = logging.getLogger(__name__)

MODE_NAME = "tidegate_mode"
"""The name in `metadata` that chooses how the lines are asked."""

MIN_WINDOW_HOURS, MAX_WINDOW_HOURS = 1, 7 * 24

_WINDOW = re.compile(r"([1-9][0-9]{0,2})(h|d)")
MODES: tuple[BatchMode, ...] = ("calls", "provider_batch")


async def create_batch(components: BatchComponents, workspace_id: str, key_id: str, fields: Fields) -> Batch:
    """Create the batch that the fields describe, and start it. Lines are checked later, by its validation.

    Raises `InvalidRequest`, `NotFound` for the file, `RateLimited` for too many open batches, and `StoreUnavailable`.
    """
    return await start_batch(components, await prepare_batch(components, workspace_id, key_id, fields))


async def prepare_batch(components: BatchComponents, workspace_id: str, key_id: str, fields: Fields) -> Batch:
    """Return the batch that the fields describe, which is not stored yet. Raises the errors of `create_batch`."""
    endpoint = fields.text("endpoint", choices=tuple(components.endpoints))
    window, seconds = parse_window(fields.text("completion_window"))
    metadata, output_seconds = fields.metadata(), fields.expiry_seconds("output_expires_after")
    mode = parse_mode(metadata)
    file = await find_file(components, workspace_id, fields.text("input_file_id"), "input_file_id")
    if file.purpose != "batch":
        message = f"The file {file.id!r} has the purpose {file.purpose!r}: upload it with the purpose 'batch'."
        raise invalid(message, "input_file_id", None)
    if file.status != "processed":
        reason = "is not JSONL" if file.status == "error" else "has not been uploaded completely"
        raise invalid(f"The content of {file.id!r} {reason}.", "input_file_id", None)
    await check_open_batches(components, workspace_id)
    now = components.clock()
    return Batch(
        id=f"batch_{ulid(now)}",
        workspace_id=workspace_id,
        key_id=key_id,
        endpoint=endpoint,
        input_file_id=file.id,
        input_key=file.key,
        input_bytes=file.bytes,
        completion_window=window,
        created_at=now,
        expires_at=now + seconds,
        mode=mode,
        metadata=metadata,
        output_seconds=output_seconds,
    )


async def start_batch(components: BatchComponents, batch: Batch) -> Batch:
    """Store a new batch, and send its first messages. If these are lost, the sweep sends them again."""
    if not await components.table.save(batch):
        raise StoreUnavailable("The batch could not be stored; try again.", retry_after_seconds=1)
    await _send_or_leave_to_the_sweep(components, Validate(batch.workspace_id, batch.id), Sweep())
    return replace(batch, version=batch.version + 1)


def parse_window(text: str) -> tuple[str, float]:
    """Return a completion window and its seconds: OpenAI's "24h", or other hours and days. Raises `InvalidRequest`."""
    match = _WINDOW.fullmatch(text)
    hours = int(match[1]) * (24 if match[2] == "d" else 1) if match is not None else 0
    if not MIN_WINDOW_HOURS <= hours <= MAX_WINDOW_HOURS:
        message = f"Invalid value: {text[:80]!r}. Supported values are: '24h', and hours and days from '1h' to '7d'."
        raise invalid(message, "completion_window", "invalid_value")
    return text, hours * 3600.0


def parse_mode(metadata: dict[str, str] | None) -> BatchMode:
    """Return the mode that `metadata` chooses. Raises `InvalidRequest`."""
    text = (metadata or {}).get(MODE_NAME, "calls")
    for mode in MODES:
        if mode == text:
            return mode
    message = f"Invalid value: {text[:80]!r}. Supported values are: {', '.join(map(repr, MODES))}."
    raise invalid(message, f"metadata.{MODE_NAME}", "invalid_value")


async def check_open_batches(components: BatchComponents, workspace_id: str) -> None:
    """Raise `RateLimited` if the workspace has as many open batches as it may have."""
    maximum = components.options.max_open_batches
    count = sum(batch.workspace_id == workspace_id for batch in await components.table.open_batches())
    if count >= maximum:
        message = f"This workspace has {count} open batches, the most that it may have: wait until one has ended."
        error = RateLimited(message, limit="open_batches", maximum=maximum)
        error.should_retry = False
        raise error


async def find_batch(components: BatchComponents, workspace_id: str, batch_id: str) -> Batch:
    """Return the workspace's batch. Raises `NotFound`."""
    batch = await components.table.find_batch(workspace_id, batch_id)
    if batch is None:
        raise _no_such_batch(batch_id)
    return batch


async def list_batches(components: BatchComponents, workspace_id: str, page: Page) -> tuple[Sequence[Batch], bool]:
    """Return a page of the workspace's batches, the newest first, and whether there are more."""
    batches = await components.table.list_batches(workspace_id, replace(page, limit=page.limit + 1))
    return batches[: page.limit], len(batches) > page.limit


async def cancel_batch(components: BatchComponents, workspace_id: str, batch_id: str) -> Batch:
    """Cancel a batch, and return it. Workers stop within a few seconds. Raises `NotFound` and `Conflict`."""
    now = components.clock()

    def cancel(batch: Batch) -> Batch | None:
        if batch.status in ("validating", "in_progress"):
            return replace(batch, status="cancelling", cancelling_at=now)
        return None

    batch = await find_batch(components, workspace_id, batch_id)
    batch = await change_batch(components, workspace_id, batch_id, cancel) or await find_batch(
        components, workspace_id, batch_id
    )
    if batch.cancelling_at is None or batch.status == "cancelled":
        raise _conflict(f"Cannot cancel a batch with status '{batch.status}'.")
    if batch.has_open_jobs:
        await _send_or_leave_to_the_sweep(components, PollJobs(workspace_id, batch_id))
    await feed_parts(components, workspace_id, batch_id)
    return await find_batch(components, workspace_id, batch_id)


async def resume_batch(components: BatchComponents, workspace_id: str, batch_id: str) -> Batch:
    """Let a paused batch go on, and return it; it pauses again if the reason lasts. Raises `NotFound`, `Conflict`."""

    def resume(batch: Batch) -> Batch | None:
        if batch.pause is None or batch.is_terminal:
            return None
        return replace(batch, pause=None, paused_at=None, paused_needs=None)

    batch = await find_batch(components, workspace_id, batch_id)
    if batch.status not in ("validating", "in_progress"):
        raise _conflict(f"Cannot resume a batch with status '{batch.status}'.")
    await change_batch(components, workspace_id, batch_id, resume)
    await feed_parts(components, workspace_id, batch_id)
    return await find_batch(components, workspace_id, batch_id)


async def describe_batches(components: BatchComponents, batches: Iterable[Batch]) -> list[JsonObject]:
    """Return batches as OpenAI's objects, with what is on record of parts that are not done."""
    return list(await asyncio.gather(*(_describe(components, batch) for batch in batches)))


async def _describe(components: BatchComponents, batch: Batch) -> JsonObject:
    numbers = () if batch.is_terminal else (*batch.running, *batch.returned)
    if not numbers:
        return batch_json(batch)
    return batch_json(batch, (await components.table.find_parts(batch, numbers)).values())


async def _send_or_leave_to_the_sweep(components: BatchComponents, *messages: Message) -> None:
    try:
        for message in messages:
            await components.queue.send(message)
    except StoreUnavailable:
        log.warning("batch.message_unsent", exc_info=True)


def _no_such_batch(batch_id: str) -> NotFound:
    error = NotFound(f"No batch found with id '{batch_id[:80]}'.")
    error.code = None
    return error


def _conflict(message: str) -> InvalidRequest:
    error = Conflict(message)
    error.code = None
    return error

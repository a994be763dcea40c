"""Composes the output and error files of a batch from the results of its parts, in the order of the input, and ends it.

Each line of the input is in one of the two files: lines that were never answered, because the batch expired or was
cancelled, are errors. Nothing but the results of a few parts is in memory. Out of time, a process leaves what it has
composed as two objects, with which the next one begins. Doing a piece again writes the same bytes.
"""

from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from tidegate.batch.components import BatchComponents
from tidegate.batch.conclusion import conclude_again, conclude_batch
from tidegate.batch.keys import composed_key, file_key
from tidegate.batch.messages import Compose
from tidegate.batch.part_results import PartResults
from tidegate.batch.steps import change_claimed, claimed_step, has_step
from tidegate.domain.batch import Batch, BatchUsage, StoredFile
from tidegate.domain.ids import ulid
from tidegate.errors import NotFound

MARGIN_SECONDS = 90.0
"""The time before its deadline in which a process takes no more parts: S3 may have to copy some GiB."""

_NAMES = ("output", "errors")


async def compose_results(components: BatchComponents, workspace_id: str, batch_id: str, deadline: float) -> None:
    """Compose the files, or a piece of them, before `deadline` in UTC seconds. Raises `StoreUnavailable`."""
    async with claimed_step(components, workspace_id, batch_id, "finalizing", deadline) as batch:
        if batch is not None:
            try:
                await _compose(components, batch, deadline)
            except NotFound:
                await _begin_anew(components, batch)
    if batch is None:
        await conclude_again(components, workspace_id, batch_id)


class _Composed(Struct, frozen=True):
    """Two objects that are composed so far, with `token` in their names; `sizes` are in the order of `_NAMES`."""

    token: str
    sizes: tuple[int, int]

    def keys(self, batch: Batch) -> tuple[str, str]:
        output, errors = (composed_key(batch.workspace_id, batch.id, self.token, name) for name in _NAMES)
        return output, errors


async def _compose(components: BatchComponents, batch: Batch, deadline: float) -> None:
    earlier = _earlier(batch)
    composed = _Composed(ulid(components.clock()), (0, 0))
    results = PartResults(components, batch)
    next_part = first_part = int(batch.cursor.get("part", 0))
    output_key, errors_key = composed.keys(batch)
    async with components.objects.writer(output_key) as output, components.objects.writer(errors_key) as errors:
        for writer, key, size in zip((output, errors), earlier.keys(batch), earlier.sizes, strict=True):
            if size:
                await writer.append_object(key, size)
        while next_part < batch.parts and (next_part == first_part or not _is_late(components, deadline)):
            next_part = await results.append(next_part, output, errors)
    composed = replace(composed, sizes=(output.size, errors.size))
    if next_part < batch.parts or (next_part > first_part and _is_late(components, deadline)):
        await _continue_later(components, batch, composed, next_part, results.usage)
    else:
        await _end(components, batch, composed, results.usage)


def _earlier(batch: Batch) -> _Composed:
    """The objects of an earlier process, with which this one begins."""
    output_bytes, error_bytes = (int(batch.cursor.get(name, 0)) for name in _NAMES)
    return _Composed(str(batch.cursor.get("token", "")), (output_bytes, error_bytes))


def _is_late(components: BatchComponents, deadline: float) -> bool:
    return components.clock() > deadline - MARGIN_SECONDS


async def _continue_later(
    components: BatchComponents, batch: Batch, composed: _Composed, next_part: int, usage: BatchUsage
) -> None:
    sizes = dict(zip(_NAMES, composed.sizes, strict=True))
    cursor: dict[str, int | str] = {"part": next_part, "token": composed.token, **sizes}

    def leave(stored: Batch) -> Batch:
        return replace(stored, cursor=cursor, usage=stored.usage + usage, step_lease_until=0.0)

    if await change_claimed(components, batch, leave) is not None:
        await components.queue.send(Compose(batch.workspace_id, batch.id))


async def _begin_anew(components: BatchComponents, batch: Batch) -> None:
    """Forget what is composed, because somebody has deleted it; unless that was a process that has ended the batch."""
    forgotten = await change_claimed(components, batch, lambda stored: replace(stored, cursor={}, step_lease_until=0.0))
    if forgotten is not None:
        await components.queue.send(Compose(batch.workspace_id, batch.id))
    else:
        await conclude_again(components, batch.workspace_id, batch.id)


async def _end(components: BatchComponents, batch: Batch, composed: _Composed, usage: BatchUsage) -> None:
    """Copy what is composed to the files, and write the batch's last status together with them."""
    if not await has_step(components, batch):
        # Another process has ended the batch. What it deleted then may be missing here: it must not get to the files.
        await conclude_again(components, batch.workspace_id, batch.id)
        return
    now, files = components.clock(), dict[str, StoredFile]()
    try:
        for name, key, size in zip(_NAMES, composed.keys(batch), composed.sizes, strict=True):
            if size:
                files[name] = await _copy_to_file(components, batch, name, key, size, now)
    except NotFound:
        await _discard(components, batch, files.values())
        raise
    output, errors = (files.get(name) for name in _NAMES)

    def end(stored: Batch) -> Batch:
        times = {f"{stored.ending}_at": now}
        return replace(
            stored,
            status=stored.ending,
            usage=stored.usage + usage,
            output_file_id=output.id if output is not None else None,
            error_file_id=errors.id if errors is not None else None,
            cursor={},
            step_lease_until=0.0,
            **times,
        )

    ended = await change_claimed(components, batch, end, *files.values())
    if ended is not None:
        await conclude_batch(components, ended)
    else:
        await _discard(components, batch, files.values())
        await conclude_again(components, batch.workspace_id, batch.id)


async def _copy_to_file(
    components: BatchComponents, batch: Batch, name: str, composed: str, size: int, now: float
) -> StoredFile:
    """Copy a composed object to its file."""
    id = f"file-{ulid(now)}"
    key = file_key(batch.workspace_id, id) if batch.output_prefix is None else f"{batch.output_prefix}{name}.jsonl"
    async with components.objects.writer(key) as writer:
        await writer.append_object(composed, size)
    return StoredFile(
        id=id,
        workspace_id=batch.workspace_id,
        filename=f"{batch.id}_{'output' if name == 'output' else 'error'}.jsonl",
        purpose="batch_output",
        bytes=size,
        key=key,
        created_at=now,
        expires_at=None if batch.output_seconds is None else now + batch.output_seconds,
    )


async def _discard(components: BatchComponents, batch: Batch, files: Iterable[StoredFile]) -> None:
    """Delete the files of a process that came too late. Names of a dropped object's results are everybody's."""
    if batch.output_prefix is None:
        await components.objects.delete([file.key for file in files])

"""Validates the input of a batch as a stream, and divides it into parts.

One process at a time reads the input in chunks. Out of time, it stores what it knows, and another one goes on there.
Doing a piece again has the same results, so that a process may die anywhere. An input with faults makes the batch fail,
as at OpenAI; the first faults are listed. What only the model's provider or the operation can tell, such as a message
without content, is an error of its line. Unlike at OpenAI, the lines may name several models.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress

from msgspec.structs import replace

from tidegate.batch.components import BatchComponents
from tidegate.batch.conclusion import conclude_again, conclude_batch
from tidegate.batch.feeder import feed_parts
from tidegate.batch.findings import InputFindings
from tidegate.batch.keys import validation_key
from tidegate.batch.lines import LineCutter
from tidegate.batch.messages import PollJobs, Validate
from tidegate.batch.pace import pace_name
from tidegate.batch.steps import change_claimed, claimed_step, step_deaths
from tidegate.domain.batch import Batch, BatchFault
from tidegate.errors import NotFound, TidegateError
from tidegate.lazy import load

MAX_DEATHS = 10
"""Processes in a row that may die while they validate an input. It is the input then that they die of."""

MARGIN_SECONDS = 60.0
"""The time before its deadline in which a process reads no more: it may have 80 MB to store, or to compare."""

_BYTES_AT_ONCE = 256 * 1024
"""Other tasks of the event loop, such as live calls, get their turn after this much input: one or two milliseconds."""

_ONE_DAY = 86_400.0

_GONE = BatchFault("file_not_found", "The input file does not exist any more.")
_MODIFIED = BatchFault("input_modified", "The input file was modified after the batch was created.")
_DEADLY = BatchFault("validation_failed", "The input file could not be validated. Divide it into several batches.")


async def validate_batch(components: BatchComponents, workspace_id: str, batch_id: str, deadline: float) -> None:
    """Validate the batch's input, or a piece of it, before `deadline` in UTC seconds.

    At the end, the batch is in progress and its first parts are fed, or it has failed. Raises `StoreUnavailable`.
    """
    async with claimed_step(components, workspace_id, batch_id, "validating", deadline) as batch:
        if batch is not None:
            await _validate(components, batch, deadline)
    if batch is None:
        await _finish_again(components, workspace_id, batch_id)


async def _validate(components: BatchComponents, batch: Batch, deadline: float) -> None:
    if step_deaths(batch) >= MAX_DEATHS:
        await _fail(components, batch, (_DEADLY,))
        return
    findings = InputFindings(batch, components.options, components.endpoints)
    fault = findings.size_fault() or await _input_fault(components, batch)
    if fault is None:
        try:
            await findings.load(components.objects)
            is_read = await _read(components, batch, findings, deadline)
        except NotFound:
            fault = _GONE
        else:
            if not is_read:
                await _continue_later(components, batch, findings)
                return
            fault = await _input_fault(components, batch)
    faults = (fault,) if fault is not None else await findings.all_faults()
    if faults:
        await _fail(components, batch, faults)
    else:
        await _begin(components, batch, findings)


async def _input_fault(components: BatchComponents, batch: Batch) -> BatchFault | None:
    size = await components.objects.size(batch.input_key)
    return _GONE if size is None else _MODIFIED if size != batch.input_bytes else None


async def _read(components: BatchComponents, batch: Batch, findings: InputFindings, deadline: float) -> bool:
    """Read on from where the findings end; False if time is up before the end of the input or of what matters.

    Raises `NotFound` if the input is gone.
    """
    progress = findings.progress
    first = read_to = progress.next_byte
    cutter = LineCutter(
        components.options.max_line_bytes,
        next_byte=progress.next_byte,
        next_number=progress.next_number,
        in_long_line=progress.in_long_line,
    )
    async with aclosing(components.objects.chunks(batch.input_key, first)) as chunks:
        async for chunk in chunks:
            read_to += len(chunk)
            async for piece in _in_turns(chunk):
                for line in cutter.feed(piece):
                    findings.take(line)
                    if findings.is_clear:
                        return True
            await findings.write_full_ranges(components.objects)
            is_late = components.clock() > deadline - MARGIN_SECONDS
            if is_late and first < cutter.next_byte and read_to < batch.input_bytes:
                progress.next_byte, progress.next_number = cutter.next_byte, cutter.next_number
                progress.in_long_line = cutter.in_long_line
                return False
    for line in cutter.last():
        findings.take(line)
    return True


async def _in_turns(chunk: bytes) -> AsyncIterator[bytes]:
    for first in range(0, len(chunk), _BYTES_AT_ONCE):
        yield chunk[first : first + _BYTES_AT_ONCE]
        await asyncio.sleep(0)


async def _continue_later(components: BatchComponents, batch: Batch, findings: InputFindings) -> None:
    await findings.store(components.objects)
    cursor: dict[str, int | str] = {"byte": findings.progress.next_byte}
    stored = await change_claimed(
        components, batch, lambda stored: replace(stored, cursor=cursor, step_lease_until=0.0)
    )
    if stored is not None:
        await components.queue.send(Validate(batch.workspace_id, batch.id))


async def _fail(components: BatchComponents, batch: Batch, faults: tuple[BatchFault, ...]) -> None:
    now = components.clock()

    def fail(stored: Batch) -> Batch:
        return replace(stored, status="failed", errors=faults, failed_at=now, cursor={}, step_lease_until=0.0)

    failed = await change_claimed(components, batch, fail)
    if failed is not None:
        await conclude_batch(components, failed)
    else:
        await _finish_again(components, batch.workspace_id, batch.id)


async def _begin(components: BatchComponents, batch: Batch, findings: InputFindings) -> None:
    """Let the batch be in progress."""
    await findings.write_last_ranges(components.objects)
    progress, now = findings.progress, components.clock()
    providers = await _find_providers(components, batch, progress.models)
    model = progress.models[0] if len(progress.models) == 1 else None
    choose_mode = load("tidegate.batch.provider_jobs.choice", "choose_mode")
    mode, reason = await choose_mode(components, replace(batch, model=model, total=progress.requests))

    def begin(stored: Batch) -> Batch:
        return replace(
            stored,
            status="in_progress",
            in_progress_at=now,
            total=progress.requests,
            parts=progress.parts,
            model=model,
            mode=mode,
            mode_reason=reason,
            providers=providers,
            cursor={},
            step_lease_until=0.0,
        )

    begun = await change_claimed(components, batch, begin)
    if begun is None:
        await _finish_again(components, batch.workspace_id, batch.id)
        return
    await _start(components, begun)
    await components.table.claim_once(f"validated#{batch.id}", _ONE_DAY)
    await components.objects.delete([validation_key(batch.workspace_id, batch.id)])


async def _start(components: BatchComponents, batch: Batch) -> None:
    await components.events.emit("BatchValidated", batch)
    if batch.mode == "provider_batch":
        await components.queue.send(PollJobs(batch.workspace_id, batch.id))
    await feed_parts(components, batch.workspace_id, batch.id)


async def _finish_again(components: BatchComponents, workspace_id: str, batch_id: str) -> None:
    """Do what a process that died at the very end of validation has left."""
    batch = await components.table.find_batch(workspace_id, batch_id)
    if batch is None:
        return
    if batch.in_progress_at is None or batch.is_terminal:
        await conclude_again(components, workspace_id, batch_id)
    elif await components.table.claim_once(f"validated#{batch_id}", _ONE_DAY):
        await _start(components, batch)


async def _find_providers(components: BatchComponents, batch: Batch, models: list[str]) -> tuple[str, ...]:
    """The rates that the models probably use, which decides only what the batch shares its windows with."""
    try:
        _, workspace = await components.callers.find_caller(batch.workspace_id, batch.key_id)
    except TidegateError:
        return ()  # the first worker pauses the batch
    names: set[str] = set()
    for model in models:
        with suppress(TidegateError):
            resolution = components.gateway.router.resolve(model, workspace)
            names.update(pace_name(resolution, workspace, index) for index in range(len(resolution.deployments)))
    return tuple(sorted(names))

"""Divides a batch into jobs: consecutive parts, up to the provider's limits and to what the budgets allow."""

import logging
from collections.abc import Sequence

from msgspec.structs import replace

from tidegate.batch.provider_jobs.charges import exceeded_budget, job_reservation
from tidegate.batch.provider_jobs.job_context import JobContext
from tidegate.batch.provider_jobs.prepared_parts import PreparedPart, prepare_part
from tidegate.batch.ranges import read_ranges
from tidegate.domain.batch import Batch, ProviderJob
from tidegate.domain.ids import ulid
from tidegate.domain.limits import Amounts

log = logging.getLogger(__name__)

TOO_FEW_LINES = "Too few lines are left for another batch of the provider."

MAX_OPEN_JOBS = 20
"""Jobs of a batch at the same time: a million lines at most providers."""


async def add_jobs(context: JobContext, margin_seconds: float) -> JobContext:
    """Store the next jobs of the batch, which are created with the next message; returns the context afterwards.

    Parts that the batch API does not take are given to workers. Pauses the batch where its budget is exhausted.
    """
    prepared_parts: list[PreparedPart] = []
    batch = context.batch
    while batch.fed + len(prepared_parts) < batch.parts and sum(job.is_open for job in batch.jobs) < MAX_OPEN_JOBS:
        if context.remaining_seconds <= margin_seconds:
            return context
        number = batch.fed + len(prepared_parts)
        ranges = await read_ranges(context.components.objects, batch, [number])
        prepared = await prepare_part(context, ranges[number])
        if prepared_parts and not _fits(context, [*prepared_parts, prepared]):
            added = await _add_job(context, prepared_parts)
            if added is None:
                return context
            context, prepared_parts, batch = added, [], added.batch
            continue
        prepared_parts.append(prepared)
    if prepared_parts and batch.fed + len(prepared_parts) == batch.parts:
        return await _add_job(context, prepared_parts) or context
    return context


def _fits(context: JobContext, prepared_parts: Sequence[PreparedPart]) -> bool:
    """True if the suited parts of these can be in one job."""
    suited = [part for part in prepared_parts if part.is_suited]
    limits = context.jobs.limits
    lines, size = sum(part.lines for part in suited), sum(part.size for part in suited)
    return (
        lines <= limits.max_lines
        and size <= limits.max_bytes
        and len({part.endpoint for part in suited if part.lines}) <= 1
    )


async def _add_job(context: JobContext, prepared_parts: Sequence[PreparedPart]) -> JobContext | None:
    """Store one job of as many of these parts as the budgets allow. None if they allow none: the batch waits."""
    suited = [part for part in prepared_parts if part.is_suited]
    lines = sum(part.lines for part in suited)
    if lines < context.jobs.limits.min_lines and any(part.lines for part in suited):
        suited = []
    if not suited:
        reason = next((part.unsuited for part in prepared_parts if part.unsuited), None)
        return await _by_calls(context, prepared_parts, reason or TOO_FEW_LINES)
    job = replace(_new_job(context, suited), first_part=prepared_parts[0].number, last_part=prepared_parts[-1].number)
    while (exceeded := await exceeded_budget(context, job_reservation(context, job, suited))) is not None:
        if len(suited) == 1:
            if exceeded.needed > exceeded.largest:
                few = [part for part in prepared_parts if part.number <= suited[0].number]
                return await _by_calls(context, few, "The budget is smaller than a part of the batch may need.")
            await pause_for_budget(context, suited[0].needs)
            return None
        suited = suited[: len(suited) // 2]
        job = replace(job, last_part=suited[-1].number)
    return await _store(context, job, prepared_parts)


def _new_job(context: JobContext, suited: Sequence[PreparedPart]) -> ProviderJob:
    now = context.components.clock()
    return ProviderJob(
        provider=context.deployment.provider,
        deployment=context.deployment.model_id,
        reference=f"{context.reference}p{suited[0].number}",
        reserved_id=ulid(now),
        created_at=now,
        endpoint=next((part.endpoint for part in suited if part.endpoint), ""),
    )


async def _store(context: JobContext, job: ProviderJob, prepared_parts: Sequence[PreparedPart]) -> JobContext | None:
    unsuited = tuple(part.number for part in prepared_parts if not part.is_suited and part.number <= job.last_part)

    def add(stored: Batch) -> Batch | None:
        if stored.fed != job.first_part or not stored.takes_parts:
            return None
        fed, returned = job.last_part + 1, (*stored.returned, *unsuited)
        return replace(stored, jobs=(*stored.jobs, job), fed=fed, returned=returned)

    return await context.change(add)


async def _by_calls(context: JobContext, prepared_parts: Sequence[PreparedPart], reason: str) -> JobContext | None:
    """Give the parts to workers, and tell the caller why."""
    numbers = tuple(part.number for part in prepared_parts)

    def give(stored: Batch) -> Batch | None:
        if stored.fed != numbers[0] or not stored.takes_parts:
            return None
        has_jobs = bool(stored.jobs) or numbers[-1] + 1 < stored.parts
        returned = (*stored.returned, *numbers)
        mode = stored.mode if has_jobs else "calls"
        return replace(stored, fed=numbers[-1] + 1, returned=returned, mode=mode, mode_reason=reason)

    return await context.change(give)


async def pause_for_budget(context: JobContext, needs: Amounts) -> None:
    """Let the batch wait until its budget allows these amounts: the sweep resumes it."""
    now = context.components.clock()

    def pause(stored: Batch) -> Batch | None:
        if not stored.takes_parts:
            return None
        return replace(stored, pause="budget", paused_at=now, paused_needs=needs)

    paused = await context.change(pause)
    if paused is not None:
        await context.components.events.emit("BatchPaused", paused.batch)

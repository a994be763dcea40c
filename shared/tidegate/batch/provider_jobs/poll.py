"""Looks after a batch's jobs at its provider: creates, looks up, cancels and collects them, as is due.

A job goes through "creating", "running" (and "cancelling"), "sorted" and "ended"; each step is written before the next
one begins, so that any process can go on with it. Parts that the batch API does not take, and those of a job that the
provider refused, are answered by calls. One process at a time does this for a batch.
"""

import logging
from collections.abc import Sequence
from contextlib import suppress

from msgspec.structs import replace

from tidegate.batch.callers import EVENT_KEY_ID
from tidegate.batch.components import BatchComponents
from tidegate.batch.feeder import feed_parts
from tidegate.batch.messages import PollJobs
from tidegate.batch.provider_jobs.charges import needs_of, settle_job
from tidegate.batch.provider_jobs.choice import find_target
from tidegate.batch.provider_jobs.collection import collect_part, job_usage
from tidegate.batch.provider_jobs.creation import create_job, find_job, reserve_job
from tidegate.batch.provider_jobs.division import MAX_OPEN_JOBS, add_jobs, pause_for_budget
from tidegate.batch.provider_jobs.job_context import JobContext, batch_gateway
from tidegate.batch.provider_jobs.prepared_parts import PreparedPart, prepare_part, read_prepared_lines
from tidegate.batch.provider_jobs.sorted_results import sort_results
from tidegate.batch.ranges import read_ranges
from tidegate.batch.transitions import change_batch
from tidegate.domain.batch import Batch, BatchUsage, PartRange, ProviderJob
from tidegate.domain.workspace import Principal, Workspace
from tidegate.errors import LimitReached, NotConfigured, StoreUnavailable, TidegateError, UpstreamError
from tidegate.providers.batch_jobs.protocol import JobState

log = logging.getLogger(__name__)

MARGIN_SECONDS = 60.0
"""The time before its deadline in which a process begins nothing new."""

GRACE_SECONDS = 30.0
SHORTEST_SECONDS, LONGEST_SECONDS = 30.0, 600.0
"""How often a job is looked up: after a tenth of its age, within these bounds."""

GIVE_UP_SECONDS = 3600.0
"""How long after the batch has expired or was cancelled its job may still be running."""

_PASSING_STATUSES = frozenset({408, 409, 425, 429})


async def poll_jobs(components: BatchComponents, message: PollJobs, deadline: float) -> None:
    """Do what is due for the batch's jobs before `deadline`, in UTC seconds, and send the message again if it must.

    Raises `StoreUnavailable`.
    """
    batch = await _claim(components, message, deadline)
    if batch is None:
        return
    try:
        delay = await _do_what_is_due(components, batch, deadline)
    finally:
        await _release(components, batch)
    await feed_parts(components, message.workspace_id, message.batch_id)
    if delay is not None:
        await components.queue.send(message, delay)


async def _claim(components: BatchComponents, message: PollJobs, deadline: float) -> Batch | None:
    """Claim the batch for this process until its deadline; None if there is nothing to do, or another one has it."""
    now = components.clock()

    def claim(stored: Batch) -> Batch | None:
        is_open = stored.status in ("in_progress", "cancelling") and (stored.has_open_jobs or _needs_jobs(stored))
        if not is_open or stored.step_lease_until > now or next_poll(stored, now) > now:
            return None
        return replace(stored, step_lease_until=max(deadline, now) + GRACE_SECONDS)

    return await change_batch(components, message.workspace_id, message.batch_id, claim)


async def _release(components: BatchComponents, claimed: Batch) -> None:
    def release(stored: Batch) -> Batch | None:
        is_own = stored.step_lease_until == claimed.step_lease_until
        return replace(stored, step_lease_until=0.0) if is_own and not stored.is_terminal else None

    with suppress(StoreUnavailable):
        await change_batch(components, claimed.workspace_id, claimed.id, release)


def _needs_jobs(batch: Batch) -> bool:
    """True while lines of the batch wait for a job that may be created now."""
    is_waiting = batch.mode == "provider_batch" and batch.takes_parts and batch.fed < batch.parts
    return is_waiting and sum(job.is_open for job in batch.jobs) < MAX_OPEN_JOBS


def next_poll(batch: Batch, now: float) -> float:
    """When the batch's jobs are to be looked after, in UTC seconds: the past if something is to be done now."""
    if _needs_jobs(batch) and batch.expires_at > now:
        return 0.0
    return min((_next_poll_of(job, batch, now) for job in batch.jobs if job.is_open), default=0.0)


def _next_poll_of(job: ProviderJob, batch: Batch, now: float) -> float:
    if job.status == "sorted":
        return 0.0
    if not job.polled_at:
        return now + LONGEST_SECONDS if batch.pause is not None and not _must_stop(batch, now) else 0.0
    if _must_stop(batch, now):
        return job.polled_at + SHORTEST_SECONDS if job.polled_at >= _stop_time(batch) else 0.0
    age = job.polled_at - job.created_at
    return job.polled_at + min(LONGEST_SECONDS, max(SHORTEST_SECONDS, age / 10))


def _must_stop(batch: Batch, now: float) -> bool:
    """True if nothing of the batch is to be asked any more."""
    return _stop_time(batch) <= now


def _stop_time(batch: Batch) -> float:
    """When the batch was cancelled, or expires."""
    return min(batch.expires_at, batch.cancelling_at or batch.expires_at)


def _is_overdue(batch: Batch, now: float) -> bool:
    """True if a job of the batch must have ended long ago."""
    return _stop_time(batch) + GIVE_UP_SECONDS < now


async def _do_what_is_due(components: BatchComponents, batch: Batch, deadline: float) -> float | None:
    """Return the seconds until the next message; None if none is needed."""
    context = await _open_context(components, batch, deadline)
    if isinstance(context, str):
        return await _give_up(components, batch, context)
    now = components.clock()
    for job in batch.jobs:
        if job.is_open and context.remaining_seconds > MARGIN_SECONDS and _next_poll_of(job, batch, now) <= now:
            context = await _advance(context, context.job(job.reference))
    if _needs_jobs(context.batch) and context.batch.expires_at > now and await _may_begin(context):
        context = await add_jobs(context, MARGIN_SECONDS)
    stored = await components.table.find_batch(batch.workspace_id, batch.id)
    if stored is None or not (stored.has_open_jobs or _needs_jobs(stored)):
        return None
    now = components.clock()
    return min(LONGEST_SECONDS, max(1.0, next_poll(stored, now) - now))


async def _open_context(components: BatchComponents, batch: Batch, deadline: float) -> JobContext | str:
    """Return the context of the jobs; or why the provider's batch API cannot be used any more."""
    found = await _find_payer(components, batch)
    if found is None:
        return "The workspace does not exist any more."
    principal, workspace = found
    target = await find_target(components, batch, workspace)
    if isinstance(target, str):
        return target
    gateway = batch_gateway(components.gateway)
    return JobContext(components, batch, principal, workspace, gateway, target.deployment, target.jobs, deadline)


async def _find_payer(components: BatchComponents, batch: Batch) -> tuple[Principal, Workspace] | None:
    """Return who pays. What is at the provider already is collected for a suspended workspace or revoked key, too."""
    try:
        return await components.callers.find_caller(batch.workspace_id, batch.key_id)
    except StoreUnavailable:
        raise
    except TidegateError:
        workspace = await components.gateway.authenticator.find_workspace(batch.workspace_id)
        return None if workspace is None else (Principal(batch.key_id or EVENT_KEY_ID, (workspace.id,)), workspace)


async def _may_begin(context: JobContext) -> bool:
    """True if the caller may begin new jobs; otherwise the sweep resumes the batch once it may."""
    try:
        await context.components.callers.find_caller(context.batch.workspace_id, context.batch.key_id)
    except StoreUnavailable:
        raise
    except TidegateError as error:
        now = context.components.clock()
        reason = "key" if error.code == "invalid_api_key" else "workspace"
        paused = await context.change(
            lambda stored: replace(stored, pause=reason, paused_at=now) if stored.takes_parts else None
        )
        if paused is not None:
            await context.components.events.emit("BatchPaused", paused.batch)
        return False
    return True


async def _give_up(components: BatchComponents, batch: Batch, reason: str) -> float | None:
    """Answer by calls what is not at the provider yet. Jobs that are there are waited for until they must be over."""
    log.error("batch.provider_unusable", extra={"batch_id": batch.id, "reason": reason})
    now = components.clock()

    def by_calls(stored: Batch) -> Batch:
        jobs = tuple(
            replace(job, status="refused", ending="lost")
            if job.is_open and _is_overdue(stored, now)
            else replace(job, polled_at=now)
            if job.is_open
            else job
            for job in stored.jobs
        )
        return replace(stored, mode="calls", mode_reason=reason, jobs=jobs)

    changed = await change_batch(components, batch.workspace_id, batch.id, by_calls)
    return LONGEST_SECONDS if changed is not None and changed.has_open_jobs else None


async def _advance(context: JobContext, job: ProviderJob) -> JobContext:
    """Do the next step of one job. A failure of the provider that can pass is tried again at the next message."""
    parts = await _parts_of(context, job)
    try:
        if job.status == "creating":
            return await _create(context, job, parts)
        if job.status in ("running", "cancelling"):
            context = await _look_up(context, job, parts)
            job = context.job(job.reference)
        return await _collect(context, job, parts) if job.status == "sorted" else context
    except (UpstreamError, NotConfigured) as error:
        fields = {"batch_id": context.batch.id, "stage": job.status, "code": error.code, "reason": error.message}
        log.warning("batch.job_failed", extra=fields)
        if not _is_overdue(context.batch, context.components.clock()):
            return await context.change_job(job, polled_at=context.components.clock()) or context
        return await _end_lost(context, job)


async def _parts_of(context: JobContext, job: ProviderJob) -> list[tuple[PartRange, PreparedPart]]:
    """Return the parts of a job, also as they were prepared, without those that are answered by calls."""
    numbers = range(job.first_part, job.last_part + 1)
    ranges = await read_ranges(context.components.objects, context.batch, numbers)
    prepared_lines = [(ranges[number], await prepare_part(context, ranges[number])) for number in numbers]
    return [(part, prepared) for part, prepared in prepared_lines if prepared.is_suited]


async def _create(context: JobContext, job: ProviderJob, parts: Sequence[tuple[PartRange, PreparedPart]]) -> JobContext:
    """Create the job; or find it, if an earlier process has perhaps created it."""
    now, prepared_parts = context.components.clock(), [prepared for _, prepared in parts]
    lines = sum(prepared.lines for prepared in prepared_parts)
    if lines == 0:
        return await _store_results(context, job, "", "ended")
    state: JobState | None = None
    if job.polled_at:
        state = await find_job(context, job, lines)
    if state is None and _must_stop(context.batch, now):
        return await _refuse(context, job, None)
    if state is None:
        if not context.batch.takes_parts:
            return context
        try:
            await reserve_job(context, job, prepared_parts)
        except LimitReached:  # another call was faster
            await pause_for_budget(context, needs_of(prepared_parts))
            return context
        sent = await context.change_job(job, polled_at=now)
        if sent is None:
            return context
        context, job = sent, sent.job(job.reference)
        try:
            state = await create_job(context, job, prepared_parts)
        except (UpstreamError, NotConfigured) as error:
            if not _is_refusal(error):
                raise
            log.warning("batch.job_refused", extra={"batch_id": context.batch.id, "reason": error.message})
            return await _refuse(context, job, f"The provider refused the batch ({error.code}).")
    fields = {
        "batch_id": context.batch.id,
        "provider": context.deployment.provider,
        "job": job.reference,
        "lines": lines,
    }
    log.info("batch.job_created", extra=fields)
    created = await context.change_job(job, job_id=state.id, status="running", polled_at=context.components.clock())
    return created or context


def _is_refusal(error: UpstreamError | NotConfigured) -> bool:
    """True if the provider has certainly not created the job, and will not do so if it is asked again."""
    if isinstance(error, NotConfigured):
        return True
    status = error.upstream_status
    return status is not None and 400 <= status < 500 and status not in _PASSING_STATUSES


async def _look_up(
    context: JobContext, job: ProviderJob, parts: Sequence[tuple[PartRange, PreparedPart]]
) -> JobContext:
    """Look the job up; cancel it if the batch ends, and store its results if it has ended."""
    spec, job_id, now = context.spec(job), job.job_id or "", context.components.clock()
    try:
        state = context.jobs.parse_job(await context.ask(context.jobs.status(spec, job_id)))
    except ValueError as error:
        raise UpstreamError(f"{context.deployment.provider}: {error}") from None
    if state.status != "running":
        lines = (
            [number for part, _ in parts for number in await _sent_lines(context, part)]
            if context.jobs.is_document
            else []
        )
        results = await sort_results(context, job, state, [part for part, _ in parts], lines)
        if not results.found and state.status in ("failed", "ended") and not _must_stop(context.batch, now):
            why = f" ({state.reason})" if state.reason else ""
            return await _refuse(context, job, f"The provider's batch ended without any result{why}.")
        is_expired = results.expired or (_must_stop(context.batch, now) and context.batch.status != "cancelling")
        return await _store_results(context, job, results.prefix, "expired" if is_expired else state.status)
    if _is_overdue(context.batch, now):
        return await _end_lost(context, job)
    status = job.status
    if _must_stop(context.batch, now):
        async with context.send(context.jobs.cancel(spec, job_id)):
            status = "cancelling"
    return await context.change_job(job, status=status, polled_at=now) or context


async def _sent_lines(context: JobContext, part: PartRange) -> list[int]:
    prepared_lines = await read_prepared_lines(context, part.number)
    return [number for number, line in enumerate(prepared_lines, part.first_line) if line.sent is not None]


async def _store_results(context: JobContext, job: ProviderJob, prefix: str, ending: str) -> JobContext:
    return await context.change_job(job, status="sorted", results=prefix, ending=ending) or context


async def _end_lost(context: JobContext, job: ProviderJob) -> JobContext:
    """End a job that the provider does not end, or does not tell of: its lines were not answered in time."""
    log.error("batch.job_lost", extra={"batch_id": context.batch.id, "job": job.reference})
    ending = "cancelled" if context.batch.status == "cancelling" else "expired"
    return await _store_results(context, job, "", ending)


async def _collect(
    context: JobContext, job: ProviderJob, parts: Sequence[tuple[PartRange, PreparedPart]]
) -> JobContext:
    """Write the outputs and errors of the job's parts, and charge what they have used."""
    for part, _ in parts:
        if context.remaining_seconds <= MARGIN_SECONDS:
            return context
        await collect_part(context, job, part)
    usage = await job_usage(context, [part.number for part, _ in parts])
    await settle_job(context, job, usage)
    fields = {"batch_id": context.batch.id, "job": job.reference, "completed": usage.completed, "failed": usage.failed}
    log.info("batch.job_ended", extra=fields)
    return await context.change_job(job, status="ended") or context


async def _refuse(context: JobContext, job: ProviderJob, reason: str | None) -> JobContext:
    """Answer the job's parts by calls, and those that have none; `reason` is told to the caller. Releases the hold."""
    await settle_job(context, job, BatchUsage(), "provider_batch_refused")
    numbers = tuple(part.number for part, _ in await _parts_of(context, job))

    def by_calls(stored: Batch) -> Batch | None:
        if job not in stored.jobs:
            return None
        jobs = tuple(replace(each, status="refused") if each == job else each for each in stored.jobs)
        returned = (*stored.returned, *numbers)
        if reason is None:
            return replace(stored, jobs=jobs, returned=returned)
        return replace(stored, jobs=jobs, returned=returned, mode="calls", mode_reason=reason)

    return await context.change(by_calls) or context

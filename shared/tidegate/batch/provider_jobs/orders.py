"""Divides a batch into jobs: consecutive parts, up to the provider's limits and to what the budgets allow."""

import logging
from collections.abc import Sequence

from msgspec.structs import replace

from tidegate.batch.provider_jobs.charges import exceeded_budget, job_reservation
from tidegate.batch.provider_jobs.desk import JobDesk
from tidegate.batch.provider_jobs.plans import PartPlan, plan_part
from tidegate.batch.ranges import read_ranges
from tidegate.domain.batch import Batch, ProviderJob
from tidegate.domain.ids import ulid
from tidegate.domain.limits import Amounts

log = logging.getLogger(__name__)

MAX_OPEN_JOBS = 20
"""Jobs of a batch at the same time: a million lines at most providers."""


async def plan_jobs(desk: JobDesk, margin_seconds: float) -> JobDesk:
    """Store the next jobs of the batch, which are created with the next message; returns the desk afterwards.

    Parts that the batch API does not take are given to workers. Pauses the batch where its budget is exhausted.
    """
    plans: list[PartPlan] = []
    batch = desk.batch
    while batch.fed + len(plans) < batch.parts and sum(job.is_open for job in batch.jobs) < MAX_OPEN_JOBS:
        if desk.remaining_seconds <= margin_seconds:
            return desk
        number = batch.fed + len(plans)
        ranges = await read_ranges(desk.components.objects, batch, [number])
        plan = await plan_part(desk, ranges[number])
        if plans and not _fits(desk, [*plans, plan]):
            ordered = await _order(desk, plans)
            if ordered is None:
                return desk
            desk, plans, batch = ordered, [], ordered.batch
            continue
        plans.append(plan)
    if plans and batch.fed + len(plans) == batch.parts:
        return await _order(desk, plans) or desk
    return desk


def _fits(desk: JobDesk, plans: Sequence[PartPlan]) -> bool:
    """True if the suited parts of these can be in one job."""
    suited = [plan for plan in plans if plan.is_suited]
    limits = desk.jobs.limits
    is_small = sum(plan.lines for plan in suited) <= limits.max_lines and sum(plan.size for plan in suited) <= (
        limits.max_bytes
    )
    return is_small and len({plan.endpoint for plan in suited if plan.lines}) <= 1


async def _order(desk: JobDesk, plans: Sequence[PartPlan]) -> JobDesk | None:
    """Store one job of as many of these parts as the budgets allow. None if they allow none: the batch waits."""
    suited = [plan for plan in plans if plan.is_suited]
    lines = sum(plan.lines for plan in suited)
    if lines < desk.jobs.limits.min_lines and any(plan.lines for plan in suited):
        suited = []
    if not suited:
        reason = next((plan.unsuited for plan in plans if plan.unsuited), None)
        return await _by_calls(desk, plans, reason or "Too few lines are left for another batch of the provider.")
    job = replace(_new_job(desk, suited), first_part=plans[0].number, last_part=plans[-1].number)
    while (exceeded := await exceeded_budget(desk, job_reservation(desk, job, suited))) is not None:
        if len(suited) == 1:
            if exceeded.needed > exceeded.largest:
                few = [plan for plan in plans if plan.number <= suited[0].number]
                return await _by_calls(desk, few, "The budget is smaller than a part of the batch may need.")
            await pause_for_budget(desk, suited[0].needs)
            return None
        suited = suited[: len(suited) // 2]
        job = replace(job, last_part=suited[-1].number)
    return await _store(desk, job, plans)


def _new_job(desk: JobDesk, suited: Sequence[PartPlan]) -> ProviderJob:
    now = desk.components.clock()
    return ProviderJob(
        provider=desk.deployment.provider,
        deployment=desk.deployment.model_id,
        reference=f"{desk.reference}p{suited[0].number}",
        reserved_id=ulid(now),
        created_at=now,
        endpoint=next((plan.endpoint for plan in suited if plan.endpoint), ""),
    )


async def _store(desk: JobDesk, job: ProviderJob, plans: Sequence[PartPlan]) -> JobDesk | None:
    unsuited = tuple(plan.number for plan in plans if not plan.is_suited and plan.number <= job.last_part)

    def add(stored: Batch) -> Batch | None:
        if stored.fed != job.first_part or not stored.takes_parts:
            return None
        fed, returned = job.last_part + 1, (*stored.returned, *unsuited)
        return replace(stored, jobs=(*stored.jobs, job), fed=fed, returned=returned)

    return await desk.change(add)


async def _by_calls(desk: JobDesk, plans: Sequence[PartPlan], reason: str) -> JobDesk | None:
    """Give the parts to workers, and tell the caller why."""
    numbers = tuple(plan.number for plan in plans)

    def give(stored: Batch) -> Batch | None:
        if stored.fed != numbers[0] or not stored.takes_parts:
            return None
        has_jobs = bool(stored.jobs) or numbers[-1] + 1 < stored.parts
        returned = (*stored.returned, *numbers)
        mode = stored.mode if has_jobs else "calls"
        return replace(stored, fed=numbers[-1] + 1, returned=returned, mode=mode, mode_reason=reason)

    return await desk.change(give)


async def pause_for_budget(desk: JobDesk, needs: Amounts) -> None:
    """Let the batch wait until its budget allows these amounts: the sweep resumes it."""
    now = desk.components.clock()

    def pause(stored: Batch) -> Batch | None:
        if not stored.takes_parts:
            return None
        return replace(stored, pause="budget", paused_at=now, paused_needs=needs)

    paused = await desk.change(pause)
    if paused is not None:
        await desk.components.events.emit("BatchPaused", paused.batch)

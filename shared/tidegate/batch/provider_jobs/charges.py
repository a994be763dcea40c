"""The hold of a job, and its settlement.

A job holds the worst case of all of its lines, at the provider's price for batches, until its results are read. What it
is charged is the sum over these results. The settlement's record has the id of the hold, so that it is written once.
"""

from collections.abc import Sequence
from decimal import Decimal

from msgspec.structs import replace

from tidegate.batch.provider_jobs.job_context import JobContext
from tidegate.batch.provider_jobs.prepared_parts import PreparedPart
from tidegate.batch.settled_lines import LinesRecord, find_booked_hold, lines_record, usage_increments
from tidegate.domain.account import SETTLE_GRACE_SECONDS, AccountScope, Hold, Reservation
from tidegate.domain.batch import BatchUsage, ProviderJob
from tidegate.domain.limit_error import exceeded_limit
from tidegate.domain.limits import Amounts, ExceededLimit
from tidegate.domain.money import exact_money
from tidegate.domain.record import iso_time, quantize_usd
from tidegate.domain.settlement import Settlement, shard_of

HOLD_SECONDS = 2 * 86_400.0
"""How long a job's hold outlives the batch's window, before the sweeper charges it. Results are read long before."""


def job_reservation(
    context: JobContext, job: ProviderJob, prepared_parts: Sequence[PreparedPart]
) -> Reservation | None:
    """Return the reservation of a job of these parts; None if no budget applies."""
    workspace, principal = context.workspace, context.principal
    scopes: list[AccountScope] = []
    if next(workspace.effective_limits.budgets(), None) is not None:
        scopes.append(AccountScope("workspace", workspace.id, workspace.effective_limits, shards=workspace.shards))
    if next(principal.limits.budgets(), None) is not None:
        scopes.append(AccountScope("key", principal.key_id, principal.limits))
    if not scopes or job.reserved_id is None:
        return None
    hold = Hold(
        call_id=job.reserved_id,
        workspace_id=workspace.id,
        key_id=principal.key_id,
        model=context.deployment.model_id,
        amounts=needs_of(prepared_parts),
        input_tokens=sum(prepared.input_tokens for prepared in prepared_parts),
        at=job.created_at,
        expires_at=max(context.batch.expires_at, job.created_at) + HOLD_SECONDS + SETTLE_GRACE_SECONDS,
        account_kinds=tuple(scope.kind for scope in scopes),
        first_day=workspace.first_day,
        shard=shard_of(job.reserved_id, workspace.shards),
        is_batch=True,
    )
    return Reservation(hold, tuple(scopes))


async def exceeded_budget(context: JobContext, reservation: Reservation | None) -> ExceededLimit | None:
    """Return the first budget that does not allow the reservation now; None if every budget allows it."""
    if reservation is None:
        return None
    for scope in reservation.scopes:
        account = await context.gateway.ledger.account(scope, context.workspace.first_day)
        exceeded = exceeded_limit(account, scope.unsharded, reservation.hold)
        if exceeded is not None:
            return exceeded
    return None


async def settle_job(context: JobContext, job: ProviderJob, usage: BatchUsage, error_code: str | None = None) -> None:
    """Charge a job what its lines have used, in place of its hold. Doing it again changes nothing."""
    if job.reserved_id is None:
        return
    workspace, key_id = context.workspace, context.principal.key_id
    hold = await find_booked_hold(context.gateway.ledger, job.reserved_id, workspace.id, key_id, workspace.shards)
    settlement = Settlement(
        workspace_id=workspace.id,
        call_id=job.reserved_id,
        at=job.created_at,
        shard=hold.shard if hold else shard_of(job.reserved_id, workspace.shards),
        record=_record(context, job, usage, error_code),
        increments=usage_increments(usage),
        actual=Amounts(usage.amounts.tokens, usage.words, quantize_usd(usage.cost_usd)),
        hold=hold,
    )
    await context.components.settlements.settle(settlement)


def _record(context: JobContext, job: ProviderJob, usage: BatchUsage, error_code: str | None) -> LinesRecord:
    return replace(
        lines_record(usage),
        id=job.reserved_id,
        time=iso_time(job.created_at),
        surface=context.surface.name,
        stream=False,
        model=context.batch.model or context.deployment.model_id,
        provider=context.deployment.provider,
        answered_model=context.deployment.model,
        error_code=error_code,
        batch_id=context.batch.id,
        mode="provider_batch",
        seconds=round(max(0.0, context.components.clock() - job.created_at), 6),
        workspace_id=context.workspace.id,
        key_id=context.principal.key_id,
    )


@exact_money
def needs_of(prepared_parts: Sequence[PreparedPart]) -> Amounts:
    """Return the worst case of these parts."""
    return Amounts(
        sum(prepared.needs.tokens for prepared in prepared_parts),
        sum(prepared.needs.words for prepared in prepared_parts),
        sum((prepared.needs.usd for prepared in prepared_parts), Decimal(0)),
    )

"""Workspaces: create, list, change and suspend them."""

from collections.abc import Sequence
from decimal import Decimal

from msgspec.structs import replace

from tidegate.control.authorization import check_scope, check_whole_gateway, find_workspace
from tidegate.control.control import Control, check_version
from tidegate.control.validation import check_page, check_workspace, id_from_idempotency_key
from tidegate.domain.keys import create_workspace_id
from tidegate.domain.limits import NO_LIMITS, BudgetLimit, Number, days_of_period
from tidegate.domain.managed_resources import AdminKey, Plan
from tidegate.domain.record import plain_decimal, sum_counters
from tidegate.domain.workspace import Workspace, WorkspaceStatus
from tidegate.errors import InvalidRequest, LimitBelowUsed, UnknownPlan


async def create_workspace(
    control: Control, actor: AdminKey, workspace: Workspace, idempotency_key: str | None = None
) -> tuple[Workspace, bool]:
    """Create the workspace, with a new id if it has none; True if it is new. Raises `UnknownPlan`, `AlreadyExists`."""
    check_whole_gateway(actor, "write")
    id = workspace.id or (
        create_workspace_id() if idempotency_key is None else id_from_idempotency_key("ws_", actor.id, idempotency_key)
    )
    created_workspace = replace(workspace, id=id, created_at=control.clock(), version=1)
    check_workspace(created_workspace)
    created_workspace, plans = await _with_plan_limits(control, created_workspace)
    return await control.create_or_find(actor, created_workspace, _is_same_workspace, relies_on=plans)


async def list_workspaces(control: Control, actor: AdminKey, after: str, limit: int) -> Sequence[Workspace]:
    """List the workspaces that `actor` may manage, by id. Raises `InvalidRequest` and `AdminForbidden`."""
    check_scope(actor, "read")
    check_page(limit)
    if actor.workspace_ids is None:
        return await control.resources.page(Workspace, after, limit)
    workspace_ids = [id for id in sorted(actor.workspace_ids) if id > after][:limit]
    workspaces = [await control.resources.find(Workspace, name) for name in workspace_ids]
    return [workspace for workspace in workspaces if workspace]


async def update_workspace(
    control: Control, actor: AdminKey, before: Workspace, after: Workspace, version: int | None, *, force: bool = False
) -> Workspace:
    """Change the workspace. In force within a minute, because processes cache workspaces for that long.

    Raises `Stale`, `UnknownPlan`, `LimitBelowUsed` unless forced, and `AccountBusy` if a call is running and the
    account must be opened anew: for first limits, more shards, or another first day.
    """
    check_whole_gateway(actor, "write")
    check_version(before, version)
    check_workspace(after)
    if after.shards < before.shards:
        raise InvalidRequest(f"The workspace has {before.shards} shards: the number can only grow.", param="shards")
    plans: Sequence[Plan] = ()
    if after.plan_id != before.plan_id:
        after, plans = await _with_plan_limits(control, after)
    if after == before:
        return before
    after = replace(after, version=before.version + 1)
    if not force:
        await _check_not_below_used(control, before, after)
    reopened = [after] if _needs_reopening(before, after) else []
    await control.apply_change(actor, "update", before, after, relies_on=plans, reopened=reopened)
    return after


async def set_workspace_status(
    control: Control, actor: AdminKey, workspace_id: str, status: WorkspaceStatus, version: int | None = None
) -> Workspace:
    """Suspend or resume the workspace, within a minute. Raises `Stale`, `NotFound`, `AdminForbidden`."""
    check_whole_gateway(actor, "write")
    before = await find_workspace(control, actor, workspace_id, "write")
    check_version(before, version)
    if before.status == status:
        return before
    after = replace(before, status=status, version=before.version + 1)
    await control.apply_change(actor, "suspend" if status == "suspended" else "resume", before, after)
    return after


async def _with_plan_limits(control: Control, workspace: Workspace) -> tuple[Workspace, Sequence[Plan]]:
    if workspace.plan_id is None:
        return replace(workspace, plan_limits=NO_LIMITS), ()
    plan = await control.resources.find(Plan, workspace.plan_id)
    if plan is None:
        raise UnknownPlan(f"There is no plan {workspace.plan_id[:80]!r}.", param="plan_id")
    return replace(workspace, plan_limits=plan.limits), (plan,)


async def _check_not_below_used(control: Control, before: Workspace, after: Workspace) -> None:
    """Raises `LimitBelowUsed` if a lowered budget is below the amount used in its current period."""
    limits_before = {budget.name: budget.maximum for budget in before.effective_limits.budgets()}
    for budget in after.effective_limits.budgets():
        is_lowered = budget.maximum < limits_before.get(budget.name, budget.maximum + 1)
        if not is_lowered and before.first_day == after.first_day:
            continue
        used_amount = await _used_amount(control, after, budget)
        if used_amount > budget.maximum:
            raise LimitBelowUsed(
                f"{budget.name} of {budget.maximum} is less than the {_amount_text(used_amount)} used in this "
                f"{budget.span}; force the change to refuse calls until that period ends.",
                param=f"limits.{budget.name}",
            )


async def _used_amount(control: Control, workspace: Workspace, budget: BudgetLimit) -> Number:
    days = days_of_period(budget.span, control.clock(), workspace.first_day)
    counters_by_day = await control.usages.days(workspace.id, days[0], days[-1], workspace.shards)
    totals = sum_counters(counters_by_day.values())
    match budget.unit:
        case "tokens":
            return int(totals["input_tokens"]) + int(totals["output_tokens"])
        case "words":
            return int(totals["words"])
        case "usd":
            return Decimal(totals["cost_usd"])


def _amount_text(amount: Number) -> str:
    return plain_decimal(amount) if isinstance(amount, Decimal) else str(amount)


def _needs_reopening(before: Workspace, after: Workspace) -> bool:
    starts_counting = after.effective_limits.need_reservation and not before.effective_limits.need_reservation
    return starts_counting or (before.shards, before.first_day) != (after.shards, after.first_day)


def _is_same_workspace(existing: Workspace, requested: Workspace) -> bool:
    return replace(existing, created_at=requested.created_at, version=1, plan_limits=requested.plan_limits) == requested

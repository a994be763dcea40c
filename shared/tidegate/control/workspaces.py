"""Workspaces: created, changed, suspended; and what a change of limits must look at."""

from collections.abc import Sequence
from decimal import Decimal

from msgspec.structs import replace

from tidegate.control.authorization import check_scope, check_whole, find_workspace
from tidegate.control.control import Control, check_version
from tidegate.control.validation import check_page, check_workspace, id_for
from tidegate.domain.keys import create_workspace_id
from tidegate.domain.limits import NO_LIMITS, Budget, Number, days_of
from tidegate.domain.managed_resources import AdminKey, Plan
from tidegate.domain.record import plain, total
from tidegate.domain.workspace import Status, Workspace
from tidegate.errors import InvalidRequest, LimitBelowUsed, UnknownPlan

find = find_workspace


async def create(
    control: Control, who: AdminKey, workspace: Workspace, idempotency_key: str | None = None
) -> tuple[Workspace, bool]:
    """The workspace, and whether it is new; without an id it gets one.

    Raises `InvalidRequest`, `UnknownPlan`, `AlreadyExists`, `AdminForbidden`.
    """
    check_whole(who, "write")
    id = workspace.id or (id_for("ws_", who.id, idempotency_key) if idempotency_key else create_workspace_id())
    made = replace(workspace, id=id, created_at=control.clock(), version=1)
    check_workspace(made)
    made, plans = await _with_plan(control, made)
    return await control.create(who, made, _same, relies_on=plans)


async def page(control: Control, who: AdminKey, after: str, limit: int) -> Sequence[Workspace]:
    """Those that `who` may see, by id. Raises `InvalidRequest` and `AdminForbidden`."""
    check_scope(who, "read")
    check_page(limit)
    if who.workspace_ids is None:
        return await control.register.page(Workspace, after, limit)
    names = [id for id in sorted(who.workspace_ids) if id > after][:limit]
    found = [await control.register.find(Workspace, name) for name in names]
    return [workspace for workspace in found if workspace]


async def update(
    control: Control, who: AdminKey, before: Workspace, after: Workspace, expected: int | None, *, force: bool = False
) -> Workspace:
    """The workspace as it is then. In force within a minute, as long as processes remember the one before.

    Raises `Stale`, `InvalidRequest`, `UnknownPlan`, `AdminForbidden`; `LimitBelowUsed` unless forced; and `AccountBusy`
    when the account must be opened anew: for the first limits, for more shards, for another first day of months.
    """
    check_whole(who, "write")
    check_version(before, expected)
    check_workspace(after)
    if after.shards < before.shards:
        raise InvalidRequest(f"There are {before.shards} shards: they can only become more.", param="shards")
    plans: Sequence[Plan] = ()
    if after.plan_id != before.plan_id:
        after, plans = await _with_plan(control, after)
    if after == before:
        return before
    after = replace(after, version=before.version + 1)
    if not force:
        await _check_used(control, before, after)
    reopened = [after] if _is_reopened(before, after) else []
    await control.change(who, "update", before, after, relies_on=plans, reopened=reopened)
    return after


async def set_status(
    control: Control, who: AdminKey, workspace_id: str, status: Status, expected: int | None = None
) -> Workspace:
    """Suspend or resume, within a minute. Raises `Stale`, `NotFound`, `AdminForbidden`."""
    check_whole(who, "write")
    before = await find_workspace(control, who, workspace_id, "write")
    check_version(before, expected)
    if before.status == status:
        return before
    after = replace(before, status=status, version=before.version + 1)
    await control.change(who, "suspend" if status == "suspended" else "resume", before, after)
    return after


async def _with_plan(control: Control, workspace: Workspace) -> tuple[Workspace, Sequence[Plan]]:
    if workspace.plan_id is None:
        return replace(workspace, plan_limits=NO_LIMITS), ()
    plan = await control.register.find(Plan, workspace.plan_id)
    if plan is None:
        raise UnknownPlan(f"There is no plan {workspace.plan_id[:80]!r}.", param="plan_id")
    return replace(workspace, plan_limits=plan.limits), (plan,)


async def _check_used(control: Control, before: Workspace, after: Workspace) -> None:
    """Whether budgets that became smaller are not used already."""
    old = {budget.name: budget.most for budget in before.effective_limits.budgets()}
    smaller = [
        budget
        for budget in after.effective_limits.budgets()
        if budget.name not in old or budget.most < old[budget.name] or before.first_day != after.first_day
    ]
    for budget in smaller:
        used = await _used(control, after, budget)
        if used > budget.most:
            raise LimitBelowUsed(
                f"{budget.name} of {budget.most} is less than the {_text(used)} used in this {budget.span}; "
                "force it, and calls are refused until that is over.",
                param=f"limits.{budget.name}",
            )


async def _used(control: Control, workspace: Workspace, budget: Budget) -> Number:
    days = days_of(budget.span, control.clock(), workspace.first_day)
    found = await control.usages.days(workspace.id, days[0], days[-1], workspace.shards)
    counters = total(found.values())
    match budget.unit:
        case "tokens":
            return int(counters["input_tokens"]) + int(counters["output_tokens"])
        case "words":
            return int(counters["words"])
        case "usd":
            return Decimal(counters["cost_usd"])


def _text(amount: Number) -> str:
    return plain(amount) if isinstance(amount, Decimal) else str(amount)


def _is_reopened(before: Workspace, after: Workspace) -> bool:
    begins = after.effective_limits.are_counted and not before.effective_limits.are_counted
    return begins or (before.shards, before.first_day) != (after.shards, after.first_day)


def _same(there: Workspace, asked: Workspace) -> bool:
    return replace(there, created_at=asked.created_at, version=1, plan_limits=asked.plan_limits) == asked

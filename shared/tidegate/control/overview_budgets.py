"""Budgets of workspaces and keys, as an overview shows them: used, held, and what remains until when."""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from msgspec import Struct

from tidegate.control.control import Control
from tidegate.domain.account import ScopeKind
from tidegate.domain.limits import Number
from tidegate.domain.record import iso_time, plain_decimal
from tidegate.domain.workspace import Principal, VirtualKey, Workspace
from tidegate.policy.metering.quota import LimitUsage, limit_usage_of_key, limit_usage_of_workspace

MAX_KEYS = 20
"""Keys with budgets that are listed; each takes one read."""


class BudgetStatus(Struct, frozen=True):
    """One budget. Amounts are of `unit`: tokens, words or usd; `span` is a day or a month."""

    scope: ScopeKind
    id: str
    unit: str
    span: str
    limit: Number
    used: Number
    held: Number
    remaining: Number
    resets_at: float

    def to_json(self) -> dict[str, object]:
        """Return the budget as JSON: money as text, the time in ISO 8601."""
        is_money = self.unit == "usd"
        names = ("limit", "used", "held", "remaining")
        amounts: dict[str, object] = {name: _amount(getattr(self, name), is_money) for name in names}
        names_and_times = {"scope": self.scope, "id": self.id, "unit": self.unit, "span": self.span}
        return {**names_and_times, **amounts, "resets_at": iso_time(self.resets_at)}


async def find_budgets(control: Control, workspaces: Sequence[Workspace], key_id: str | None) -> list[BudgetStatus]:
    """Return the budgets of the workspaces. Of one workspace, also those of its keys, or of the key with this id."""
    now, budgets = control.clock(), list[BudgetStatus]()
    for workspace in workspaces:
        if next(workspace.effective_limits.budgets(), None) is not None:
            budgets += _budgets(await limit_usage_of_workspace(control.ledger, workspace, now))
    for workspace in workspaces if len(workspaces) == 1 else ():
        for key in await _keys_with_budgets(control, workspace, key_id):
            principal = Principal(key.id, key.workspace_ids, limits=key.limits)
            budgets += _budgets(await limit_usage_of_key(control.ledger, principal, workspace, now))
    return budgets


async def _keys_with_budgets(control: Control, workspace: Workspace, key_id: str | None) -> list[VirtualKey]:
    if key_id is not None:
        key = await control.resources.find(VirtualKey, key_id, workspace.id)
        return list(_with_budgets([key] if key else []))
    keys, after = list[VirtualKey](), ""
    while len(keys) < MAX_KEYS and (page := await control.resources.page(VirtualKey, after, workspace_id=workspace.id)):
        keys += _with_budgets(page)
        after = page[-1].id
    return keys[:MAX_KEYS]


def _with_budgets(keys: Iterable[VirtualKey]) -> Iterator[VirtualKey]:
    return (key for key in keys if key.status == "active" and next(key.limits.budgets(), None) is not None)


def _budgets(limit_usage: LimitUsage) -> Iterator[BudgetStatus]:
    for quota in limit_usage.quotas():
        unit, _, span = quota.name.partition("_per_")
        if quota.resets_at is not None and span in ("day", "month"):
            yield BudgetStatus(
                scope=quota.kind,
                id=quota.id,
                unit=unit,
                span=span,
                limit=quota.limit,
                used=quota.used,
                held=quota.held,
                remaining=quota.available,
                resets_at=quota.resets_at,
            )


def _amount(amount: Number, is_money: bool) -> int | str:
    return plain_decimal(Decimal(amount)) if is_money else int(amount)

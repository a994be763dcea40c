"""Alerts to the operator at 50, 80 and 100 % of a budget, once for each threshold in a day or month."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from operator import ge
from typing import NamedTuple

from msgspec import Struct

from tidegate.domain.account import Account, AccountScope, Hold, used_amount
from tidegate.domain.limits import (
    BOOKINGS,
    Amounts,
    BudgetLimit,
    Number,
    booking_name,
    booking_names,
    is_period_forgotten,
    period_at,
)
from tidegate.domain.money import exact_money
from tidegate.domain.record import iso_time, plain_decimal

THRESHOLDS = (50, 80, 100)
"""Per cent of a budget's maximum."""

_NOTHING = (0,) * len(BOOKINGS)


class AccountSnapshot(Struct, frozen=True):
    """A copy of an account at the time `at` (UTC seconds). Its months begin on `first_day`."""

    workspace_id: str
    scope: AccountScope
    account: Account
    at: float
    first_day: int = 1


class BudgetAlert(NamedTuple):
    """A message to the operator: `event_type` in words, `at` in UTC seconds, and `detail`, in which money is text."""

    event_type: str
    at: float
    detail: dict[str, str | int]


class ThresholdCrossing(NamedTuple):
    """A budget that has reached `thresholds` (per cent) since the last alert; `period_key` names budget and period."""

    budget: BudgetLimit
    used: Number
    resets_at: float
    period_key: str
    thresholds: tuple[int, ...]


def may_have_crossed(snapshot: AccountSnapshot) -> bool:
    """True if a third of a budget is used or held: only then can a call have reached a threshold.

    A third is so far below the first threshold that its rounding does not matter.
    """
    names = booking_names(snapshot.at, snapshot.first_day)
    return any(map(ge, map(snapshot.account.booked.get, names, _NOTHING), snapshot.scope.thirds))


@exact_money
def find_crossings(
    snapshot: AccountSnapshot, hold: Hold | None = None, actual: Amounts | None = None
) -> list[ThresholdCrossing]:
    """The budgets that have reached thresholds without an alert so far.

    `actual` is what the call of `hold` has used; it is added if the snapshot still contains the hold.
    """
    call_amounts = actual if hold and hold.call_id in snapshot.account.holds else None
    return [
        crossing
        for budget in snapshot.scope.limits.budgets()
        if (crossing := _find_crossing(snapshot, budget, call_amounts or Amounts()))
    ]


def _find_crossing(snapshot: AccountSnapshot, budget: BudgetLimit, call_amounts: Amounts) -> ThresholdCrossing | None:
    account, current_period = snapshot.account, period_at(budget.span, snapshot.at, snapshot.first_day)
    period_key = f"{budget.name}#{current_period.name}"
    pending = [threshold for threshold in THRESHOLDS if threshold > account.alerted_thresholds.get(period_key, 0)]
    booked = account.booked.get(booking_name(budget.unit, current_period.name), 0)
    if not pending or not booked or booked * 100 < budget.maximum * pending[0]:
        return None  # used and held amounts together do not reach a threshold: no need to subtract the holds
    spent = used_amount(account, budget.unit, budget.span, snapshot.at, snapshot.first_day)
    spent += call_amounts.of(budget.unit)
    reached = tuple(threshold for threshold in pending if spent * 100 >= budget.maximum * threshold)
    return ThresholdCrossing(budget, spent, current_period.ends_at, period_key, reached) if reached and spent else None


def updated_thresholds(before: Mapping[str, int], crossings: list[ThresholdCrossing], now: float) -> dict[str, int]:
    """The new `Account.alerted_thresholds`: `before` and the crossings, without periods that are long over."""
    forgotten = {key for key in before if is_period_forgotten(key.partition("#")[2], now)}
    recent = {key: threshold for key, threshold in before.items() if key not in forgotten}
    return {**recent, **{crossing.period_key: crossing.thresholds[-1] for crossing in crossings}}


def build_alerts(snapshot: AccountSnapshot, crossings: list[ThresholdCrossing], now: float) -> Iterator[BudgetAlert]:
    """One alert for each threshold of each crossing."""
    key_field = {"key_id": snapshot.scope.id} if snapshot.scope.kind == "key" else dict[str, str]()
    for crossing in crossings:
        for threshold in crossing.thresholds:
            detail: dict[str, str | int] = {
                "workspace_id": snapshot.workspace_id,
                **key_field,
                "limit": crossing.budget.name,
                "threshold": threshold,
                "used": _readable(crossing.used),
                "most": _readable(crossing.budget.maximum),
                "resets_at": iso_time(crossing.resets_at),
            }
            yield BudgetAlert("budget threshold", now, detail)


def _readable(amount: Number) -> str | int:
    return plain_decimal(amount) if isinstance(amount, Decimal) else amount

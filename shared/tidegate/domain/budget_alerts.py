"""When so much of a budget is used that somebody should know: at 50, 80 and 100 %, once each in a day or a month."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import NamedTuple

from msgspec import Struct

from tidegate.domain.account import Account, Hold, Scope, booked_name, used
from tidegate.domain.limits import Amounts, Budget, Number, is_long_over, period
from tidegate.domain.record import iso_time, plain

THRESHOLDS = (50, 80, 100)
"""Per cent of what a budget allows."""


class Watched(Struct, frozen=True):
    """An account as it was seen at `at` (UTC seconds). Its months begin on `first_day`."""

    workspace_id: str
    scope: Scope
    account: Account
    at: float
    first_day: int = 1


class Event(NamedTuple):
    """What operators are told: `kind` in words, `at` in UTC seconds, and figures, money among them as text."""

    kind: str
    at: float
    detail: dict[str, str | int]


class Crossing(NamedTuple):
    """A budget, what is used of it, what was warned of before and what is to be warned of now, in per cent."""

    budget: Budget
    used: Number
    resets_at: float
    name: str
    reached: tuple[int, ...]


def crossings(seen: Watched, hold: Hold | None = None, actual: Amounts | None = None) -> list[Crossing]:
    """The budgets that have crossed a threshold of which the account does not say that somebody was told.

    `actual` is what the call of `hold` has used, where the account was seen before that was known.
    """
    more = actual if hold and hold.call_id in seen.account.holds else None
    return [found for budget in seen.scope.limits.budgets() if (found := _crossing(seen, budget, more or Amounts()))]


def _crossing(seen: Watched, budget: Budget, more: Amounts) -> Crossing | None:
    account, now = seen.account, period(budget.span, seen.at, seen.first_day)
    name = f"{budget.name}#{now.name}"
    ahead = [threshold for threshold in THRESHOLDS if threshold > account.warned.get(name, 0)]
    most = account.booked.get(booked_name(budget.unit, now.name), 0)
    if not ahead or not most or most * 100 < budget.most * ahead[0]:
        return None  # with what is held it would not be reached: no need to look at every hold
    spent = used(account, budget.unit, budget.span, seen.at, seen.first_day) + more.of(budget.unit)
    reached = tuple(threshold for threshold in ahead if spent * 100 >= budget.most * threshold)
    return Crossing(budget, spent, now.ends, name, reached) if reached and spent else None


def warned(before: Mapping[str, int], found: list[Crossing], now: float) -> dict[str, int]:
    """What the account shall say: the highest threshold reached, by budget and period; those long over are left out."""
    kept = {name: most for name, most in before.items() if not is_long_over(name.partition("#")[2], now)}
    return {**kept, **{each.name: each.reached[-1] for each in found}}


def events(seen: Watched, found: list[Crossing], now: float) -> Iterator[Event]:
    """One for each threshold."""
    whose = {"key_id": seen.scope.id} if seen.scope.kind == "key" else dict[str, str]()
    for each in found:
        for threshold in each.reached:
            detail: dict[str, str | int] = {
                "workspace_id": seen.workspace_id,
                **whose,
                "limit": each.budget.name,
                "threshold": threshold,
                "used": _readable(each.used),
                "most": _readable(each.budget.most),
                "resets_at": iso_time(each.resets_at),
            }
            yield Event("budget threshold", now, detail)


def _readable(amount: Number) -> str | int:
    return plain(amount) if isinstance(amount, Decimal) else amount

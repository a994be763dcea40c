from decimal import Decimal
from typing import Any

import pytest

from tests.store_worlds import NOON
from tidegate.domain.account import Account, AccountScope, Hold, add_hold, fit_hold
from tidegate.domain.budget_alerts import (
    AccountSnapshot,
    BudgetAlert,
    build_alerts,
    find_crossings,
    may_have_crossed,
    updated_thresholds,
)
from tidegate.domain.limits import Amounts, Limits
from tidegate.domain.money import MONEY

TODAY = "tokens_per_day#D#2026-11-21"
HOLD = Hold("call", "ws_one", "key_one", "demo/echo-1", Amounts(tokens=40), 10, NOON, NOON + 660)


def watched(account: Account, kind: Any = "workspace", at: float = NOON, **limits: Any) -> AccountSnapshot:
    return AccountSnapshot(
        "ws_one", AccountScope(kind, "ws_one" if kind == "workspace" else "key_one", Limits(**limits)), account, at
    )


def reached(tokens: int, before: int = 0, most: int = 1000) -> list[int]:
    account = Account({"tokens#D#2026-11-21": tokens}, alerted_thresholds={TODAY: before} if before else {})
    return [
        threshold for found in find_crossings(watched(account, tokens_per_day=most)) for threshold in found.thresholds
    ]


@pytest.mark.parametrize(
    ("tokens", "before", "expected"),
    [
        (0, 0, []),
        (499, 0, []),
        (500, 0, [50]),
        (500, 50, []),
        (799, 50, []),
        (800, 50, [80]),
        (999, 80, []),
        (1000, 80, [100]),
        (1200, 100, []),
        (1000, 0, [50, 80, 100]),
    ],
)
def test_each_threshold_is_crossed_once(tokens: int, before: int, expected: list[int]) -> None:
    assert reached(tokens, before) == expected


@pytest.mark.parametrize(
    "most", [Decimal(1), Decimal(10) ** 12, Decimal(10) ** 19 + Decimal("1E-18"), Decimal("3E-18")]
)
def test_no_crossing_is_missed_by_the_quick_look(most: Decimal) -> None:
    for hundredths in range(0, 121, 5):
        for more in (Decimal(0), Decimal("1E-18"), Decimal("-1E-18")):
            account = Account({"usd#D#2026-11-21": MONEY.add(MONEY.multiply(most, Decimal(hundredths) / 100), more)})
            snapshot = watched(account, usd_per_day=most)
            assert may_have_crossed(snapshot) or not find_crossings(snapshot)
    assert not may_have_crossed(watched(Account({"usd#D#2026-11-21": most / 4}), usd_per_day=most))


def test_a_budget_of_nothing_of_which_nothing_is_used_has_crossed_nothing() -> None:
    assert reached(0, most=0) == []


def test_without_a_budget_nothing_is_crossed() -> None:
    account = Account({"tokens#D#2026-11-21": 10_000})
    assert find_crossings(watched(account, requests_per_minute=1, models=("*",))) == []


def test_what_open_calls_hold_is_not_used_and_what_the_call_itself_has_used_is() -> None:
    account = Account({"tokens#D#2026-11-21": 30, "tokens#M#2026-11-01": 30})
    seen = watched(account, tokens_per_day=100)
    sums = fit_hold(account, seen.scope, HOLD)
    assert sums is not None
    add_hold(account, HOLD, sums)
    assert find_crossings(seen) == []
    assert find_crossings(seen, HOLD, Amounts(tokens=19)) == []
    [found] = find_crossings(seen, HOLD, Amounts(tokens=20))
    assert (found.used, found.thresholds) == (50, (50,))
    del account.holds["call"]  # the store has settled it already
    account.booked["tokens#D#2026-11-21"] = 49
    assert find_crossings(seen, HOLD, Amounts(tokens=20)) == []


def test_a_new_month_begins_without_warnings() -> None:
    account = Account(
        {"usd#M#2026-11-01": Decimal(9), "usd#M#2026-12-01": Decimal(5)},
        alerted_thresholds={"usd_per_month#M#2026-11-01": 80},
    )
    december = NOON + 10 * 86400
    [found] = find_crossings(watched(account, at=december, usd_per_month=Decimal(10)))
    assert (found.period_key, found.thresholds) == ("usd_per_month#M#2026-12-01", (50,))
    assert updated_thresholds(account.alerted_thresholds, [found], december) == {
        "usd_per_month#M#2026-11-01": 80,
        "usd_per_month#M#2026-12-01": 50,
    }
    assert updated_thresholds(account.alerted_thresholds, [found], NOON + 50 * 86400) == {
        "usd_per_month#M#2026-12-01": 50
    }


def test_an_event_says_whose_budget_it_is_how_much_is_used_and_when_that_ends() -> None:
    account = Account({"usd#M#2026-11-01": Decimal("8.500"), "tokens#D#2026-11-21": 60})
    seen = watched(account, "key", usd_per_month=Decimal("10.00"), tokens_per_day=100)
    usd = {"limit": "usd_per_month", "used": "8.5", "most": "10", "resets_at": "2026-12-01T00:00:00.000Z"}
    tokens = {"limit": "tokens_per_day", "used": 60, "most": 100, "resets_at": "2026-11-22T00:00:00.000Z"}
    whose = {"workspace_id": "ws_one", "key_id": "key_one"}
    assert list(build_alerts(seen, find_crossings(seen), NOON)) == [
        BudgetAlert("budget threshold", NOON, {**whose, **tokens, "threshold": 50}),
        BudgetAlert("budget threshold", NOON, {**whose, **usd, "threshold": 50}),
        BudgetAlert("budget threshold", NOON, {**whose, **usd, "threshold": 80}),
    ]

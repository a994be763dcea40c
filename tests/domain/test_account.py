"""Limits, large calls and alerts of an account agree with sums of fractions, which nothing rounds."""

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.store_worlds import NOON
from tidegate.domain.account import MINUTE_SLOTS, Account, AccountScope, Hold, Reservation, fit_hold
from tidegate.domain.budget_alerts import AccountSnapshot, may_have_crossed
from tidegate.domain.limit_error import exceeded_limit
from tidegate.domain.limits import BOOKINGS, Amounts, Limits, Number, booking_names
from tidegate.policy.metering.reservation import PARALLEL_ANSWERS, is_large, large_shares

NAMES = booking_names(NOON, 1)
COUNTS = st.integers(0, 12) | st.integers(0, 10**12)
MONEY = st.tuples(COUNTS, st.sampled_from([0, 2, 12, 18])).map(lambda pair: Decimal(pair[0]).scaleb(-pair[1]))
BUDGETS = {f"{unit}_per_{span}": st.none() | (MONEY if unit == "usd" else COUNTS) for unit, span in BOOKINGS}
AMOUNTS = st.builds(Amounts, COUNTS, COUNTS, MONEY)
LIMITS = st.builds(Limits, **BUDGETS)
BOOKED = st.fixed_dictionaries({}, optional={name: MONEY if name.startswith("usd") else COUNTS for name in NAMES})


def hold_of(amounts: Amounts) -> Hold:
    return Hold("call", "ws_one", "key_one", "demo/echo-1", amounts, 1, NOON, NOON + 660)


@given(limits=LIMITS, booked=BOOKED, amounts=AMOUNTS, replaced=st.none() | AMOUNTS)
def test_a_hold_fits_exactly_if_each_budget_has_room_for_it(
    limits: Limits, booked: dict[str, Number], amounts: Amounts, replaced: Amounts | None
) -> None:
    scope, before = AccountScope("workspace", "ws_one", limits), hold_of(replaced) if replaced else None
    account, own = Account(dict(booked)), replaced or Amounts()
    sums = {
        name: Fraction(booked.get(name, 0)) + Fraction(amounts.of(unit)) - Fraction(own.of(unit))
        for name, (unit, _) in zip(NAMES, BOOKINGS, strict=True)
    }
    full = [
        budget.name
        for budget, name in ((budget, NAMES[budget.place]) for budget in scope.budgets)
        if sums[name] > Fraction(budget.maximum) and (before is None or amounts.of(budget.unit) > own.of(budget.unit))
    ]
    exceeded = exceeded_limit(account, scope, hold_of(amounts), before)
    assert (exceeded and exceeded.limit) == (full[0] if full else None)
    fitted = fit_hold(account, scope, hold_of(amounts), before)
    assert (fitted and {name: Fraction(value) for name, value in fitted.items()}) == (None if full else sums)
    assert account == Account(booked)


@given(limits=LIMITS, amounts=AMOUNTS, shard=st.integers(0, 2))
def test_a_call_is_large_if_it_takes_more_than_its_part_of_a_budget(
    limits: Limits, amounts: Amounts, shard: int
) -> None:
    scope = AccountScope("workspace", "ws_one", limits, shard, 3)
    reservation = Reservation(hold_of(amounts), (scope,))
    listed = [
        budget
        for budget in scope.budgets
        if Fraction(amounts.of(budget.unit)) * PARALLEL_ANSWERS > Fraction(budget.share)
    ]
    assert (large_shares(reservation), is_large(reservation)) == (listed, bool(listed))


@given(limits=LIMITS, booked=BOOKED)
def test_a_budget_may_have_crossed_a_threshold_from_a_third_on(limits: Limits, booked: dict[str, Number]) -> None:
    scope = AccountScope("workspace", "ws_one", limits)
    crossed = [Fraction(booked.get(NAMES[each.place], 0)) * 3 >= Fraction(each.maximum) for each in scope.budgets]
    may_have = may_have_crossed(AccountSnapshot("ws_one", scope, Account(booked), NOON))
    assert may_have or not any(crossed)
    assert any(crossed) or not may_have or any(budget.maximum < 36 for budget in scope.budgets)


RATES = st.none() | st.integers(0, 5)
MINUTE = int(NOON // 60)
TIMES = st.integers(-3, 3).map(lambda minutes: NOON + 60 * minutes)


@given(
    limits=st.builds(Limits, RATES, RATES, RATES),
    shard=st.integers(0, 2),
    minute=st.integers(-2, 2),
    calls=st.integers(0, 3),
    minute_tokens=st.lists(st.integers(0, 6), min_size=MINUTE_SLOTS, max_size=MINUTE_SLOTS),
    open_calls=st.lists(st.booleans(), max_size=4),
    tokens=st.integers(0, 6),
    at=TIMES,
    replaced=st.none() | st.integers(0, 6),
    is_batch=st.booleans(),
)
def test_a_hold_fits_exactly_if_no_rate_is_exceeded(
    limits: Limits,
    shard: int,
    minute: int,
    calls: int,
    minute_tokens: list[int],
    open_calls: list[bool],
    tokens: int,
    at: float,
    replaced: int | None,
    is_batch: bool,
) -> None:
    scope = AccountScope("workspace", "ws_one", limits, shard, 3)
    holds = {str(i): replace(hold_of(Amounts()), is_batch=each) for i, each in enumerate(open_calls)}
    account = Account({}, holds, MINUTE + minute, calls, dict(enumerate(minute_tokens)))
    hold = replace(hold_of(Amounts(tokens)), at=at, is_batch=is_batch)
    before = None if replaced is None else replace(hold, amounts=Amounts(replaced))
    exceeded = exceeded_limit(account, scope, hold, before)
    assert (fit_hold(account, scope, hold, before) is None) == (exceeded is not None)

"""What both ledgers promise: room is there or it is not, whoever asks, and what is not used is given back."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from msgspec import structs

from tests.store_worlds import NOON, USED, World, hold, outcome
from tidegate.domain.account import AccountScope, Hold, RateStatus, Reservation, rate_statuses, used_amount
from tidegate.domain.limits import Amounts, Limits
from tidegate.domain.usage import TokenCounts
from tidegate.errors import LimitReached, QuotaExhausted, RateLimited


def scope(**limits: Any) -> AccountScope:
    return AccountScope("workspace", "ws_one", Limits(**limits))


async def reserve(world: World, *scopes: AccountScope, **fields: Any) -> Hold:
    taken = hold(account_kinds=tuple(scope.kind for scope in scopes), **fields)
    await world.ledger.reserve(Reservation(taken, scopes))
    return taken


async def settle(world: World, taken: Hold, **fields: Any) -> None:
    await world.meter.record(outcome(id=taken.call_id, at=taken.at, hold=taken, **fields))


@pytest.mark.parametrize(
    ("limit", "most"),
    [
        ("tokens_per_day", 300),
        ("tokens_per_month", 300),
        ("words_per_day", 150),
        ("words_per_month", 150),
        ("usd_per_day", Decimal("1.5")),
        ("usd_per_month", Decimal("1.5")),
    ],
)
async def test_a_budget_has_room_for_what_it_says_and_no_more(world: World, limit: str, most: object) -> None:
    for _ in range(3):
        await reserve(world, scope(**{limit: most}))
    with pytest.raises(QuotaExhausted, match=limit) as caught:
        await reserve(world, scope(**{limit: most}))
    resets = "2026-12-01T00:00:00" if limit.endswith("month") else "2026-11-22T00:00:00"
    assert resets in caught.value.message


async def test_what_was_not_used_is_given_back(world: World) -> None:
    budget = scope(usd_per_month=Decimal("0.6"))
    first = await reserve(world, budget)
    with pytest.raises(QuotaExhausted):
        await reserve(world, budget)
    await settle(world, first)
    await reserve(world, budget)
    account = await world.ledger.account(budget)
    assert used_amount(account, "usd", "month", NOON) == USED.usd
    assert used_amount(account, "tokens", "day", NOON) == USED.tokens
    assert used_amount(account, "words", "month", NOON) == USED.words


BOTH = (
    scope(tokens_per_day=150, parallel_calls=1, requests_per_minute=1, tokens_per_minute=200),
    AccountScope("key", "key_one", Limits(tokens_per_day=500, requests_per_minute=1)),
)


async def replace_by(world: World, first: Hold, amounts: Amounts, *scopes: AccountScope) -> Hold:
    second = structs.replace(first, amounts=amounts, model="demo/echo-2")
    await world.ledger.reserve(Reservation(second, scopes), first)
    return second


@pytest.mark.parametrize("scopes", [BOTH, BOTH[:1], BOTH[1:]])
async def test_a_hold_that_replaces_another_one_counts_no_second_call(
    world: World, scopes: tuple[AccountScope, ...]
) -> None:
    first = await reserve(world, *scopes)
    second = await replace_by(world, first, Amounts(tokens=140), *scopes)
    third = await replace_by(world, second, Amounts(tokens=20, usd=Decimal("0.1")), *scopes)
    for each in scopes:
        account = await world.ledger.account(each)
        assert account.holds == {first.call_id: third}
        assert account.booked["tokens#D#2026-11-21"] == 20
        assert account.booked["usd#D#2026-11-21"] == Decimal("0.1")
        assert (account.minute_calls, account.booked.get("words#D#2026-11-21", 0)) == (1, 0)
    await settle(world, third)
    for each in scopes:
        assert used_amount(await world.ledger.account(each), "tokens", "day", NOON) == USED.tokens


@pytest.mark.parametrize(
    ("limits", "tokens"), [({"tokens_per_day": 150}, 150), ({"tokens_per_minute": 150}, 150), ({"usd_per_day": 1}, 0)]
)
async def test_a_replacement_without_room_leaves_the_hold_as_it_was(
    world: World, limits: dict[str, Any], tokens: int
) -> None:
    limited = scope(**limits)
    first = await reserve(world, limited)
    second = await replace_by(world, first, Amounts(tokens=tokens, usd=Decimal(1)), limited)
    with pytest.raises(LimitReached) as refused:
        await replace_by(world, second, Amounts(tokens=tokens + 1, usd=Decimal("1.1")), limited)
    assert refused.value.remaining == next(iter(limits.values()))  # what the call holds counts as available to it
    account = await world.ledger.account(limited)
    assert account.holds == {first.call_id: second}
    assert account.booked.get("tokens#D#2026-11-21", 0) == tokens


async def test_a_replacement_of_a_hold_that_was_swept_books_a_new_one(world: World) -> None:
    limited = scope(tokens_per_day=150, requests_per_minute=2)
    first = await reserve(world, limited)
    await settle(world, first)
    second = await replace_by(world, first, Amounts(tokens=100), limited)
    account = await world.ledger.account(limited)
    assert (account.holds, account.minute_calls) == ({first.call_id: second}, 2)


async def test_a_hold_that_was_replaced_is_not_settled_in_place_of_the_new_one(world: World) -> None:
    limited = scope(tokens_per_day=500)
    first = await reserve(world, limited)
    second = await replace_by(world, first, Amounts(tokens=140), limited)
    await settle(world, first)
    account = await world.ledger.account(limited)
    assert (account.holds, account.booked["tokens#D#2026-11-21"]) == ({first.call_id: second}, 140)


async def test_calls_that_are_cheap_enough_use_a_budget_up_to_its_end(world: World) -> None:
    budget = scope(tokens_per_day=200)
    for _ in range(5):
        await settle(world, await reserve(world, budget))
    await reserve(world, budget, amounts=Amounts(tokens=200 - 5 * USED.tokens))
    with pytest.raises(QuotaExhausted):
        await reserve(world, budget, amounts=Amounts(tokens=1))


async def test_of_many_at_once_exactly_those_pass_that_there_is_room_for(world: World) -> None:
    async def attempt() -> bool:
        try:
            await reserve(world, scope(usd_per_month=Decimal(5)))
        except QuotaExhausted:
            return False
        return True

    assert sum(await asyncio.gather(*(attempt() for _ in range(40)))) == 10


async def test_requests_of_a_minute(world: World) -> None:
    limited = scope(requests_per_minute=2)
    for _ in range(2):
        await settle(world, await reserve(world, limited))
    with pytest.raises(RateLimited, match="requests_per_minute of 2") as caught:
        await reserve(world, limited, at=NOON + 50)
    assert caught.value.retry_after_seconds == 10
    await reserve(world, limited, at=NOON + 60)
    statuses = rate_statuses(await world.ledger.account(limited), limited, NOON + 61)
    assert statuses == {"requests": RateStatus(2, 1, 59)}


async def test_tokens_of_a_minute_are_given_back_to_it(world: World) -> None:
    limited = scope(tokens_per_minute=150)
    first = await reserve(world, limited)
    with pytest.raises(RateLimited, match="tokens_per_minute"):
        await reserve(world, limited)
    await settle(world, first)
    await reserve(world, limited)
    statuses = rate_statuses(await world.ledger.account(limited), limited, NOON)
    assert statuses == {"tokens": RateStatus(150, 27, 60)}


async def test_a_minute_that_is_over_gets_nothing_back(world: World) -> None:
    limited = scope(tokens_per_minute=150)
    first = await reserve(world, limited)
    second = await reserve(world, limited, at=NOON + 60)
    world.clock.now = NOON + 61
    await settle(world, first)
    with pytest.raises(RateLimited):
        await reserve(world, limited, at=NOON + 62)
    await settle(world, second)
    await reserve(world, limited, at=NOON + 63)


async def test_a_clock_that_is_late_counts_in_the_minute_that_has_begun(world: World) -> None:
    limited = scope(requests_per_minute=1)
    await reserve(world, limited, at=NOON + 60)
    with pytest.raises(RateLimited):
        await reserve(world, limited, at=NOON + 58)


async def test_parallel_calls(world: World) -> None:
    limited = scope(parallel_calls=2)
    first = await reserve(world, limited)
    await reserve(world, limited)
    with pytest.raises(RateLimited, match="parallel_calls"):
        await reserve(world, limited)
    await settle(world, first)
    await reserve(world, limited)


async def test_the_same_reservation_again_takes_nothing(world: World) -> None:
    budget = scope(tokens_per_day=100)
    taken = await reserve(world, budget)
    await world.ledger.reserve(Reservation(taken, (budget,)))
    assert (await world.ledger.account(budget)).holds == {taken.call_id: taken}


async def test_a_settled_call_is_settled_once(world: World) -> None:
    budget = scope(tokens_per_day=100)
    taken = await reserve(world, budget)
    await settle(world, taken)
    await settle(world, taken, tokens=TokenCounts(input=90))
    assert used_amount(await world.ledger.account(budget), "tokens", "day", NOON) == USED.tokens


async def test_workspace_and_key_take_room_together_or_not_at_all(world: World) -> None:
    whole, key = scope(tokens_per_day=1000), AccountScope("key", "key_one", Limits(tokens_per_day=150))
    first = await reserve(world, whole, key)
    with pytest.raises(QuotaExhausted, match="key's limit"):
        await reserve(world, whole, key)
    assert set((await world.ledger.account(whole)).holds) == {first.call_id}
    await settle(world, first)
    for each in (whole, key):
        assert used_amount(await world.ledger.account(each), "tokens", "day", NOON) == USED.tokens
    await reserve(world, whole, key)


async def test_a_month_may_begin_on_another_day(world: World) -> None:
    budget = scope(tokens_per_month=100)
    eve = NOON - 86400 * 7  # the 14th
    await reserve(world, budget, at=eve, first_day=15)
    with pytest.raises(QuotaExhausted, match="2026-11-15T00"):
        await reserve(world, budget, at=eve + 60, first_day=15)
    await reserve(world, budget, at=eve + 86400, first_day=15)


async def test_a_call_is_booked_to_the_period_in_which_it_began(world: World) -> None:
    budget = scope(tokens_per_day=100)
    midnight = NOON + 12 * 3600
    taken = await reserve(world, budget, at=midnight - 1)
    await reserve(world, budget, at=midnight + 1)
    world.clock.now = midnight + 2
    await settle(world, taken)
    account = await world.ledger.account(budget)
    assert used_amount(account, "tokens", "day", midnight - 1) == USED.tokens
    with pytest.raises(QuotaExhausted):
        await reserve(world, budget, at=midnight + 3)


async def test_a_call_that_can_never_fit_is_refused_at_once(world: World) -> None:
    for limits in ({"tokens_per_minute": 99}, {"requests_per_minute": 0}, {"parallel_calls": 0}):
        with pytest.raises(RateLimited):
            await reserve(world, scope(**limits))
    with pytest.raises(QuotaExhausted):
        await reserve(world, scope(words_per_day=49))


async def test_of_two_that_note_a_threshold_one_is_told_so(world: World) -> None:
    budget = scope(tokens_per_day=100)
    await reserve(world, budget)
    assert await world.ledger.replace_alerted(budget, {}, {"tokens_per_day#D#2026-11-21": 50})
    assert not await world.ledger.replace_alerted(budget, {}, {"tokens_per_day#D#2026-11-21": 50})
    assert not await world.ledger.replace_alerted(budget, {"tokens_per_day#D#2026-11-21": 80}, {})
    assert await world.ledger.replace_alerted(
        budget, {"tokens_per_day#D#2026-11-21": 50}, {"tokens_per_day#D#2026-11-21": 80}
    )
    assert (await world.ledger.account(budget)).alerted_thresholds == {"tokens_per_day#D#2026-11-21": 80}


async def test_a_note_takes_no_room_and_is_kept_when_some_is_taken(world: World) -> None:
    budget = scope(tokens_per_day=200)
    first = await reserve(world, budget)
    await world.ledger.replace_alerted(budget, {}, {"tokens_per_day#D#2026-11-21": 50})
    await settle(world, first)
    await reserve(world, budget)
    account = await world.ledger.account(budget)
    assert (len(account.holds), account.alerted_thresholds) == (1, {"tokens_per_day#D#2026-11-21": 50})


async def test_what_was_used_before_there_were_limits_counts(world: World) -> None:
    if world.store is None:
        pytest.skip("the store in memory forgets with its process, and has its limits from the start")
    await world.meter.record(outcome(at=NOON - 86400))
    await world.meter.record(outcome())
    budget = scope(tokens_per_month=100 + 2 * USED.tokens)
    await reserve(world, budget)
    account = await world.ledger.account(budget)
    assert used_amount(account, "tokens", "day", NOON) == USED.tokens
    assert used_amount(account, "tokens", "month", NOON) == 2 * USED.tokens
    assert used_amount(account, "usd", "month", NOON) == 2 * USED.usd


async def test_the_hold_of_a_batch_takes_no_rate_from_live_calls(world: World) -> None:
    rates = scope(requests_per_minute=1, tokens_per_minute=100, parallel_calls=1, tokens_per_day=1000)
    first = await reserve(world, rates, is_batch=True)
    await reserve(world, rates, is_batch=True)
    grown = structs.replace(first, amounts=Amounts(800, 50, Decimal("0.5")))
    await world.ledger.reserve(Reservation(grown, (rates,)), first)
    with pytest.raises(QuotaExhausted, match="tokens_per_day"):
        await reserve(world, rates, is_batch=True, amounts=Amounts(101))
    live = await reserve(world, rates)
    account = await world.ledger.account(rates)
    assert account.holds[grown.call_id] == grown
    assert rate_statuses(account, rates, NOON)["tokens"].remaining == 0
    await settle(world, grown)
    await settle(world, live)
    account = await world.ledger.account(rates)
    assert rate_statuses(account, rates, NOON)["tokens"].remaining == 100 - USED.tokens
    assert grown.call_id not in account.holds

"""What both stores promise for a workspace that is spread over shards: the same limits, and the same sums."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from tests.store_worlds import NOON, USED, World, hold, outcome
from tidegate.domain.account import Account, AccountScope, Hold, RateStatus, Reservation, rate_statuses, used_amount
from tidegate.domain.call import Outcome
from tidegate.domain.limits import Amounts, Limits
from tidegate.errors import LimitReached, QuotaExhausted, RateLimited

SHARDS = 4


def scope(**limits: Any) -> AccountScope:
    return AccountScope("workspace", "ws_one", Limits(**limits), shards=SHARDS)


def ended(taken: Hold, **fields: Any) -> Outcome:
    return unheld(outcome(id=taken.call_id, at=taken.at, hold=taken, **fields))


def unheld(made: Outcome) -> Outcome:
    return replace(made, call=replace(made.call, workspace=replace(made.call.workspace, shards=SHARDS)))


async def reserve(world: World, scope: AccountScope, **fields: Any) -> Hold:
    taken, _ = await world.ledger.reserve(Reservation(hold(**fields), (scope,)))
    return taken


async def passes(world: World, scope: AccountScope, **fields: Any) -> bool:
    try:
        await reserve(world, scope, **fields)
    except LimitReached:
        return False
    return True


@pytest.mark.parametrize(
    ("limits", "amounts", "most"),
    [
        ({"tokens_per_day": 42}, Amounts(tokens=1), 42),
        ({"words_per_month": 7}, Amounts(words=1), 7),
        ({"usd_per_month": Decimal("0.000012")}, Amounts(usd=Decimal("0.000001")), 12),
        ({"requests_per_minute": 6}, Amounts(), 6),
        ({"parallel_calls": 3}, Amounts(), 3),
        ({"tokens_per_minute": 13}, Amounts(tokens=1), 13),
    ],
)
async def test_small_calls_use_the_whole_limit_and_no_more(
    world: World, limits: Any, amounts: Amounts, most: int
) -> None:
    passed = [await passes(world, scope(**limits), amounts=amounts) for _ in range(most + 5)]
    assert passed == [True] * most + [False] * 5


async def test_of_many_at_once_exactly_those_pass_that_there_is_room_for(world: World) -> None:
    limited = scope(usd_per_month=Decimal(10))
    assert sum(await asyncio.gather(*(passes(world, limited) for _ in range(40)))) == 20


async def test_room_that_is_given_back_is_there_for_the_next_call(world: World) -> None:
    limited = scope(tokens_per_day=400)
    taken = [await reserve(world, limited) for _ in range(SHARDS)]
    for first in taken:
        with pytest.raises(QuotaExhausted):
            await reserve(world, limited)
        await world.meter.record(ended(first))
        await reserve(world, limited, amounts=Amounts(tokens=100 - USED.tokens))


async def test_the_account_is_that_of_all_shards(world: World) -> None:
    limited = scope(requests_per_minute=50, tokens_per_minute=10_000)
    taken = [await reserve(world, limited) for _ in range(8)]
    account = await world.ledger.account(limited)
    assert set(account.holds) == {each.call_id for each in taken}
    reset = 60 - NOON % 60
    assert rate_statuses(account, limited.unsharded, NOON) == {
        "requests": RateStatus(50, 42, reset),
        "tokens": RateStatus(10_000, 9_200, reset),
    }
    for each in taken:
        await world.meter.record(ended(each))
    account = await world.ledger.account(limited)
    assert not account.holds
    assert used_amount(account, "tokens", "day", NOON) == 8 * USED.tokens
    assert used_amount(account, "usd", "month", NOON) == 8 * USED.usd


async def test_counters_days_and_calls_are_those_of_all_shards(world: World) -> None:
    made = [unheld(outcome(at=NOON + n)) for n in range(10)]
    for each in made:
        await world.meter.record(each)
    await world.meter.record(unheld(outcome(at=NOON - 86400)))
    month = await world.usages.counters("ws_one", "M#2026-11", SHARDS)
    assert month is not None
    assert (month["calls"], month["words"], month["cost_usd"]) == (11, 99, "0.00135795")
    assert await world.usages.counters("ws_one", "M#2026-12", SHARDS) is None
    days = await world.usages.days("ws_one", "2026-11-20", "2026-11-21", SHARDS)
    assert {day: counters["calls"] for day, counters in days.items()} == {"2026-11-20": 1, "2026-11-21": 10}
    assert list(days) == ["2026-11-20", "2026-11-21"]
    newest = await world.usages.calls("ws_one", 4, SHARDS)
    assert [call["id"] for call in newest] == [each.call.id for each in reversed(made[-4:])]
    assert len(await world.usages.calls("ws_one", 100, SHARDS)) == 11


async def test_days_are_only_those_that_were_asked_for(world: World) -> None:
    for day in range(4):
        await world.meter.record(outcome(at=NOON + day * 86400))
    assert set(await world.usages.days("ws_one", "2026-11-22", "2026-11-23")) == {"2026-11-22", "2026-11-23"}
    assert await world.usages.days("ws_two", "2026-11-22", "2026-11-23") == {}
    assert await world.usages.days("ws_one", "2026-11-23", "2026-11-22") == {}


async def test_a_call_is_written_to_one_partition(world: World) -> None:
    if world.store is None:
        pytest.skip("a dictionary has no partitions")
    taken = await reserve(world, scope(parallel_calls=100), shard=2)
    await world.meter.record(ended(taken))
    items = await world.store.query_range("WS#ws_one#2", "A", "Z")
    assert [str(item["sk"]) for item in items] == [
        "ACCOUNT",
        f"CALL#{taken.call_id}",
        "USE#D#2026-11-21" if world.store.client.prefers_transactions else "USE#D#2026-11-21T12",
    ]
    others = await world.store.query_range("WS#ws_one", "A", "Z")
    assert [str(item["sk"]) for item in others] == ["ACCOUNT"]


async def test_what_was_used_before_there_were_limits_is_counted_once(world: World) -> None:
    if world.store is None:
        pytest.skip("the store in memory forgets with its process, and has its limits from the start")
    for n in range(10):
        await world.meter.record(unheld(outcome(at=NOON + n)))
    limited = scope(tokens_per_month=10 * USED.tokens + 50)
    assert sum([await passes(world, limited, amounts=Amounts(tokens=1)) for _ in range(60)]) in range(48, 51)
    account = await world.ledger.account(limited)
    assert used_amount(account, "tokens", "month", NOON) in range(10 * USED.tokens, 10 * USED.tokens + 3)


async def test_shards_that_are_added_are_opened_too(world: World) -> None:
    limited = AccountScope("workspace", "ws_one", Limits(tokens_per_day=400), shards=2)
    await reserve(world, limited, amounts=Amounts(tokens=1))
    more = replace(limited, shards=8)
    assert sum([await passes(world, more, amounts=Amounts(tokens=1)) for _ in range(410)]) == 399


async def test_an_account_that_is_not_open_yet_is_what_it_will_be_opened_with(world: World) -> None:
    if world.store is None:
        pytest.skip("the store in memory forgets with its process, and has its limits from the start")
    for n in range(3):
        await world.meter.record(unheld(outcome(at=NOON + n)))
    limited = scope(tokens_per_month=1_000)
    assert used_amount(await world.ledger.account(limited), "tokens", "month", NOON) >= 3 * USED.tokens
    assert await world.ledger.account(AccountScope("key", "key_one", Limits(tokens_per_day=1))) == Account()


async def test_a_key_of_a_workspace_with_shards_is_limited_as_one(world: World) -> None:
    key = AccountScope("key", "key_one", Limits(tokens_per_day=250))
    both = (scope(tokens_per_day=4_000), key)
    for _ in range(2):
        await world.ledger.reserve(Reservation(hold(account_kinds=("workspace", "key")), both))
    with pytest.raises(QuotaExhausted, match="key's limit"):
        await world.ledger.reserve(Reservation(hold(account_kinds=("workspace", "key")), both))


async def test_who_is_refused_by_all_shards_is_told_the_limit_of_the_workspace(world: World) -> None:
    with pytest.raises(RateLimited, match="requests_per_minute of 2 is reached") as caught:
        for _ in range(3):
            await reserve(world, scope(requests_per_minute=2))
    assert caught.value.retry_after_seconds == 60

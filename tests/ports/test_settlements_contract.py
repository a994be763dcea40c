"""The contract of `Settlements`, for every implementation: what many calls used is booked once, whatever is held."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from tests.store_worlds import NOON, World, hold, outcome
from tidegate.aws.meter import DynamoMeter
from tidegate.batch.ports import Settlements
from tidegate.batch.settled_lines import LinesRecord
from tidegate.domain.account import AccountScope, Hold, Reservation
from tidegate.domain.limits import Amounts, Limits
from tidegate.domain.settlement import Settlement
from tidegate.memory.meter import MemoryMeter

ID = "01M7YZMHG0AAAAAAAAAAAAAAAA"
LIMITS = Limits(usd_per_month=Decimal(10), tokens_per_day=10_000)
WORKSPACE, KEY = AccountScope("workspace", "ws_one", LIMITS), AccountScope("key", "key_one", LIMITS)
SCOPES = [(WORKSPACE,), (WORKSPACE, KEY)]


@pytest.fixture
def settlements(world: World) -> Settlements:
    assert isinstance(world.meter, MemoryMeter | DynamoMeter)
    return world.meter


def settlement(hold: Hold | None = None, **fields: Any) -> Settlement:
    made = Settlement(
        workspace_id="ws_one",
        call_id=ID,
        at=NOON,
        shard=0,
        record=LinesRecord(id=ID, status="batch", lines=3, cost_usd=Decimal("0.3"), workspace_id="ws_one"),
        increments={"calls": 3, "calls_ok": 2, "calls_failed": 1, "input_tokens": 600, "cost_usd": Decimal("0.3")},
        actual=Amounts(tokens=600, words=0, usd=Decimal("0.3")),
        hold=hold,
    )
    return replace(made, **fields)


async def book(world: World, scopes: tuple[AccountScope, ...], *, is_batch: bool = True, **fields: Any) -> Hold:
    kinds = tuple(scope.kind for scope in scopes)
    fields = {"account_kinds": kinds, "is_batch": is_batch, **fields}
    taken, _ = await world.ledger.reserve(Reservation(hold(ID, Amounts(1000, 0, Decimal(1)), **fields), scopes))
    return taken


async def grow(world: World, before: Hold, scopes: tuple[AccountScope, ...]) -> Hold:
    grown = replace(before, amounts=Amounts(2000, 0, Decimal(2)))
    return (await world.ledger.reserve(Reservation(grown, scopes), replacing=before))[0]


async def accounts(world: World, scopes: tuple[AccountScope, ...]) -> list[tuple[dict[str, Hold], object, object]]:
    found = [await world.ledger.account(scope) for scope in scopes]
    return [
        (each.holds, each.booked.get("usd#M#2026-11-01", 0), each.booked.get("tokens#D#2026-11-21", 0))
        for each in found
    ]


SETTLED: tuple[dict[str, Hold], Decimal, int] = ({}, Decimal("0.3"), 600)


async def check_counted_once(world: World) -> None:
    counters = await world.usages.counters("ws_one", "M#2026-11")
    assert counters is not None
    assert (counters["calls"], counters["calls_failed"], counters["cost_usd"]) == (3, 1, "0.3")
    assert [record["status"] for record in await world.usages.calls("ws_one", 10)] == ["batch"]


@pytest.mark.parametrize("scopes", SCOPES)
@pytest.mark.parametrize("is_batch", [True, False])
async def test_many_calls_are_settled_once(
    world: World, settlements: Settlements, scopes: tuple[AccountScope, ...], is_batch: bool
) -> None:
    held = await book(world, scopes, is_batch=is_batch)
    assert await settlements.settle(settlement(held))
    assert not await settlements.settle(settlement(held))
    assert not await settlements.settle(settlement(held, increments={"calls": 7}, actual=Amounts(7)))
    assert await accounts(world, scopes) == [SETTLED] * len(scopes)
    await check_counted_once(world)


async def test_without_a_hold_the_record_is_written_once(world: World, settlements: Settlements) -> None:
    assert await settlements.settle(settlement())
    assert not await settlements.settle(settlement())
    await check_counted_once(world)


async def test_of_many_that_settle_at_once_one_does(world: World, settlements: Settlements) -> None:
    held = await book(world, (WORKSPACE, KEY))
    settled = await asyncio.gather(*(settlements.settle(settlement(held)) for _ in range(6)))
    assert settled.count(True) == 1
    assert await accounts(world, (WORKSPACE, KEY)) == [SETTLED, SETTLED]
    await check_counted_once(world)


@pytest.mark.parametrize("scopes", SCOPES)
async def test_a_hold_that_has_grown_is_settled_by_the_smaller_one(
    world: World, settlements: Settlements, scopes: tuple[AccountScope, ...]
) -> None:
    held = await book(world, scopes)
    await grow(world, held, scopes)
    assert await settlements.settle(settlement(held))
    assert not await settlements.settle(settlement(held))
    assert await accounts(world, scopes) == [SETTLED] * len(scopes)
    await check_counted_once(world)


async def test_a_hold_that_one_account_lacks_is_settled_in_the_other(world: World, settlements: Settlements) -> None:
    held = await book(world, (WORKSPACE,), account_kinds=("workspace", "key"))
    assert await settlements.settle(settlement(held))
    assert await accounts(world, (WORKSPACE,)) == [SETTLED]
    await check_counted_once(world)


async def test_a_hold_that_is_nowhere_does_not_stop_the_record(world: World, settlements: Settlements) -> None:
    assert await settlements.settle(settlement(hold(ID)))
    await check_counted_once(world)


async def test_what_a_call_has_recorded_is_not_settled_again(world: World, settlements: Settlements) -> None:
    held = await book(world, (WORKSPACE,))
    await world.meter.record(outcome(id=ID, hold=held))
    assert not await settlements.settle(settlement(held))
    counters = await world.usages.counters("ws_one", "M#2026-11")
    assert counters is not None
    assert counters["calls"] == 1

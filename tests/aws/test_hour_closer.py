"""Hours that are over: each call of theirs is in the counters of its day once, as its record says."""

import asyncio
from collections.abc import AsyncIterator
from math import inf
from typing import Any

import pytest
from msgspec.structs import replace

from tests.limits.books import balanced
from tests.roll_stores import roll_store
from tests.store_worlds import NOON, World, aws_world, outcome, workspace
from tidegate.aws.aggregates import create_rollup, create_server_rollup
from tidegate.aws.counters import ADDED_HOURS
from tidegate.aws.expressions import Attr, Delete, Put, Update, add_all
from tidegate.aws.hour_closer import HourCloser
from tidegate.aws.meter import record_item, write_settlement
from tidegate.aws.store import ItemKey, Store
from tidegate.aws.table import counters_item_key
from tidegate.domain.account import AccountScope
from tidegate.domain.ids import ulid
from tidegate.domain.limits import Limits
from tidegate.domain.record import counter_increments
from tidegate.domain.settlement import build_settlement, shard_of
from tidegate.policy.metering.roller import LATE_SECONDS

UNLIMITED = AccountScope("workspace", "ws_one", Limits())
OVER = NOON + 3600 + LATE_SECONDS
"""When the hour from noon on is closed."""

HOUR, DAY = (counters_item_key("ws_one", period) for period in ("D#2026-11-21T12", "D#2026-11-21"))


@pytest.fixture
async def world(aws_endpoint: str) -> AsyncIterator[World]:
    async with aws_world(aws_endpoint) as made:
        yield made


@pytest.fixture
def store(world: World) -> Store:
    assert world.store is not None
    return world.store


def closer(world: World, store: Store, **fields: Any) -> HourCloser:
    """With no more than the keeper's role allows."""
    records = roll_store(world)
    return HourCloser(store, records.scan, **fields)


async def put_uncounted(store: Store, **fields: Any) -> None:
    """A record whose process was killed before it had counted the call."""
    record = record_item(build_settlement(outcome(**fields)))
    await store.put(Put(store.table, {**record, "hourly": "nobody"}))


async def test_an_hour_moves_to_its_day_when_no_call_of_it_is_in_progress(world: World, store: Store) -> None:
    for minute in range(0, 60, 7):
        await world.meter.record(outcome(at=NOON + 60 * minute))
    before = await world.usages.counters("ws_one", "M#2026-11")
    world.clock.now = OVER - 1
    assert await closer(world, store).close(workspace(), inf) == 0
    assert DAY not in await store.read(DAY)
    world.clock.now = OVER
    assert await closer(world, store).close(workspace(), inf) == 1
    assert (await store.read(DAY))[DAY][ADDED_HOURS] == 1 << 12
    assert await world.usages.counters("ws_one", "M#2026-11") == before
    assert await closer(world, store).close(workspace(), inf) == 0
    await store.delete(Delete(store.table, dict(HOUR._asdict())))  # DynamoDB, when the item has expired
    assert await world.usages.counters("ws_one", "M#2026-11") == before
    assert await balanced(world, UNLIMITED) == {"ok": 9}


async def test_calls_that_nobody_has_counted_are_counted(world: World, store: Store) -> None:
    await world.meter.record(outcome())
    await put_uncounted(store, at=NOON + 1)
    await put_uncounted(store, at=NOON - 7200)  # in an hour without counters
    world.clock.now = OVER
    assert await closer(world, store).close(workspace(), inf) == 2
    assert await balanced(world, UNLIMITED) == {"ok": 3}


async def test_calls_that_were_counted_in_their_day_are_not_counted_again(world: World, store: Store) -> None:
    await world.meter.record(outcome())
    await write_settlement(store, build_settlement(outcome(at=NOON + 1)))
    world.clock.now = OVER
    await closer(world, store).close(workspace(), inf)
    await write_settlement(store, build_settlement(outcome(at=NOON + 2)))
    assert await balanced(world, UNLIMITED) == {"ok": 3}


@pytest.mark.parametrize("killed_at", range(3))
async def test_a_closer_that_is_killed_at_any_write_is_repeated(world: World, store: Store, killed_at: int) -> None:
    for hour in range(3):
        await world.meter.record(outcome(at=NOON - hour * 3600))
        await put_uncounted(store, at=NOON - hour * 3600 + 1)
    world.clock.now = OVER

    class Killed(Exception):
        pass

    class Dying:
        prefers_transactions = False
        backoff = store.client.backoff
        writes = 0

        async def call(self, action: str, payload: Any, *, repeats: bool = True) -> Any:
            if action == "UpdateItem":
                if self.writes == killed_at:
                    raise Killed
                self.writes += 1
            return await store.client.call(action, payload, repeats=repeats)

    with pytest.raises(Killed):
        await closer(world, replace(store, client=Dying())).close(workspace(), inf)
    await closer(world, store).close(workspace(), inf)
    assert await balanced(world, UNLIMITED) == {"ok": 6}


async def test_several_closers_at_once_add_an_hour_once(world: World, store: Store) -> None:
    for hour in range(4):
        for call in range(3):
            await world.meter.record(outcome(at=NOON - hour * 3600 + call))
    world.clock.now = OVER
    closed = await asyncio.gather(*(closer(world, store, page_records=2).close(workspace(), inf) for _ in range(5)))
    assert sum(closed) == 4
    assert await balanced(world, UNLIMITED) == {"ok": 12}


async def test_what_is_counted_too_often_is_corrected(world: World, store: Store) -> None:
    await world.meter.record(outcome())
    again = add_all(counter_increments(build_settlement(outcome()).record))
    await store.update(Update(store.table, dict(HOUR._asdict()), again))
    world.clock.now = OVER
    await closer(world, store).close(workspace(), inf)
    assert await balanced(world, UNLIMITED) == {"ok": 1}


async def test_each_shard_is_closed(world: World, store: Store) -> None:
    busy = replace(workspace(), shards=3)
    ids = [ulid(NOON + n) for n in range(12)]
    assert {shard_of(id, 3) for id in ids} == {0, 1, 2}
    for id in ids:
        made = outcome(id=id)
        await world.meter.record(replace(made, call=replace(made.call, workspace=busy)))
    before = await world.usages.days("ws_one", "2026-11-21", "2026-11-21", 3)
    assert before["2026-11-21"]["calls"] == 12
    world.clock.now = OVER
    assert await closer(world, store, page_records=1).close(busy, inf) == 3
    assert await world.usages.days("ws_one", "2026-11-21", "2026-11-21", 3) == before


async def test_a_run_ends_with_its_time_and_the_next_one_goes_on(world: World, store: Store) -> None:
    for hour in range(3):
        await world.meter.record(outcome(at=NOON - hour * 3600))
    world.clock.now = OVER
    seconds = iter(range(100))
    assert await closer(world, store, monotonic=lambda: float(next(seconds))).close(workspace(), 2) == 2
    assert await closer(world, store).close(workspace(), inf) == 1
    assert await balanced(world, UNLIMITED) == {"ok": 3}


async def test_the_roller_sees_calls_that_were_counted_late(world: World, store: Store) -> None:
    await world.tenants.put_workspace(workspace())
    await world.meter.record(outcome())
    await create_rollup(store).run()
    await put_uncounted(store, at=NOON + 1)
    world.clock.now = OVER
    await create_rollup(store).run()
    await create_server_rollup(store).run()
    aggregates = await roll_store(world).find("ws_one", "2026-11-21T00", "2026-11-21T23")
    assert {name: aggregate.calls for name, aggregate in aggregates.items()} == {"2026-11-21T12": 2}


async def test_a_table_of_an_earlier_version_goes_on(world: World, store: Store) -> None:
    """Each settlement was one transaction of the record and the counters of the month and the day."""
    await world.tenants.put_workspace(workspace())
    for number in range(5):
        settlement = build_settlement(outcome(at=NOON + number - (number == 4) * 86_400))
        day = "2026-11-20" if number == 4 else "2026-11-21"
        increments = add_all(settlement.increments)
        keys = [ItemKey("WS#ws_one", f"USE#{period}") for period in ("M#2026-11", f"D#{day}")]
        await store.write(
            [
                Put(store.table, record_item(settlement), Attr("pk").does_not_exist()),
                *(Update(store.table, dict(key._asdict()), increments) for key in keys),
            ]
        )
    month = await world.usages.counters("ws_one", "M#2026-11")
    assert month is not None
    assert month["calls"] == 5
    await create_rollup(store).run()
    await world.meter.record(outcome(at=NOON + 10))
    assert await balanced(world, UNLIMITED) == {"ok": 6}
    world.clock.now = OVER
    await create_rollup(store).run()
    assert await balanced(world, UNLIMITED) == {"ok": 6}
    days = await world.usages.days("ws_one", "2026-11-20", "2026-11-21")
    assert {day: counters["calls"] for day, counters in days.items()} == {"2026-11-20": 1, "2026-11-21": 5}
    limited = AccountScope("workspace", "ws_one", Limits(tokens_per_month=1000))
    account = await world.ledger.account(limited)
    assert account.booked["tokens#M#2026-11-01"] == 6 * 23


async def test_sqlite_has_no_hours(sqlite_endpoint: str) -> None:
    async with aws_world(sqlite_endpoint) as world:
        assert world.store is not None
        await world.meter.record(outcome())
        world.clock.now = OVER
        assert await HourCloser(world.store, roll_store(world).scan).close(workspace(), inf) == 0
        assert [item["sk"] for item in await world.store.query("WS#ws_one", "USE#")] == ["USE#D#2026-11-21"]

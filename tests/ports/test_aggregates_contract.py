"""The contracts of `Aggregates` and `RollStore`, for every implementation."""

import random
from decimal import Decimal

from msgspec.structs import replace

from tests.call_records import actual_sums, call_record
from tests.roll_stores import control_store, roll_store
from tests.store_worlds import NOON, World, outcome, workspace
from tidegate.domain.aggregate import Aggregate, aggregate
from tidegate.domain.ids import min_ulid, ulid
from tidegate.domain.record import RETENTION_SECONDS
from tidegate.policy.metering.roller import RollPart, RollProgress


def some(number: int = 5, seed: int = 1) -> Aggregate:
    source = random.Random(seed)
    return aggregate(call_record(source, NOON) for _ in range(number))


async def test_aggregates_are_found_by_hour_and_by_day_in_order(world: World) -> None:
    store = roll_store(world)
    names = ("2026-11-21T12", "2026-11-21T09", "2026-11-20T23", "2026-11-21", "2026-11-20")
    written = {name: some(seed=number) for number, name in enumerate(names)}
    for name, each in written.items():
        await store.replace("ws_one", name, each, NOON)
    await store.replace("ws_one_b", "2026-11-21T10", some(), NOON)
    found = await control_store(world, store).find("ws_one", "2026-11-20T23", "2026-11-21T11")
    assert list(found.items()) == [(name, written[name]) for name in ("2026-11-20T23", "2026-11-21T09")]
    days = await store.find("ws_one", "2026-11-01", "2026-11-20")
    assert days == {"2026-11-20": written["2026-11-20"]}
    assert await store.find("ws_two", "2026-11-01", "2026-11-30") == {}
    light = await store.find("ws_one", "2026-11-01", "2026-11-20", has_sessions=False)
    assert light == {"2026-11-20": replace(written["2026-11-20"], sessions={})}


async def test_an_aggregate_is_not_replaced_by_one_of_an_earlier_roll(world: World) -> None:
    store = roll_store(world)
    for rolled_at, number in ((NOON, 5), (NOON + 1, 7), (NOON, 6)):
        await store.replace("ws_one", "2026-11-21T12", some(number), rolled_at)
    (found,) = (await store.find("ws_one", "2026-11-21T00", "2026-11-21T23")).values()
    assert found == some(7)


async def test_progress_is_stored_once_for_each_version(world: World) -> None:
    store = roll_store(world)
    assert await store.find_progress("ws_one") is None
    first = RollProgress(rolled_at=NOON, verified={"2026-11-21": 3}, hours={"2026-11-21": [0] * 24})
    await store.save_progress("ws_one", first)
    await store.save_progress("ws_one", replace(first, rolled_at=1.0))
    found = await store.find_progress("ws_one")
    assert found is not None
    assert found == replace(first, version=1)
    await store.save_progress("ws_one", replace(found, pending=["2026-11-20"], pending_hour=4))
    await store.save_progress("ws_one", replace(found, pending=["2026-11-19"]))
    assert await store.find_progress("ws_one") == replace(first, version=2, pending=["2026-11-20"], pending_hour=4)


async def test_a_part_of_an_hour_replaces_the_last_one_and_is_deleted_with_all(world: World) -> None:
    store = roll_store(world)
    assert await store.find_part("ws_one") is None
    for number in (3, 5):
        part = RollPart("2026-11-21T12", number, ulid(NOON), some(number))
        await store.save_part("ws_one", part)
        assert await store.find_part("ws_one") == part
    assert await store.find("ws_one", "2026-11-01T00", "2026-11-30T00") == {}
    await control_store(world, store).delete_all("ws_one")
    assert await store.find_part("ws_one") is None


async def test_records_are_scanned_from_the_oldest_without_the_ends(world: World) -> None:
    store = roll_store(world)
    ids = [ulid(NOON + second) for second in range(6)]
    for id in (ids[3], ids[0], ids[5], ids[1], ids[4], ids[2]):
        await world.meter.record(outcome(id=id))
    await world.meter.record(outcome(workspace_id="ws_two"))
    seen = [record["id"] for record in await store.scan("ws_one", 0, ids[0], ids[5], 10)]
    assert seen == ids[1:5]
    assert [record["id"] for record in await store.scan("ws_one", 0, ids[0], ids[5], 3)] == ids[1:4]
    assert not await store.scan("ws_one", 1, "", "Z", 10)
    total = aggregate(await store.scan("ws_one", 0, ids[1], ids[3], 10))
    assert {**actual_sums(total), "durations": len(total.durations)} == {
        **{"calls": 1, "input_tokens": 11, "output_tokens": 12, "cached_tokens": 3, "written_tokens": 5},
        **{"reasoning_tokens": 2, "searches": 1, "words": 9, "cost_usd": Decimal("0.00012345"), "durations": 1},
    }


async def test_calls_are_counted_by_day_over_all_shards(world: World) -> None:
    store, busy = roll_store(world), replace(workspace(), shards=1 if world.store is None else 4)
    for number in range(20):
        made = outcome(at=NOON + 43_200 * (number % 3))
        await world.meter.record(replace(made, call=replace(made.call, workspace=busy)))
    counted = await store.count_calls("ws_one", "2026-11-20", "2026-11-22", busy.shards)
    assert counted == {"2026-11-21": 7, "2026-11-22": 13}
    assert await store.count_calls("ws_one", "2026-11-01", "2026-11-20", busy.shards) == {}


async def test_expired_records_are_not_scanned(world: World) -> None:
    store = roll_store(world)
    await world.meter.record(outcome())
    world.clock.now = NOON + RETENTION_SECONDS + 1
    assert await store.scan("ws_one", 0, min_ulid(NOON - 1), "Z", 10) == []


async def test_the_aggregates_of_a_deleted_workspace_are_gone(world: World) -> None:
    store = roll_store(world)
    for id in ("ws_one", "ws_one_b"):
        await store.replace(id, "2026-11-21", some(), NOON)
        for hour in range(3):
            await store.replace(id, f"2026-11-21T{hour:02}", some(), NOON)
        await store.save_progress(id, RollProgress(rolled_at=NOON))
    for _ in range(2):
        await control_store(world, store).delete_all("ws_one")
    assert await store.find("ws_one", "2026-11-21T00", "2026-11-21T23") == {}
    assert await store.find("ws_one", "2026-11-21", "2026-11-21") == {}
    assert await store.find_progress("ws_one") is None
    assert len(await store.find("ws_one_b", "2026-11-21T00", "2026-11-21T23")) == 3
    assert await store.find_progress("ws_one_b") is not None


async def test_a_shard_of_a_busy_workspace_is_scanned_alone(world: World) -> None:
    if world.store is None:
        return  # memory has no shards
    store, busy = roll_store(world), replace(workspace(), shards=4)
    for second in range(20):
        made = outcome(at=NOON + second)
        await world.meter.record(replace(made, call=replace(made.call, workspace=busy)))
    counts = [len(await store.scan("ws_one", shard, "", "Z", 100)) for shard in range(4)]
    assert sum(counts) == 20
    assert max(counts) < 20

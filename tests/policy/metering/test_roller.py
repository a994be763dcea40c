"""Aggregates are the sums of the raw records, in whatever order and however late these come."""

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import field
from msgspec.structs import replace

from tests.call_records import actual_sums, call_record, expected_sums
from tests.store_worlds import NOON, Clock, workspace
from tidegate.batch.settled_lines import LinesRecord
from tidegate.domain.aggregate import Aggregate, Record
from tidegate.domain.ids import ulid
from tidegate.domain.limits import Amounts
from tidegate.domain.settlement import Settlement
from tidegate.memory.aggregates import MemoryAggregates
from tidegate.memory.meter import MemoryMeter
from tidegate.policy.metering.roller import (
    HOUR_SECONDS,
    LATE_DAYS,
    LATE_SECONDS,
    PAUSE_FACTOR,
    SERVER_PAUSE_FACTOR,
    RollCounts,
    Roller,
)

WORKSPACE = workspace()
HOUR, DAY = 3600.0, 86_400.0


class Place:
    """A meter, its aggregates and the roller, whose clocks the test sets."""

    def __init__(self, max_calls: int = 10_000) -> None:
        self.clock, self.work_clock = Clock(0.0), Clock(0.0)
        self.meter = MemoryMeter(max_calls, self.clock)
        self.store = WatchedAggregates(self.meter)
        self.roller = Roller(self.store, self.clock, self.work_clock)
        self.records: list[dict[str, Any]] = []

    async def call(self, at: float, recorded_at: float | None = None, **fields: Any) -> None:
        """Record a call that began at that time; by default it is on record at once."""
        self.clock.now = max(self.clock.now, at if recorded_at is None else recorded_at)
        record = call_record(random.Random(len(self.records)), at, **fields)
        self.records.append(record)
        increments: Any = {"calls": record.get("lines", 1)}
        assert await self.meter.settle(
            Settlement("ws_one", record["id"], at, 0, LinesRecord(**record), increments, Amounts(), hold=None)
        )

    async def roll(self, at: float | None = None) -> bool:
        self.clock.now = max(self.clock.now, at or 0.0)
        return await self.roller.roll(WORKSPACE)

    async def sums(self, first: str = "2000-01-01T00", last: str = "2100-01-01T00") -> dict[str, Any]:
        total = Aggregate()
        for aggregate in (await self.store.find("ws_one", first, last)).values():
            total.add(aggregate)
        return actual_sums(total) if total.sums else expected_sums([])


class WatchedAggregates(MemoryAggregates, frozen=True):
    """Aggregates that know where scans began, and do something after the next count."""

    scans: list[str] = field(default_factory=list[str])
    after_count: list[Callable[[], Awaitable[None]]] = field(default_factory=list[Callable[[], Awaitable[None]]])

    async def scan(self, workspace_id: str, shard: int, after: str, before: str, limit: int) -> Sequence[Record]:
        self.scans.append(after)
        return await super().scan(workspace_id, shard, after, before, limit)

    async def count_calls(self, workspace_id: str, first: str, last: str, shards: int) -> Mapping[str, int]:
        counted = await super().count_calls(workspace_id, first, last, shards)
        while self.after_count:
            await self.after_count.pop()()
        return counted


@pytest.fixture
def place() -> Place:
    return Place()


lateness = st.one_of(st.just(0.0), st.floats(0, 900), st.floats(0, 8 * DAY))
calls = st.lists(st.tuples(st.floats(0, 3 * DAY), lateness, st.sampled_from((None, 1, 40))), max_size=40)
rolls = st.lists(st.floats(0, 12 * DAY), max_size=25)


@given(calls, rolls)
async def test_aggregates_are_the_sums_of_the_records_whatever_their_order_and_lateness(
    made: list[tuple[float, float, int | None]], rolled: list[float]
) -> None:
    place = Place()
    begin = NOON - 3 * DAY
    events = [(begin + at + late, begin + at, lines) for at, late, lines in made]
    for at, started_at, lines in sorted((*events, *((begin + at, None, None) for at in rolled)), key=lambda e: e[0]):
        if started_at is None:
            await place.roll(at)
        else:
            await place.call(started_at, at, **({"lines": lines, "lines_failed": 1} if lines else {}))
    end = begin + 13 * DAY
    for _ in range(2):
        assert await place.roll(end)
    assert await place.sums() == expected_sums(place.records)
    for day in {record["time"][:10] for record in place.records}:
        of_day = [record for record in place.records if record["time"][:10] == day]
        assert await place.sums(day, day) == expected_sums(of_day)
        for hour in {record["time"][:13] for record in of_day}:
            of_hour = [record for record in of_day if record["time"][:13] == hour]
            assert await place.sums(hour, hour) == expected_sums(of_hour)


async def test_a_roll_without_new_calls_reads_no_record(place: Place) -> None:
    await place.call(NOON)
    await place.roll()
    scans = len(place.store.scans)
    await place.roll(NOON + 600)
    assert len(place.store.scans) == scans


async def test_a_roll_reads_only_hours_in_which_calls_may_have_been_running(place: Place) -> None:
    for hour in range(12):
        await place.call(NOON - hour * HOUR)
    await place.roll()
    place.store.scans.clear()
    await place.call(NOON + 30 * 60)
    await place.roll(NOON + 40 * 60)
    assert place.store.scans == [ulid(NOON - HOUR)[:10], ulid(NOON)[:10]]
    place.store.scans.clear()
    await place.call(NOON + LATE_SECONDS + 40 * 60)
    await place.roll()
    assert place.store.scans == [ulid(NOON)[:10], ulid(NOON + HOUR)[:10]]


async def test_a_record_of_a_part_of_a_batch_is_found_days_after_its_start(place: Place) -> None:
    await place.call(NOON)
    for hour in range(30):
        await place.roll(NOON + hour * HOUR)
    await place.call(NOON + 5 * HOUR, NOON + 8 * DAY, lines=1_000, lines_failed=0)
    await place.roll()
    assert (await place.sums())["calls"] == 1_001
    assert await place.sums("2026-11-21", "2026-11-21") == expected_sums(place.records)


async def test_calls_that_come_while_it_reads_do_not_hide_a_late_one(place: Place) -> None:
    await place.call(NOON)
    await place.roll()
    await place.call(NOON - 5 * HOUR, NOON + 3 * HOUR - 1)
    place.store.after_count.append(lambda: place.call(NOON + 3 * HOUR))
    await place.roll()
    assert (await place.sums())["calls"] == 2
    await place.roll()
    assert await place.sums() == expected_sums(place.records)


async def test_what_was_recorded_before_the_first_roll_is_rolled_up_from_the_newest_day(place: Place) -> None:
    for day in range(30):
        await place.call(NOON - day * DAY)
    limited = replace(place.roller, monotonic=iter([*[0.0] * 91, *[9.0] * 199]).__next__)
    counts = RollCounts()
    assert not await limited.roll(WORKSPACE, stop_at=1.0, counts=counts)
    found = await place.store.find("ws_one", "2000-01-01T00", "2100-01-01T00")
    assert 0 < len(found) < 30
    assert max(found) == "2026-11-21T12"
    assert counts == RollCounts(hours=len(found), pending_days=30 - len(found))
    place.clock.now += DAY
    assert await place.roll()
    assert await place.sums() == expected_sums(place.records)


async def test_a_roller_that_is_out_of_time_goes_on_where_it_was(place: Place) -> None:
    for hour in range(20):
        await place.call(NOON - hour * HOUR)
    for _ in range(200):
        place.clock.now += HOUR
        ticks = iter([*[0.0] * 4, *[9.0] * 99])
        if await replace(place.roller, monotonic=ticks.__next__).roll(WORKSPACE, stop_at=1.0):
            break
    assert await place.sums() == expected_sums(place.records)


async def test_an_hour_that_takes_too_long_is_left_and_the_next_run_tries_again(place: Place) -> None:
    await place.call(NOON)
    ticks = iter([0.0, 0.0, *[HOUR_SECONDS + 2.0] * 99])
    assert not await replace(place.roller, monotonic=ticks.__next__).roll(WORKSPACE, stop_at=1.0)
    assert (await place.sums())["calls"] == 0
    assert await place.roll(NOON + 300)
    assert await place.sums() == expected_sums(place.records)


@pytest.mark.parametrize("shards", [1, 3])
async def test_an_hour_of_any_number_of_calls_is_summed_in_steps(place: Place, shards: int) -> None:
    for second in range(50):
        await place.call(NOON + second)
    steps = 0

    async def roll_a_little() -> bool:
        """Make a roll whose time is up after three pages of four records."""
        place.clock.now += HOUR
        begin = len(place.store.scans)

        def clock() -> float:
            return 2.0 + HOUR_SECONDS if len(place.store.scans) - begin >= 3 else 0.0

        limited = replace(place.roller, monotonic=clock, page_records=4)
        return await limited.roll(replace(WORKSPACE, shards=shards), stop_at=1.0)

    while not await roll_a_little():
        steps += 1
        assert steps < 40
    assert steps >= 4
    assert await place.sums() == expected_sums(place.records)


async def test_a_record_that_comes_late_into_a_part_of_an_hour_is_found(place: Place) -> None:
    midnight = NOON - 12 * HOUR  # the first hour of a pending day
    for second in range(20):
        await place.call(midnight + second)
    place.clock.now = midnight + 3 * HOUR
    ticks = iter([*[0.0] * 4, *[9.0 + HOUR_SECONDS] * 99])
    limited = replace(place.roller, monotonic=ticks.__next__, page_records=4)
    assert not await limited.roll(WORKSPACE, stop_at=1.0)
    await place.call(midnight + 0.5, midnight + 5 * HOUR)
    for hour in range(6, 9):
        await place.roll(midnight + hour * HOUR)
    assert await place.sums() == expected_sums(place.records)


@pytest.mark.parametrize("factor", [PAUSE_FACTOR, SERVER_PAUSE_FACTOR])
async def test_the_roller_pauses_in_proportion_to_its_work(place: Place, factor: int) -> None:
    place.roller = replace(place.roller, pause_factor=factor)
    ticks = iter([0.0])
    await place.call(NOON)
    assert await replace(place.roller, monotonic=lambda: next(ticks, 4.0)).roll(WORKSPACE)
    place.store.scans.clear()
    await place.call(NOON + 1)
    await place.roll(NOON + 4 * factor - 1)
    assert place.store.scans == []
    await place.roll(NOON + 4 * factor)
    assert await place.sums() == expected_sums(place.records)


async def test_an_aggregate_keeps_calls_whose_records_are_gone() -> None:
    place = Place(max_calls=5)
    for second in range(5):
        await place.call(NOON + second)
    await place.roll()
    for second in range(4):
        await place.call(NOON + 2 * HOUR + second)
    await place.roll()
    assert await place.sums() == expected_sums(place.records)


async def test_progress_stays_small(place: Place) -> None:
    for day in range(60):
        await place.call(NOON + day * DAY)
        await place.roll()
    progress = await place.store.find_progress("ws_one")
    assert progress is not None
    assert len(progress.hours) <= LATE_DAYS + 1 >= len(progress.verified)
    assert progress.open_days == ["2027-01-19"]


async def test_two_rollers_at_once_do_no_harm(place: Place) -> None:
    await place.call(NOON)
    other = Roller(place.store, place.clock, place.work_clock)
    await place.roll()
    for minute in range(10):
        await place.call(NOON + minute * 60)
        await other.roll(WORKSPACE)
        await place.roll()
    assert await place.sums() == expected_sums(place.records)

"""The feeder: which parts are given to workers, how many at a time, and when a batch is over."""

from typing import Any

import pytest
from msgspec.structs import replace

from tests.batch.world import NOON, BatchWorld, batch_world
from tidegate.batch.feeder import fair_shares, feed_parts
from tidegate.batch.messages import Compose, RunPart
from tidegate.batch.ranges import read_ranges, write_ranges
from tidegate.domain.batch import Batch, Part, PartRange, ProviderJob
from tidegate.domain.batch_options import BatchOptions
from tidegate.domain.limits import Amounts
from tidegate.domain.provider_pace import ProviderPace

OPTIONS = BatchOptions(batch_window=3, workspace_window=4, provider_window=6)


JOB = ProviderJob(provider="openai", deployment="openai/gpt-4o", reference="job-1")


def batch(name: str = "a", workspace_id: str = "ws_test", **fields: Any) -> Batch:
    """A batch of 30 parts in progress."""
    known: dict[str, Any] = {"key_id": None, "endpoint": "/v1/chat/completions", "input_file_id": "file-1"}
    times = {"created_at": NOON, "expires_at": NOON + 86_400, "in_progress_at": NOON, "completion_window": "24h"}
    place = {"input_key": "in", "input_bytes": 300}
    counts = {"status": "in_progress", "parts": 30, "total": 60}
    return Batch(id=f"batch_{name}", workspace_id=workspace_id, **{**known, **times, **place, **counts, **fields})


async def store(world: BatchWorld, stored: Batch, *parts: Part) -> None:
    assert await world.components.table.save(stored, *parts)
    ranges = [PartRange(number, number * 2, number * 10, 10, 2) for number in range(stored.parts)]
    await write_ranges(world.components.objects, stored, ranges)


def part(number: int, **fields: Any) -> Part:
    place = {"first_line": number * 2, "first_byte": number * 10, "length": 10, "lines": 2}
    return Part(batch_id="batch_a", workspace_id="ws_test", number=number, **{**place, **fields})


async def feed(world: BatchWorld, name: str = "a") -> Batch:
    await feed_parts(replace(world.components, clock=lambda: NOON), "ws_test", f"batch_{name}")
    return await world.batch(f"batch_{name}")


async def test_a_window_of_parts_is_fed_and_no_more() -> None:
    async with batch_world(options=OPTIONS) as world:
        await store(world, batch())
        fed = await feed(world)
        assert fed == replace(batch(), fed=3, running=(0, 1, 2), version=2)
        assert await world.components.table.find_parts(fed, range(5)) == {
            number: part(number, queued_at=NOON, version=1) for number in range(3)
        }
        assert world.queue.sent == [RunPart("ws_test", "batch_a", number) for number in range(3)]
        assert await feed(world) == fed
        assert len(world.queue.sent) == 3


async def test_parts_that_came_back_are_fed_first_and_keep_their_past() -> None:
    back = part(
        1, status="returned", lease="dead", lease_until=NOON, journal_objects=(4,), asked_to=3, queued_at=NOON - 50
    )
    async with batch_world(options=OPTIONS) as world:
        await store(world, batch(fed=5, running=(0,), returned=(1,)), back)
        fed = await feed(world)
        assert (fed.running, fed.returned, fed.fed) == ((0, 1, 5), (), 6)
        parts = await world.components.table.find_parts(fed, [1])
        assert parts == {1: part(1, journal_objects=(4,), asked_to=3, queued_at=NOON, version=2)}
        assert world.queue.sent == [RunPart("ws_test", "batch_a", 1), RunPart("ws_test", "batch_a", 5)]


async def test_parts_that_a_provider_did_not_take_are_fed_although_no_worker_had_them() -> None:
    async with batch_world(options=OPTIONS) as world:
        await store(world, batch(mode="provider_batch", fed=9, returned=(4, 7), jobs=(JOB,)))
        fed = await feed(world)
        assert (fed.running, fed.returned, fed.fed) == ((4, 7), (), 9)
        assert await world.components.table.find_parts(fed, range(9)) == {
            number: part(number, queued_at=NOON, version=1) for number in (4, 7)
        }


async def test_a_window_larger_than_a_write_is_fed_in_several() -> None:
    async with batch_world(options=BatchOptions(batch_window=50, workspace_window=50)) as world:
        await store(world, batch())
        fed = await feed(world)
        assert (fed.running, fed.fed) == (tuple(range(30)), 30)


@pytest.mark.parametrize(
    "fields",
    [
        {"pause": "budget"},
        {"status": "cancelling", "running": (0,)},
        {"expires_at": NOON, "running": (0,)},
        {"status": "validating"},
        {"mode": "provider_batch"},
        {"status": "finalizing"},
        {"fed": 30, "running": (29,)},
        {"fed": 30, "jobs": (JOB,)},
        {"fed": 5, "jobs": (JOB,), "status": "cancelling"},
        {"fed": 5, "jobs": (JOB,), "expires_at": NOON},
    ],
)
async def test_a_batch_that_takes_no_parts_gets_none(fields: dict[str, Any]) -> None:
    async with batch_world(options=OPTIONS) as world:
        await store(world, batch(**fields))
        assert await feed(world) == replace(batch(**fields), version=1)
        assert world.queue.sent == []


@pytest.mark.parametrize(
    ("fields", "ending"),
    [
        ({"fed": 30}, "completed"),
        ({"fed": 30, "pause": "budget", "paused_at": NOON, "paused_needs": Amounts()}, "completed"),
        ({"fed": 30, "expires_at": NOON}, "completed"),
        ({"fed": 9, "expires_at": NOON}, "expired"),
        ({"fed": 30, "returned": (4,), "expires_at": NOON, "pause": "key", "paused_at": NOON}, "expired"),
        ({"fed": 9, "status": "cancelling"}, "cancelled"),
        ({"fed": 30, "status": "cancelling"}, "cancelled"),
        ({"parts": 0, "total": 0, "status": "cancelling", "in_progress_at": None}, "cancelled"),
    ],
)
async def test_a_batch_without_parts_to_wait_for_is_finalized_once(fields: dict[str, Any], ending: str) -> None:
    async with batch_world(options=OPTIONS) as world:
        await store(world, batch(**fields))
        ended = replace(
            batch(**fields),
            status="finalizing",
            ending=ending,
            finalizing_at=NOON,
            pause=None,
            paused_at=None,
            paused_needs=None,
        )
        assert await feed(world) == replace(ended, version=2)
        assert await feed(world) == replace(ended, version=2)
        assert world.queue.sent == [Compose("ws_test", "batch_a")]


async def test_an_unknown_batch_is_left_alone() -> None:
    async with batch_world() as world:
        await feed_parts(world.components, "ws_test", "batch_a")
        assert world.queue.sent == []


def shares(own: Batch, *others: Batch) -> dict[str, int]:
    return dict(fair_shares(own, [own, *others], OPTIONS, NOON))


def test_batches_of_a_workspace_share_its_window() -> None:
    assert shares(batch("a"), batch("b"), batch("c")) == {"batch_a": 2, "batch_b": 1, "batch_c": 1}
    assert shares(batch("a", running=(0, 1)), batch("b", running=(0,)), batch("c")) == {"batch_c": 1}
    assert shares(batch("a", running=(0, 1, 2)), batch("b", running=(0,))) == {}


def test_a_free_place_goes_to_the_batch_that_has_the_fewest_parts() -> None:
    waiting = batch("z", in_progress_at=NOON - 10)
    assert shares(batch("a", running=(0, 1)), waiting, batch("b", running=(0,))) == {"batch_z": 1}


def test_only_batches_that_share_a_window_are_fed_together() -> None:
    apart = batch("z", "ws_other", providers=("mistral",))
    assert shares(batch("a", providers=("openai",)), apart) == {"batch_a": 3}


def test_workspaces_share_the_window_of_a_provider_whatever_their_number_of_batches() -> None:
    many = [batch(f"m{number}", "ws_many", providers=("openai",)) for number in range(9)]
    one = batch("a", providers=("openai", "mistral"))
    given = shares(one, *many)
    assert given.pop("batch_a") == 3
    assert sum(given.values()) == 3


def test_a_batch_that_wants_nothing_leaves_its_share_to_others() -> None:
    for idle in (batch("b", pause="budget"), batch("b", fed=30), batch("b", expires_at=NOON)):
        assert shares(idle, batch("a")) == {"batch_a": 3}


def test_a_batch_whose_providers_are_all_blocked_leaves_its_share_to_others() -> None:
    stopped, other = batch("a", providers=("openai",)), batch("b", providers=("openai", "mistral"))
    given = fair_shares(stopped, [stopped, other, batch("c")], OPTIONS, NOON, frozenset({"openai"}))
    assert given == {"batch_b": 2, "batch_c": 2}


@pytest.mark.parametrize(("seconds", "running"), [(5.0, 3), (60.0, 0)])
async def test_a_provider_that_wants_to_be_left_alone_gets_no_parts(seconds: float, running: int) -> None:
    async with batch_world(options=OPTIONS) as world:
        await store(world, batch(providers=("openai",)))
        assert await world.components.table.save(ProviderPace("openai", blocked_until=NOON + seconds))
        assert len((await feed(world)).running) == running


async def test_a_part_that_ends_makes_room_for_the_batch_of_another() -> None:
    async with batch_world(options=OPTIONS) as world:
        await store(world, batch("a", running=(0, 1, 2), fed=3))
        await store(world, batch("b", fed=1, running=(0,)))
        await store(world, batch("c", fed=30, running=()))
        assert (await feed(world, "c")).status == "finalizing"
        assert (await world.batch("batch_a")).running == (0, 1, 2)
        ended = await world.batch("batch_a")
        assert await world.components.table.save(replace(ended, running=(0, 1)))
        assert (await feed(world, "a")).running == (0, 1)
        assert (await world.batch("batch_b")).running == (0, 1)
        assert world.queue.sent == [Compose("ws_test", "batch_c"), RunPart("ws_test", "batch_b", 1)]


async def test_two_feeders_never_feed_a_part_twice() -> None:
    async with batch_world(options=OPTIONS) as world:
        await store(world, batch())
        table = world.components.table

        class Raced(type(table)):
            """Another process feeds whenever this one is about to write."""

            raced = 0

            async def save(self, *values: Any) -> bool:
                self.raced += 1
                if self.raced == 1:
                    await feed_parts(world.components, "ws_test", "batch_a")
                return await table.save(*values)

            def __getattribute__(self, name: str) -> Any:
                own = name in ("save", "raced") or name.startswith("__")
                return object.__getattribute__(self, name) if own else getattr(table, name)

        await feed_parts(replace(world.components, table=Raced(world.clock)), "ws_test", "batch_a")
        assert (await world.batch("batch_a")).running == (0, 1, 2)
        assert world.queue.sent == [RunPart("ws_test", "batch_a", number) for number in range(3)]


async def test_ranges_are_read_from_the_objects_that_have_them() -> None:
    async with batch_world() as world:
        objects, own = world.components.objects, batch(parts=2_500)
        ranges = [PartRange(number, number * 2, number * 10, 10, 2) for number in range(2_500)]
        for first in (0, 1_000, 2_000):
            await write_ranges(objects, own, ranges[first : first + 1_000])
        assert await read_ranges(objects, own, [2_400, 7, 999, 1_000]) == {
            number: ranges[number] for number in (7, 999, 1_000, 2_400)
        }

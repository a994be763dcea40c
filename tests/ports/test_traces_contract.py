"""The contracts of `Traces` and `TraceReader`, for every implementation."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.store_worlds import NOON, World, aws_world, memory_world
from tests.trace_stores import DAY, LARGE, MARKER, traces_of
from tidegate.aws.traces import DynamoTraces
from tidegate.memory.traces import MemoryTraces

Traces = DynamoTraces | MemoryTraces


@pytest.fixture(params=["memory", "aws_endpoint", "aws_endpoint with KMS", "sqlite_endpoint"])
async def opened(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Traces, World]]:
    """Traces, and the world of their store."""
    fixture, _, more = request.param.partition(" ")
    if fixture == "memory":
        world = memory_world()
        yield MemoryTraces(world.clock), world
        return
    endpoint = request.getfixturevalue(fixture)
    async with aws_world(endpoint) as world:
        yield await traces_of(world, endpoint, tmp_path, has_kms=bool(more)), world


Opened = tuple[Traces, World]


async def test_a_trace_is_found_until_it_expires(opened: Opened) -> None:
    traces, world = opened
    assert await traces.find("ws_a", "C1") is None
    await traces.keep("ws_a", "C1", MARKER, NOON + 7 * DAY)
    assert await traces.find("ws_a", "C1") == MARKER
    world.clock.now = NOON + 7 * DAY - 1
    assert await traces.find("ws_a", "C1") == MARKER
    world.clock.now = NOON + 7 * DAY
    assert await traces.find("ws_a", "C1") is None


async def test_a_trace_of_another_workspace_or_call_is_not_found(opened: Opened) -> None:
    traces, _ = opened
    await traces.keep("ws_a", "C1", MARKER, NOON + DAY)
    assert await traces.find("ws_b", "C1") is None
    assert await traces.find("ws_a", "C2") is None


@pytest.mark.parametrize("content", [LARGE, b""], ids=["large", "empty"])
async def test_a_trace_comes_back_as_it_was(opened: Opened, content: bytes) -> None:
    traces, _ = opened
    await traces.keep("ws_a", "C1", content, NOON + DAY)
    assert await traces.find("ws_a", "C1") == content


async def test_a_trace_that_is_kept_again_is_replaced(opened: Opened) -> None:
    traces, world = opened
    await traces.keep("ws_a", "C1", LARGE, NOON + DAY)
    await traces.keep("ws_a", "C1", b"short", NOON + 2 * DAY)
    world.clock.now = NOON + DAY
    assert await traces.find("ws_a", "C1") == b"short"


async def test_without_its_key_nothing_can_be_read_and_the_next_trace_makes_a_new_one(opened: Opened) -> None:
    traces, _ = opened
    for call_id, content in {"C1": MARKER, "C2": LARGE}.items():
        await traces.keep("ws_a", call_id, content, NOON + DAY)
        await traces.keep("ws_b", call_id, content, NOON + DAY)
    await traces.destroy_key("ws_a")
    assert [await traces.find("ws_a", call_id) for call_id in ("C1", "C2")] == [None, None]
    await traces.keep("ws_a", "C3", b"after", NOON + DAY)
    assert [await traces.find("ws_a", call_id) for call_id in ("C1", "C2", "C3")] == [None, None, b"after"]
    assert [await traces.find("ws_b", call_id) for call_id in ("C1", "C2")] == [MARKER, LARGE]


async def test_the_key_of_a_workspace_without_traces_can_be_destroyed_again_and_again(opened: Opened) -> None:
    traces, _ = opened
    await traces.destroy_key("ws_a")
    await traces.destroy_key("ws_a")
    await traces.delete_all("ws_a")
    await traces.keep("ws_a", "C1", b"first", NOON + DAY)
    assert await traces.find("ws_a", "C1") == b"first"


async def test_all_traces_of_a_workspace_are_deleted_and_those_of_others_stay(opened: Opened) -> None:
    traces, world = opened
    for call_id in ("C1", "C2", "C3"):
        await traces.keep("ws_a", call_id, LARGE if call_id == "C2" else MARKER, NOON + DAY)
        await traces.keep("ws_ab", call_id, MARKER, NOON + DAY)
    await traces.delete_all("ws_a")
    await traces.delete_all("ws_a")
    assert [await traces.find("ws_a", call_id) for call_id in ("C1", "C2", "C3")] == [None] * 3
    assert [await traces.find("ws_ab", call_id) for call_id in ("C1", "C2", "C3")] == [MARKER] * 3
    if world.store is not None:
        assert [await world.store.query("TRACES#ws_a", prefix) for prefix in ("TRACE#", "KEY")] == [[], []]

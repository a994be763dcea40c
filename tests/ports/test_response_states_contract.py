"""The contract of `ResponseStates`, for every implementation."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.response_stores import responses_of
from tests.store_worlds import NOON, World, aws_world, memory_world
from tests.trace_stores import DAY, LARGE, MARKER, traces_of
from tidegate.aws.response_states import DynamoResponseStates
from tidegate.memory.traces import MemoryTraces

States = DynamoResponseStates | MemoryTraces
Opened = tuple[States, World]


@pytest.fixture(params=["memory", "aws_endpoint", "sqlite_endpoint"])
async def opened(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Opened]:
    """Stored responses, and the world of their store."""
    if request.param == "memory":
        world = memory_world()
        yield MemoryTraces(world.clock), world
        return
    endpoint = request.getfixturevalue(request.param)
    async with aws_world(endpoint) as world:
        yield await responses_of(world, endpoint, tmp_path), world


async def test_a_response_is_found_until_it_expires(opened: Opened) -> None:
    states, world = opened
    assert await states.find("ws_a", "resp_1") is None
    await states.keep("ws_a", "resp_1", MARKER, NOON + 30 * DAY)
    world.clock.now = NOON + 30 * DAY - 1
    assert await states.find("ws_a", "resp_1") == MARKER
    world.clock.now = NOON + 30 * DAY
    assert await states.find("ws_a", "resp_1") is None


@pytest.mark.parametrize("content", [LARGE, MARKER, b""], ids=["large", "small", "empty"])
async def test_a_response_is_deleted_alone_and_only_for_its_workspace(opened: Opened, content: bytes) -> None:
    states, _ = opened
    for name in ("resp_1", "resp_2"):
        await states.keep("ws_a", name, content, NOON + DAY)
    await states.delete("ws_b", "resp_1")
    assert [await states.find(workspace, "resp_1") for workspace in ("ws_a", "ws_b")] == [content, None]
    await states.delete("ws_a", "resp_1")
    await states.delete("ws_a", "resp_1")
    assert [await states.find("ws_a", name) for name in ("resp_1", "resp_2")] == [None, content]


async def test_a_response_that_is_kept_again_is_replaced(opened: Opened) -> None:
    states, _ = opened
    await states.keep("ws_a", "conv_1", LARGE, NOON + DAY)
    await states.keep("ws_a", "conv_1", MARKER, NOON + DAY)
    assert await states.find("ws_a", "conv_1") == MARKER


async def test_all_responses_of_a_workspace_are_deleted_and_those_of_others_stay(opened: Opened) -> None:
    states, world = opened
    for name in ("resp_1", "resp_2"):
        await states.keep("ws_a", name, LARGE if name == "resp_2" else MARKER, NOON + DAY)
        await states.keep("ws_ab", name, MARKER, NOON + DAY)
    await states.delete_all("ws_a")
    await states.delete_all("ws_a")
    assert [await states.find("ws_a", name) for name in ("resp_1", "resp_2")] == [None, None]
    assert [await states.find("ws_ab", name) for name in ("resp_1", "resp_2")] == [MARKER, MARKER]
    if world.store is not None:
        assert [await world.store.query("RESPONSES#ws_a", prefix) for prefix in ("RESPONSE#", "KEY")] == [[], []]


@pytest.mark.parametrize("fixture", ["aws_endpoint", "sqlite_endpoint"])
async def test_what_is_stored_has_no_word_of_it_and_a_key_of_its_own(
    request: pytest.FixtureRequest, tmp_path: Path, fixture: str
) -> None:
    endpoint = request.getfixturevalue(fixture)
    async with aws_world(endpoint) as world:
        states, store = await responses_of(world, endpoint, tmp_path), world.store
        assert store is not None
        await states.keep("ws_a", "resp_1", MARKER, NOON + DAY)
        assert MARKER not in str(await store.query("RESPONSES#ws_a", "RESPONSE#")).encode()
        await (await traces_of(world, endpoint, tmp_path)).destroy_key("ws_a")
        assert await states.find("ws_a", "resp_1") == MARKER
        await states.destroy_key("ws_a")
        assert await states.find("ws_a", "resp_1") is None

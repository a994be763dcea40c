"""Traces of lines: only of those that ask for one themselves."""

from typing import Any

from msgspec.structs import replace

from tests.batch.world import Provider, batch_world, request
from tests.world import KEY, WORKSPACE
from tidegate.batch.direct import answer_invocation
from tidegate.chat.assemble import assemble_lines
from tidegate.domain.ids import ulid_time
from tidegate.domain.record import iso_time
from tidegate.domain.trace import decode_trace
from tidegate.domain.trace_view import read_line_trace
from tidegate.json import decode

SAMPLED = replace(WORKSPACE, trace_sample=1.0, trace_failures=True)
LINES = [request(0), request(1, observability=True), request(2, observability=False)]


async def test_a_line_of_a_batch_has_a_trace_only_if_it_asks_for_one() -> None:
    async with batch_world(Provider(), workspace=SAMPLED) as world:
        batch = await world.submit(LINES)
        await world.run_until_idle()
        [content] = await kept(world)
        assert decode(decode_trace(content).request)["messages"] == LINES[1]["body"]["messages"]
        assert len(await world.output(await world.batch(batch.id))) == 3


async def test_the_trace_of_a_line_is_under_the_request_id_of_its_output_and_says_whose_it_is() -> None:
    async with batch_world(Provider()) as world:
        batch = await world.submit(LINES)
        await world.run_until_idle()
        ids = {
            each["custom_id"]: each["response"]["request_id"]
            for each in await world.output(await world.batch(batch.id))
        }
        assert [name for name, _ in stored(world)] == [(WORKSPACE.id, ids["line-1"])]
        trace = read_line_trace((await kept(world))[0], assemble_lines)
        assert trace is not None
        assert (trace.key_id, trace.content["until"]) == (KEY.id, iso_time(ulid_time(ids["line-1"]) + 7 * 86_400))


async def test_a_request_in_an_invocation_has_a_trace_only_if_it_asks_for_one() -> None:
    async with batch_world(Provider(), workspace=SAMPLED) as world:
        event = {"workspace_id": WORKSPACE.id, "requests": LINES}
        await answer_invocation(world.components, event, world.clock() + 60)
        [content] = await kept(world)
        assert decode(decode_trace(content).request)["messages"] == LINES[1]["body"]["messages"]


async def kept(world) -> list[bytes]:
    """The traces in memory."""
    return [each.content for _, each in stored(world)]


def stored(world) -> list[Any]:
    """The traces in memory, whose clock is another one than the batch's, with their workspaces and calls."""
    return list(vars(world.memory.traces)["_traces"].items())

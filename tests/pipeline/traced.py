"""Reads the traces that a gateway in memory has kept."""

from typing import Any

from tests.world import Client
from tidegate.chat.assemble import assemble_lines
from tidegate.domain.trace import Trace, decode_trace
from tidegate.json import decode


async def stored_trace(client: Client, call_id: str) -> bytes | None:
    """The encoded trace of a call of the workspace ws_test."""
    return await client.app.lifespan_state["gateway"].open_traces().find("ws_test", call_id)


async def find_trace(client: Client) -> Trace | None:
    """The trace of the call that has ended last."""
    content = await stored_trace(client, client.recorder.outcomes[-1].call.id)
    return None if content is None else decode_trace(content)


async def trace_of(client: Client) -> Trace:
    found = await find_trace(client)
    assert found is not None
    return found


def answer_of(trace: Trace) -> Any:
    if trace.chunks:
        assert not trace.answer
        return assemble_lines(trace.chunks)
    return decode(trace.answer) if trace.answer else None


def attempts_of(trace: Trace) -> list[tuple[str, str, int | None, str | None]]:
    """Deployment, reason, status and error of each attempt."""
    return [(each.deployment, each.reason, each.status, each.error) for each in trace.attempts]

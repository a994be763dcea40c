"""A call in a caller's distributed trace: read from its request, sent on, returned, and on record."""

import logging
from dataclasses import replace
from typing import Any

import pytest

from tests.world import STREAM, USER, Client, Reply, answers, streams, world
from tidegate.domain.server_options import ServerOptions

CALL: dict[str, Any] = {"model": "openai/gpt-4.1-mini", "messages": USER}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
HEADERS = {"traceparent": TRACEPARENT, "tracestate": "vendor=1,other=2"}


async def post(client: Client, headers: list[tuple[str, str]]) -> Reply:
    """Send a request that may have a header more than once."""
    raw = [(name.encode(), value.encode()) for name, value in headers]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await client.app({**scope, "headers": scope["headers"] + raw}, receive, send)

    app.lifespan_state = client.app.lifespan_state
    return await replace(client, app=app).post(CALL)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_callers_trace_goes_on_to_the_provider_and_back(stream: bool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tidegate")
    async with world(streams(*STREAM) if stream else None) as client:
        reply = await client.post({**CALL, "stream": stream}, headers=HEADERS)
        [record] = await client.recorder.kept.calls("ws_test", 9)
    assert {name: client.requests[0].headers[name] for name in HEADERS} == HEADERS
    assert reply.headers["traceparent"] == TRACEPARENT
    assert record["trace_id"] == TRACE
    [line] = [vars(line) for line in caplog.records if line.message == "call.settled"]
    assert line["trace_id"] == TRACE


async def test_each_retry_is_in_the_trace(caplog: pytest.LogCaptureFixture) -> None:
    async with world(answers({"error": {"message": "busy"}}, 503)) as client:
        reply = await client.post({**CALL, "num_retries": 1}, headers=HEADERS)
    assert [request.headers["traceparent"] for request in client.requests] == [TRACEPARENT] * 2
    assert (reply.status, reply.headers["traceparent"]) == (503, TRACEPARENT)


async def test_a_call_without_a_trace_gets_none(client: Client) -> None:
    reply = await client.post(CALL, headers={"tracestate": "vendor=1"})
    [record] = await client.recorder.kept.calls("ws_test", 9)
    assert "traceparent" not in reply.headers
    assert not {"traceparent", "tracestate"} & set(client.requests[0].headers)
    assert record["trace_id"] is None


@pytest.mark.parametrize("headers", [["invalid"], [f"{TRACEPARENT}-more"], [TRACEPARENT, TRACEPARENT], [""]])
async def test_an_invalid_or_second_traceparent_is_ignored(client: Client, headers: list[str]) -> None:
    reply = await post(client, [*(("traceparent", value) for value in headers), ("tracestate", "vendor=1")])
    assert reply.status == 200
    assert "traceparent" not in reply.headers
    assert not {"traceparent", "tracestate"} & set(client.requests[0].headers)


async def test_several_tracestate_headers_are_one(client: Client) -> None:
    states = [("tracestate", "vendor=1"), ("tracestate", ""), ("tracestate", "other=2,third=3")]
    await post(client, [("traceparent", TRACEPARENT), *states])
    assert client.requests[0].headers["tracestate"] == "vendor=1,other=2,third=3"


async def test_a_browser_may_read_the_header() -> None:
    async with world(options=ServerOptions(cors_origins=("*",))) as client:
        reply = await client.post(CALL, headers={"origin": "https://app.example", **HEADERS})
    assert "traceparent" in reply.headers["access-control-expose-headers"].split(", ")

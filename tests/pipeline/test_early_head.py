"""A head that is sent before there is an answer, through what serves us: our server, and our runtime on Lambda."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI

from tests.emulators.gateway import Gateway
from tests.runtime import serving
from tests.world import SECRET, STREAM, USER, Client, Handler, event_stream, sse, world
from tidegate.domain.server_options import ServerOptions
from tidegate.server.server import Server
from tidegate.server.server import serving as serving_until_exit

COMMENT = b": keep-alive\n"
CALL: Any = {"model": "openai/gpt-4.1-mini", "messages": USER, "stream": True, "num_retries": 0}
HEADERS = {"authorization": f"Bearer {SECRET}"}

doors = pytest.mark.parametrize("door", ["server", "runtime"])


@asynccontextmanager
async def behind(door: str, app: Any) -> AsyncIterator[httpx.AsyncClient]:
    if door == "runtime":
        async with serving.serving(app, Gateway()) as client:
            yield client
        return
    async with (
        serving_until_exit(Server(app), socket.create_server(("127.0.0.1", 0))) as (host, port),
        httpx.AsyncClient(base_url=f"http://{host}:{port}", trust_env=False, timeout=10) as client,
    ):
        yield client


@asynccontextmanager
async def asked(door: str, handler: Handler) -> AsyncIterator[tuple[httpx.Response, Client]]:
    """The reply to a stream, whose head is here."""
    async with (
        world(handler, options=ServerOptions(keep_alive_seconds=0.05)) as plane,
        behind(door, plane.app) as client,
        client.stream("POST", "/v1/chat/completions", json=CALL, headers=HEADERS) as reply,
    ):
        yield reply, plane


@doors
async def test_the_head_is_there_before_the_provider_says_anything(door: str) -> None:
    heard = asyncio.Event()

    async def late(request: httpx.Request) -> httpx.Response:
        await heard.wait()
        return event_stream(sse(*STREAM))

    async with asked(door, late) as (reply, plane):
        pieces = reply.aiter_raw()
        assert (reply.status_code, await anext(pieces)) == (200, COMMENT)
        assert reply.headers["x-request-id"] and "x-tidegate-provider" not in reply.headers
        heard.set()
        rest = b"".join([piece async for piece in pieces])
        assert rest.endswith(b"data: [DONE]\n\n")
        assert [outcome.status for outcome in plane.recorder.outcomes] == ["ok"]


@doors
async def test_a_failure_after_the_head_is_the_last_event(door: str) -> None:
    heard = asyncio.Event()

    async def fails(request: httpx.Request) -> httpx.Response:
        await heard.wait()
        return httpx.Response(500, json={"error": {"message": "no"}})

    async with asked(door, fails) as (reply, plane):
        pieces = reply.aiter_raw()
        assert await anext(pieces) == COMMENT
        heard.set()
        last = b"".join([piece async for piece in pieces]).split(b"\n\n")[-2]
        assert last.startswith(b'data: {"error":')
        assert [outcome.status for outcome in plane.recorder.outcomes] == ["failed"]


@doors
@pytest.mark.parametrize("fails", [False, True])
async def test_openais_sdk_passes_over_comments_and_knows_a_late_failure(door: str, fails: bool) -> None:
    async def late(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.2)
        return httpx.Response(503, json={"error": {"message": "no"}}) if fails else event_stream(sse(*STREAM))

    async def say(client: AsyncOpenAI) -> str:
        extra: Any = {"num_retries": 0}
        said = ""
        stream = await client.chat.completions.create(
            model=CALL["model"], messages=CALL["messages"], stream=True, extra_body=extra
        )
        async for chunk in stream:
            said += chunk.choices[0].delta.content or ""
        return said

    async with (
        world(late, options=ServerOptions(keep_alive_seconds=0.05)) as plane,
        behind(door, plane.app) as http,
        AsyncOpenAI(base_url=str(http.base_url.join("/v1")), api_key=SECRET, max_retries=0) as client,
    ):
        if not fails:
            assert await say(client) == "Create smarter."
            return
        with pytest.raises(openai.APIError) as caught:
            await say(client)
        assert (caught.value.code, type(caught.value)) == ("provider_overloaded", openai.APIError)


async def test_a_client_that_leaves_after_the_head_ends_the_call() -> None:
    """Of the local server. Lambda does not tell its function that a client has gone."""
    left = asyncio.Event()

    async def never(request: httpx.Request) -> httpx.Response:
        try:
            return await asyncio.Future()
        finally:
            left.set()

    async with (
        world(never, options=ServerOptions(keep_alive_seconds=0.05)) as plane,
        behind("server", plane.app) as door,
    ):
        async with door.stream("POST", "/v1/chat/completions", json=CALL, headers=HEADERS) as reply:
            assert await anext(reply.aiter_raw()) == COMMENT
        await asyncio.wait_for(left.wait(), 5)
    assert [outcome.status for outcome in plane.recorder.outcomes] == ["cancelled"]


async def test_a_response_that_nobody_takes_any_more_ends_the_call() -> None:
    """Of the runtime: its connection to Lambda is lost with the first comment."""
    left = asyncio.Event()

    async def never(request: httpx.Request) -> httpx.Response:
        try:
            return await asyncio.Future()
        finally:
            left.set()

    async with (
        world(never, options=ServerOptions(keep_alive_seconds=0.05)) as plane,
        serving.serving(plane.app, Gateway(cut_responses=True)) as client,
    ):
        with pytest.raises(httpx.RemoteProtocolError):
            await client.post("/v1/chat/completions", json=CALL, headers=HEADERS)
        await asyncio.wait_for(left.wait(), 5)
    assert [outcome.status for outcome in plane.recorder.outcomes] == ["cancelled"]

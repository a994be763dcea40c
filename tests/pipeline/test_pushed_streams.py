"""A stream that is pushed to its client has the bytes, the bill and the record of one that is pulled."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from tests.pipeline.traced import answer_of, find_trace
from tests.providers.calls import CASES
from tests.world import USER, Client, Handler, delta, sse, streams, world
from tidegate.domain.record import call_record

PROVIDERS = ("anthropic", "gemini", "mistral", "openai")
ENVIRONMENT: dict[str, Any] = {f"{name.upper()}_API_KEY": "provider-secret-3" for name in PROVIDERS}
FOLDERS = sorted(path.parent for name in PROVIDERS for path in (CASES / name).glob("*/upstream.sse"))
USAGE = {"prompt_tokens": 14, "completion_tokens": 12, "total_tokens": 26}
STREAM: list[Any] = [
    delta(role="assistant", content="Hel"),
    delta(content="lo."),
    delta(finish="stop"),
    {"choices": [], "usage": USAGE},
    "[DONE]",
]
CALL = {"model": "openai/gpt-4.1-mini", "messages": USER, "stream": True, "num_retries": 0}
NOON = 1_795_780_800.0
MESSAGES = {**CALL, "max_tokens": 100}
RESPONSES = {
    "model": "mistral/mistral-small-latest",
    "input": "Hello",
    "store": False,
    "stream": True,
    "num_retries": 0,
}


class Direct:
    """The connection of a client to which one can write at once; its buffer is full after each `room` writes."""

    def __init__(self, scope: Any, send: Any, room: int) -> None:
        self._send, self._room = send, room
        self.written: list[bytes] = []
        scope["extensions"]["tidegate.client"] = self

    def watch(self, callback: Callable[[], None]) -> None:
        pass

    def unwatch(self) -> None:
        pass

    def write(self, data: bytes) -> bool:
        self.written.append(data)
        return len(self.written) % self._room != 0

    async def send(self, message: Any) -> None:
        """Send what was written, and then the message."""
        if self.written:
            await self._send({"type": "http.response.body", "body": b"".join(self.written), "more_body": True})
            self.written.clear()
        await self._send(message)

    def take_body(self) -> bytes | None:
        return None

    def begin_reply(self, status: int, lines: Any) -> bool:
        return False

    def write_reply(self, status: int, body: bytes, lines: Any) -> bool:
        return False

    async def send_reply(self, status: int, body: bytes, headers: Any) -> None:
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})


class Directly:
    """The application behind a server that has direct clients."""

    lifespan_state: Any

    def __init__(self, app: Any, room: int) -> None:
        self._app, self._room = app, room

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._app(scope, receive, Direct(scope, send, self._room).send)


async def outcome_of(provider: Handler, body: Any, room: int = 0, path: str = "/v1/chat/completions") -> dict[str, Any]:
    """Return the reply, records and events of a call whose stream is pulled, or with a `room`, pushed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tidegate.gateway.ulid", partial(_next_id, itertools.count()))
        async with world(provider, **ENVIRONMENT) as client:
            state = client.app.lifespan_state
            client.app = Directly(client.app, room) if room else client.app
            client.app.lifespan_state = {**state, "gateway": replace(state["gateway"], clock=lambda: NOON)}
            reply = await client.post(body, path=path)
            return {
                "reply": (reply.status, reply.body),
                "records": [call_record(outcome) for outcome in client.recorder.outcomes],
                "events": [[event.kind for event in outcome.events] for outcome in client.recorder.outcomes],
                "answer": await _traced_answer(client),
            }


async def _traced_answer(client: Client) -> Any:
    trace = await find_trace(client)
    return None if trace is None else answer_of(trace)


def _next_id(numbers: "itertools.count[int]", now: float) -> str:
    return f"{next(numbers):026}"


async def check(provider: Handler, body: Any, **fields: Any) -> dict[str, Any]:
    pulled = await outcome_of(provider, body, **fields)
    for room in (1, 3, 1_000):
        assert await outcome_of(provider, body, room, **fields) == pulled
    return pulled


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: f"{path.parent.name}-{path.name}")
async def test_every_streamed_case_of_the_providers(folder: Any) -> None:
    content = (folder / "upstream.sse").read_bytes()
    headers = {"content-type": "text/event-stream"}
    body = json.loads((folder / "request.json").read_text())
    await check(lambda _: httpx.Response(200, content=content, headers=headers), body)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: f"{path.parent.name}-{path.name}")
@pytest.mark.parametrize("max_bytes", [400, 1024 * 1024])
async def test_traces_of_every_streamed_case(folder: Any, max_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.pipeline.trace_answer.MAX_CHUNK_BYTES", max_bytes)
    content = (folder / "upstream.sse").read_bytes()
    headers = {"content-type": "text/event-stream"}
    body = {**json.loads((folder / "request.json").read_text()), "observability": True}
    pulled = await check(lambda _: httpx.Response(200, content=content, headers=headers), body)
    assert (pulled["answer"] is not None) == (pulled["reply"][0] == 200)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/responses", "/api/v1/chat/completions"])
async def test_every_surface(path: str) -> None:
    body = RESPONSES if path.endswith("responses") else MESSAGES
    pulled = await check(streams(*STREAM), {**body, "observability": True}, path=path)
    assert (pulled["reply"][0], pulled["answer"]["choices"][0]["message"]["content"]) == (200, "Hello.")


BROKEN: tuple[list[Any], ...] = (
    [delta(role="assistant", content="a"), {"error": {"message": "overloaded"}}],
    [delta(role="assistant", content="a"), "no JSON"],
    [delta(role="assistant", content="a")],
    [*STREAM, delta(content="after the end")],
)


@pytest.mark.parametrize("events", BROKEN)
async def test_streams_that_fail(events: list[Any]) -> None:
    await check(streams(*events), CALL)


@pytest.mark.parametrize("events", BROKEN)
async def test_streams_that_fail_in_a_later_piece(events: list[Any]) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for event in events:
            yield sse(event)

    await check(lambda _: httpx.Response(200, content=pieces(), headers={"content-type": "text/event-stream"}), CALL)


class SlowToTakeComments(Direct):
    """A client that takes a comment only after five seconds."""

    async def send(self, message: Any) -> None:
        if message.get("body", b"").startswith(b":"):
            await asyncio.sleep(5)
        await super().send(message)


@pytest.mark.jumping_clock
@pytest.mark.parametrize("last", [STREAM[1:], [STREAM[1], {"error": {"message": "overloaded"}}]])
async def test_what_arrives_while_a_comment_is_sent_comes_after_it(last: list[Any]) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield sse(STREAM[0])
        await asyncio.sleep(16)
        yield sse(*last)

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=pieces(), headers={"content-type": "text/event-stream"})

    async with world(answer) as client:
        app, state = client.app, client.app.lifespan_state

        async def with_slow_client(scope: Any, receive: Any, send: Any) -> None:
            await app(scope, receive, SlowToTakeComments(scope, send, 1_000).send)

        client.app = with_slow_client  # pyright: ignore[reportAttributeAccessIssue]
        client.app.lifespan_state = state
        reply = await client.post(CALL)
        texts = [event if isinstance(event, str) else _text(event) for event in reply.events]
    assert texts[:3] == ["Hel", ": keep-alive", "lo."]
    assert texts[3:] == (["", "[DONE]"] if last[-1] == "[DONE]" else ["error"])


def _text(event: Any) -> str:
    return "error" if "error" in event else "".join(choice["delta"].get("content", "") for choice in event["choices"])


async def test_a_whole_reply_in_place_of_a_stream() -> None:
    await check(lambda _: httpx.Response(200, json=_completion()), CALL)


async def test_a_stream_that_is_kept_for_the_next_call() -> None:
    body = {**CALL, "stream_options": {"include_usage": True}, "cache": {"ttl": 60}}
    await check(streams(*STREAM), body)


def _completion() -> Any:
    message = {"role": "assistant", "content": "Hello."}
    return {
        **{"id": "x", "object": "chat.completion", "created": 1, "model": "m"},
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }

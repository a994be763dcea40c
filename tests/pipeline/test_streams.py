"""Streams whose provider thinks for long, fails late, or sends in the strangest ways, and clients that do not wait."""

import asyncio
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from tests.world import (
    STREAM,
    USAGE,
    USER,
    Exchange,
    Handler,
    completion,
    delta,
    event_stream,
    sse,
    streams,
    world,
)
from tidegate.upstream import reply_stream
from tidegate.upstream import sse as upstream_sse

pytestmark = pytest.mark.jumping_clock

CALL = {"model": "openai/gpt-4.1-mini", "messages": USER, "stream": True, "num_retries": 0}
COMMENT = ": keep-alive"


def after(seconds: float, response: Callable[[], httpx.Response]) -> Handler:
    async def answer(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(seconds)
        return response()

    return answer


class Said(httpx.AsyncByteStream):
    """A body: bytes, and seconds of silence between them. What has been read of it is counted."""

    def __init__(self, *said: bytes | float) -> None:
        self._said = said
        self.read = 0
        self.closed = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._said:
            if isinstance(piece, bytes):
                self.read += 1
                yield piece
            else:
                await asyncio.sleep(piece)

    async def aclose(self) -> None:
        self.closed.set()


async def test_a_stream_that_begins_late_is_announced_by_comments() -> None:
    async with world(after(31, lambda: event_stream(sse(*STREAM)))) as client:
        reply = await client.post(CALL)
        assert (reply.status, reply.events[:2], reply.events[-1]) == (200, [COMMENT, COMMENT], "[DONE]")
        assert set(reply.headers) == {"content-type", "cache-control", "x-accel-buffering", "x-request-id"}
        [outcome] = client.recorder.outcomes
        assert (outcome.status, outcome.call.id) == ("ok", reply.headers["x-request-id"])


async def test_a_stream_that_begins_in_time_has_its_whole_head() -> None:
    async with world(after(14.9, lambda: event_stream(sse(*STREAM)))) as client:
        reply = await client.post(CALL)
        assert COMMENT not in reply.events
        assert reply.headers["x-tidegate-provider"] == "openai"


async def test_a_failure_after_the_first_comment_is_an_event() -> None:
    async with world(after(16, lambda: httpx.Response(503, json={"error": {"message": "busy"}}))) as client:
        reply = await client.post(CALL)
        comment, error = reply.events
        assert (reply.status, comment, error["error"]["code"]) == (200, COMMENT, "provider_overloaded")
        assert "usage" not in error["error"]  # nobody has used anything
        assert [outcome.status for outcome in client.recorder.outcomes] == ["failed"]


async def test_a_failure_before_the_first_comment_is_a_status() -> None:
    async with world(after(14, lambda: httpx.Response(503, json={"error": {"message": "busy"}}))) as client:
        reply = await client.post(CALL)
        assert (reply.status, reply.json["error"]["code"]) == (503, "provider_overloaded")


async def test_a_head_that_no_client_has_taken_is_none() -> None:
    async with world(after(20, lambda: httpx.Response(503, json={"error": {"message": "busy"}}))) as client:
        exchange = Exchange(client.app, CALL, "/v1/chat/completions")
        exchange.slow_at = b""
        asyncio.get_running_loop().call_later(30, exchange.reads.set)
        await exchange.run()
        assert (exchange.reply().status, exchange.reply().json["error"]["code"]) == (503, "provider_overloaded")


async def test_a_bug_after_the_first_comment_is_an_event(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> httpx.Response:
        raise RuntimeError("a bug")

    async with world(after(16, broken)) as client:
        reply = await client.post(CALL)
        assert reply.events[0] == COMMENT
        assert reply.events[-1]["error"]["code"] == "internal_error"
        assert [record.message for record in caplog.records if record.levelname == "ERROR"] == ["call.crashed"]


async def test_a_whole_answer_is_announced_by_nothing() -> None:
    async with world(after(100, lambda: httpx.Response(200, json=completion()))) as client:
        reply = await client.post({**CALL, "stream": False})
        assert reply.json["choices"][0]["message"]["content"] == "Hello."


@pytest.mark.parametrize("hangs_up", [True, False])
async def test_a_client_that_leaves_after_the_first_comment_ends_the_call(hangs_up: bool) -> None:
    left = asyncio.Event()

    async def never(request: httpx.Request) -> httpx.Response:
        try:
            return await asyncio.Future()
        finally:
            left.set()

    async with world(never) as client:
        exchange = Exchange(client.app, CALL, "/v1/chat/completions")
        exchange.refused_at = None if hangs_up else b"keep-alive"
        loop = asyncio.get_running_loop()
        began = loop.time()
        loop.call_later(20, exchange.hang_up if hangs_up else lambda: None)
        await exchange.run()
        assert loop.time() - began == pytest.approx(20 if hangs_up else 15)
        assert left.is_set()
        assert exchange.body == (b": keep-alive\n" if hangs_up else b"")
        assert [(outcome.status, outcome.attempts) for outcome in client.recorder.outcomes] == [("cancelled", 1)]


async def test_no_comment_comes_between_what_a_slow_client_still_has_to_take() -> None:
    async with world(streams(*STREAM)) as client:
        exchange = Exchange(client.app, CALL, "/v1/chat/completions")
        exchange.slow_at = b"Create"
        asyncio.get_running_loop().call_later(300, exchange.reads.set)
        await exchange.run()
        assert COMMENT not in exchange.reply().events
        assert exchange.reply().events[-1] == "[DONE]"


async def test_a_stream_that_breaks_off_tells_what_was_used() -> None:
    async with world(streams(delta(""), delta("Create smarter content."))) as client:
        reply = await client.post(CALL)
        error = reply.events[-1]["error"]
        assert error["code"] == "provider_stream_cut"
        tokens = client.recorder.outcomes[0].bill.tokens
        assert tokens.output > 0
        assert (error["usage"]["prompt_tokens"], error["usage"]["completion_tokens"]) == (tokens.input, tokens.output)
        assert (error["usage"]["estimated"], error["usage"]["cost"] > 0) == (True, True)


async def test_a_stream_may_come_a_byte_at_a_time() -> None:
    whole = sse(*STREAM)
    body = Said(*(bytes([byte]) for byte in whole))
    async with world(lambda request: event_stream(body)) as client:
        reply = await client.post(CALL)
        texts = [chunk["choices"][0]["delta"].get("content") or "" for chunk in reply.events[:-1]]
        assert ("".join(texts), reply.events[-1], body.read) == ("Create smarter.", "[DONE]", len(whole))


async def test_an_event_that_is_too_large_ends_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream_sse, "MAX_EVENT_BYTES", 10_000)
    body = Said(sse(delta(""), delta("Create ")), b"data: ", *[b"x" * 1000] * 1000)
    async with world(lambda request: event_stream(body)) as client:
        reply = await client.post(CALL)
        error = reply.events[-1]["error"]
        assert (error["code"], error["message"]) == (
            "provider_malformed_response",
            "The provider sent an event of more than 10000 bytes.",
        )
        assert body.read < 15
        assert body.closed.is_set()
        assert [outcome.status for outcome in client.recorder.outcomes] == ["failed"]


async def test_events_without_an_end_are_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reply_stream, "MAX_STREAM_BYTES", 20_000)
    body = Said(*[sse(delta("tide "))] * 10_000)
    async with world(lambda request: event_stream(body)) as client:
        reply = await client.post(CALL)
        assert reply.events[-1]["error"]["code"] == "provider_malformed_response"
        assert body.closed.is_set()


@pytest.mark.parametrize("text", ["tide ", "tide " * 20_000])
async def test_a_provider_is_read_no_faster_than_the_client_reads(text: str) -> None:
    body = Said(sse(delta("")), *[sse(delta(text))] * 10_000, sse(delta(finish="stop"), USAGE, "[DONE]"))
    async with world(lambda request: event_stream(body)) as client:
        exchange = Exchange(client.app, CALL, "/v1/chat/completions")
        exchange.slow_at = b"tide"
        call = asyncio.create_task(exchange.run())
        for _ in range(10_000):  # turns of the loop, of which each could have read another event
            await asyncio.sleep(0)
        assert 2 <= body.read <= 3
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert body.closed.is_set()

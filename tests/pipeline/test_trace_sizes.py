"""Traces of streams and replies of any size and any bytes stay within their limits, and can be read."""

import gc
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.pipeline.traced import answer_of, find_trace, trace_of
from tests.world import SECRET, USER, Client, delta, sse, streams, world
from tidegate.chat.assemble import assemble_lines
from tidegate.chat.operation import CHAT
from tidegate.domain.trace import Trace, encode_trace
from tidegate.domain.trace_view import read_trace
from tidegate.pipeline.trace_attempt import MAX_PIECES, MAX_REPLY_BYTES
from tidegate.surfaces.openai import OPENAI

TRACED: dict[str, Any] = {"model": "openai/gpt-4.1-mini", "messages": USER, "observability": True, "stream": True}
PIECES = 1_000_000
PIECE = sse({"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": None}]})
MEMORY = Path("/proc/self/statm")


class Long(httpx.AsyncByteStream):
    """A stream of a million pieces. Notes how much memory the process has gained on the way."""

    def __init__(self) -> None:
        self.gained = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield sse(delta(""))
        gc.collect()
        before = resident_bytes()
        for number in range(PIECES):
            if number % 50_000 == 0:
                self.gained = max(self.gained, resident_bytes() - before)
            yield PIECE
        yield sse(delta(finish="stop"), "[DONE]")


def resident_bytes() -> int:
    return int(MEMORY.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def stream_long(*, traced: bool) -> tuple[int, Trace | None]:
    """Read the stream to its end. Return the bytes that the process has gained, and the trace."""
    body = Long()
    async with world(
        lambda _: httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=body)
    ) as client:
        gateway = client.app.lifespan_state["gateway"]
        principal, workspace = await gateway.authenticate(OPENAI, f"Bearer {SECRET}", None)
        sent = json.dumps({**TRACED, "observability": traced}).encode()
        call = gateway.new_call(principal, workspace, OPENAI, CHAT, CHAT.parse(sent), body=sent)
        async with gateway.answer(call) as answer:
            async for _ in answer.batches:
                pass
        return body.gained, await find_trace(client)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(not MEMORY.exists(), reason="reads the process's memory from /proc")
async def test_a_million_pieces_stay_within_the_limits_of_a_trace() -> None:
    gained, trace = await stream_long(traced=True)  # the first: memory that was freed is used again
    bare, nothing = await stream_long(traced=False)
    assert nothing is None and trace is not None
    [attempt] = trace.attempts
    assert len(attempt.pieces) <= MAX_PIECES
    assert len(attempt.reply) <= MAX_REPLY_BYTES
    assert len(attempt.reply) + attempt.omitted_bytes == sum(
        map(len, (sse(delta("")), PIECE * PIECES, sse(delta(finish="stop"), "[DONE]")))
    )
    assert answer_of(trace)["choices"][0]["message"]["content"] == "a" * PIECES
    assert gained - bare < 60_000_000  # the reply alone has 84 MB, and its chunks more


async def test_the_text_of_a_very_long_stream_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.pipeline.trace_answer.MAX_CHUNK_BYTES", 5_000)
    for count, is_assembled in ((10, False), (400, True)):
        async with world(streams(*[delta("a")] * count, delta(finish="stop"), "[DONE]")) as client:
            reply = await client.post(TRACED)
            trace = await trace_of(client)
        assert (bool(trace.answer), bool(trace.chunks)) == (is_assembled, not is_assembled)
        assert answer_of(trace)["choices"][0]["message"]["content"] == "a" * count
        assert answer_of(trace)["id"] == reply.events[0]["id"]


async def read(client: Client) -> Any:
    call_id = client.recorder.outcomes[-1].call.id
    reply = await client.get(f"/v1/generations/{call_id}/trace")
    assert reply.status == 200
    return reply.json


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        (b"\xff\xfe\x00not JSON", {"base64": "//4Abm90IEpTT04="}),
        (b'{"choices": "\xc3\x28"}', {"base64": "eyJjaG9pY2VzIjogIsMoIn0="}),
        (b'data: {"choices": "\xc3\x28"}\n\n', {"base64": "ZGF0YTogeyJjaG9pY2VzIjogIsMoIn0KCg=="}),
        (b"", None),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_reply_that_is_not_utf_8_is_shown_in_base64(content: bytes, shown: Any, stream: bool) -> None:
    async with world(lambda _: httpx.Response(200, content=content)) as client:
        await client.post({**TRACED, "stream": stream, "num_retries": 0})
        trace = await read(client)
    assert [attempt["reply"] for attempt in trace["attempts"]] == [shown]


async def test_a_stream_whose_bytes_are_not_utf_8_in_the_middle_is_shown_whole() -> None:
    body = (
        sse(delta("Hi ")) + sse(delta("there")).replace(b"there", b"th\xc3\x28re") + sse(delta(finish="stop"), "[DONE]")
    )
    async with world(
        lambda _: httpx.Response(200, headers={"content-type": "text/event-stream"}, content=body)
    ) as client:
        reply = await client.post(TRACED)
        trace = await read(client)
    assert list(trace["attempts"][0]["reply"]) == ["base64"]
    text = "".join(event["choices"][0]["delta"].get("content") or "" for event in reply.events[:-1])
    assert trace["answer"]["choices"][0]["message"]["content"] == text


@pytest.mark.parametrize("chunks", [b'[{"choices": [1]}]', b"[{}]", b"not JSON", b'[{"choices": [{"index": 0}]}]'])
def test_chunks_that_cannot_be_assembled_leave_the_answer_out(chunks: bytes) -> None:
    trace = read_trace(encode_trace(Trace(call_id="c", request=b"{}", chunks=chunks)), "", assemble_lines)
    assert trace == {"request": {}, "attempts": [], "answer": None, "error": None, "masked": [], "until": ""}

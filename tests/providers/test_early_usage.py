"""A stream whose beginning tells the input: who leaves is billed for exactly that, and for what was said."""

import asyncio
import json
from typing import Any

import pytest

from tests.world import USER, Exchange, Trickle, event_stream, world
from tidegate.chat.estimate import estimate_text
from tidegate.providers.stream_loop import early_usage_chunk

TEXT = "Create smarter content"


def sse(*events: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def anthropic(text: str) -> bytes:
    counted = {"input_tokens": 900, "cache_read_input_tokens": 100, "output_tokens": 4}
    return sse(
        {"type": "message_start", "message": {"usage": counted}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}},
    )


def gemini(text: str) -> bytes:
    counted = {"promptTokenCount": 1000, "cachedContentTokenCount": 100, "candidatesTokenCount": 1}
    said = {"index": 0, "content": {"role": "model", "parts": [{"text": text}]}}
    return sse({"usageMetadata": counted}, {"candidates": [said], "usageMetadata": counted})


@pytest.mark.parametrize(
    ("model", "begun"),
    [("anthropic/claude-sonnet-4-5", anthropic(TEXT)), ("gemini/gemini-2.5-flash", gemini(TEXT))],
)
async def test_a_cancelled_stream_is_metered_with_the_exact_input(model: str, begun: bytes) -> None:
    body = Trickle()
    keys = {"ANTHROPIC_API_KEY": "provider-secret-3", "GEMINI_API_KEY": "provider-secret-4"}
    async with world(lambda request: event_stream(body), **keys) as client:
        exchange = Exchange(client.app, {"model": model, "messages": USER, "stream": True}, "/v1/chat/completions")
        call = asyncio.create_task(exchange.run())
        for event in begun.split(b"\n\n")[:-1]:  # each in a read of its own: usage alone begins no answer
            body.pieces.put_nowait(event + b"\n\n")
        await exchange.until(lambda seen: TEXT.encode() in seen)
        exchange.hang_up()
        await call
        assert b'"usage"' not in exchange.body
        (outcome,) = client.recorder.outcomes
        tokens = outcome.bill.tokens
        assert outcome.status == "cancelled"
        assert (tokens.input, tokens.cached) == (1000, 100)
        assert (tokens.output - tokens.reasoning, tokens.estimated) == (estimate_text(TEXT), True)
        assert (tokens.reasoning > 0) == model.startswith("gemini")  # which reasons unless it is told not to


async def test_a_stream_that_ends_with_nothing_but_usage_never_began() -> None:
    begun = event_stream(gemini(TEXT).partition(b"\n\n")[0] + b"\n\n")
    async with world(lambda request: begun, GEMINI_API_KEY="provider-secret-4") as client:
        reply = await client.post({"model": "gemini/gemini-2.5-flash", "messages": USER, "stream": True})
        assert (reply.status, reply.json["error"]["code"]) == (502, "provider_stream_cut")


def test_early_usage_tells_no_output() -> None:
    counted: Any = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
    details = {"prompt_tokens_details": {"cached_tokens": 1}}
    early = early_usage_chunk({**counted, **details, "completion_tokens_details": {"reasoning_tokens": 2}})
    assert early["usage"] == {"prompt_tokens": 9, "completion_tokens": 0, "total_tokens": 9, **details}
    assert early["choices"] == []

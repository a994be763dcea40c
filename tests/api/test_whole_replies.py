"""Providers that answer a request for a stream with a whole reply in the client's dialect: it becomes its stream."""

from typing import Any

import pytest

from tests.native_providers import ANTHROPIC, SAID
from tests.surfaces.responses.event_order import decoded, read
from tests.world import USER, answers, world

RESPONSE: dict[str, Any] = {
    "id": "resp_theirs",
    "object": "response",
    "status": "completed",
    "output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": SAID}]}],
    "usage": {"input_tokens": 14, "output_tokens": 12, "total_tokens": 26},
}


async def test_a_whole_message_becomes_a_stream() -> None:
    body = {"model": ANTHROPIC.id, "max_tokens": 5, "messages": USER, "stream": True}
    async with world(answers(ANTHROPIC.plain), **ANTHROPIC.env) as client:
        reply = await client.post(body, "/v1/messages")
    events = decoded(reply.body)
    assert [event["type"] for event in events if event["type"] != "ping"] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert [event["delta"]["text"] for event in events if event["type"] == "content_block_delta"] == [SAID]


@pytest.mark.parametrize("model", ["openai/gpt-5", "xai/grok-4"])
async def test_a_whole_response_becomes_a_stream(model: str) -> None:
    async with world(answers(RESPONSE), XAI_API_KEY="not-a-key-xai") as client:
        reply = await client.post({"model": model, "input": "Hello", "stream": True}, "/v1/responses")
    end = read(reply.body).end
    assert end is not None
    assert (end["status"], end["output"][0]["content"][0]["text"]) == ("completed", SAID)

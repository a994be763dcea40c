"""Every recorded reply as a message, read back by Anthropic's SDK, against an independent reading of its raw body."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message, RawMessageStreamEvent
from pydantic import TypeAdapter

from tests.providers.reading import Reading, Voice
from tests.surfaces.recorded_replies import PROVIDERS, recorded_replies
from tidegate.chat.operation import CHAT
from tidegate.surfaces.late_dialects import MESSAGES

BODY = {
    "model": "m",
    "max_tokens": 5,
    "messages": [{"role": "user", "content": "Hi"}],
    "thinking": {"type": "adaptive"},
}
REQUEST = MESSAGES.parse(CHAT, json.dumps(BODY).encode())
ENDS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
EVENT: TypeAdapter[RawMessageStreamEvent] = TypeAdapter(RawMessageStreamEvent)
STAMP = {"id": "msg_1", "model": "m"}


def heard(message: Message) -> tuple[Any, ...]:
    """What a person would say that the message means: its text, thinking and calls, and why it ended."""
    text = "".join(block.text for block in message.content if block.type == "text")
    thought = "".join(block.thinking for block in message.content if block.type == "thinking")
    calls = [(block.name, block.input) for block in message.content if block.type == "tool_use"]
    return text, thought, calls


def expected(voice: Voice) -> tuple[Any, ...]:
    # A chat message has one text: a refusal stands in its place.
    return voice.text or voice.refusal, voice.thought, voice.calls


def check(message: Message, found: Reading, name: str) -> None:
    voice = found.voices[min(found.voices)]
    # Blank texts are left out: Anthropic's API refuses them when they come back.
    (text, *rest), (expected_text, *expected_rest) = heard(message), expected(voice)
    assert (text.split(), rest) == (expected_text.split(), expected_rest), name
    own = ("stop_sequence", "pause_turn", "model_context_window_exceeded")
    assert message.stop_reason in (ENDS[voice.ended or "stop"], *own), name
    if found.tokens is not None:
        usage = message.usage
        cached = (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
        assert (usage.input_tokens + cached, usage.output_tokens) == found.tokens, name


def whole(completion: Any) -> Message:
    return Message.model_validate_json(MESSAGES.reply({**completion, **STAMP}, REQUEST), strict=False)


def streamed(chunks: Sequence[Any]) -> Message:
    """The message that the SDK assembles from the events, each of which must be one that it knows."""
    stream = MESSAGES.open_stream(REQUEST)
    body = b"".join([*(stream.events([{**chunk, **STAMP}]) for chunk in chunks), stream.end()]).decode()
    message: Any = None
    buffers: dict[int, bytes] = {}
    for part in body.split("\n\n")[:-1]:
        event = json.loads(part.partition("\ndata: ")[2])
        if event["type"] != "ping":
            EVENT.validate_python(event)
            message = accumulate_event(event=event, current_snapshot=message, json_bufs=buffers)
    return message


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_recorded_reply_is_read_by_anthropics_sdk(provider: str) -> None:
    for one in recorded_replies(provider):
        if one.chunks is not None:
            check(streamed(one.chunks), one.reading, one.id)
            continue
        check(whole(one.completion), one.reading, one.id)
        check(streamed(CHAT.replay(one.completion)), one.reading, one.id)

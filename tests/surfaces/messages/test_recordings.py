"""Every recorded reply as a message, read back by Anthropic's SDK, against an independent reading of its raw body."""

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message, RawMessageStreamEvent
from pydantic import TypeAdapter

from tests.providers import reading, reading_anthropic, reading_bedrock, reading_gemini
from tests.providers.assembling import reads, run
from tests.providers.reading import Reading, Voice
from tests.providers.recorded import PROVIDERS, Exchange, chats, dialect, exchanges
from tidegate.chat.operation import CHAT
from tidegate.errors import UpstreamError
from tidegate.providers import Registry
from tidegate.providers.base import Provider
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


def whole(provider: Provider, body: Any) -> Message:
    reply: Any = {**provider.parse_completion(body), **STAMP}
    written = MESSAGES.reply(reply, REQUEST)
    return Message.model_validate_json(written, strict=False)


def streamed(chunks: list[Any]) -> Message:
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


def recorded(provider: str) -> Iterator[tuple[Exchange, Provider, Callable[[], Reading], bool]]:
    """Each answered exchange in the provider's own dialect: how to read it, and whether it streams."""
    adapter = Registry().load(provider)
    for one in exchanges(provider):
        if one.status != 200:
            continue
        match provider, one.endpoint, one.kind:
            case "anthropic", "messages", "json":
                yield one, adapter, lambda one=one: reading_anthropic.plain(one.body), False
            case "anthropic", "messages", "sse":
                yield one, adapter, lambda one=one: reading_anthropic.plain(reading_anthropic.whole(one.body)), True
            case "gemini" | "vertex", "generateContent", "json" if not reading_gemini.is_broken([one.body]):
                yield one, adapter, lambda one=one: reading_gemini.read([one.body]), False
            case "gemini" | "vertex", "streamGenerateContent", "sse":
                yield one, adapter, lambda one=one: reading_gemini.read(reading_gemini.events(one.body)), True
            case _:
                pass


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_recorded_chat_completion_is_read_by_anthropics_sdk(provider: str) -> None:
    for one in chats(provider, streams=False):
        check(whole(dialect(provider), one.body), reading.plain(one.body), one.id)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_recorded_stream_of_chat_completions_is_assembled_by_anthropics_sdk(provider: str) -> None:
    for one in chats(provider, streams=True):
        found = reading.streamed(one.body)
        if found.error is None:
            batches = run(dialect(provider), reads(one.body.encode(), random.Random(one.id)))
            check(streamed([chunk for batch in batches for chunk in batch]), found, one.id)


@pytest.mark.parametrize("provider", ["anthropic", "gemini", "vertex"])
def test_a_recorded_reply_in_its_providers_own_dialect_is_read_by_anthropics_sdk(provider: str) -> None:
    for one, adapter, read, streams in recorded(provider):
        try:
            if streams:
                batches = run(adapter, reads(one.body.encode(), random.Random(one.id)))
                message = streamed([chunk for batch in batches for chunk in batch])
            else:
                message = whole(adapter, one.body)
        except UpstreamError:
            continue
        check(message, read(), one.id)


def test_a_recorded_reply_of_converse_is_read_by_anthropics_sdk() -> None:
    adapter = Registry().load("bedrock")
    for one in exchanges("bedrock"):
        if (one.endpoint, one.status, one.kind) == ("converse", 200, "json"):
            check(whole(adapter, one.body), reading_bedrock.plain(one.body), one.id)

"""Our own replies, read back as a client would, and what every one of them promises."""

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.providers.reading import Reading, Voice
from tests.providers.streams import parsed, translated
from tidegate.providers import caller_terms
from tidegate.providers.base import Provider, StreamEvent, UpstreamRequest
from tidegate.providers.chat_translator import new_stream
from tidegate.providers.stream_loop import ChangedStream, StreamLoop
from tidegate.upstream.sse import SseDecoder

STAMPED: dict[str, Any] = {"id": "chatcmpl-1", "created": 1, "model": "m"}
"""What the gateway writes on every reply."""


def run(
    provider: Provider, batches: Iterable[Sequence[StreamEvent]], request: UpstreamRequest | None = None
) -> list[list[Any]]:
    """The batches of chunks that a stream becomes, for a caller of `request`. Raises what the provider raises."""
    if request is None:
        return list(translated(provider.new_stream(), batches))
    restorer = caller_terms.StreamRestorer(request)
    return list(parsed(ChangedStream(StreamLoop(new_stream(provider, request)), restorer.restore), batches))


def reads(raw: bytes, choose: random.Random) -> Iterator[Sequence[StreamEvent]]:
    """The events of network reads of random sizes, also inside a character."""
    decoder, start = SseDecoder(), 0
    while start < len(raw):
        end = start + choose.choice((1, 7, 100, 1500, 16384))
        events = decoder.feed(raw[start:end])
        start = end
        if events:
            yield events
    yield decoder.end()


def read_completion(completion: Any) -> Reading:
    """The completion, once it has been found to keep its promises."""
    assert completion["object"] == "chat.completion"
    assert "system_fingerprint" in completion
    voices: dict[int, Voice] = {}
    for choice in completion["choices"]:
        message = choice["message"]
        assert message["role"] == "assistant"
        assert {"content", "refusal"} <= message.keys()
        assert "logprobs" in choice
        assert choice.get("native_finish_reason") != choice["finish_reason"]
        assert message.get("reasoning") == message.get("reasoning_content")
        voice = voices[choice["index"]] = Voice(message["content"] or "", message.get("reasoning", ""))
        voice.refusal = message["refusal"] or ""
        voice.ended = choice["finish_reason"]
        for call in message.get("tool_calls", []):
            assert call["id"], call
            assert "index" not in call
            voice.calls.append((call["function"]["name"], json.loads(call["function"]["arguments"])))
    validate(completion, ChatCompletion)
    return Reading(voices, *_tokens(completion.get("usage")))


def read_chunks(chunks: list[Any]) -> Reading:
    """The stream, once it has been found to keep its promises: one role, contents, one finish each, then usage.

    Usage that comes before the end tells the input only.
    """
    voices: dict[int, Voice] = {}
    calls: dict[tuple[int, int], list[str]] = {}
    usage = None
    for place, chunk in enumerate(chunks):
        assert chunk["object"] == "chat.completion.chunk"
        validate(chunk, ChatCompletionChunk)
        assert {"obfuscation", "p", "x_groq"}.isdisjoint(chunk)
        if "usage" in chunk:
            assert chunk["choices"] == []
            usage = chunk["usage"]
            assert place == len(chunks) - 1 or usage["completion_tokens"] == 0
            continue
        assert chunk["choices"]
        for choice in chunk["choices"]:
            index, delta = choice["index"], choice["delta"]
            assert ("role" in delta) is (index not in voices), "the first delta of a choice, and no other, has a role"
            voice = voices.setdefault(index, Voice())
            assert voice.ended is None, "nothing follows a finish"
            voice.ended = choice["finish_reason"]
            voice.text += delta.get("content") or ""
            voice.thought += delta.get("reasoning", "")
            assert delta.get("reasoning") == delta.get("reasoning_content")
            voice.refusal += delta.get("refusal") or ""
            for call in delta.get("tool_calls", []):
                key = (index, call["index"])
                if key in calls:
                    assert {"id", "type"}.isdisjoint(call)
                    assert "name" not in call["function"]
                else:
                    assert call["index"] == len([one for one in calls if one[0] == index])
                    assert call["id"]
                    calls[key] = [call["function"]["name"]]
                calls[key].append(call["function"]["arguments"])
    assert all(voice.ended for voice in voices.values())
    for (index, _), (name, *parts) in calls.items():
        voices[index].calls.append((name, json.loads("".join(parts))))
    return Reading(voices, *_tokens(usage))


def validate(reply: Any, kind: type[ChatCompletion] | type[ChatCompletionChunk]) -> None:
    """Held against the official SDK's types; OpenRouter's file annotations are the one extension they do not know."""
    stamped = {**reply, **STAMPED}
    if kind is ChatCompletion:
        stamped["choices"] = [
            {**choice, "message": {**choice["message"], "annotations": _citations(choice["message"])}}
            for choice in reply["choices"]
        ]
    kind.model_validate(stamped, strict=True)


def _citations(message: dict[str, Any]) -> list[Any]:
    return [note for note in message.get("annotations") or [] if note["type"] != "file"]


def _tokens(usage: Any) -> tuple[tuple[int, int] | None, int]:
    if usage is None:
        return None, 0
    assert usage["total_tokens"] >= usage["prompt_tokens"] + usage["completion_tokens"]
    assert "cost" not in usage
    cached = usage.get("prompt_tokens_details", {}).get("cached_tokens", 0)
    return (usage["prompt_tokens"], usage["completion_tokens"]), cached

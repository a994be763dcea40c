"""A completion as the chunks of a stream; `assemble.py` does the reverse.

Source: https://platform.openai.com/docs/api-reference/chat-streaming
"""

from collections.abc import Iterator
from typing import cast

from tidegate.chat.completion import Chunk, Completion
from tidegate.domain.origin import NATIVE
from tidegate.json import Json, JsonObject

_REPEATED_FIELDS = frozenset({"id", "created", "model", "system_fingerprint", "service_tier", "provider"})
"""Fields that every chunk repeats. A completion's other fields are sent once, with the first final chunk."""

_NON_REPLY_FIELDS = frozenset({"object", "choices", "usage", NATIVE})
_CHOICE_FIELDS = frozenset({"index", "message", "finish_reason", "logprobs"})
_REASONING_FIELDS = ("reasoning", "reasoning_content", "reasoning_details")
_CONTENT_FIELDS = ("content", "refusal", "function_call")
_SOURCE_FIELDS = ("annotations", "citations")
"""Fields with the sources of the content. They follow the content at once: dialects with blocks end the text there."""


def completion_chunks(completion: Completion) -> Iterator[Chunk]:
    """The chunks of the completion: reasoning, content and tool calls of each choice, then the ends, then the usage."""
    reply = cast(JsonObject, completion)
    stamp: JsonObject = {name: reply[name] for name in reply if name in _REPEATED_FIELDS and reply[name] is not None}
    stamp["object"] = "chat.completion.chunk"
    final_fields = {name: value for name, value in reply.items() if name not in _REPEATED_FIELDS | _NON_REPLY_FIELDS}
    for choice in completion["choices"]:
        for delta, logprobs in _deltas(cast(JsonObject, choice["message"]), choice["logprobs"]):
            chunk_choice: JsonObject = {"index": choice["index"], "delta": delta, "finish_reason": None}
            if logprobs is not None:
                chunk_choice["logprobs"] = logprobs
            yield cast(Chunk, {**stamp, "choices": [chunk_choice]})
    for choice in completion["choices"]:
        fields = {name: value for name, value in cast(JsonObject, choice).items() if name not in _CHOICE_FIELDS}
        end: JsonObject = {"index": choice["index"], "delta": {}, "finish_reason": choice["finish_reason"], **fields}
        yield cast(Chunk, {**stamp, **final_fields, "choices": [end]})
        final_fields = {}
    if "usage" in completion:
        yield cast(Chunk, {**stamp, "choices": [], "usage": completion["usage"]})


def _deltas(message: JsonObject, logprobs: Json) -> Iterator[tuple[JsonObject, Json]]:
    """The deltas of a message in order, each with its log probabilities. The first delta has the role."""
    parts: list[JsonObject] = []
    reasoning = {name: message[name] for name in _REASONING_FIELDS if name in message}
    if reasoning:
        parts.append(reasoning)
    contents: list[JsonObject] = [{name: message[name]} for name in _CONTENT_FIELDS if message.get(name) is not None]
    parts += contents
    sources = {name: message[name] for name in _SOURCE_FIELDS if message.get(name) is not None}
    if sources:
        parts.append(sources)
    calls = message.get("tool_calls")
    for index, call in enumerate(calls if isinstance(calls, list) else []):
        if isinstance(call, dict):
            tool_calls: list[Json] = [{"index": index, **call}]
            parts.append({"tool_calls": tool_calls})
    listed = {"role", "tool_calls", *_REASONING_FIELDS, *_CONTENT_FIELDS, *_SOURCE_FIELDS}
    others: JsonObject = {name: value for name, value in message.items() if name not in listed and value is not None}
    if others:
        parts.append(others)
    first: JsonObject = {"role": "assistant", **(parts[0] if parts else {"content": None})}
    logprobs_index = parts.index(contents[0]) if contents else 0  # log probabilities belong to the content
    for index_of_part, part in enumerate([first, *parts[1:]]):
        yield part, logprobs if index_of_part == logprobs_index else None

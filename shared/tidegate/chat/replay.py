"""A completion as the stream that it could have been; `assemble.py` is the way back.

Source: https://platform.openai.com/docs/api-reference/chat-streaming
"""

from collections.abc import Iterator
from typing import cast

from tidegate.chat.completion import Chunk, Completion
from tidegate.json import Json, JsonObject

_STAMP = frozenset({"id", "created", "model", "system_fingerprint", "service_tier", "provider"})
"""What every chunk of a stream repeats. Other fields of a completion are said once, with the end."""

_NOT_OF_REPLY = frozenset({"object", "choices", "usage"})
_OF_CHOICE = frozenset({"index", "message", "finish_reason", "logprobs"})
_REASONING = ("reasoning", "reasoning_content", "reasoning_details")
_SAID = ("content", "refusal", "function_call")


def chunks(completion: Completion) -> Iterator[Chunk]:
    """The completion as a stream: for each choice what was thought, said and called, and its end; then the usage."""
    reply = cast(JsonObject, completion)
    stamp: JsonObject = {"system_fingerprint": None} | {name: reply[name] for name in reply if name in _STAMP}
    stamp["object"] = "chat.completion.chunk"
    rest = {name: value for name, value in reply.items() if name not in _STAMP | _NOT_OF_REPLY}
    for choice in completion["choices"]:
        for delta, chances in _deltas(cast(JsonObject, choice["message"]), choice["logprobs"]):
            told: JsonObject = {"index": choice["index"], "delta": delta, "finish_reason": None}
            if chances is not None:
                told["logprobs"] = chances
            yield cast(Chunk, {**stamp, "choices": [told]})
    for choice in completion["choices"]:
        fields = {name: value for name, value in cast(JsonObject, choice).items() if name not in _OF_CHOICE}
        end: JsonObject = {"index": choice["index"], "delta": {}, "finish_reason": choice["finish_reason"], **fields}
        yield cast(Chunk, {**stamp, **rest, "choices": [end]})
        rest = {}
    if "usage" in completion:
        yield cast(Chunk, {**stamp, "choices": [], "usage": completion["usage"]})


def _deltas(message: JsonObject, chances: Json) -> Iterator[tuple[JsonObject, Json]]:
    """What a message says, in order, each with its log probabilities. The first one has the role."""
    parts: list[JsonObject] = []
    thought = {name: message[name] for name in _REASONING if name in message}
    if thought:
        parts.append(thought)
    said: list[JsonObject] = [{name: message[name]} for name in _SAID if message.get(name) is not None]
    parts += said
    calls = message.get("tool_calls")
    for index, call in enumerate(calls if isinstance(calls, list) else []):
        if isinstance(call, dict):
            called: list[Json] = [{"index": index, **call}]
            parts.append({"tool_calls": called})
    known = {"role", "tool_calls", *_REASONING, *_SAID}
    rest: JsonObject = {name: value for name, value in message.items() if name not in known and value is not None}
    if rest:
        parts.append(rest)
    first: JsonObject = {"role": "assistant", **(parts[0] if parts else {"content": None})}
    bearer = parts.index(said[0]) if said else 0  # log probabilities are those of what is said
    for place, part in enumerate([first, *parts[1:]]):
        yield part, chances if place == bearer else None

"""Exact schemas of the replies that most servers send. A reply that fits has no other field, and needs little cleaning.

Sources: as in `stream.py` and `completion.py`. A reply that a schema refuses is not wrong: it is cleaned as a whole.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from tidegate.json import Json, JsonObject

_Word = Annotated[str, Meta(min_length=1)]
_Count = Annotated[int, Meta(ge=0)]


class PlainChoice(Struct, forbid_unknown_fields=True):
    """A choice without any other field. `text` repeats the delta (Hugging Face)."""

    index: int
    delta: dict[str, Any]
    finish_reason: str | None = None
    native_finish_reason: str | None = None
    logprobs: None = None
    text: Any = None
    seed: None = None
    token_ids: None = None
    content_filter_results: dict[str, Any] | None = None


class PlainChunk(Struct, forbid_unknown_fields=True):
    """A chunk without any other field. `object`, `obfuscation` and `p` are never passed on."""

    id: _Word
    created: int
    model: _Word
    choices: list[PlainChoice]
    system_fingerprint: str | None = None
    service_tier: str | None = None
    provider: str | None = None
    usage: dict[str, Any] | None = None
    object: Any = None
    obfuscation: Any = None
    p: Any = None


class _TextDelta(Struct, forbid_unknown_fields=True, gc=False):
    content: _Word


class _TextChoice(Struct, forbid_unknown_fields=True, gc=False):
    index: Literal[0]
    delta: _TextDelta
    finish_reason: None = None
    native_finish_reason: None = None
    logprobs: None = None
    text: str | None = None
    seed: None = None
    token_ids: None = None
    content_filter_results: None = None


class _TextChunk(Struct, forbid_unknown_fields=True, gc=False):
    """The most frequent plain chunk: a piece of the first choice's text, and nothing else."""

    id: _Word
    created: int
    model: _Word
    choices: tuple[_TextChoice]
    system_fingerprint: str | None = None
    service_tier: str | None = None
    provider: str | None = None
    usage: None = None
    object: str | None = None
    obfuscation: str | None = None
    p: str | None = None


class PlainMessage(Struct, forbid_unknown_fields=True, gc=False):
    """A message without any other field."""

    content: str | None
    role: Literal["assistant"] = "assistant"
    refusal: str | None = None
    annotations: list[Any] | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[Any] | None = None
    function_call: None = None
    audio: None = None


class PlainAnswer(Struct, forbid_unknown_fields=True, gc=False):
    """A choice of a completion without any other field."""

    index: int
    message: PlainMessage
    finish_reason: Literal["stop", "length", "tool_calls", "content_filter"]
    native_finish_reason: str | None = None
    logprobs: None = None


class PlainUsage(Struct, forbid_unknown_fields=True, gc=False):
    """A usage whose counts are integers, without any other field."""

    prompt_tokens: _Count
    completion_tokens: _Count
    total_tokens: _Count
    prompt_tokens_details: dict[str, _Count] | None = None
    completion_tokens_details: dict[str, _Count] | None = None


class _Completion(Struct, forbid_unknown_fields=True, gc=False, kw_only=True):
    id: _Word
    created: int
    model: _Word
    object: Literal["chat.completion"] = "chat.completion"
    provider: _Word | None = None
    service_tier: Literal["auto", "default", "flex", "scale", "priority", "fast"] | None = None
    system_fingerprint: str | None = None


class PlainCompletion(_Completion):
    """A completion without any other field, and with any usage."""

    choices: Annotated[list[PlainAnswer], Meta(min_length=1)]
    usage: dict[str, Any] | None = None


class TextMessage(Struct, forbid_unknown_fields=True, gc=False):
    """A message of text alone; what else a message may have is null."""

    content: str | None
    role: Literal["assistant"] = "assistant"
    refusal: _Word | None = None
    annotations: list[Any] | None = None
    reasoning: None = None
    reasoning_content: None = None
    tool_calls: None = None
    function_call: None = None
    audio: None = None


class TextAnswer(Struct, forbid_unknown_fields=True, gc=False):
    """A choice with a message of text alone, and a finish reason in OpenAI's words."""

    index: int
    message: TextMessage
    finish_reason: Literal["stop", "length", "content_filter"]
    native_finish_reason: None = None
    logprobs: None = None


class TextCompletion(_Completion):
    """A completion of text alone, and with a plain usage."""

    choices: Annotated[list[TextAnswer], Meta(min_length=1)]
    usage: PlainUsage | None = None


def plain_completion(body: Json) -> PlainCompletion | None:
    """Return the completion in `body`, None if it is not plain."""
    try:
        return msgspec.convert(body, PlainCompletion)
    except msgspec.ValidationError:
        return None


def plain_usage(raw: JsonObject) -> PlainUsage | None:
    """Return the usage in `raw`, None if it is not plain."""
    try:
        return msgspec.convert(raw, PlainUsage)
    except msgspec.ValidationError:
        return None


decode_text = msgspec.json.Decoder(TextCompletion).decode
"""Decode a completion. Raises `msgspec.DecodeError` for one that has more than text, or whose usage is not plain."""

decode_completion = msgspec.json.Decoder(PlainCompletion).decode
"""Decode a completion. Raises `msgspec.DecodeError` for one that is not plain, whatever its usage."""

decode_text_chunk = msgspec.json.Decoder(_TextChunk).decode
"""Decode a chunk. Raises `msgspec.DecodeError` for one that has more, or less, than a piece of the first text."""

decode_chunk = msgspec.json.Decoder(PlainChunk).decode
"""Decode a chunk. Raises `msgspec.DecodeError` for one that is not plain."""

"""What an exact schema reads must be what all of the cleaning makes of it, byte for byte."""

import json
import random
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.providers.assembling import reads, run
from tests.providers.calls import BASE_URL, CASES, asking, built, call
from tests.providers.recorded import PROVIDERS, all_needed, chats, dialect
from tidegate.chat.completion import Completion
from tidegate.chat.operation import CHAT
from tidegate.domain.deployment import Deployment
from tidegate.domain.operation import Stamp
from tidegate.errors import TidegateError
from tidegate.providers import Registry
from tidegate.providers.base import Provider, StreamEvent
from tidegate.providers.openai import completion, usage
from tidegate.providers.openai.plain import decode_chunk, decode_text_chunk, plain_completion
from tidegate.providers.openai.provider import OpenAI
from tidegate.upstream.sse import SseDecoder

_registry = Registry()
_STREAMS = sorted(path for path in CASES.glob("*/*/upstream.sse") if isinstance(_registry.load(path.parts[-3]), OpenAI))
_WHOLE = sorted(path for path in CASES.glob("*/*/upstream.json") if isinstance(_registry.load(path.parts[-3]), OpenAI))
_PROVIDERS = [_registry.load(name) for name in ("openai", "ollama", "openrouter", "snowflake")]
_MAX_MISSES = "tidegate.providers.openai.stream._MAX_MISSES"


def _outcome(provider: Provider, batches: Iterable[Sequence[StreamEvent]]) -> bytes | tuple[type, str]:
    """The chunks of a stream as bytes, or its error."""
    try:
        return msgspec.json.encode(run(provider, batches))
    except TidegateError as error:
        return type(error), error.message


def _check(provider: Provider, batches: Sequence[Sequence[StreamEvent]]) -> None:
    ours = _outcome(provider, batches)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_MAX_MISSES, 0)  # no schema is tried
        patch.setattr("tidegate.providers.openai.usage.plain_usage", _never_plain)
        assert _outcome(provider, batches) == ours


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_recorded_stream_gives_the_same_chunks_without_schemas(provider: str) -> None:
    for one in chats(provider, streams=True):
        _check(dialect(provider), list(reads(one.body.encode(), random.Random(one.id))))


@pytest.mark.parametrize("path", _STREAMS, ids=lambda path: f"{path.parts[-3]}-{path.parts[-2]}")
def test_the_stream_of_a_case_gives_the_same_chunks_without_schemas(path: Path) -> None:
    _check(_registry.load(path.parts[-3]), list(reads(path.read_bytes(), random.Random(0))))


_TEXTS = st.sampled_from(["", "a", " b", "é", "<think>", "</think>", "\ud83d\ude00"])
_JUNK: st.SearchStrategy[Any] = st.sampled_from([None, "", "x", 0, -1, 1.0, True, [], {}, {"a": None}, 1 << 70])
_FUNCTIONS = st.fixed_dictionaries({}, optional={"name": st.sampled_from(["", "f"]), "arguments": _TEXTS})
_CALLS = st.fixed_dictionaries(
    {"index": st.sampled_from([0, 1, "0", None]), "function": _FUNCTIONS},
    optional={"id": st.sampled_from(["", "call_1", "call_2"]), "type": st.just("function")},
)
_COUNTS = st.integers(0, 3) | st.sampled_from([0, 0, 3, 6, None, 1.0, "2", True, -1])
_DETAILS = st.none() | st.dictionaries(
    st.sampled_from(["cached_tokens", "reasoning_tokens", "audio_tokens", "own"]), _COUNTS, max_size=3
)
_USAGE = st.fixed_dictionaries(
    {"prompt_tokens": _COUNTS},
    optional={
        **{"completion_tokens": _COUNTS, "total_tokens": st.integers(0, 9), "queue_time": _COUNTS},
        **{"prompt_tokens_details": _DETAILS, "completion_tokens_details": _DETAILS},
    },
)
_REASONS = st.sampled_from([None, None, None, "", "stop", "length", "tool_calls", "eos", "error"])
_FILTERED = st.sampled_from([None, {}, {"hate": {"filtered": False}}])


@st.composite
def _objects(draw: st.DrawFn, plain: dict[str, st.SearchStrategy[Any]], **odd: st.SearchStrategy[Any]) -> Any:
    """Objects with some of the plain fields, of which one in five has odd fields beside or in place of them."""
    fields: dict[str, Any] = draw(st.fixed_dictionaries({}, optional=plain))
    is_odd = draw(st.integers(0, 4)) == 4
    return {**fields, **draw(st.fixed_dictionaries({}, optional=odd))} if is_odd else fields


_DELTAS = _objects(
    {"role": st.just("assistant"), "content": _TEXTS, "reasoning": _TEXTS, "tool_calls": st.lists(_CALLS, max_size=2)},
    content=_JUNK,
    reasoning=_JUNK,
    reasoning_content=_TEXTS,
    tool_calls=_JUNK,
    annotations=_JUNK,
)
_TEXT_DELTAS = st.fixed_dictionaries({"content": _TEXTS})
_ENDS = _objects(
    {"finish_reason": _REASONS, "content_filter_results": _FILTERED, "native_finish_reason": _REASONS},
    **{"usage": _USAGE, "error": _JUNK, "seed": _JUNK, "finish_reason": _JUNK, "logprobs": _JUNK, "index": _JUNK},
)
_ENVELOPES = _objects(
    {
        "system_fingerprint": st.just("fp"),
        "service_tier": st.sampled_from(["default", "own"]),
        "provider": st.just("P"),
        "object": _TEXTS,
        "obfuscation": _TEXTS,
    },
    **{"id": _JUNK, "created": _JUNK, "model": _JUNK, "system_fingerprint": _JUNK, "service_tier": _JUNK},
    **{"choices": _JUNK, "citations": st.just(["https://example.com"]), "own": _JUNK, "error": _JUNK},
)
_CHANGES = _objects(
    {"usage": st.none() | _USAGE, "created": st.integers(1, 2), "id": st.sampled_from("cd")},
    **{"model": st.just("n"), "service_tier": st.just("flex"), "system_fingerprint": st.none(), "own": _JUNK},
)
_TYPES = st.sampled_from([*["message"] * 9, "error", "x"])


@st.composite
def _streams(draw: st.DrawFn) -> list[list[StreamEvent]]:
    """The batches of a stream, whose envelopes are often the same."""
    envelope: dict[str, Any] = {"id": "c", "created": 1, "model": "m", **draw(_ENVELOPES)}

    def event() -> StreamEvent:
        choices: list[dict[str, Any]] = [
            {
                "index": draw(st.sampled_from([0, 0, 0, 1])),
                "delta": draw(_TEXT_DELTAS | _DELTAS),
                **draw(st.just({}) | _ENDS),
            }
            for _ in range(draw(st.sampled_from([1, 1, 1, 0, 2])))
        ]
        return StreamEvent(draw(_TYPES), json.dumps({"choices": choices, **envelope, **draw(_CHANGES)}))

    batches = [[event() for _ in range(draw(st.integers(0, 2)))] for _ in range(draw(st.integers(1, 6)))]
    return [*batches, [StreamEvent("message", "[DONE]")]] if draw(st.booleans()) else batches


@settings(max_examples=300)
@given(st.sampled_from(_PROVIDERS), _streams())
def test_any_stream_gives_the_same_chunks_without_schemas(provider: Provider, batches: list[list[StreamEvent]]) -> None:
    _check(provider, batches)


def _envelope(reply_id: str = "a", created: int = 1, model: str = "m") -> dict[str, Any]:
    return {"id": reply_id, "created": created, "model": model}


_TEXT_EVENTS = st.tuples(
    st.builds(_envelope, st.sampled_from("ab"), st.integers(1, 2), st.sampled_from("mmmn")),
    st.fixed_dictionaries(
        {"index": st.sampled_from([0, 0, 0, 0, 1]), "delta": _TEXT_DELTAS | _DELTAS},
        optional={"finish_reason": st.sampled_from([None, "", "stop"]), "logprobs": st.sampled_from([None, {}])},
    ),
)


@settings(max_examples=300)
@given(st.sampled_from(_PROVIDERS[:3]), st.lists(_TEXT_EVENTS, min_size=3, max_size=12))
def test_a_whole_text_gives_the_same_chunks_without_schemas(provider: Provider, events: list[tuple[Any, Any]]) -> None:
    begin: dict[str, Any] = {"index": 0, "delta": {"role": "assistant", "content": ""}}
    end: dict[str, Any] = {"index": 0, "delta": {}, "finish_reason": "stop"}
    pieces = [(_envelope(), begin), *events, *((_envelope(), {**end, "index": index}) for index in (0, 1))]
    sent = [StreamEvent("message", json.dumps({**each, "choices": [choice]})) for each, choice in pieces]
    _check(provider, [[event] for event in [*sent, StreamEvent("message", "[DONE]")]])


@settings(max_examples=300)
@given(_USAGE)
def test_any_usage_is_the_same_without_schemas(raw: dict[str, Any]) -> None:
    ours = usage.normalise(raw)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tidegate.providers.openai.usage.plain_usage", _never_plain)
        assert msgspec.json.encode(usage.normalise(raw)) == msgspec.json.encode(ours)


def _reply(provider: Provider, body: Any) -> bytes | tuple[type, str]:
    """The completion in `body` as the caller gets its bytes, or its error."""
    try:
        return _stamped(provider.parse_completion(body))
    except TidegateError as error:
        return type(error), error.message


def _stamped(reply: Completion) -> bytes:
    request, stamp = call(asking()).request, Stamp("chatcmpl-1", 1, "m")
    return msgspec.json.encode(CHAT.stamp_reply(reply, request, stamp, reply.get("usage", {})))


def _never_plain(body: Any) -> None:
    return None


def _check_reply(provider: Provider, body: Any) -> None:
    ours = _reply(provider, body)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tidegate.providers.openai.completion.plain_completion", _never_plain)
        patch.setattr("tidegate.providers.openai.usage.plain_usage", _never_plain)
        assert _reply(provider, body) == ours
    if isinstance(provider, OpenAI) and not provider.row.quirks.think_tags:
        text = completion.parse_plain(json.dumps(body).encode())
        assert text is None or _stamped(text) == ours


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_recorded_reply_is_the_same_without_schemas(provider: str) -> None:
    for one in chats(provider, streams=False):
        _check_reply(dialect(provider), one.body)


@pytest.mark.parametrize("path", _WHOLE, ids=lambda path: f"{path.parts[-3]}-{path.parts[-2]}")
def test_the_reply_of_a_case_is_the_same_without_schemas(path: Path) -> None:
    _check_reply(_registry.load(path.parts[-3]), json.loads(path.read_text("utf-8")))


_MESSAGES = _objects(
    {
        **{"role": st.just("assistant"), "content": _TEXTS, "refusal": st.none() | _TEXTS, "reasoning": _TEXTS},
        **{"tool_calls": st.none() | st.lists(_CALLS, max_size=2), "annotations": st.just([]), "audio": st.none()},
    },
    **{"content": _JUNK, "reasoning_content": _JUNK, "tool_calls": _JUNK, "role": _JUNK, "own": _JUNK, "audio": _JUNK},
)


@st.composite
def _completions(draw: st.DrawFn) -> Any:
    choices: list[dict[str, Any]] = [
        {"index": position, "message": {"content": None, **draw(_MESSAGES)}, "finish_reason": "stop", **draw(_ENDS)}
        for position in range(draw(st.sampled_from([1, 1, 2])))
    ]
    counts = {"usage": draw(_USAGE | _JUNK)} if draw(st.booleans()) else {}
    body = {"id": "c", "created": 1, "model": "m", "choices": choices, **counts, **draw(_ENVELOPES)}
    return json.loads(json.dumps(body))  # joins surrogates


@settings(max_examples=300)
@given(st.sampled_from(_PROVIDERS), _completions())
def test_any_reply_is_the_same_without_schemas(provider: Provider, body: Any) -> None:
    _check_reply(provider, body)


def test_the_service_tier_of_any_reply_comes_after_its_provider() -> None:
    body = json.loads((CASES / "openai" / "text" / "upstream.json").read_bytes())
    fields = {"provider": "P", "service_tier": "flex"}
    bodies = [{**body, **fields}, {**body, **dict(reversed(fields.items()))}]
    for provider in _PROVIDERS:  # one of them reads no reply by its schema
        assert len({_reply(provider, body) for body in bodies}) == 1
        _check_reply(provider, bodies[1])


@pytest.mark.parametrize("provider", ["openai", "mistral", "deepseek", "qwen", "perplexity", "neuroa"])
def test_a_text_is_sent_as_one_with_an_empty_field_beside_it(provider: str) -> None:
    roles = ("system", "developer", "user", "assistant", "user", "assistant")
    messages: list[dict[str, Any]] = [{"role": role, "content": f"{role} é"} for role in roles]
    plain = built(_registry.load(provider), asking(messages=messages))
    whole = built(_registry.load(provider), asking(messages=[{**each, "name": None} for each in messages]))
    assert plain == whole


@all_needed
@pytest.mark.parametrize(("provider", "share"), [("openai", 0.9), ("deepseek", 0.9), ("mistral", 0.5), ("ollama", 0.9)])
def test_most_recorded_replies_are_plain(provider: str, share: float) -> None:
    bodies = [one.body for one in chats(provider, streams=False)]
    assert sum(plain_completion(body) is not None for body in bodies) >= share * len(bodies)


def test_a_plain_request_has_its_plain_reply_read_at_once() -> None:
    body = (CASES / "openai" / "text" / "upstream.json").read_bytes()
    parse_plain = _parse_plain_of("openai", asking())
    assert parse_plain is not None
    assert parse_plain(body) == _registry.load("openai").parse_completion(json.loads(body))
    with_time = body.replace(b'"usage": {', b'"usage": {"queue_time": 0.5, ')
    assert with_time != body
    assert parse_plain(with_time) == _registry.load("openai").parse_completion(json.loads(with_time))
    for other in (body.replace(b'"choices"', b'"own": 1, "choices"'), body[:-3], b"\xff", b"[" * 100_000):
        assert parse_plain(other) is None
    calls = (CASES / "openai" / "tool_call" / "upstream.json").read_bytes()
    assert parse_plain(calls) is None
    tool = {"type": "function", "function": {"name": "f"}}
    assert _parse_plain_of("openai", asking(tools=[tool])) is None
    assert _parse_plain_of("vllm", asking()) is None  # which may think in tags


def _parse_plain_of(provider: str, body: dict[str, Any]) -> Any:
    """How the whole reply to a request for chat is read at once; None if it is not."""
    request = CHAT.parse(json.dumps(body).encode())
    found = _registry.load(provider)
    return found.build_request(replace(call(body), request=request), Deployment(provider, "m", BASE_URL)).parse_plain


def test_the_chunks_of_a_text_are_cleaned_once() -> None:
    events = SseDecoder().feed((CASES / "openai" / "stream" / "upstream.sse").read_bytes())
    plain = [event for event in events if _is_plain(event)]
    assert len(plain) == len(events) - 1  # `[DONE]`
    assert sum(map(_is_text, events)) == len(events) - 4  # the role, the finish and the usage


@all_needed
@pytest.mark.parametrize(
    ("provider", "share"), [("openai", 0.9), ("azure", 0.9), ("groq", 0.9), ("mistral", 0.9), ("openrouter", 0.9)]
)
def test_most_recorded_chunks_are_plain(provider: str, share: float) -> None:
    events = [event for one in chats(provider, streams=True) for event in SseDecoder().feed(one.body.encode())]
    assert sum(map(_is_plain, events)) >= share * len(events)


def _is_plain(event: StreamEvent) -> bool:
    return _is_read(decode_chunk, event)


def _is_text(event: StreamEvent) -> bool:
    return _is_read(decode_text_chunk, event)


def _is_read(decode: Callable[[str | bytes], object], event: StreamEvent) -> bool:
    try:
        decode(event.data)
    except msgspec.DecodeError:
        return False
    return True

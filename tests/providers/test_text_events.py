"""A piece of text that a schema reads must give what the translation of any event makes of it."""

import json
import random
from base64 import b64decode
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.providers.assembling import reads
from tests.providers.calls import CASES
from tests.providers.recorded import exchanges
from tests.providers.streams import translated
from tidegate.errors import TidegateError
from tidegate.json import encode
from tidegate.providers.anthropic import stream as messages
from tidegate.providers.base import StreamEvent, StreamTranslator
from tidegate.providers.bedrock import stream as bedrock
from tidegate.providers.gemini import stream as gemini
from tidegate.providers.openai_responses import stream as responses
from tidegate.upstream.eventstream import EventStreamDecoder

NewStream = Callable[[], StreamTranslator]


def _never(data: str | bytes) -> Any:
    raise msgspec.DecodeError


def _new_responses_stream() -> StreamTranslator:
    return responses.new_stream("openai")


def _new_gemini_stream() -> StreamTranslator:
    return gemini.new_stream("gemini")


def _outcome(new_stream: NewStream, batches: Iterable[Sequence[StreamEvent]]) -> list[Any]:
    outcome: list[Any] = []
    try:
        outcome.extend(translated(new_stream(), batches))
    except TidegateError as error:
        outcome.append((type(error), error.message))
    return outcome


def _check(new_stream: NewStream, batches: Sequence[Sequence[StreamEvent]]) -> None:
    ours = _outcome(new_stream, batches)
    with pytest.MonkeyPatch.context() as patch:
        for module in (messages, responses, gemini, bedrock):
            patch.setattr(module, "_decode_text", _never)
        assert _outcome(new_stream, batches) == ours


def _streams(*patterns: str) -> list[Path]:
    return sorted(path for pattern in patterns for path in CASES.glob(f"{pattern}/upstream.sse"))


@pytest.mark.parametrize("path", _streams("anthropic/*"), ids=lambda path: path.parts[-2])
def test_the_stream_of_a_case_of_anthropic(path: Path) -> None:
    _check(messages.new_stream, list(reads(path.read_bytes(), random.Random(0))))


@pytest.mark.parametrize("path", _streams("openai/responses_*"), ids=lambda path: path.parts[-2])
def test_the_stream_of_a_case_of_responses(path: Path) -> None:
    _check(_new_responses_stream, list(reads(path.read_bytes(), random.Random(0))))


@pytest.mark.parametrize("path", _streams("gemini/*", "vertex/*"), ids=lambda path: "-".join(path.parts[-3:-1]))
def test_the_stream_of_a_case_of_gemini(path: Path) -> None:
    _check(_new_gemini_stream, list(reads(path.read_bytes(), random.Random(0))))


@pytest.mark.parametrize("path", sorted(CASES.glob("bedrock/*/upstream.eventstream")), ids=lambda path: path.parts[-2])
def test_the_stream_of_a_case_of_bedrock(path: Path) -> None:
    events = [line.partition(" ") for line in path.read_text().splitlines()]
    _check(bedrock.new_stream, [[StreamEvent(kind, data.encode()) for kind, _, data in events]])


def test_recorded_streams_of_gemini() -> None:
    for one in exchanges("gemini"):
        if one.streams:
            _check(_new_gemini_stream, list(reads(one.body.encode(), random.Random(one.id))))


def test_recorded_streams_of_bedrock() -> None:
    for one in exchanges("bedrock"):
        if one.kind == "eventstream_b64":
            _check(bedrock.new_stream, [EventStreamDecoder().feed(b64decode(one.body))])


def test_recorded_streams_of_anthropic() -> None:
    for one in exchanges("anthropic"):
        if one.streams:
            _check(messages.new_stream, list(reads(one.body.encode(), random.Random(one.id))))


def test_recorded_streams_of_responses() -> None:
    for one in exchanges("openai"):
        if one.streams and one.endpoint == "responses":
            _check(_new_responses_stream, list(reads(one.body.encode(), random.Random(one.id))))


Values = dict[str, st.SearchStrategy[Any]]


def _object(required: Values, **optional: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries(required, optional=optional)


_TEXTS: st.SearchStrategy[Any] = st.sampled_from(["", "a", " b", "é", "\U0001f600"])
_JUNK: st.SearchStrategy[Any] = st.sampled_from([None, "", "x", 0, -1, True, [], {}, {"a": None}, 1 << 70])
_INDEXES: st.SearchStrategy[Any] = st.integers(0, 2) | _JUNK
_DELTA_KINDS = st.sampled_from(["text_delta", "text_delta", "thinking_delta", "input_json_delta", "signature_delta"])
_DELTAS = _object(
    {"type": _DELTA_KINDS},
    **{"text": _TEXTS | _JUNK, "thinking": _TEXTS, "partial_json": _TEXTS, "signature": _TEXTS, "own": _JUNK},
)
_BLOCKS = _object(
    {"type": st.sampled_from(["text", "thinking", "tool_use"])}, text=_TEXTS, thinking=_TEXTS, name=_TEXTS, input=_JUNK
)
_MESSAGES_EVENTS: st.SearchStrategy[Any] = st.one_of(
    _object({"type": st.just("content_block_start"), "index": _INDEXES, "content_block": _BLOCKS | _JUNK}),
    _object({"type": st.just("content_block_delta"), "delta": _DELTAS | _JUNK}, index=_INDEXES, error=_JUNK),
    _object({"type": st.just("content_block_stop"), "index": _INDEXES}),
    _object({"type": st.just("message_start"), "message": st.just({"usage": {"input_tokens": 3}})}),
    _object({"type": st.just("message_delta"), "delta": st.just({"stop_reason": "end_turn"})}),
)
_LOGPROBS: st.SearchStrategy[Any] = st.sampled_from([None, [], [{"token": "a", "logprob": -1.0}], [None], "x"])
_ITEMS = _object({"type": st.sampled_from(["message", "reasoning", "function_call"])})
_RESPONSES_EVENTS: st.SearchStrategy[Any] = st.one_of(
    _object(
        {"type": st.just("response.output_text.delta")},
        delta=_TEXTS | _JUNK,
        output_index=_INDEXES,
        content_index=_INDEXES,
        error=_JUNK,
        logprobs=_LOGPROBS,
    ),
    _object(
        {
            "type": st.sampled_from(["response.output_item.added", "response.output_item.done"]),
            "output_index": _INDEXES,
            "item": _ITEMS,
        }
    ),
    _object({"type": st.just("response.refusal.delta"), "output_index": st.just(0), "delta": st.just("no")}),
    _object({"type": st.just("response.completed"), "response": st.just({"status": "completed"})}),
)


def _batches(events: list[Any], named: list[bool]) -> list[list[StreamEvent]]:
    """The events as batches of one; one that is not `named` was sent without its type."""
    return [
        [StreamEvent(event["type"] if is_named else "message", json.dumps(event, ensure_ascii=False))]
        for event, is_named in zip(events, named, strict=True)
    ]


@given(st.data(), st.lists(_MESSAGES_EVENTS, max_size=8))
def test_any_events_of_the_messages_api(data: st.DataObject, events: list[Any]) -> None:
    named = data.draw(st.lists(st.booleans(), min_size=len(events), max_size=len(events)))
    _check(messages.new_stream, _batches(events, named))


@given(st.data(), st.lists(_RESPONSES_EVENTS, max_size=8))
def test_any_events_of_the_responses_api(data: st.DataObject, events: list[Any]) -> None:
    named = data.draw(st.lists(st.booleans(), min_size=len(events), max_size=len(events)))
    _check(_new_responses_stream, _batches(events, named))


_USAGE = _object({}, promptTokenCount=_JUNK, totalTokenCount=st.integers(0, 9), candidatesTokenCount=st.integers(0, 9))
_PARTS = _object({"text": _TEXTS | _JUNK}, thought=st.booleans(), thoughtSignature=_TEXTS)
_CONTENTS = _object({"parts": st.lists(_PARTS, max_size=2) | _PARTS | _JUNK}, role=_TEXTS)
_CANDIDATES = _object(
    {}, content=_CONTENTS | _JUNK, index=_INDEXES, finishReason=st.sampled_from(["STOP", "SAFETY", 1])
)
_GEMINI_EVENTS: st.SearchStrategy[Any] = _object(
    {"candidates": st.lists(_CANDIDATES, max_size=2) | _CANDIDATES},
    **{"usageMetadata": _USAGE | _JUNK, "modelVersion": _TEXTS, "responseId": _JUNK, "error": _JUNK},
    **{"promptFeedback": st.sampled_from([None, {}, {"blockReason": "SAFETY"}])},
)


@given(st.lists(_GEMINI_EVENTS, max_size=12))
def test_any_events_of_gemini(events: list[Any]) -> None:
    _check(_new_gemini_stream, [[StreamEvent("message", json.dumps(event, ensure_ascii=False))] for event in events])


_PIECES = st.one_of(
    _object({"text": _TEXTS | _JUNK}, own=_JUNK),
    _object({"toolUse": _object({"input": _TEXTS})}),
    _object({"reasoningContent": _object({}, text=_TEXTS, signature=_TEXTS)}),
)
_BEDROCK_EVENTS: st.SearchStrategy[Any] = st.one_of(
    st.tuples(
        st.just("contentBlockDelta"), _object({"delta": _PIECES}, contentBlockIndex=_INDEXES, p=_JUNK, own=_JUNK)
    ),
    st.tuples(st.just("contentBlockStop"), _object({"contentBlockIndex": _INDEXES})),
    st.tuples(st.just("messageStop"), _object({"stopReason": st.sampled_from(["end_turn", "tool_use", None])})),
)


@given(st.lists(_BEDROCK_EVENTS, max_size=12))
def test_any_events_of_bedrock(events: list[tuple[str, Any]]) -> None:
    _check(bedrock.new_stream, [[StreamEvent(kind, encode(fields))] for kind, fields in events])

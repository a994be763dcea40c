"""Replies of the dialect, in one shape."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.providers.assembling import read_chunks, run
from tidegate.errors import ProviderFailed, ProviderMalformed, ProviderOverloaded, StreamCut, UpstreamError
from tidegate.providers import Registry
from tidegate.providers.base import StreamEvent

_OPENAI = Registry().load("openai")
_GROQ = Registry().load("groq")
_DONE = StreamEvent("message", "[DONE]")


def chunk(delta: Any, finish: str | None = None, **choice: Any) -> StreamEvent:
    return StreamEvent(
        "message", json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": finish, **choice}]})
    )


def calls(*raw: Any) -> StreamEvent:
    return chunk({"tool_calls": list(raw)})


def flat(*events: StreamEvent) -> list[Any]:
    return [one for batch in run(_OPENAI, [events]) for one in batch]


_DELTAS = st.one_of(
    st.builds(lambda text: {"content": text}, st.text(max_size=5)),
    st.builds(lambda text: {"role": "assistant", "reasoning_content": text}, st.text(max_size=5)),
    st.sampled_from(
        [
            {},
            {"content": None},
            {"content": "<think>"},
            {"content": "</think>"},
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "t"}]}]},
            {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{"}}]},
            {"tool_calls": [{"index": 0, "function": {"arguments": "}"}}]},
        ]
    ),
)


def _said(provider: Any, batches: list[list[StreamEvent]]) -> Any:
    try:
        return [one for batch in run(provider, batches) for one in batch]
    except UpstreamError as error:
        return type(error), error.message


@given(st.lists(_DELTAS, max_size=8), st.lists(st.integers(0, 9), max_size=4))
def test_how_events_are_batched_changes_nothing(deltas: list[Any], borders: list[int]) -> None:
    events = [*(chunk(delta) for delta in deltas), chunk({}, "stop"), _DONE]
    places = [0, *sorted(borders), len(events)]
    batches = [events[start:end] for start, end in pairwise(places)]
    for provider in (_OPENAI, _GROQ):
        assert _said(provider, batches) == _said(provider, [events])


@given(st.text(max_size=20), st.text(max_size=20), st.lists(st.integers(0, 60), max_size=5))
def test_a_thought_is_taken_out_wherever_its_tags_are_cut(thought: str, answer: str, borders: list[int]) -> None:
    thought, answer = thought.replace("<", "").strip(), answer.replace("<", "").strip()
    text = f"<think>\n{thought}\n</think>\n\n{answer}"
    places = [0, *sorted(min(border, len(text)) for border in borders), len(text)]
    pieces = [text[start:end] for start, end in pairwise(places)]
    events = [*(chunk({"content": piece}) for piece in pieces), chunk({}, "stop")]
    voice = read_chunks([one for batch in run(_GROQ, [events]) for one in batch]).voices[0]
    assert (voice.thought, voice.text) == (thought, answer)


@pytest.mark.parametrize("text", ["<thinker> a", "a <think>b</think>", "<", "  <thi", "<think", ""])
def test_what_only_looks_like_a_thought_stays(text: str) -> None:
    events = [*(chunk({"content": char}) for char in text), chunk({}, "stop")]
    assert read_chunks([one for batch in run(_GROQ, [events]) for one in batch]).voices[0].text == text


def test_a_thought_that_never_ends_is_all_thought() -> None:
    events = [chunk({"content": "<think>a"}), chunk({"content": " b </th"}), chunk({}, "length")]
    voice = read_chunks([one for batch in run(_GROQ, [events]) for one in batch]).voices[0]
    assert (voice.thought, voice.text) == ("a b </th", "")


@pytest.mark.parametrize(
    "deltas",
    [
        [
            {"id": "a", "function": {"name": "f", "arguments": "{}"}},
            {"id": "b", "function": {"name": "g", "arguments": "{}"}},
        ],
        [
            {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}},
            {"index": 0, "id": "b", "function": {"name": "g", "arguments": "{}"}},
        ],
        [
            {"index": 3, "id": "a", "function": {"name": "f", "arguments": "{"}},
            {"index": 3, "function": {"arguments": "}"}},
            {"index": 7, "function": {"name": "g", "arguments": {}}},
        ],
        [
            {"id": "a", "function": {"name": "f"}},
            {"id": "a", "function": {"name": "f", "arguments": "{"}},
            {"function": {"arguments": "}"}},
            {"function": {"name": "g", "arguments": None}},
        ],
    ],
)
def test_tool_calls_are_told_apart_however_they_are_numbered(deltas: list[Any]) -> None:
    assert read_chunks(flat(*(calls(delta) for delta in deltas), chunk({}, "tool_calls"))).voices[0].calls == [
        ("f", {}),
        ("g", {}),
    ]


def test_a_minted_id_is_the_same_in_every_reading() -> None:
    events = (calls({"index": 0, "function": {"name": "f", "arguments": "{}"}}), chunk({}, "tool_calls"))
    assert flat(*events) == flat(*events)


@pytest.mark.parametrize(
    "body",
    [None, "text", [], {}, {"choices": []}, {"choices": [1]}, {"choices": [{"message": None}]}, {"choices": {}}]
    + [{"choices": [{"message": {"content": 1}}]}, {"choices": [{"message": {"content": [1]}}]}, {"choices": [{}]}]
    + [{"choices": [{"message": {"tool_calls": calls}}]} for calls in ({"a": 1}, [1], [{"function": {}}])]
    + [{"choices": [{"message": {}}], "usage": 1}],
)
def test_a_body_that_is_no_completion_is_malformed(body: Any) -> None:
    with pytest.raises(ProviderMalformed):
        _OPENAI.parse_completion(body)


@pytest.mark.parametrize(
    "data",
    [
        *("1", "null", '{"choices":null}', '{"choices":{"a":1}}', '{"choices":[1]}', '{"choices":[{"delta":1}]}'),
        *('{"choices":[{}]}', '{"choices":[{"index":0,"delta":{"content":1}}],"usage":"none"}'),
        *('{"choices":[{"index":0,"delta":{"tool_calls":1}}]}', '{"choices":[{"delta":{"tool_calls":[1]}}]}'),
        '{"choices":[{"delta":{"tool_calls":[{}]}}]}',
    ],
)
def test_an_event_without_anything_usable_is_skipped_as_official_sdks_do(data: str) -> None:
    read = read_chunks(flat(chunk({"content": "a"}), StreamEvent("message", data), chunk({}, "stop")))
    assert (read.voices[0].text, read.voices[0].ended) == ("a", "stop")


@pytest.mark.parametrize("data", ["oops", "[]", '"oops"'])
def test_an_event_that_is_not_a_json_object_is_malformed(data: str) -> None:
    with pytest.raises(ProviderMalformed):
        flat(chunk({"content": "a"}), StreamEvent("message", data))


def test_a_call_without_a_name_is_malformed_if_nothing_else_came() -> None:
    with pytest.raises(ProviderMalformed):
        flat(calls({"index": 0, "id": "c1", "function": {"arguments": "{}"}}), chunk({}, "tool_calls"))


@pytest.mark.parametrize(
    ("reason", "kind"),
    [("error", ProviderFailed), ("abort", ProviderFailed), ("insufficient_system_resource", ProviderOverloaded)],
)
def test_a_finish_that_says_failure_is_one(reason: str, kind: type[UpstreamError]) -> None:
    with pytest.raises(kind):
        flat(chunk({"content": "a"}), chunk({}, reason))
    with pytest.raises(kind):
        _OPENAI.parse_completion({"choices": [{"index": 0, "message": {"content": "a"}, "finish_reason": reason}]})


@pytest.mark.parametrize(
    "events",
    [
        [],
        [_DONE],
        [StreamEvent("ping", "{}")],
        [chunk({"content": "a"})],
        [chunk({"content": "a"}, "stop"), chunk({"content": "b"}, index=1)],
    ],
)
def test_a_stream_without_every_finish_is_cut(events: list[StreamEvent]) -> None:
    with pytest.raises(StreamCut):
        flat(*events)


def test_an_error_after_the_finish_is_still_an_error() -> None:
    with pytest.raises(UpstreamError, match="Token limit reached"):
        flat(
            chunk({"content": "a"}, "length"),
            StreamEvent("message", '{"error":{"code":400,"message":"Token limit reached"}}'),
        )


@pytest.mark.parametrize("data", ['"busy"', "busy", '{"message":"busy"}', '[{"error":{"message":"busy"}}]'])
def test_an_error_event_is_an_error_whatever_it_holds(data: str) -> None:
    with pytest.raises(UpstreamError, match="busy"):
        flat(chunk({"content": "a"}), StreamEvent("error", data))


def test_what_a_dropped_chunk_says_beside_its_choices_comes_with_the_finish() -> None:
    first = StreamEvent("message", '{"choices":[],"prompt_filter_results":[{"prompt_index":0}]}')
    *_, last = flat(first, chunk({"content": "a"}), chunk({}, "stop", content_filter_results={"hate": 1}))
    assert last == {
        "object": "chat.completion.chunk",
        "system_fingerprint": None,
        "prompt_filter_results": [{"prompt_index": 0}],
        "choices": [{"index": 0, "delta": {}, "content_filter_results": {"hate": 1}, "finish_reason": "stop"}],
    }


def test_log_probabilities_stay_with_their_text() -> None:
    chances = {"content": [{"token": "a", "logprob": -1.0, "bytes": None, "top_logprobs": []}]}
    first, last = flat(chunk({"content": "a"}, logprobs=chances), chunk({}, "stop", logprobs={"content": None}))
    assert first["choices"][0]["logprobs"] == chances
    assert "logprobs" not in last["choices"][0]

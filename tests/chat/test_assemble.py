"""A stream and a completion are two forms of one reply: either way there and back changes nothing."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidegate.chat import replay
from tidegate.chat.assemble import CompletionAssembler

CASES = Path(__file__).parents[1] / "providers" / "cases"


def assembled(chunks: Any) -> Any:
    assembly = CompletionAssembler()
    for chunk in chunks:
        assembly.add(chunk)
    return assembly.reply()


def chunk(*choices: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"object": "chat.completion.chunk", "choices": list(choices), **fields}


def said(index: int = 0, finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"index": index, "delta": delta, "finish_reason": finish}


def test_pieces_become_one_message() -> None:
    details = {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0}
    chunks = [
        chunk(
            said(role="assistant", reasoning="Hm", reasoning_details=[{**details, "text": "Hm"}]), id="c1", created=7
        ),
        chunk(said(reasoning="m.", reasoning_details=[{**details, "text": "m."}, {**details, "signature": "s=="}])),
        chunk({**said(content="Cre"), "logprobs": {"content": [{"token": "Cre"}], "refusal": None}}),
        chunk({**said(content="ate."), "logprobs": {"content": [{"token": "ate."}], "refusal": None}}),
        chunk(said(annotations=[{"type": "url_citation"}])),
        chunk(said(annotations=[{"type": "url_citation", "n": 2}]), system_fingerprint="fp"),
        chunk({**said(finish="stop"), "native_finish_reason": "end_turn"}, system_fingerprint=None),
        chunk(usage={"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}),
    ]
    before = copy.deepcopy(chunks)
    assert assembled(chunks) == {
        "id": "c1",
        "created": 7,
        "object": "chat.completion",
        "system_fingerprint": "fp",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Create.",
                    "refusal": None,
                    "reasoning": "Hmm.",
                    "annotations": [{"type": "url_citation"}, {"type": "url_citation", "n": 2}],
                    "reasoning_details": [{**details, "text": "Hmm.", "signature": "s=="}],
                },
                "finish_reason": "stop",
                "native_finish_reason": "end_turn",
                "logprobs": {"content": [{"token": "Cre"}, {"token": "ate."}], "refusal": None},
            }
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    }
    assert chunks == before


def test_calls_are_put_together_by_their_index() -> None:
    def called(index: int, **fields: Any) -> dict[str, Any]:
        return chunk(said(tool_calls=[{"index": index, **fields}]))

    chunks = [
        chunk(said(role="assistant", content="")),
        called(1, id="b", type="function", function={"name": "g", "arguments": ""}),
        called(0, id="a", type="function", function={"name": "f", "arguments": '{"x"'}),
        called(1, function={"arguments": "{}"}),
        called(0, id="a", function={"name": "f", "arguments": ": 1}"}, extra={"sig": "s"}),
        chunk(said(finish="tool_calls")),
    ]
    message = assembled(chunks)["choices"][0]["message"]
    assert message == {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}, "extra": {"sig": "s"}},
            {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
        ],
    }


def test_choices_are_kept_apart_and_whole_once_all_have_ended() -> None:
    assembly = CompletionAssembler()
    assert not assembly.is_complete
    assembly.add(chunk(said(1, content="b"), said(0, content="a")))
    assembly.add(chunk(said(1, "stop")))
    assert not assembly.is_complete
    assembly.add(chunk(said(0, "length")))
    assert assembly.is_complete
    choices = assembly.reply()["choices"]
    assert [(one["index"], one["message"]["content"], one["finish_reason"]) for one in choices] == [
        (0, "a", "length"),
        (1, "b", "stop"),
    ]


def test_speech_comes_in_pieces_and_its_id_does_not() -> None:
    chunks = [
        chunk(said(audio={"id": "audio_1", "transcript": "He"})),
        chunk(said(audio={"id": "audio_1", "data": "AAA", "transcript": "llo"})),
        chunk(said(audio={"data": "BBB", "expires_at": 9})),
    ]
    assert assembled(chunks)["choices"][0]["message"]["audio"] == {
        "id": "audio_1",
        "data": "AAABBB",
        "transcript": "Hello",
        "expires_at": 9,
    }


def test_a_stream_that_has_not_ended_has_no_finish_reason() -> None:
    assert assembled([chunk(said(content="x"))])["choices"][0]["finish_reason"] is None


leisurely = settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
texts = st.text(min_size=1, max_size=8)
names = st.sampled_from(["f", "g", "web.search"])
tool_calls = st.lists(
    st.fixed_dictionaries(
        {"id": texts, "type": st.just("function")},
        optional={"extra_content": st.fixed_dictionaries({"google": st.fixed_dictionaries({"sig": texts})})},
    ).flatmap(
        lambda call: st.fixed_dictionaries({"name": names, "arguments": st.text(max_size=9)}).map(
            lambda function: {**call, "function": function}
        )
    ),
    min_size=1,
    max_size=3,
)
details = st.lists(
    st.fixed_dictionaries({"type": st.just("reasoning.text"), "text": texts}), min_size=1, max_size=3
).map(lambda found: [{**one, "index": index} for index, one in enumerate(found)])
message_fields: dict[str, st.SearchStrategy[Any]] = {
    "reasoning": texts,
    "reasoning_content": texts,
    "reasoning_details": details,
    "tool_calls": tool_calls,
    "function_call": st.fixed_dictionaries({"name": names, "arguments": st.text(max_size=9)}),
    "annotations": st.lists(
        st.just({"type": "url_citation", "url_citation": {"url": "https://a.invalid"}}), min_size=1
    ),
    "images": st.just([{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}}]),
    "audio": st.fixed_dictionaries({"id": texts, "data": texts, "expires_at": st.integers(0, 9)}),
}
messages = st.fixed_dictionaries(
    {"role": st.just("assistant"), "content": st.none() | texts, "refusal": st.none() | texts}, optional=message_fields
)
tokens = st.lists(st.fixed_dictionaries({"token": texts, "logprob": st.floats(-9, 0)}), min_size=1, max_size=3)
choices = st.fixed_dictionaries(
    {
        "message": messages,
        "finish_reason": st.sampled_from(["stop", "length", "tool_calls", "content_filter"]),
        "logprobs": st.none() | st.fixed_dictionaries({"content": tokens, "refusal": st.none()}),
    },
    optional={"native_finish_reason": texts, "grounding_metadata": st.just({"webSearchQueries": ["tides"]})},
)
completions = st.fixed_dictionaries(
    {
        "id": texts,
        "object": st.just("chat.completion"),
        "created": st.integers(0, 9),
        "model": texts,
        "choices": st.lists(choices, min_size=1, max_size=3).map(
            lambda found: [{"index": index, **one} for index, one in enumerate(found)]
        ),
        "system_fingerprint": st.none() | texts,
    },
    optional={
        "usage": st.just({"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "cost": None}),
        "service_tier": texts,
        "citations": st.lists(texts, min_size=1),
    },
)


@leisurely
@given(completions)
def test_a_completion_comes_back_from_its_stream_unchanged(completion: Any) -> None:
    before = copy.deepcopy(completion)
    stream = list(replay.completion_chunks(completion))
    assert assembled(stream) == completion == before


@leisurely
@given(completions, st.data())
def test_a_stream_in_any_pieces_comes_to_the_same(completion: Any, data: st.DataObject) -> None:
    pieces: list[Any] = []
    for one in replay.completion_chunks(completion):
        told = one["choices"][0]["delta"] if one["choices"] else {}
        text = told.get("content") or ""
        at = data.draw(st.integers(0, len(text)))
        if text:
            first, last = copy.deepcopy(one), copy.deepcopy(one)
            first["choices"][0]["delta"]["content"] = text[:at]
            last["choices"][0]["delta"] = {"content": text[at:]}
            last["choices"][0].pop("logprobs", None)
            pieces += [first, last]
        else:
            pieces.append(one)
    assert assembled(pieces) == completion


def test_a_replayed_stream_is_shaped_as_every_other() -> None:
    completion: Any = {
        "id": "c1",
        "object": "chat.completion",
        "created": 7,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hi.", "refusal": None, "reasoning": "Greet."},
                "finish_reason": "stop",
                "logprobs": None,
            }
        ],
        "system_fingerprint": None,
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    }
    stamp = {"id": "c1", "object": "chat.completion.chunk", "created": 7, "model": "m"}
    assert list(replay.completion_chunks(completion)) == [
        {**stamp, "choices": [said(role="assistant", reasoning="Greet.")]},
        {**stamp, "choices": [said(content="Hi.")]},
        {**stamp, "choices": [said(finish="stop")]},
        {**stamp, "choices": [], "usage": completion["usage"]},
    ]


def recorded() -> list[Any]:
    replies = [(path, json.loads(path.read_text())) for path in sorted(CASES.glob("*/*/reply.json"))]
    return [
        pytest.param(reply, id=f"{path.parts[-3]}-{path.parts[-2]}") for path, reply in replies if "error" not in reply
    ]


@pytest.mark.parametrize("reply", recorded())
def test_what_providers_answered_comes_back_as_it_was(reply: Any) -> None:
    whole = assembled(reply) if isinstance(reply, list) else reply
    for choice in whole["choices"]:
        assert choice["finish_reason"] is not None
        if choice["message"].keys() & {"tool_calls", "function_call"}:
            choice["message"]["content"] = choice["message"]["content"] or None
    assert assembled(replay.completion_chunks(whole)) == whole

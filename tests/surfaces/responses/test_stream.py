"""Streamed replies as events of the Responses API."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.surfaces.responses.event_order import Reading, decoded, read
from tidegate.chat.operation import CHAT
from tidegate.domain.origin import NATIVE
from tidegate.errors import (
    ContextLengthExceeded,
    GuardrailViolation,
    ProviderRateLimited,
    QuotaExhausted,
    StreamCut,
    TidegateError,
)
from tidegate.surfaces.late_dialects import RESPONSES

TOOLS: list[dict[str, Any]] = [
    {"type": "function", "name": "get", "parameters": {"type": "object", "properties": {}}},
    {"type": "custom", "name": "patch", "format": {"type": "grammar", "syntax": "lark", "definition": "start: /x/"}},
    {"type": "namespace", "name": "git", "description": "Git.", "tools": [{"type": "function", "name": "log"}]},
    {"type": "local_shell"},
    {"type": "shell"},
    {"type": "apply_patch"},
]
USAGE = {
    "prompt_tokens": 10,
    "completion_tokens": 5,
    "total_tokens": 15,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 3},
}


def request(**fields: Any) -> Any:
    body = {"model": "openai/gpt-5", "input": "Hi", "stream": True, "tools": TOOLS, **fields}
    return RESPONSES.parse(CHAT, json.dumps(body).encode())


def chunk(delta: dict[str, Any], finish_reason: str | None = None, **choice: Any) -> dict[str, Any]:
    choices = [{"index": 0, "delta": delta, "finish_reason": finish_reason, **choice}]
    return {"id": "resp_7", "created": 1_700_000_000, "model": "openai/gpt-5", "choices": choices}


def call(index: int, arguments: str, **start: str) -> dict[str, Any]:
    function = {"name": start["name"], "arguments": arguments} if start else {"arguments": arguments}
    head = {"id": start["id"]} if start else {}
    return chunk({"tool_calls": [{"index": index, **head, "function": function}]})


LAST = {"id": "resp_7", "model": "m", "choices": [], "usage": USAGE}


def streamed(*chunks: dict[str, Any], **fields: Any) -> bytes:
    stream = RESPONSES.open_stream(request(**fields))
    return b"".join([*(stream.events([each]) for each in (*chunks, LAST)), stream.end()])


def output(*chunks: dict[str, Any]) -> list[Any]:
    end = read(streamed(*chunks)).end
    assert end is not None
    return end["output"]


def test_reasoning_text_and_calls_are_items_in_order() -> None:
    stream = streamed(
        chunk({"role": "assistant", "content": ""}),
        chunk({"reasoning": "H"}),
        chunk({"reasoning": "m"}),
        chunk({"content": "Hel"}),
        chunk({"content": "lo"}),
        call(0, '{"a":', id="c", name="get"),
        call(0, "1}"),
        call(1, "{}", id="d", name="git__log"),
        chunk({}, "tool_calls"),
    )
    reading = read(stream)
    assert reading.end is not None
    reasoning, message, first, second = reading.end["output"]
    assert (reasoning["summary"], message["content"]) == (
        [{"type": "summary_text", "text": "Hm"}],
        [{"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}],
    )
    assert first == {
        "id": "fc_7_2",
        "type": "function_call",
        "call_id": "c",
        "name": "get",
        "arguments": '{"a":1}',
        "status": "completed",
    }
    assert (second["name"], second["namespace"], second["call_id"]) == ("log", "git", "d")
    assert reading.end["usage"] == {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 3},
        "total_tokens": 15,
    }


def test_pieces_of_parallel_calls_may_come_in_turns() -> None:
    first, second = output(
        call(0, '{"a":', id="c", name="get"), call(1, '{"b":', id="d", name="get"), call(0, "1}"), call(1, "2}")
    )
    assert (first["arguments"], second["arguments"]) == ('{"a":1}', '{"b":2}')


def test_a_custom_tool_gets_its_text_back() -> None:
    patch = '*** Begin Patch\n+"x"\n*** End Patch'
    text = json.dumps({"input": patch})
    stream = streamed(call(0, text[:9], id="c", name="patch"), call(0, text[9:]), chunk({}, "tool_calls"))
    (item,) = read(stream).items
    assert (item["type"], item["input"]) == ("custom_tool_call", "")
    done = [event for event in decoded(stream) if event["type"] == "response.custom_tool_call_input.done"]
    assert [event["input"] for event in done] == [patch]


def test_a_model_that_writes_plain_text_for_a_custom_tool_is_understood() -> None:
    assert output(call(0, "*** Begin", id="c", name="patch"))[0]["input"] == "*** Begin"


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        (
            "local_shell",
            {"command": ["ls"], "timeout_ms": 5},
            {"type": "local_shell_call", "action": {"type": "exec", "command": ["ls"], "env": {}, "timeout_ms": 5}},
        ),
        (
            "shell",
            {"commands": ["ls", "pwd"]},
            {
                "type": "shell_call",
                "action": {"commands": ["ls", "pwd"], "timeout_ms": None, "max_output_length": None},
                "environment": None,
            },
        ),
        (
            "apply_patch",
            {"type": "create_file", "path": "a", "diff": "+x"},
            {"type": "apply_patch_call", "operation": {"type": "create_file", "path": "a", "diff": "+x"}},
        ),
        ("shell", {"wrong": 1}, {"type": "function_call", "name": "shell", "arguments": '{"wrong": 1}'}),
    ],
)
def test_built_in_tools_are_called_in_their_own_terms(name: str, arguments: Any, expected: Any) -> None:
    (item,) = output(call(0, json.dumps(arguments), id="c", name=name), chunk({}, "tool_calls"))
    del item["id"]
    assert item == {**expected, "call_id": "c", "status": "completed"}


def test_a_call_without_arguments_has_an_empty_object() -> None:
    assert output(call(0, "", id="c", name="get"))[0]["arguments"] == "{}"


def test_citations_and_log_probabilities_stand_in_their_text() -> None:
    token = {"token": "Hi", "bytes": [72, 105], "logprob": -0.1, "top_logprobs": []}
    citation = {"url": "https://a.example", "title": "A", "start_index": 0, "end_index": 2}
    (message,) = output(
        chunk({"content": "Hi"}, logprobs={"content": [token], "refusal": None}),
        chunk({"annotations": [{"type": "url_citation", "url_citation": citation}]}),
    )
    (part,) = message["content"]
    assert (part["annotations"], part["logprobs"]) == ([{"type": "url_citation", **citation}], [token])


def test_a_refusal_is_a_part_of_its_own() -> None:
    (message,) = output(chunk({"refusal": "N"}), chunk({"refusal": "o"}))
    assert message["content"] == [{"type": "refusal", "refusal": "No"}]


def test_hidden_reasoning_is_kept_for_the_next_turn() -> None:
    detail = {"type": "reasoning.encrypted", "data": "blob", "format": "openai-responses-v1"}
    reasoning, _ = output(chunk({"reasoning_details": [detail], "content": "x"}))
    assert (reasoning["summary"], reasoning["encrypted_content"][:4]) == ([], "tg1.")


def test_an_image_is_the_result_of_a_tool() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
    assert output(chunk({"images": [image]}))[0]["result"] == "aGk="


@pytest.mark.parametrize(
    ("reason", "status", "details"),
    [
        ("stop", "completed", None),
        ("length", "incomplete", {"reason": "max_output_tokens"}),
        ("content_filter", "incomplete", {"reason": "content_filter"}),
    ],
)
def test_the_reason_of_the_end_is_the_status(reason: str, status: str, details: Any) -> None:
    end = read(streamed(chunk({"content": "x"}), chunk({}, reason))).end
    assert end is not None
    assert (end["status"], end["incomplete_details"], end["output"][0]["status"]) == (status, details, status)


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (StreamCut("It broke off."), "server_error", "It broke off."),
        (ContextLengthExceeded("Too long."), "context_length_exceeded", "Too long."),
        (QuotaExhausted("Spent.", limit="usd_per_month", maximum=1), "insufficient_quota", "Spent."),
        (GuardrailViolation("No."), "invalid_prompt", "No."),
        (
            ProviderRateLimited("Slow down.", retry_after_seconds=1.2),
            "rate_limit_exceeded",
            "Slow down. Please try again in 1.2s.",
        ),
    ],
)
def test_a_failure_ends_the_stream_with_a_code_that_codex_reads(error: TidegateError, code: str, message: str) -> None:
    stream = RESPONSES.open_stream(request())
    text = stream.events([chunk({"content": "x"})]) + stream.error(error)
    end = read(text).end
    assert end is not None
    assert (end["status"], end["error"]) == ("failed", {"code": code, "message": message})
    assert decoded(text)[-2]["error"]["message"] == error.message


def test_a_failure_before_the_first_chunk_is_a_whole_stream() -> None:
    end = read(RESPONSES.open_stream(request()).error(StreamCut("It broke off."))).end
    assert end is not None
    assert (end["status"], end["output"]) == ("failed", [])


def test_silence_is_an_event_once_the_response_has_begun() -> None:
    stream = RESPONSES.open_stream(request())
    assert stream.keep_alive.startswith(b":")
    text = stream.events([chunk({"content": "x"})]) + stream.keep_alive + stream.end()
    assert [event["type"] for event in decoded(text)].count("keepalive") == 1
    read(text)


def test_events_of_the_provider_go_out_as_they_are_but_for_the_id_of_the_response() -> None:
    stream = RESPONSES.open_stream(request())
    event = ("response.created", '{"type":"response.created","sequence_number":0,"response":{"id":"resp_p"}}')
    chunks = [{**chunk({"content": "x"}), NATIVE: [event]}]
    own = event[1].replace("resp_p", "resp_7")
    assert stream.events(chunks) == b"event: %b\ndata: %b\n\n" % (event[0].encode(), own.encode())
    assert (stream.keep_alive, stream.end()) == (b": keep-alive\n", b"")
    failed = decoded(stream.error(StreamCut("It broke off.")))
    assert [each["sequence_number"] for each in failed] == [1, 2]
    assert failed[-1]["response"]["id"] == "resp_7"


def test_the_response_repeats_its_request() -> None:
    fields = {
        "instructions": "Be brief.",
        "tool_choice": {"type": "function", "name": "get"},
        "metadata": {"a": "b"},
        "reasoning": {"effort": "low"},
        "text": {"verbosity": "low"},
        "temperature": 0.5,
        "max_output_tokens": 99,
        "parallel_tool_calls": False,
        "store": False,
    }
    end = read(streamed(chunk({"content": "x"}), **fields)).end
    assert end is not None
    expected = {
        **fields,
        "tools": TOOLS,
        "reasoning": {"effort": "low", "summary": None},
        "text": {"format": {"type": "text"}, "verbosity": "low"},
    }
    assert {name: end[name] for name in expected} == expected


def test_a_whole_reply_is_the_end_of_its_stream() -> None:
    message = {
        "role": "assistant",
        "content": "Hello",
        "refusal": None,
        "reasoning": "Hm",
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "get", "arguments": "{}"}}],
    }
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls", "logprobs": None}
    reply = {"id": "resp_7", "created": 1_700_000_000, "model": "openai/gpt-5", "choices": [choice], "usage": USAGE}
    end = read(
        streamed(
            chunk({"reasoning": "Hm"}),
            chunk({"content": "Hello"}),
            call(0, "{}", id="c", name="get"),
            chunk({}, "tool_calls"),
        )
    ).end
    assert json.loads(RESPONSES.reply(reply, request())) == end


def test_the_reading_fails_if_an_event_is_missing_or_comes_twice() -> None:
    events = decoded(
        streamed(
            chunk({"reasoning": "Hm"}),
            chunk({"content": "Hello"}),
            call(0, '{"a":1}', id="c", name="get"),
            call(1, '{"input":"x"}', id="d", name="patch"),
            chunk({}, "tool_calls"),
        )
    )
    for index in range(len(events)):
        twice = [*events[: index + 1], *events[index:]]
        for changed in (events[:index] + events[index + 1 :], twice):
            with pytest.raises((AssertionError, IndexError, KeyError)):
                read_numbered(changed)


def read_numbered(events: list[dict[str, Any]]) -> None:
    reading = Reading()
    for number, event in enumerate(events):
        reading.read({**event, "sequence_number": number})
    assert reading.end is not None


_texts = st.text(min_size=1, max_size=5)
_deltas = st.one_of(
    st.builds(lambda text: {"content": text}, _texts),
    st.builds(lambda text: {"reasoning": text}, _texts),
    st.builds(lambda text: {"refusal": text}, _texts),
    st.builds(lambda text: {"reasoning_details": [{"type": "reasoning.text", "text": text, "index": 0}]}, _texts),
    st.builds(
        lambda number, name, text: {
            "tool_calls": [{"index": number, "id": f"c{number}", "function": {"name": name, "arguments": text}}]
        },
        st.integers(0, 3),
        st.sampled_from(["get", "patch", "git__log", "shell", "local_shell", "unknown", ""]),
        st.sampled_from(["", "{}", '{"input": "x"}', '{"commands": ["ls"]}', '{"a', "plain"]),
    ),
    st.just({"annotations": [{"type": "url_citation", "url_citation": {"url": "u", "title": "t"}}]}),
    st.just({"images": [{"image_url": {"url": "data:image/png;base64,aGk="}}]}),
    st.just({}),
)


@given(st.lists(_deltas, max_size=12), st.sampled_from(["stop", "length", "tool_calls", None]), st.integers(0, 12))
def test_every_stream_is_in_order(deltas: Sequence[dict[str, Any]], reason: str | None, cut: int) -> None:
    chunks = [chunk(delta) for delta in deltas]
    reading = read(streamed(*chunks, chunk({}, reason)))
    texts = [part["text"] for item in reading.items for part in item.get("content") or () if "text" in part]
    assert texts == []  # an item begins empty
    answer = "".join(
        part.get("text", "") for item in reading.done.values() if item["type"] == "message" for part in item["content"]
    )
    assert answer == "".join(delta.get("content", "") for delta in deltas)
    stream = RESPONSES.open_stream(request())
    cut_reading = Reading()
    for event in decoded(b"".join(stream.events([each]) for each in chunks[:cut]) + stream.error(StreamCut("x"))):
        cut_reading.read(event)
    assert cut_reading.end is not None

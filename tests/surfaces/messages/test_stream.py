"""Streamed replies as events of the Messages API."""

import json
from typing import Any

from tidegate.chat.operation import CHAT
from tidegate.errors import StreamCut
from tidegate.surfaces.late_dialects import MESSAGES

ASKED = {"model": "openai/gpt-5", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}
BODY = json.dumps({**ASKED, "thinking": {"type": "adaptive"}}).encode()
USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}


def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {"id": "msg_1", "model": "openai/gpt-5", "choices": [choice]}


def call(index: int, arguments: str, **start: str) -> dict[str, Any]:
    function = {"name": start["name"], "arguments": arguments} if start else {"arguments": arguments}
    head = {"id": start["id"]} if start else {}
    return chunk({"tool_calls": [{"index": index, **head, "function": function}]})


def events(*chunks: dict[str, Any]) -> list[dict[str, Any]]:
    """The events of a stream with these chunks, in order."""
    stream = MESSAGES.open_stream(MESSAGES.parse(CHAT, BODY))
    last = {"id": "msg_1", "model": "m", "choices": [], "usage": USAGE}
    text = b"".join([*(stream.events([each]) for each in (*chunks, last)), stream.end()]).decode()
    parts = [part.split("\ndata: ") for part in text.split("\n\n") if part]
    parsed = [json.loads(data) for _, data in parts]
    assert [head for head, _ in parts] == [f"event: {each['type']}" for each in parsed]
    return parsed


def blocks(found: list[dict[str, Any]]) -> list[Any]:
    """The content that a client assembles, which has at most one open block; checks the indexes."""
    content: list[Any] = []
    open_index = None
    for event in found:
        match event["type"]:
            case "content_block_start":
                assert (open_index, event["index"]) == (None, len(content))
                open_index = event["index"]
                content.append({**event["content_block"], "json": ""})
            case "content_block_delta":
                assert event["index"] == open_index
                delta = {name: value for name, value in event["delta"].items() if name != "type"}
                (name, value) = next(iter(delta.items()))
                name = "json" if name == "partial_json" else name
                content[-1][name] = [value] if name == "citation" else content[-1].get(name, "") + value
            case "content_block_stop":
                assert event["index"] == open_index
                open_index = None
            case _:
                pass
    assert open_index is None
    return content


def test_thinking_text_and_calls_are_blocks_in_order() -> None:
    found = events(
        chunk({"role": "assistant", "content": ""}),
        chunk({"reasoning": "Hm"}),
        chunk({"content": "Hello"}),
        call(0, '{"a":', id="c", name="get"),
        call(0, "1}"),
        call(1, "{}", id="d", name="put"),
        chunk({}, "tool_calls"),
    )
    thinking, text, first, second = blocks(found)
    assert (thinking["thinking"], thinking["signature"][:4], text["text"]) == ("Hm", "tg1.", "Hello")
    assert (first["id"], first["json"], second["id"], second["json"]) == ("c", '{"a":1}', "d", "{}")
    assert [event["type"] for event in found[:2]] == ["message_start", "ping"]
    ending, stop = found[-2:]
    assert (ending["delta"]["stop_reason"], ending["usage"]["input_tokens"], stop) == (
        "tool_use",
        6,
        {"type": "message_stop"},
    )


def test_arguments_with_the_start_of_a_call_are_not_lost() -> None:
    assert blocks(events(chunk({"content": "x"}), call(0, '{"a":1}', id="c", name="get")))[1]["json"] == '{"a":1}'


def test_calls_whose_arguments_are_mixed_come_one_after_the_other() -> None:
    found = events(
        call(0, '{"a":', id="c", name="get"),
        call(1, '{"b":', id="d", name="put"),
        call(0, "1}"),
        call(1, "2}"),
    )
    assert [(block["name"], block["json"]) for block in blocks(found)] == [("get", '{"a":1}'), ("put", '{"b":2}')]


def test_hidden_reasoning_goes_out_for_the_next_turn() -> None:
    detail = {"type": "reasoning.encrypted", "data": "blob", "format": "openai-responses-v1"}
    assert blocks(events(chunk({"content": "x", "reasoning_details": [detail]})))[-1]["type"] == "redacted_thinking"


def test_anthropics_thinking_keeps_its_signature() -> None:
    signed = {"type": "reasoning.text", "text": "", "signature": "abc", "format": "anthropic-claude-v1"}
    found = events(chunk({"reasoning": "Hm"}), chunk({"reasoning_details": [signed]}), chunk({"content": "x"}))
    assert blocks(found)[0]["signature"] == "abc"


def test_a_cut_stream_ends_with_an_error_alone() -> None:
    text = MESSAGES.open_stream(MESSAGES.parse(CHAT, BODY)).error(StreamCut("It broke off."))
    assert text.startswith(b'event: error\ndata: {"type":"error","error":{"type":"api_error"')
    assert b"message_stop" not in text


def test_citations_belong_to_the_text_before_them() -> None:
    cited = {"url": "https://a.example", "title": "A", "start_index": 0, "end_index": 1}
    annotation = {"type": "url_citation", "url_citation": cited}
    found = events(chunk({"content": "x"}), chunk({"annotations": [annotation]}), chunk({"content": "y"}))
    assert [event["delta"]["type"] for event in found if event["type"] == "content_block_delta"] == [
        "text_delta",
        "citations_delta",
        "text_delta",
    ]
    assert [(block["text"], "citation" in block) for block in blocks(found)] == [("x", True), ("y", False)]


def test_citations_without_a_text_of_theirs_open_no_block() -> None:
    annotation = {"type": "url_citation", "url_citation": {"url": "https://a.example", "title": "A"}}
    cited, one_call = chunk({"annotations": [annotation]}), call(0, "{}", id="c", name="get")
    late = blocks(events(chunk({"content": "x"}), one_call, cited))
    assert [block["type"] for block in late] == ["text", "tool_use"]
    early = blocks(events(cited, chunk({"content": "x"}), one_call))
    assert [(block["type"], "citation" in block) for block in early] == [("text", True), ("tool_use", False)]


def test_thinking_that_nobody_asked_for_is_left_out() -> None:
    stream = MESSAGES.open_stream(MESSAGES.parse(CHAT, json.dumps(ASKED).encode()))
    text = stream.events([chunk({"reasoning": "Hm"}), chunk({"content": "x"})]) + stream.end()
    assert b"thinking" not in text and b"text_delta" in text


def test_other_answers_than_the_first_are_left_out() -> None:
    second = chunk({"content": "second"})
    second["choices"][0]["index"] = 1
    assert [block["text"] for block in blocks(events(chunk({"content": "first"}), second))] == ["first"]

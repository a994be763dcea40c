"""Summaries of conversations within responses: an item asks for one, and the reply is one item."""

import json
from typing import Any

import pytest

from tests.surfaces.responses.event_order import decoded
from tidegate.chat.operation import CHAT
from tidegate.surfaces.late_dialects import RESPONSES
from tidegate.surfaces.responses.summaries import PROMPT, own_summary

HELLO: Any = {"role": "user", "content": "Hello"}
TRIGGER: Any = {"type": "compaction_trigger"}
TOOL = {"type": "function", "name": "get", "parameters": {"type": "object", "properties": {}}}
FORMAT = {"format": {"type": "json_object"}, "verbosity": "low"}
USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


def parsed(*items: Any, **fields: Any) -> Any:
    body = {"model": "openai/gpt-5", "input": [*items], "tools": [TOOL], "tool_choice": "auto", **fields}
    return RESPONSES.parse(CHAT, json.dumps(body).encode())


def reply(text: str | None, finish_reason: str = "stop", **message: Any) -> Any:
    """What the caller gets, whole and streamed, for a completion with this text."""
    said = {"role": "assistant", "content": text, "reasoning": "Hm", **message}
    choice = {"index": 0, "message": said, "logprobs": None, "finish_reason": finish_reason}
    head = {"id": "resp_7", "created": 1, "model": "openai/gpt-5"}
    whole = json.loads(RESPONSES.reply({**head, "choices": [choice], "usage": USAGE}, parsed(HELLO, TRIGGER)))
    stream = RESPONSES.open_stream(parsed(HELLO, TRIGGER, stream=True))
    deltas = [{"role": "assistant", "reasoning": "Hm"}, *({"content": character} for character in text or "")]
    chunks: list[Any] = [{**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    chunks.append({**head, "choices": [{"index": 0, "delta": message, "finish_reason": finish_reason}]})
    chunks.append({**head, "choices": [], "usage": USAGE})
    return whole, decoded(stream.events(chunks) + stream.end())


def test_a_trigger_at_the_end_asks_for_a_text_alone() -> None:
    request = parsed(HELLO, TRIGGER, text=FORMAT, parallel_tool_calls=True)
    assert request.body["messages"] == [HELLO, {"role": "user", "content": PROMPT}]
    assert not request.body.keys() & {"tools", "tool_choice", "parallel_tool_calls", "response_format"}
    assert (request.body["verbosity"], request.origin.refusals, request.origin.ignored) == ("low", {}, ())
    assert request.origin.body["input"] == [HELLO, TRIGGER]
    assert request.origin.conversation.items == [HELLO]


@pytest.mark.parametrize("items", [[TRIGGER], [TRIGGER, HELLO], [{"role": "system", "content": "Hi"}, TRIGGER]])
def test_a_trigger_that_follows_no_conversation_or_is_not_the_end_is_refused(items: Any) -> None:
    request = parsed(*items)
    assert [path for path in request.origin.refusals if path.startswith("input[")] == [f"input[{items.index(TRIGGER)}]"]
    assert PROMPT not in json.dumps(request.body)


def test_the_reply_is_one_item_with_the_summary() -> None:
    whole, events = reply("Blue.")
    (item,) = whole["output"]
    assert (whole["status"], whole["usage"]["total_tokens"], item["type"]) == ("completed", 15, "compaction")
    assert own_summary(item) == "Summary of the conversation so far:\n\nBlue."
    assert [event["type"] for event in events] == [
        *("response.created", "response.in_progress"),
        *("response.output_item.added", "response.output_item.done"),
        "response.completed",
    ]
    assert [events[2]["item"], events[3]["item"]] == events[-1]["response"]["output"] * 2 == [item] * 2


@pytest.mark.parametrize("text", ["", None])
def test_without_a_text_there_is_no_item(text: str | None) -> None:
    whole, events = reply(text)
    assert (whole["output"], events[-1]["response"]["output"]) == ([], [])


def test_a_part_of_a_summary_is_no_summary() -> None:
    whole, events = reply("The colour is", "length")
    assert (whole["status"], whole["output"], events[-1]["type"]) == ("incomplete", [], "response.incomplete")

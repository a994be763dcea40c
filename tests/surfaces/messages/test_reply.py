"""Completions as messages: their blocks in order, thinking, citations, usage and the reason for the end."""

import json
from typing import Any

import pytest

from tidegate.chat.operation import CHAT
from tidegate.surfaces.late_dialects import MESSAGES

SHOWN = {"thinking": {"type": "adaptive"}}
CALL = {"id": "c", "type": "function", "function": {"name": "get", "arguments": '{"a":1}'}}


def message(answer: dict[str, Any], sent: dict[str, Any] | None = None, **fields: Any) -> Any:
    """The message for a completion whose choice has `answer`; `sent` are more fields of the request."""
    body = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}], **(sent or {})}
    choice = {
        "finish_reason": "stop",
        "message": {"content": None, "refusal": None, **answer},
        **fields.pop("choice", {}),
    }
    reply = {"id": "msg_1", "model": "m", "choices": [choice], **fields}
    return json.loads(MESSAGES.reply(reply, MESSAGES.parse(CHAT, json.dumps(body).encode())))


def test_interleaved_thinking_is_in_its_place() -> None:
    detail = {"type": "reasoning.text", "format": "anthropic-claude-v1"}
    details = [
        {**detail, "text": "First", "signature": "a", "index": 0},
        {**detail, "text": "Then", "signature": "b", "index": 1, "id": "after_3_characters_1_calls"},
    ]
    answer = {"content": "OneTwo", "reasoning_details": details, "tool_calls": [CALL, {**CALL, "id": "d"}]}
    kinds = [(block["type"], block.get("text") or block.get("id")) for block in message(answer)["content"]]
    assert kinds == [
        ("thinking", None),
        ("text", "One"),
        ("tool_use", "c"),
        ("thinking", None),
        ("text", "Two"),
        ("tool_use", "d"),
    ]


@pytest.mark.parametrize(
    ("thinking", "expected"),
    [
        ({"type": "adaptive"}, ["thinking:Hm", "text:x"]),
        ({"type": "enabled", "budget_tokens": 1024}, ["thinking:Hm", "text:x"]),
        ({"type": "adaptive", "display": "omitted"}, ["thinking:", "text:x"]),
        ({"type": "disabled"}, ["text:x"]),
        (None, ["text:x"]),
    ],
)
def test_another_providers_thinking_is_shown_to_those_who_asked(thinking: Any, expected: list[str]) -> None:
    sent = {"thinking": thinking, "max_tokens": 2000} if thinking else {}
    found = message({"content": "x", "reasoning": "Hm"}, sent)["content"]
    assert [f"{block['type']}:{block[block['type']]}" for block in found] == expected


def test_citations_divide_the_text() -> None:
    def annotation(start: int, end: int) -> dict[str, Any]:
        cited = {"url": "https://a.example", "title": "A", "start_index": start, "end_index": end}
        return {"type": "url_citation", "url_citation": cited}

    answer = {"content": "One two three", "annotations": [annotation(4, 7), annotation(4, 7)]}
    found = message(answer)["content"]
    assert [(block["text"], len(block.get("citations", []))) for block in found] == [
        ("One ", 0),
        ("two", 2),
        (" three", 0),
    ]
    assert found[1]["citations"][0] == {
        "type": "web_search_result_location",
        "url": "https://a.example",
        "title": "A",
        "cited_text": "two",
        "encrypted_index": "tg1.",
    }
    crossed = message({"content": "One two", "annotations": [annotation(0, 5), annotation(3, 7)]})["content"]
    assert [(block["text"], len(block["citations"])) for block in crossed] == [("One two", 2)]


@pytest.mark.parametrize(
    ("reason", "native", "expected"),
    [
        ("stop", None, ("end_turn", None)),
        ("stop", "stop_sequence", ("stop_sequence", "END")),
        ("length", None, ("max_tokens", None)),
        ("length", "pause_turn", ("pause_turn", None)),
        ("length", "model_context_window_exceeded", ("model_context_window_exceeded", None)),
        ("tool_calls", "tool_use", ("tool_use", None)),
        ("content_filter", None, ("refusal", None)),
        ("content_filter", "refusal", ("refusal", None)),
    ],
)
def test_the_reason_for_the_end_is_told_in_anthropics_words(reason: str, native: str | None, expected: Any) -> None:
    choice = {"finish_reason": reason, **({"native_finish_reason": native} if native else {})}
    found = message({"content": "x"}, {"stop_sequences": ["END"]}, choice=choice)
    assert (found["stop_reason"], found["stop_sequence"]) == expected


def test_usage_has_the_input_that_no_cache_gave_and_what_it_wrote() -> None:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 9,
        "prompt_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 30, "cache_write_1h_tokens": 10},
        "completion_tokens_details": {"reasoning_tokens": 4},
        "server_tool_use": {"web_search_requests": 2},
    }
    assert message({"content": "x"}, usage=usage, service_tier="default")["usage"] == {
        "input_tokens": 30,
        "cache_creation_input_tokens": 30,
        "cache_read_input_tokens": 40,
        "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 10},
        "output_tokens": 9,
        "output_tokens_details": {"thinking_tokens": 4},
        "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0},
        "service_tier": "standard",
    }


def test_a_reply_without_usage_still_has_all_counts() -> None:
    usage = message({"content": "x"})["usage"]
    assert (usage["input_tokens"], usage["output_tokens"], usage["cache_read_input_tokens"]) == (0, 0, 0)


def test_citations_without_a_text_are_no_block() -> None:
    found = message({"content": None, "citations": [{"type": "page_location"}], "tool_calls": [CALL]})["content"]
    assert [block["type"] for block in found] == ["tool_use"]

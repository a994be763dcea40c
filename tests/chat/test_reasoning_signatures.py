"""Which reasoning is kept, and which is looked for."""

from typing import Any

from tidegate.chat.reasoning_signatures import ChatReasoningCollector, ids_to_look_up
from tidegate.chat.request import build_chat_request

CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def completion(**message: Any) -> Any:
    choice = {"index": 0, "message": {"role": "assistant", "content": None, **message}, "finish_reason": "tool_calls"}
    return {"object": "chat.completion", "choices": [choice]}


def reasoning_to_store(reply: Any) -> Any:
    collector = ChatReasoningCollector()
    collector.add_reply(reply)
    return collector.signed_reasoning()


def test_reasoning_is_kept_under_the_first_tool_call_that_followed() -> None:
    details = [{"type": "reasoning.text", "text": "hm", "signature": "s"}]
    second = {**CALL, "id": "call_2"}
    assert reasoning_to_store(completion(tool_calls=[CALL, second], reasoning_details=details)) == ("call_1", details)


def test_reasoning_without_tool_calls_and_tool_calls_without_reasoning_are_not_kept() -> None:
    assert reasoning_to_store(completion(reasoning_details=[{"type": "reasoning.text"}])) is None
    assert reasoning_to_store(completion(tool_calls=[CALL])) is None
    assert reasoning_to_store({"object": "chat.completion", "choices": [], "system_fingerprint": None}) is None


def test_the_pieces_of_a_stream_become_whole() -> None:
    collector = ChatReasoningCollector()
    pieces: list[Any] = [
        {"reasoning_details": [{"type": "reasoning.text", "text": "h", "index": 0, "format": "x"}]},
        {"reasoning_details": [{"type": "reasoning.text", "text": "m", "index": 0}]},
        {"reasoning_details": [{"type": "reasoning.text", "signature": "s", "index": 0}]},
        {"reasoning_details": [{"type": "reasoning.encrypted", "data": "d", "index": 1}]},
        {"tool_calls": [{"index": 0, **CALL}, {"index": 1, **CALL, "id": "call_2"}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]},
    ]
    for piece in pieces:
        collector.add_chunk({"choices": [{"index": 0, "delta": piece}]})
    assert collector.signed_reasoning() == (
        "call_1",
        [
            {"type": "reasoning.text", "text": "hm", "index": 0, "format": "x", "signature": "s"},
            {"type": "reasoning.encrypted", "data": "d", "index": 1},
        ],
    )


def test_only_turns_that_came_without_their_reasoning_are_looked_up() -> None:
    messages: list[Any] = [
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "assistant", "tool_calls": [{**CALL, "id": "call_2"}], "reasoning_details": [{"type": "x"}]},
        {"role": "assistant", "content": "no call"},
        {"role": "assistant", "tool_calls": [{**CALL, "id": "x" * 257}]},
        {"role": "assistant", "tool_calls": []},
        {"role": "user", "content": "go on"},
    ]
    assert ids_to_look_up(build_chat_request({"model": "m", "messages": messages}).fields.messages) == ["call_1"]


def test_of_a_long_conversation_the_newest_turns_are_looked_up() -> None:
    messages = [{"role": "assistant", "tool_calls": [{**CALL, "id": f"call_{i}"}]} for i in range(60)]
    found = ids_to_look_up(build_chat_request({"model": "m", "messages": messages}).fields.messages)
    assert (len(found), found[0], found[-1]) == (50, "call_10", "call_59")

"""Which reasoning is kept, under which key, and which is looked up."""

from typing import Any

import pytest

from tidegate.chat.operation import ChatStamper
from tidegate.chat.reasoning_signatures import ChatReasoningCollector, turns_to_look_up
from tidegate.chat.request import build_chat_request
from tidegate.domain.operation import ReplyLog

CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
DETAILS = [{"type": "reasoning.text", "text": "hm", "signature": "s"}]
BEGIN: list[Any] = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello."}]
TURN: dict[str, Any] = {"role": "assistant", "content": None, "tool_calls": [CALL]}


def typed(messages: list[Any]) -> Any:
    return build_chat_request({"model": "m", "messages": messages}).fields.messages


def completion(**message: Any) -> Any:
    choice = {"index": 0, "message": {"role": "assistant", "content": None, **message}, "finish_reason": "tool_calls"}
    return {"object": "chat.completion", "choices": [choice]}


def reasoning_to_store(reply: Any, messages: list[Any] = BEGIN) -> Any:
    collector = ChatReasoningCollector(typed(messages))
    collector.add_reply(reply)
    return collector.signed_reasoning()


def stored_turn(messages: list[Any] = BEGIN, **message: Any) -> str:
    """The key of a reply to `messages`."""
    turn, details = reasoning_to_store(completion(reasoning_details=DETAILS, **message), messages)
    assert details == DETAILS
    return turn


def test_the_turn_is_found_again_in_the_next_request() -> None:
    key = stored_turn(tool_calls=[CALL])
    following = [*BEGIN, TURN, {"role": "tool", "tool_call_id": "call_1", "content": "2"}]
    assert turns_to_look_up(typed(following)) == {2: key}


SAME_TURNS: list[Any] = [
    [{"role": "assistant", "content": "Let me see.", "tool_calls": [CALL]}],
    [{"role": "assistant", "content": " Let me see.\n", "tool_calls": [{**CALL, "index": 0}]}],
    [{"role": "assistant", "content": [{"type": "text", "text": "Let me see."}], "tool_calls": [CALL]}],
    [{"role": "assistant", "content": "Let me see."}, TURN],
    [
        {
            "role": "assistant",
            "content": "Let me see.",
            "tool_calls": [{**CALL, "function": {"name": "f", "arguments": '{"a":1.0}', "parsed_arguments": {}}}],
        }
    ],
]


@pytest.mark.parametrize("turns", SAME_TURNS, ids=["as it was", "white space", "parts", "two messages", "arguments"])
def test_what_clients_change_when_they_replay_a_turn_does_not_matter(turns: list[Any]) -> None:
    key = stored_turn(content="Let me see.\n", tool_calls=[CALL])
    assert turns_to_look_up(typed([*BEGIN, *turns])) == {2: key}


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user", "content": "Hello!"}, TURN],
        [{"role": "user", "content": "Hello."}, TURN],
        [{"role": "system", "content": "Be brief, Alice."}, {"role": "user", "content": "Hello."}, TURN],
        [BEGIN[0], {"role": "user", "name": "bob", "content": "Hello."}, TURN],
        [*BEGIN, {**TURN, "content": "Let me see."}],
        [*BEGIN, {**TURN, "tool_calls": [{**CALL, "id": "call_2"}]}],
        [*BEGIN, {**TURN, "tool_calls": [{**CALL, "function": {"name": "g", "arguments": '{"a": 1}'}}]}],
        [*BEGIN, {**TURN, "tool_calls": [{**CALL, "function": {"name": "f", "arguments": '{"a": 2}'}}]}],
        [*BEGIN, {**TURN, "tool_calls": [CALL, CALL]}],
    ],
)
def test_another_conversation_has_another_key_whatever_the_ids(messages: list[Any]) -> None:
    [found] = turns_to_look_up(typed(messages)).values()
    assert found != stored_turn(tool_calls=[CALL])


def test_an_id_that_comes_again_in_a_conversation_is_another_turn() -> None:
    result = {"role": "tool", "tool_call_id": "call_1", "content": "2"}
    found = turns_to_look_up(typed([*BEGIN, TURN, result, TURN, result]))
    assert found == {
        2: stored_turn(tool_calls=[CALL]),
        4: stored_turn([*BEGIN, TURN, result], tool_calls=[CALL]),
    }


def test_texts_are_not_confused_with_their_neighbours() -> None:
    keys = {
        stored_turn([{"role": "user", "content": text}, {"role": "user", "content": other}], tool_calls=[CALL])
        for text, other in (("ab", "c"), ("a", "bc"), ("abc", ""))
    }
    assert len(keys) == 3


def test_half_a_surrogate_pair_and_broken_arguments_are_texts_as_well() -> None:
    broken = {**CALL, "function": {"name": "f", "arguments": '{"a": "\ud83d'}}
    assert stored_turn(content="\ud83d", tool_calls=[broken]) == stored_turn(content="\ud83d ", tool_calls=[broken])
    assert stored_turn(content="\ud83d", tool_calls=[broken]) != stored_turn(content="?", tool_calls=[broken])


def test_reasoning_without_tool_calls_and_tool_calls_without_reasoning_are_not_kept() -> None:
    assert reasoning_to_store(completion(reasoning_details=[{"type": "reasoning.text"}])) is None
    assert reasoning_to_store(completion(tool_calls=[CALL])) is None
    assert reasoning_to_store({"object": "chat.completion", "choices": [], "system_fingerprint": None}) is None


def test_the_pieces_of_a_stream_become_whole() -> None:
    collector = ChatReasoningCollector(typed(BEGIN))
    stamper = ChatStamper({}, False, ReplyLog(), collector)
    second = {**CALL, "id": "call_2", "function": {"name": "f", "arguments": ""}}
    pieces: list[Any] = [
        {"reasoning_details": [{"type": "reasoning.text", "text": "h", "index": 0, "format": "x"}]},
        {"reasoning_details": [{"type": "reasoning.text", "text": "m", "index": 0}]},
        {"reasoning_details": [{"type": "reasoning.text", "signature": "s", "index": 0}]},
        {"reasoning_details": [{"type": "reasoning.encrypted", "data": "d", "index": 1}]},
        {"content": "Let me "},
        {"content": "see."},
        {"tool_calls": [{"index": 0, **CALL}, {"index": 1, **second}]},
        {"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]},
    ]
    for piece in pieces:
        choices = [{"index": 0, "delta": piece}, {"index": 1, "delta": {"content": "other"}}]
        stamper.stamp([{"choices": [{**choice, "finish_reason": None} for choice in choices]}])
    called = [CALL, {**second, "function": {"name": "f", "arguments": "{}"}}]
    assert collector.signed_reasoning() == (
        stored_turn(content="Let me see.", tool_calls=called),
        [
            {"type": "reasoning.text", "text": "hm", "index": 0, "format": "x", "signature": "s"},
            {"type": "reasoning.encrypted", "data": "d", "index": 1},
        ],
    )
    assert pieces[6]["tool_calls"][1]["function"]["arguments"] == "", "a chunk itself is never changed"


def test_only_turns_that_came_without_their_reasoning_are_looked_up() -> None:
    messages: list[Any] = [
        TURN,
        {"role": "user", "content": "?"},
        {**TURN, "reasoning_details": [{"type": "x"}]},
        {"role": "user", "content": "?"},
        {"role": "assistant", "content": "no call"},
        {"role": "user", "content": "?"},
        {"role": "assistant", "tool_calls": []},
        {"role": "user", "content": "go on"},
    ]
    assert list(turns_to_look_up(typed(messages))) == [0]


def test_of_a_long_conversation_the_newest_turns_are_looked_up() -> None:
    messages = [message for _ in range(60) for message in (TURN, {"role": "user", "content": "?"})]
    found = list(turns_to_look_up(typed(messages)))
    assert (len(found), found[0], found[-1]) == (50, 20, 118)

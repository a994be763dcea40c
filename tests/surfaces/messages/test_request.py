"""Requests of the Messages API as chat requests."""

import json
from typing import Any

import pytest

from tidegate.chat.operation import CHAT
from tidegate.chat.request import ChatRequest
from tidegate.errors import InvalidRequest
from tidegate.surfaces import sealed_details
from tidegate.surfaces.late_dialects import MESSAGES

CALL = {"type": "tool_use", "id": "toolu_1", "name": "get", "input": {"a": 1}}


def parsed(headers: dict[bytes, bytes] | None = None, **fields: Any) -> ChatRequest:
    body = {"model": "openai/gpt-5", "max_tokens": 50, "messages": [{"role": "user", "content": "Hi"}], **fields}
    request = MESSAGES.parse(CHAT, json.dumps(body).encode(), headers or {})
    assert isinstance(request, ChatRequest)
    return request


def turns(*turns: tuple[str, Any], **fields: Any) -> list[Any]:
    """The messages that these turns become."""
    listed = [{"role": role, "content": content} for role, content in turns]
    return json.loads(json.dumps(parsed(messages=listed, **fields).body["messages"]))


def portable(request: ChatRequest) -> tuple[Any, tuple[str, ...]]:
    assert request.origin is not None and request.origin.make_portable is not None
    return request.origin.make_portable(request.body)


def test_the_system_is_a_message_without_the_entry_that_tells_who_pays() -> None:
    cached = {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}
    system = [{"type": "text", "text": "x-anthropic-billing-header: cc_version=2"}, cached]
    assert turns(("user", "Hi"), system=system)[0] == {"role": "system", "content": [cached]}


def test_results_come_before_the_rest_of_their_turn() -> None:
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "42"}]}
    steering = {"type": "text", "text": "And faster."}
    messages = turns(("assistant", [CALL]), ("user", [steering, result]))
    assert messages[1:] == [
        {"role": "tool", "tool_call_id": "toolu_1", "content": "42"},
        {"role": "user", "content": "And faster."},
    ]


def test_every_kind_of_result_stays_with_its_call() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
    kinds = [
        image,
        {"type": "tool_reference", "tool_name": "search"},
        {"type": "search_result", "title": "T", "source": "S", "content": [{"type": "text", "text": "X"}]},
        {"type": "new_in_2030", "a": 1},
    ]
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "is_error": True, "content": kinds}
    request = parsed(messages=[{"role": "assistant", "content": [CALL]}, {"role": "user", "content": [result]}])
    messages: Any = request.body["messages"]
    texts = [part["text"] for part in messages[1]["content"] if part["type"] == "text"]
    assert texts == ["Error:", "The tool search is available.", "T\nS\nX", '{"type":"new_in_2030","a":1}']
    assert request.origin is not None and request.origin.ignored == ("messages[1].content[0].content[3]",)
    body, _ = portable(request)
    roles = [message["role"] for message in body["messages"]]
    assert (roles, body["messages"][2]["content"][1]["type"]) == (["assistant", "tool", "user"], "image_url")


def test_a_result_without_its_call_is_refused_in_anthropics_words() -> None:
    result = {"type": "tool_result", "tool_use_id": "toolu_9", "content": "x"}
    with pytest.raises(InvalidRequest, match="unexpected `tool_use_id` found in `tool_result` blocks: toolu_9"):
        turns(("user", [result]))


def test_thinking_keeps_its_signature_and_its_place() -> None:
    thinking = {"type": "thinking", "thinking": "Hm.", "signature": "abc"}
    message = turns(("user", "Hi"), ("assistant", [{"type": "text", "text": "One"}, thinking, CALL]))[1]
    detail = message["reasoning_details"][0]
    assert (detail["signature"], detail["id"], detail["format"]) == (
        "abc",
        "after_3_characters_0_calls",
        "anthropic-claude-v1",
    )


def test_another_providers_reasoning_comes_back_out_of_the_signature_and_is_not_sent_to_anthropic() -> None:
    details: list[Any] = [{"type": "reasoning.encrypted", "data": "blob", "format": "openai-responses-v1"}]
    thinking = {"type": "thinking", "thinking": "Hm.", "signature": sealed_details.pack(details)}
    request = parsed(messages=[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": [thinking, CALL]}])
    messages: Any = request.body["messages"]
    assert messages[1]["reasoning_details"] == details
    assert request.origin is not None and request.origin.body is not None
    native: Any = request.origin.body["messages"]
    assert native[1]["content"] == [CALL]


@pytest.mark.parametrize("damaged", ["tg1.", "tg1.!!!", "tg1.AAAA", "tg1.eJyrVkrLz1eyUkpKLFKqBQAdhgQF"])
def test_a_damaged_signature_of_ours_holds_nothing(damaged: str) -> None:
    assert not sealed_details.unpack(damaged)


def test_tools_of_the_client_become_functions_for_other_providers() -> None:
    tools = [
        {"name": "get", "input_schema": {"type": "object", "properties": {}}, "defer_loading": True},
        {"type": "bash_20250124", "name": "bash"},
        {"type": "computer_20250124", "name": "computer"},
    ]
    request = parsed(tools=tools, tool_choice={"type": "any", "disable_parallel_tool_use": True}, container="c_1")
    assert (request.body["tool_choice"], request.body["parallel_tool_calls"]) == ("required", False)
    body, ignored = portable(request)
    assert [tool["function"]["name"] for tool in body["tools"]] == ["get", "bash"]
    assert set(ignored) == {"container", "tools[2]"}


def test_the_session_and_the_headers_are_read() -> None:
    headers = {b"anthropic-beta": b"a,b", b"anthropic-new": b"1", b"authorization": b"Bearer x"}
    request = parsed(headers, metadata={"user_id": '{"session_id": "s_1"}'})
    assert request.session_id == "s_1"
    assert request.origin is not None and request.origin.headers == {"anthropic-beta": "a,b", "anthropic-new": "1"}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"max_tokens": None}, "max_tokens: Field required"),
        ({"messages": []}, "messages: at least one message is required"),
        ({"messages": [{"role": 7, "content": ""}]}, "messages.0.role: Input should be 'user' or 'assistant'"),
        ({"messages": [{"role": "user"}]}, "messages.0.content: Field required"),
        ({"model": 1}, "model: Input should be a valid string"),
    ],
)
def test_a_malformed_request_is_refused_in_anthropics_words(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        parsed(**fields)


def test_citations_of_earlier_texts_keep_their_places() -> None:
    web = {"type": "web_search_result_location", "url": "https://a.example", "title": "A", "cited_text": "X"}
    place = {"type": "char_location", "document_index": 0}
    listed = [{"type": "text", "text": "One "}, {"type": "text", "text": "two", "citations": [web, place]}]
    message = turns(("user", "Hi"), ("assistant", listed))[1]
    cited = {"url": "https://a.example", "title": "A", "start_index": 4, "end_index": 7, "content": "X"}
    assert (message["content"], message["annotations"], message["citations"]) == (
        "One two",
        [{"type": "url_citation", "url_citation": cited}],
        [place],
    )


def test_marks_of_the_gateways_are_not_sent_to_anthropic() -> None:
    call = {**CALL, "id": "functions.get:0"}
    own = {"type": "web_search_result_location", "url": "https://a.example", "encrypted_index": sealed_details.PREFIX}
    text = {"type": "text", "text": "x", "citations": [own]}
    result = {"type": "tool_result", "tool_use_id": "functions.get:0", "content": "42"}
    request = parsed(messages=[{"role": "assistant", "content": [text, call]}, {"role": "user", "content": [result]}])
    assert request.origin is not None and request.origin.body is not None
    sent: Any = request.origin.body["messages"]
    assert sent[0]["content"] == [{"type": "text", "text": "x"}, {**call, "id": "functions_get_0"}]
    assert sent[1]["content"] == [{**result, "tool_use_id": "functions_get_0"}]
    messages: Any = request.body["messages"]
    assert (messages[0]["tool_calls"][0]["id"], messages[1]["tool_call_id"]) == ("functions.get:0", "functions.get:0")


def test_server_tools_of_earlier_turns_become_text_and_no_calls() -> None:
    listed = [
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
        {
            "type": "web_search_tool_result",
            "tool_use_id": "srvtoolu_1",
            "content": [
                {"type": "web_search_result", "url": "https://a.example", "title": "A", "encrypted_content": "e"}
            ],
        },
        {"type": "text", "text": "So."},
    ]
    message = turns(("user", "Hi"), ("assistant", listed))[1]
    assert message == {"role": "assistant", "content": "A: https://a.example\nSo."}


def test_a_turn_of_thinking_alone_stays_a_message() -> None:
    message = turns(("user", "Hi"), ("assistant", [{"type": "thinking", "thinking": "Hm", "signature": "abc"}]))[1]
    assert (message["role"], message["content"], len(message["reasoning_details"])) == ("assistant", "", 1)


@pytest.mark.parametrize("choice", [{"type": "sometimes"}, {"type": "tool"}, {}])
def test_an_unknown_tool_choice_is_refused(choice: dict[str, Any]) -> None:
    tools = [{"name": "get", "input_schema": {"type": "object"}}]
    with pytest.raises(InvalidRequest, match=r"tool_choice.type: Input should be"):
        parsed(tools=tools, tool_choice=choice)


@pytest.mark.parametrize("version", [b"latest", b"2023", b"x" * 1000])
def test_a_version_that_is_not_a_date_is_refused(version: bytes) -> None:
    with pytest.raises(InvalidRequest, match=r"anthropic-version: .* is not a valid version"):
        parsed({b"anthropic-version": version})


def test_instructions_between_turns_join_the_users_message_for_other_providers() -> None:
    turns = [
        {"role": "user", "content": "Hi"},
        {"role": "system", "content": "Use tools."},
        {"role": "assistant", "content": "Yes."},
        {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
    ]
    body, _ = portable(parsed(system="You help.", messages=turns))
    reminders = [f"<system-reminder>\n{text}\n</system-reminder>" for text in ("Use tools.", "Be brief.")]
    assert body["messages"] == [
        {"role": "system", "content": "You help."},
        {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "text", "text": reminders[0]}]},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": [{"type": "text", "text": reminders[1]}]},
    ]


def test_what_a_message_cannot_have_is_not_asked_for() -> None:
    request = parsed(n=3, logprobs=True, stream_options={"include_usage": True})
    assert request.origin is not None
    assert (request.choices, request.origin.ignored) == (1, ("n", "logprobs", "stream_options"))

"""The door: what is accepted, and how each refusal names its field."""

import json
from typing import Any

import pytest

from tidegate.chat.fields import MAX_FIELDS, MAX_MEDIA, MAX_MESSAGES, MAX_TOOLS
from tidegate.chat.reasoning import Reasoning
from tidegate.chat.request import build_chat_request, parse_chat_request
from tidegate.errors import InvalidRequest

USER = {"role": "user", "content": "hi"}


def refused(**fields: Any) -> tuple[str | None, str]:
    with pytest.raises(InvalidRequest) as caught:
        build_chat_request({"model": "m", "messages": [USER], **fields})
    return caught.value.param, caught.value.message


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"model": 3}, "model"),
        ({"model": ""}, "model"),
        ({"model": None}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"content": "x"}]}, "messages[0].role"),
        ({"messages": [USER, {"role": "user"}]}, "messages[1].content"),
        ({"messages": [USER, {"role": "user", "content": {"a": 1}}]}, "messages[1].content"),
        ({"messages": [USER, USER, {"role": "user", "content": [{"type": "smell"}]}]}, "messages[2].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content[0].image_url"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        ({"messages": [{"role": "function", "content": "x"}]}, "messages[0].name"),
        (
            {
                "messages": [
                    {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": {}}}]}
                ]
            },
            "messages[0].tool_calls[0].function.arguments",
        ),
        ({"messages": [{"role": "assistant", "tool_calls": [{"id": "c"}]}]}, "messages[0].tool_calls[0].function"),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": "0"}, "temperature"),
        ({"top_p": -0.1}, "top_p"),
        ({"n": 0}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": 1.5}, "max_completion_tokens"),
        ({"stop": [1]}, "stop[0]"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
        ({"presence_penalty": 3}, "presence_penalty"),
        ({"repetition_penalty": 0}, "repetition_penalty"),
        ({"logit_bias": {"1": 100, "50256": 101}}, "logit_bias.50256"),
        ({"logit_bias": {"50256": "x"}}, "logit_bias.50256"),
        ({"seed": 2**63}, "seed"),
        ({"max_tokens": 10**30}, "max_tokens"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"response_format": {"type": "yaml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, "response_format.json_schema.name"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        ({"tools": [{}]}, "tools[0].type"),
        ({"tool_choice": "any"}, "tool_choice"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.function"),
        ({"tool_choice": {"type": "function", "function": {"name": "nobody"}}}, "tool_choice.function.name"),
        ({"function_call": {"name": "nobody"}}, "function_call.name"),
        ({"functions": [{"description": "x"}]}, "functions[0].name"),
        ({"reasoning_effort": "extreme"}, "reasoning_effort"),
        ({"reasoning": {"effort": 3}}, "reasoning.effort"),
        ({"thinking": {"type": "maybe"}}, "thinking.type"),
        ({"metadata": "x"}, "metadata"),
        ({"guardrails": "pii"}, "guardrails"),
        ({"num_retries": -1}, "num_retries"),
        ({"num_retries": 99}, "num_retries"),
        ({"fallbacks": [3]}, "fallbacks[0]"),
        ({"context_window_fallback_dict": {"a": 1}}, "context_window_fallback_dict.a"),
        ({"require_parameters": "yes"}, "require_parameters"),
        ({"timeout": 0}, "timeout"),
    ],
)
def test_a_refusal_names_the_field_as_a_path(fields: dict[str, Any], path: str) -> None:
    param, message = refused(**fields)
    assert param == path
    assert path in message


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b"null", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 50_000])
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_chat_request(body)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b'"\xff"', "not valid UTF-8: byte 18 is 0xff"),
        (b'"\xed\xa0\x80"', "not valid UTF-8: byte 18 is 0xed"),
        (rb'"\ud800"', r"\ud800 at byte 18 is half of a surrogate pair"),
        (rb'"\ud83d\ude00\uDE00"', r"\uDE00 at byte 30 is half of a surrogate pair"),
        (b"9" * 5000, "Integer value out of range."),
        (b"1e400", "Number out of range."),
        (rb'"\ud83d\ude00', "Input data was truncated"),
    ],
)
def test_what_is_wrong_with_the_bytes_is_said(text: bytes, said: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_chat_request(b'{"model":"m","x":' + text + b"}")
    assert said in caught.value.message


@pytest.mark.parametrize("role", ["system", "developer", "user"])
def test_a_message_that_says_nothing_is_refused(role: str) -> None:
    assert refused(messages=[{"role": role, "content": []}])[0] == "messages[0].content"


def test_a_missing_model_is_named() -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_chat_request(json.dumps({"messages": [USER]}).encode())
    assert (caught.value.param, caught.value.message) == ("model", "Missing required field: 'model'.")


IMAGE = {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}
FUNCTION = {"name": "f"}
TOOL = {"type": "function", "function": FUNCTION}


@pytest.mark.parametrize(
    ("accepted", "refused_path"),
    [
        ({"messages": [USER] * MAX_MESSAGES}, "messages"),
        ({"tools": [TOOL] * MAX_TOOLS}, "tools"),
        ({"functions": [FUNCTION] * MAX_TOOLS}, "functions"),
        ({"metadata": dict.fromkeys(map(str, range(MAX_FIELDS)), "a")}, "metadata"),
        ({"web_search_options": dict.fromkeys(map(str, range(MAX_FIELDS)), "a")}, "web_search_options"),
        (dict.fromkeys(map(str, range(MAX_FIELDS - 2)), "a"), None),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_limit_of_a_request_is_what_it_accepts(accepted: dict[str, Any], refused_path: str | None) -> None:
    build_chat_request({"model": "m", "messages": [USER], **accepted})
    if refused_path is None:
        assert refused(**accepted, one_more="a") == (None, "The body has more than 500 fields.")
        return
    most = accepted[refused_path]
    one_more = [*most, most[0]] if isinstance(most, list) else {**most, "one more": "a"}
    path, message = refused(**{refused_path: one_more})
    assert path == refused_path
    assert f"of length <= {len(most)}" in message


def test_the_media_of_all_messages_together_have_a_limit() -> None:
    message = {"role": "user", "content": [IMAGE] * (MAX_MEDIA // 2)}
    build_chat_request({"model": "m", "messages": [message, message]})
    refusal = refused(messages=[message, message, {"role": "user", "content": [IMAGE]}])
    assert refusal == ("messages", "The messages have more than 1,024 images and files.")


def test_the_arguments_of_all_tool_calls_together_have_a_limit() -> None:
    def history(count: int) -> list[dict[str, Any]]:
        function = {"name": "f", "arguments": '{"a": [' + ",".join(["{}"] * 998) + "]}"}
        call = {"id": "1", "type": "function", "function": function}
        return [USER, *[{"role": "assistant", "tool_calls": [call]}] * count]

    code = {"name": "f", "arguments": json.dumps({"text": "{[" * 100_000})}
    call = {"id": "1", "type": "function", "function": code}
    build_chat_request({"model": "m", "messages": [*history(11), {"role": "assistant", "tool_calls": [call]}]})
    path, message = refused(messages=history(13))
    assert path == "messages[13].tool_calls[0].function.arguments"
    assert message == "All arguments of tool calls together have more than 12,000 objects and arrays."


def test_a_changed_body_is_validated_where_it_differs() -> None:
    request = build_chat_request({"model": "m", "messages": [USER], "tools": [TOOL], "n": 2, "cache": {"a": 1}})
    for changes in [{"n": 3}, {"messages": [USER, USER]}, {"temperature": 1, "tools": None}, {"model": "b"}, {}]:
        body = {**request.body, **changes}
        assert request.with_body(body) == build_chat_request(body)
    for names in [("n",), ("tools", "cache"), ()]:
        body = {name: value for name, value in request.body.items() if name not in names}
        assert request.with_body(body) == request.without_fields(names) == build_chat_request(body)
    for wrong, path in [
        ({"n": 0}, "n"),
        ({"messages": []}, "messages"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
    ]:
        with pytest.raises(InvalidRequest) as caught:
            request.with_body({**request.body, **wrong})
        assert caught.value.param == path
    with pytest.raises(InvalidRequest, match="Missing required field: 'messages'"):
        request.with_body({"model": "m"})
    with pytest.raises(InvalidRequest, match="not among the request's functions"):
        request.with_body({**request.body, "tool_choice": {"type": "function", "function": {"name": "g"}}})


def test_null_is_absent_for_every_optional_field() -> None:
    optional = {
        "temperature": None, "top_p": None, "n": None, "max_tokens": None, "stop": None, "seed": None, "stream": None,
        "stream_options": None, "logit_bias": None, "tools": None, "tool_choice": None, "response_format": None,
        "reasoning": None, "thinking": None, "web_search_options": None, "metadata": None, "user": None, "cache": None,
    }  # fmt: skip
    request = build_chat_request({"model": "m", "messages": [USER], **optional})
    assert (request.ignored, request.reasoning, request.stream) == ((), None, False)


def test_everything_that_clients_replay_is_accepted() -> None:
    messages: list[Any] = [
        {"role": "system", "content": [{"type": "text", "text": "s"}]},
        {"role": "developer", "content": "d"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "t"},
                {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
                {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
                {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "d"}},
                {"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}},
                {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "refusal": None,
            "annotations": [],
            "audio": None,
            "function_call": None,
            "reasoning_details": [{"type": "reasoning.text", "text": "…"}],
            "tool_calls": [
                {
                    "index": 0,
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "f", "arguments": "", "parsed_arguments": None},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "r"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "a"}, {"type": "refusal", "refusal": "no"}]},
        {"role": "assistant", "content": [], "tool_calls": [{"id": "call_2", "function": {"name": "f"}}]},
        {"role": "tool", "tool_call_id": "call_2", "content": []},
        {"role": "function", "name": "f", "content": None},
    ]
    assert build_chat_request({"model": "m", "messages": messages}).body == {"model": "m", "messages": messages}


def test_fields_of_the_cache_that_nothing_honours_are_reported() -> None:
    honoured = {"fallbacks": ["a", {"model": "b"}], "models": ["m"], "num_retries": 1, "observability": True}
    cache = {"ttl": 5, "redis": True, "mode": "x"}
    request = build_chat_request({"model": "m", "messages": [USER], "cache": cache, **honoured})
    assert request.ignored == ("cache.mode", "cache.redis")


@pytest.mark.parametrize(
    ("fields", "wish"),
    [
        ({"reasoning_effort": "high"}, Reasoning(effort="high")),
        ({"reasoning_effort": "none"}, Reasoning(enabled=False)),
        ({"reasoning": {"effort": "low", "exclude": True}}, Reasoning(effort="low", exclude=True)),
        ({"reasoning": {"max_tokens": 2048}}, Reasoning(max_tokens=2048)),
        ({"reasoning": {"enabled": True}}, Reasoning()),
        ({"reasoning": {"enabled": False}}, Reasoning(enabled=False)),
        ({"thinking": {"thinking": True, "effort": "medium"}}, Reasoning(effort="medium")),
        ({"thinking": {"thinking": False, "effort": "medium"}}, Reasoning(enabled=False)),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, Reasoning(max_tokens=1024)),
        ({"thinking": {"type": "disabled"}}, Reasoning(enabled=False)),
        ({"thinking": {"clear_thinking": False}}, Reasoning()),
        ({"thinking": {"type": "adaptive"}, "reasoning_effort": "max"}, Reasoning(effort="max")),
        ({"reasoning_effort": "low", "reasoning": {"effort": "low"}}, Reasoning(effort="low")),
    ],
)
def test_five_shapes_are_one_wish(fields: dict[str, Any], wish: Reasoning) -> None:
    assert build_chat_request({"model": "m", "messages": [USER], **fields}).reasoning == wish


def test_wishes_that_contradict_each_other_are_refused() -> None:
    assert refused(reasoning_effort="low", reasoning={"effort": "high"})[0] == "reasoning_effort"
    assert refused(reasoning={"enabled": False}, thinking={"type": "enabled"})[0] == "reasoning.enabled"


@pytest.mark.parametrize(
    ("thinking", "missing"),
    [
        ({"thinking": True}, "thinking.effort"),
        ({"thinking": False}, "thinking.effort"),
        ({"effort": "high"}, "thinking.thinking"),
    ],
)
def test_half_of_neuroas_thinking_is_refused(thinking: dict[str, Any], missing: str) -> None:
    message = f"{missing} is missing: send {{thinking, effort}}, or {{type, budget_tokens}}."
    assert refused(thinking=thinking) == (missing, message)


def test_max_completion_tokens_wins_over_max_tokens() -> None:
    request = build_chat_request({"model": "m", "messages": [USER], "max_tokens": 5, "max_completion_tokens": 7})
    assert request.output_limit == 7

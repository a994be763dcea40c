"""A plain body is recognised, and then read as every other body is: same fields, same errors."""

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.providers.calls import call
from tidegate.chat.fields import MAX_MESSAGES, PlainBody
from tidegate.chat.parse import decode_body
from tidegate.chat.request import ChatRequest, build_chat_request, parse_chat_request
from tidegate.domain.deployment import Deployment
from tidegate.domain.gateway_fields import GATEWAY_FIELDS
from tidegate.errors import InvalidRequest
from tidegate.json import JsonObject, encode_canonical
from tidegate.offload import LONG_BYTES
from tidegate.providers.chat_translator import may_change_price, may_refer_to_account

USER = {"role": "user", "content": "hi"}
MINIMUM = {"model": "m", "messages": [USER]}
PLAIN_VALUES: dict[str, Any] = {
    "stream": True,
    "stream_options": {"include_usage": True},
    "temperature": 0.5,
    "top_p": 1,
    "n": 2,
    "max_tokens": 10,
    "max_completion_tokens": 20,
    "stop": ["a", "b"],
    "seed": 7,
    "presence_penalty": -1,
    "frequency_penalty": 1.5,
    "user": "someone",
}


def json_object(pairs: list[tuple[str, str]]) -> str:
    return "{" + ", ".join(f'"{name}" :{value}' for name, value in pairs) + "}"


def json_array(items: list[str]) -> str:
    return "[" + ",\n".join(items) + "]"


NAMES = st.sampled_from(
    [*PlainBody.__struct_fields__, "tools", "timeout", "reasoning_effort", "cache", "top_k", "name"]
)
TEXTS = st.sampled_from(['"hi"', '""', r'"\u00e9\ud83d\ude00"', r'"\ud800"', '"user"', '"a@b.c"'])
NUMBERS = st.sampled_from(["0", "1", "-1", "1.0", "0.5", "1e0", "1e400", "2147483648", "9" * 30, "NaN", "-0"])
MESSAGE_NAMES = st.sampled_from(["role", "role", "content", "content", "name", "tool_calls"])
MESSAGE_VALUES = st.sampled_from(['"user"', '"system"', '"assistant"', '"developer"', '"hi"', "null", "[]", "3"])
MESSAGES = st.lists(st.tuples(MESSAGE_NAMES, MESSAGE_VALUES), max_size=3).map(json_object)
SCALARS = st.one_of(TEXTS, NUMBERS, st.sampled_from(["null", "true", "false"]))
VALUES = st.one_of(
    SCALARS,
    st.lists(SCALARS, max_size=2).map(json_array),
    st.lists(MESSAGES, max_size=3).map(json_array),
    SCALARS.map(lambda value: json_object([("include_usage", value)])),
)
PAIRS = st.lists(st.tuples(NAMES, VALUES), max_size=5)
REQUIRED = [("model", '"m"'), ("messages", '[{"role": "user", "content": "hi"}]')]
BODIES = st.one_of(PAIRS.map(lambda pairs: json_object([*REQUIRED, *pairs])), PAIRS.map(json_object), VALUES)
"""Bodies with odd values, and with names more than once: the last value counts."""


def facts(request: ChatRequest) -> tuple[object, ...]:
    """All that a request tells, besides `is_plain`: a name that came twice makes a body odd, and not its object."""
    options = [getattr(request.options, name) for name in sorted(GATEWAY_FIELDS)]
    values = (request.includes_usage, request.choices, request.output_limit, list(request.prompt_texts()))
    fields, body = request.fields, request.body
    request = replace(request, is_plain=False, plain=None, plain_bytes=b"", converted_body=body)
    request = replace(request, converted_fields=fields, options=fields)
    return (request, options, *values, request.includes_usage)


def parsed(body: bytes, *, generally: bool) -> tuple[object, ...]:
    try:
        request = build_chat_request(decode_body(body), len(body)) if generally else parse_chat_request(body)
    except InvalidRequest as error:
        return error.message, error.param
    return facts(request)


@settings(max_examples=500, deadline=None)
@given(BODIES)
@example('{"model": "m", "messages": [{"role": "user", "role": "system", "content": "hi"}]}')
@example('{"model": "m", "messages": [{"role": "user", "content": "hi"}], "n": 0}')
@example('{"model": "", "messages": []}')
@example('{"model": "m", "messages": [{"role": "user", "content": "hi"}]} {}')
def test_a_body_is_read_as_if_none_were_plain(text: str) -> None:
    body = text.encode()
    assert parsed(body, generally=False) == parsed(body, generally=True)


@pytest.mark.parametrize("name", sorted(PLAIN_VALUES))
def test_texts_and_sampling_fields_are_plain(name: str) -> None:
    body = json.dumps({**MINIMUM, name: PLAIN_VALUES[name]}).encode()
    request = parse_chat_request(body)
    assert request.is_plain
    assert request.body[name] == PLAIN_VALUES[name]


@pytest.mark.parametrize("number", [0, 1, 1.0, 0.5])
def test_the_body_of_a_plain_request_is_the_one_that_was_sent(number: float) -> None:
    numbers = dict.fromkeys(("temperature", "top_p", "presence_penalty", "frequency_penalty"), number)
    body: JsonObject = {**MINIMUM, **PLAIN_VALUES, **numbers}
    assert encode_canonical(parse_chat_request(json.dumps(body).encode()).body) == encode_canonical(body)


NOT_PLAIN: list[dict[str, Any]] = [
    {"tools": []},
    {"temperature": None},
    {"stream_options": {"include_usage": None}},
    {"timeout": 3},
    {"logprobs": True},
    {"messages": [{**USER, "name": "x"}]},
    {"messages": [{**USER, "name": None}]},
    {"messages": [{"role": "developer", "content": "hi"}]},
    {"messages": [{"role": "assistant", "content": None}]},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]},
    {"messages": [{"role": "assistant", "content": "hi", "tool_calls": []}]},
]


@pytest.mark.parametrize("fields", NOT_PLAIN)
def test_what_needs_a_look_is_not_plain(fields: dict[str, Any]) -> None:
    assert not parse_chat_request(json.dumps({**MINIMUM, **fields}).encode()).is_plain
    assert not build_chat_request(decode_body(json.dumps({**MINIMUM, **fields}).encode())).is_plain


def test_a_long_text_is_plain_and_decoded_once() -> None:
    assert parse_chat_request(json.dumps({**MINIMUM, "user": "x" * LONG_BYTES}).encode()).is_plain


def test_the_texts_of_a_plain_prompt_are_those_of_any_prompt() -> None:
    messages = [{"role": role, "content": f"I am the {role}."} for role in ("system", "user", "assistant", "user")]
    request = parse_chat_request(json.dumps({**MINIMUM, "messages": messages}).encode())
    assert request.is_plain
    general = replace(request, is_plain=False, plain=None, converted_body=request.body)
    assert request.prompt_texts() == general.prompt_texts()
    assert request.prompt_texts() == [message["content"] for message in messages]


def test_too_many_messages_are_refused() -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_chat_request(json.dumps({**MINIMUM, "messages": [USER] * (MAX_MESSAGES + 1)}).encode())
    assert caught.value.param == "messages"


def test_a_plain_body_has_no_field_with_a_rule_of_its_own() -> None:
    assert {"model", "messages", *PLAIN_VALUES} == set(PlainBody.__struct_fields__)
    assert GATEWAY_FIELDS.isdisjoint(PlainBody.__struct_fields__)
    asked = call({**MINIMUM, **PLAIN_VALUES})
    assert not may_change_price(asked)
    assert not may_refer_to_account(asked, Deployment("openai", "m", ""))
    assert asked.request.streams_plain_text
    assert asked.request.session_id is None
    assert asked.request.reasoning is None
    assert asked.request.reasoning_turns() == {}


def test_a_changed_request_is_plain_if_its_body_is() -> None:
    plain = parse_chat_request(json.dumps({**MINIMUM, "max_tokens": 100}).encode())
    assert plain.with_model("n").is_plain
    assert plain.with_model("n").model == plain.with_model("n").fields.model == "n"
    assert plain.with_output_limit(7).is_plain
    assert plain.with_output_limit(7).output_limit == 7
    assert plain.with_body({**plain.body, "seed": 1}).is_plain
    assert not plain.with_body({**plain.body, "timeout": 1}).is_plain
    assert not plain.with_body({**plain.body, "messages": [{**USER, "name": "x"}]}).is_plain
    assert plain.without_fields(["max_tokens"]).is_plain

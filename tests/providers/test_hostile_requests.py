"""Requests that are written to be expensive: what it takes to translate them grows with their size, and no faster."""

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from tests.providers.calls import asking, built, sent
from tests.work import lines_of
from tidegate.chat.request import parse_chat_request
from tidegate.errors import InvalidRequest
from tidegate.json import MAX_NESTING
from tidegate.providers import Registry

MODELS = {
    "openai": ["gpt-4.1", "o1-pro"],
    "anthropic": ["claude-sonnet-4-5", "claude-3-5-haiku-latest"],
    "gemini": ["gemini-2.5-flash", "gemini-3-pro-preview", "gemini-1.5-pro"],
    "bedrock": ["us.anthropic.claude-sonnet-4-5-20250929-v1:0", "amazon.nova-lite-v1:0"],
    "cohere": ["command-a-03-2025"],
    "mistral": ["mistral-large-latest"],
}
EACH_MODEL = pytest.mark.parametrize(
    ("provider", "model"), [(name, model) for name, models in MODELS.items() for model in models]
)


def nested_schema(levels: int) -> Any:
    """A schema of `levels` objects within each other; each schema with properties is two."""
    schema: Any = {"type": "string"}
    for _ in range(levels // 2):
        schema = {"type": "object", "properties": {"a": schema}, "required": ["a"], "additionalProperties": False}
    return schema


def answer_schema(schema: Any) -> dict[str, Any]:
    json_schema = {"name": "a", "schema": schema, "strict": True}
    return asking(response_format={"type": "json_schema", "json_schema": json_schema})


def strict_tool(schema: Any) -> dict[str, Any]:
    return asking(tools=[{"type": "function", "function": {"name": "f", "strict": True, "parameters": schema}}])


def other_field(value: Any) -> dict[str, Any]:
    return asking(unknown=value, metadata={"a": value}, web_search_options={"a": value})


def arguments(value: Any) -> dict[str, Any]:
    function = {"name": "f", "arguments": json.dumps({"a": value})}
    turn = {"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": function}]}
    messages = [*asking()["messages"], turn, {"role": "tool", "tool_call_id": "1", "content": json.dumps({"a": value})}]
    return asking(messages=messages)


@EACH_MODEL
@pytest.mark.parametrize("write", [answer_schema, strict_tool, other_field, arguments])
def test_whatever_is_nested_up_to_the_limit_can_be_translated(
    provider: str, model: str, write: Callable[[Any], dict[str, Any]]
) -> None:
    around = 6  # what `write` puts around it
    body = write(nested_schema(MAX_NESTING - around))
    request = parse_chat_request(json.dumps(body).encode())
    assert built(Registry().load(provider), request.body, model).body


@pytest.mark.parametrize("write", [answer_schema, strict_tool, other_field])
def test_a_body_that_is_nested_deeper_is_refused(write: Callable[[Any], dict[str, Any]]) -> None:
    with pytest.raises(InvalidRequest, match="The body is nested more than 100 levels deep"):
        parse_chat_request(json.dumps(write(nested_schema(200))).encode())


@pytest.mark.parametrize(("provider", "model"), [("anthropic", "claude-sonnet-4-5"), ("gemini", "gemini-2.5-flash")])
def test_arguments_that_are_nested_deeper_are_refused_with_their_path(provider: str, model: str) -> None:
    with pytest.raises(InvalidRequest, match="nested more than 100 levels deep") as caught:
        built(Registry().load(provider), arguments(nested_schema(200)), model)
    assert caught.value.param == "messages[1].tool_calls[0].function.arguments"


def test_a_tool_result_that_is_nested_deeper_is_sent_to_gemini_as_text() -> None:
    body = arguments("a")
    body["messages"][2]["content"] = result = json.dumps(nested_schema(200))
    translated, _ = sent(Registry().load("gemini"), body, "gemini-2.5-flash")
    assert translated["contents"][2]["parts"][0]["functionResponse"]["response"] == {"result": result}


def doubling_definitions(count: int) -> Any:
    """Definitions that refer to the next one twice: 2 ** count schemas, if each reference is resolved."""
    definitions: dict[str, Any] = {
        f"d{i}": {"type": "object", "properties": {name: {"$ref": f"#/$defs/d{i + 1}"} for name in "ab"}}
        for i in range(count)
    }
    definitions[f"d{count}"] = {"type": "string"}
    return {"type": "object", "properties": {"a": {"$ref": "#/$defs/d0"}}, "$defs": definitions}


def doubling_types(levels: int) -> Any:
    """Lists of two types that both may have the schema within: 2 ** levels schemas, if each is written for both."""
    schema: Any = {"type": "string"}
    for i in range(levels):
        within = {"anyOf": [schema]} if i % 2 else {"items": schema}
        schema = {"type": ["object", "array"], "properties": {"a": {"type": "string"}}, **within}
    return {"type": "object", "properties": {"a": schema}}


@EACH_MODEL
@pytest.mark.parametrize("write", [answer_schema, strict_tool])
@pytest.mark.parametrize("schema", [doubling_definitions(30), doubling_types(30)], ids=["definitions", "types"])
def test_a_schema_that_doubles_at_each_level_takes_few_steps(
    provider: str, model: str, write: Callable[[Any], dict[str, Any]], schema: Any
) -> None:
    def translate() -> None:
        try:
            assert len(built(loaded, write(schema), model).body) < 10 * len(json.dumps(schema))
        except InvalidRequest as error:
            assert error.param is not None and error.param.startswith(("response_format", "tools[0]"))

    loaded = Registry().load(provider)
    assert lines_of(translate) < 400_000


def test_references_that_are_too_deep_or_too_many_are_refused_with_the_path() -> None:
    chain = {f"d{i}": {"type": "object", "properties": {"a": {"$ref": f"#/$defs/d{i + 1}"}}} for i in range(200)}
    chain["d200"] = {"type": "string"}
    gemini = Registry().load("gemini")
    for schema, message in [
        ({"type": "object", "properties": {"a": {"$ref": "#/$defs/d0"}}, "$defs": chain}, "levels deep"),
        (doubling_definitions(30), "5,000 parts"),
    ]:
        with pytest.raises(InvalidRequest, match=message) as caught:
            built(gemini, strict_tool(schema), "gemini-1.5-pro")
        assert caught.value.param == "tools[0].function.parameters"


def test_the_types_of_a_list_get_the_keywords_that_concern_them() -> None:
    schema = {
        "type": ["object", "array", "null"],
        "properties": {"b": {"type": "string"}},
        "items": {"type": "integer"},
        "anyOf": [{"required": ["b"]}, {"minItems": 1}],
        "title": "T",
    }
    body, _ = sent(Registry().load("anthropic"), answer_schema({"type": "object", "properties": {"a": schema}}), MODEL)
    assert body["output_config"]["format"]["schema"]["properties"]["a"] == {
        "title": "T",
        "allOf": [{"anyOf": [{"required": ["b"]}, {"minItems": 1}]}],
        "anyOf": [
            {"type": "object", "properties": {"b": {"type": "string"}}, "additionalProperties": False},
            {"type": "array", "items": {"type": "integer"}},
            {"type": "null"},
        ],
    }


MODEL = "claude-sonnet-4-5"


@pytest.mark.parametrize("types", [["string", 1], [["string"]], [f"t{i}" for i in range(8)]])
def test_a_list_of_types_that_json_schema_does_not_have_is_refused(types: Any) -> None:
    with pytest.raises(InvalidRequest, match="not a list of the names of types"):
        sent(
            Registry().load("anthropic"), answer_schema({"type": "object", "properties": {"a": {"type": types}}}), MODEL
        )


def tool_calls(count: int) -> dict[str, Any]:
    calls = [
        {"id": f"{i}", "type": "function", "function": {"name": "f", "arguments": "{}"}, "extra_content": {}}
        for i in range(count)
    ]
    return asking(messages=[*asking()["messages"], {"role": "assistant", "content": None, "tool_calls": calls}])


def names_alike(count: int) -> dict[str, Any]:
    return asking(tools=[{"type": "function", "function": {"name": f"a{'.' * i}"}} for i in range(count)])


def long_names_alike(count: int) -> dict[str, Any]:
    names = [f"{'x' * 125}{i:02}{j}" for i in range(count // 2) for j in (".", "!")]
    return asking(tools=[{"type": "function", "function": {"name": name}} for name in names])


def documents(count: int) -> dict[str, Any]:
    part = {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf"}}
    return asking(messages=[{"role": "user", "content": [part] * count}])


@EACH_MODEL
@pytest.mark.parametrize("write", [tool_calls, names_alike, long_names_alike, documents])
def test_twice_as_many_take_twice_the_work(provider: str, model: str, write: Callable[[int], dict[str, Any]]) -> None:
    loaded = Registry().load(provider)

    def work(count: int) -> int:
        def translate() -> None:
            with suppress(InvalidRequest):  # the provider does not take such parts
                built(loaded, write(count), model)

        return lines_of(translate)

    work(2)
    assert work(200) < 2.4 * work(100)

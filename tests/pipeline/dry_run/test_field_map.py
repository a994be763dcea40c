"""Where fields lead: told for every request that there is a case of, of every provider."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.providers.calls import BASE_URL, CASES, asking, call
from tidegate.chat.request import build_chat_request
from tidegate.domain.deployment import Deployment
from tidegate.domain.gateway_fields import GATEWAY_FIELDS
from tidegate.errors import InvalidRequest
from tidegate.json import Json
from tidegate.pipeline.dry_run.field_map import (
    MAX_FIELDS,
    differing_paths,
    fields_sent_as,
    rejected_fields,
)
from tidegate.providers import Registry

FOLDERS = sorted(path.parent for path in CASES.glob("*/*/request.json"))
NAMES = sorted({folder.parent.name for folder in FOLDERS})

_registry = Registry()


def of(name: str, body: dict[str, Any]) -> dict[str, list[str]] | dict[str, str]:
    """The ways of that request's fields, or else what is refused of it."""
    provider, asked = _registry.load(name), call(body)
    deployment = Deployment(name, body["model"].partition("/")[2], BASE_URL)
    before = json.dumps(asked.request.body)
    try:
        request = provider.build_request(asked, deployment)
    except InvalidRequest:
        found: dict[str, list[str]] | dict[str, str] = rejected_fields(provider, asked, deployment)
        assert found
    else:
        found = fields_sent_as(provider, asked, deployment, request)
        _check(found, json.loads(request.body), body)
    assert json.dumps(asked.request.body) == before
    return found


def _check(found: dict[str, list[str]], sent: Any, body: dict[str, Any]) -> None:
    """What is in the provider's body, and is not always there, follows from one of the caller's fields."""
    assert set(found) <= {name for name, value in body.items() if value is not None} - GATEWAY_FIELDS
    heads = {path.split(".")[1].partition("[")[0] for paths in found.values() for path in paths if path[:5] == "body."}
    left = set(sent) - heads
    bare = {"messages", "max_tokens", "stream", "model", "n", "inferenceConfig", "store", "thinking", "reasoning"}
    assert left <= bare or len(body) > MAX_FIELDS


@pytest.mark.parametrize("name", NAMES)
def test_every_request_of_the_cases_is_told(name: str) -> None:
    told = [of(name, _request(folder)) for folder in _folders(name)]
    assert told


def _folders(name: str) -> Iterator[Any]:
    return (folder for folder in FOLDERS if folder.parent.name == name)


def _request(folder: Any) -> dict[str, Any]:
    return json.loads((folder / "request.json").read_text("utf-8"))


def test_of_very_many_fields_the_first_are_told() -> None:
    body = asking(**{f"field_{i}": i for i in range(500)})
    assert len(of("openai", body)) == MAX_FIELDS


def test_a_field_that_the_provider_cannot_be_sent_without_has_no_ways() -> None:
    history = [
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "c", "content": "1"},
    ]
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    for name in NAMES:
        assert "messages" in of(name, asking(messages=history, tools=tools))


@pytest.mark.parametrize(
    ("one", "other", "paths"),
    [
        ({}, {}, []),
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": True}, ["a"]),
        ({"a": 1}, {}, ["a"]),
        ({}, {"a": {"b": {"c": 1, "d": []}}}, ["a.b.c", "a.b.d"]),
        ({"a": {}}, {}, ["a"]),
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}, ["a[1].b"]),
        ({"a": [1]}, {"a": [1, 2]}, ["a"]),
        ({"a": "x"}, {"a": ["x"]}, ["a"]),
        ({"a": None}, {}, ["a"]),
    ],
)
def test_two_values_differ_where_they_do(one: Json, other: Json, paths: list[str]) -> None:
    assert list(differing_paths(one, other)) == paths


def test_a_request_can_do_without_its_fields() -> None:
    body = asking(temperature=1, reasoning_effort="high", reasoning={"exclude": True}, new_field=1)
    for name in ("temperature", "reasoning_effort", "reasoning", "new_field"):
        rest = {each: value for each, value in body.items() if each != name}
        made, bare = build_chat_request(body).without_fields((name,)), build_chat_request(rest)
        assert (made.fields, made.body, made.reasoning) == (bare.fields, bare.body, bare.reasoning)

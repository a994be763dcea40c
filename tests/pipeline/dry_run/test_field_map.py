"""Where fields lead: told for every request that there is a case of, of every provider."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.providers.calls import BASE_URL, CASES, asking, call
from tests.work import counted
from tidegate.chat.request import build_chat_request
from tidegate.domain.deployment import Deployment
from tidegate.domain.gateway_fields import GATEWAY_FIELDS
from tidegate.errors import InvalidRequest
from tidegate.json import Json
from tidegate.pipeline.dry_run.field_map import (
    MAX_BYTES,
    MAX_FIELDS,
    MAX_PATHS,
    FieldExaminer,
    FieldMap,
    differing_paths,
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
        found: dict[str, list[str]] | dict[str, str] = FieldExaminer().rejected_fields(provider, asked, deployment)
        assert found
    else:
        found = FieldExaminer().fields_sent_as(provider, asked, deployment, request).paths
        _check(found, json.loads(request.body), body)
    assert json.dumps(asked.request.body) == before
    return found


def _check(found: dict[str, list[str]], sent: Any, body: dict[str, Any]) -> None:
    """What is in the provider's body, and is not always there, follows from one of the caller's fields."""
    assert set(found) <= {name for name, value in body.items() if value is not None} - GATEWAY_FIELDS
    heads = {path.split(".")[1].partition("[")[0] for paths in found.values() for path in paths if path[:5] == "body."}
    left = set(sent) - heads
    bare = {"messages", "max_tokens", "stream", "model", "n", "inferenceConfig", "store", "thinking", "reasoning"}
    bare |= {"include"}  # encrypted reasoning is always asked for
    assert left <= bare or len(body) > MAX_FIELDS


@pytest.mark.parametrize("name", NAMES)
def test_every_request_of_the_cases_is_told(name: str) -> None:
    told = [of(name, _request(folder)) for folder in _folders(name)]
    assert told


def _folders(name: str) -> Iterator[Any]:
    return (folder for folder in FOLDERS if folder.parent.name == name)


def _request(folder: Any) -> dict[str, Any]:
    return json.loads((folder / "request.json").read_text("utf-8"))


def _examined(name: str, body: dict[str, Any], examiner: FieldExaminer) -> tuple[int, FieldMap]:
    """The lines that run, and what is found."""
    provider, deployment, asked = _registry.load(name), Deployment(name, "gpt-4.1", BASE_URL), call(body)
    request = provider.build_request(asked, deployment)
    with counted() as work:
        found = examiner.fields_sent_as(provider, asked, deployment, request)
    return work.lines, found


def test_of_very_many_fields_the_first_are_told_and_the_others_named() -> None:
    body = asking(**{f"field_{i}": i for i in range(100)})
    _, found = _examined("openai", body, FieldExaminer())
    assert len(found.paths) == MAX_FIELDS
    assert found.unexamined == [f"field_{i}" for i in range(MAX_FIELDS - 2, 100)]


@pytest.mark.parametrize("name", ["openai", "anthropic", "gemini", "bedrock", "cohere"])
def test_the_work_of_a_dry_run_is_bounded_whatever_its_fields(name: str) -> None:
    large = {"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(1_000)}}
    tool = {"type": "function", "function": {"name": "f", "parameters": large}}
    examiner, lines = FieldExaminer(), 0
    for _ in range(15):  # deployments
        more, found = _examined(name, asking(tools=[tool], **{f"field_{i}": i for i in range(400)}), examiner)
        lines += more
    assert "tools" not in found.unexamined or examiner.bytes_left < len(str(tool))
    assert len(found.unexamined) > 300
    assert lines < 1_000_000


def test_a_long_prompt_takes_nothing_from_what_is_examined() -> None:
    examiner = FieldExaminer()
    body = asking(temperature=1, stop=["a"], messages=[{"role": "user", "content": "word " * 200_000}] * 100)
    _, found = _examined("openai", body, examiner)
    assert found.paths == {
        "messages": ["body.messages"],
        "model": ["body.model"],
        "stop": ["body.stop"],
        "temperature": ["body.temperature"],
    }
    assert found.unexamined == []
    assert MAX_BYTES - examiner.bytes_left < 1_000


def test_of_a_field_with_very_many_values_the_first_paths_are_told() -> None:
    _, found = _examined("openai", asking(logit_bias={str(i): 1 for i in range(2_000)}), FieldExaminer())
    assert found.paths["logit_bias"] == [f"body.logit_bias.{i}" for i in range(MAX_PATHS)]


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

"""Names of tools: readable, within what a provider takes, never one of the caller's own, and the same each time."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.providers.calls import asking, built
from tidegate.providers import Registry
from tidegate.providers.toolnames import NameRules, ToolNames

LETTERS = NameRules("a-zA-Z0-9_-", max_length=8)
FIRST = NameRules("a-zA-Z0-9_.", max_length=8, first="a-z_")


def tools(*names: str) -> Any:
    return {"tools": [{"type": "function", "function": {"name": name}} for name in names]}


@pytest.mark.parametrize(
    ("alphabet", "names", "spelt"),
    [
        (LETTERS, ["a-b", "a.b"], ["a-b", "a_b"]),
        (LETTERS, ["a.b", "a_b", "a b"], ["a_b_2", "a_b", "a_b_3"]),
        (LETTERS, ["größe"], ["gr_e"]),
        (LETTERS, ["get weather", "get weather now"], ["get_weat", "get_we_2"]),
        (LETTERS, ["123456789", "!"], ["12345678", "_"]),
        (LETTERS, ["search"], ["search_2"]),
        (FIRST, ["1st", "_1st", "a.b"], ["_1st_2", "_1st", "a.b"]),
    ],
)
def test_a_forbidden_name_becomes_a_near_one_that_is_free(
    alphabet: NameRules, names: list[str], spelt: list[str]
) -> None:
    made = ToolNames(alphabet, tools(*names), reserved=["search"])
    assert [made.provider_name(name) for name in names] == spelt
    assert made.caller_names == {ours: name for ours, name in zip(spelt, names, strict=True) if ours != name}


@given(st.lists(st.text(max_size=12), unique=True, max_size=8), st.lists(st.text(max_size=12), max_size=3))
def test_no_two_tools_share_a_name_and_every_name_comes_back(names: list[str], reserved: list[str]) -> None:
    made = ToolNames(FIRST, tools(*names), reserved)
    spelt = [made.provider_name(name) for name in names]
    assert all(re.fullmatch(r"[a-z_][a-zA-Z0-9_.]{0,7}", name) for name in spelt)
    assert len(set(spelt)) == len(names)
    assert not set(spelt) & set(reserved)
    assert [made.caller_names.get(name, name) for name in spelt] == names
    assert made.reserve_name("answer") not in {*spelt, *reserved}


def test_what_earlier_turns_called_has_the_names_of_the_tools() -> None:
    body = tools("a.b") | {
        "messages": [
            {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "a b", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "1", "name": "a b", "content": ""},
            {"role": "assistant", "function_call": {"name": "a_b", "arguments": "{}"}},
        ]
    }
    made = ToolNames(LETTERS, body)
    assert [made.provider_name(name) for name in ("a.b", "a b", "a_b")] == ["a_b_2", "a_b_3", "a_b"]


@pytest.mark.parametrize("name", ["anthropic", "bedrock", "cohere", "gemini", "vertex"])
def test_every_provider_with_rules_of_its_own_gives_names_back(name: str) -> None:
    asked = ["a/b", "a_b", "größe", "1", "x" * 200]
    request = built(Registry().load(name), asking(**tools(*asked)))
    found = re.findall(r'"name":"([^"]*)"', json.dumps(json.loads(request.body), separators=(",", ":")))
    assert [request.caller_tool_names.get(one, one) for one in found] == asked
    assert max(map(len, found)) <= 128

"""Turns of tools go out in one form, whether a client sends only what is needed or what it got before."""

from typing import Any

import pytest

from tests.providers.calls import asking, built
from tidegate.providers import Registry

FUNCTION = {"name": "weather", "arguments": '{"city":"Ulm"}'}
CALL = {"id": "abc123XYZ", "type": "function", "function": FUNCTION}
RESULT = {"role": "tool", "tool_call_id": "abc123XYZ", "content": "12 °C"}
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}},
}

SAME_CALLS: list[dict[str, Any]] = [
    {**CALL, "index": 0},
    {**CALL, "custom": None},
    {**CALL, "function": {**FUNCTION, "parsed_arguments": {"city": "Ulm"}}},
    {**CALL, "function": {"arguments": FUNCTION["arguments"], "name": "weather"}},
]
SAME_RESULTS: list[dict[str, Any]] = [{**RESULT, "cache_control": None}, {**RESULT, "name": None}]


def body(provider: str, called: dict[str, Any], result: dict[str, Any]) -> bytes:
    turn = {"role": "assistant", "content": None, "tool_calls": [called]}
    asked = asking(messages=[{"role": "user", "content": "Hi"}, turn, result], tools=[TOOL])
    return built(Registry().load(provider), asked).body


@pytest.mark.parametrize("provider", ["openai", "mistral", "groq"])
def test_what_clients_send_back_beside_it_does_not_go_out(provider: str) -> None:
    clean = body(provider, CALL, RESULT)
    assert clean.count(b"abc123XYZ") == 2
    assert [body(provider, called, RESULT) for called in SAME_CALLS] == [clean] * len(SAME_CALLS)
    assert [body(provider, CALL, result) for result in SAME_RESULTS] == [clean] * len(SAME_RESULTS)


def test_calls_without_arguments_get_an_empty_object() -> None:
    empty = {**CALL, "function": {**FUNCTION, "arguments": ""}}
    assert b'"arguments":"{}"' in body("openai", empty, RESULT)


@pytest.mark.parametrize(("provider", "call_id"), [("mistral", "call_1"), ("openai", "c" * 41)])
def test_an_id_that_the_provider_refuses_is_replaced_in_the_call_and_its_result(provider: str, call_id: str) -> None:
    sent = body(provider, {**CALL, "id": call_id}, {**RESULT, "tool_call_id": call_id})
    assert call_id.encode() not in sent

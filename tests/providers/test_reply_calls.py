"""Names and ids of tool calls in replies, of every dialect."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from tests.providers.calls import asking, call
from tests.providers.streams import parsed
from tidegate.domain.deployment import Deployment
from tidegate.providers import Registry
from tidegate.providers.base import StreamEvent, UpstreamRequest
from tidegate.providers.chat_translator import ChatTranslator
from tidegate.providers.reply_calls import finish_calls

REGISTRY = Registry()


def tool(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}


def request_of(provider: str, body: dict[str, Any], call_id: str = "01J") -> tuple[ChatTranslator, UpstreamRequest]:
    translator = ChatTranslator(REGISTRY.load(provider))
    deployment = Deployment(provider, "m", "https://host.invalid/v1")
    return translator, translator.build_request(replace(call(body), id=call_id), deployment)


def calls_of(provider: str, upstream: Any, body: dict[str, Any], call_id: str = "01J") -> list[Any]:
    translator, request = request_of(provider, body, call_id)
    reply: Any = translator.parse_reply(request, upstream)
    return reply["choices"][0]["message"]["tool_calls"]


def openai_reply(name: str, **fields: Any) -> dict[str, Any]:
    called = {**fields, "type": "function", "function": {"name": name, "arguments": "{}"}}
    message = {"role": "assistant", "content": None, "tool_calls": [called]}
    return {"id": "chatcmpl-1", "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}


def gemini_reply(name: str, **fields: Any) -> dict[str, Any]:
    part = {"functionCall": {"name": name, "args": {}, **fields}, "thoughtSignature": "c2ln"}
    return {"candidates": [{"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}]}


REPLIES: list[Any] = [
    ("deepseek", openai_reply("{}", id="c")),
    ("gemini", gemini_reply("{}")),
    ("vertex", gemini_reply("{}")),
    (
        "anthropic",
        {"content": [{"type": "tool_use", "id": "c", "name": "{}", "input": {}}], "stop_reason": "tool_use"},
    ),
    (
        "bedrock",
        {
            "output": {"message": {"content": [{"toolUse": {"toolUseId": "c", "name": "{}", "input": {}}}]}},
            "stopReason": "tool_use",
        },
    ),
    (
        "cohere",
        {
            "message": {"tool_calls": [{"id": "c", "type": "function", "function": {"name": "{}", "arguments": "{}"}}]},
            "finish_reason": "TOOL_CALL",
        },
    ),
]


@pytest.mark.parametrize(("provider", "upstream"), REPLIES, ids=[provider for provider, _ in REPLIES])
def test_a_name_with_a_namespace_becomes_the_offered_one_in_every_dialect(provider: str, upstream: Any) -> None:
    named = json.loads(json.dumps(upstream).replace('"name": "{}"', '"name": "default_api.get_weather"'))
    [called] = calls_of(provider, named, asking(tools=[tool("get_weather"), tool("other")]))
    assert called["function"]["name"] == "get_weather"


@pytest.mark.parametrize(
    ("returned", "expected"),
    [
        ("get_weather", "get_weather"),
        ("default_api.get_weather", "get_weather"),
        ("functions.get_weather", "get_weather"),
        ("functions.get_weather:0", "get_weather"),
        ("default_api:get_weather", "get_weather"),
        (" get_weather\n", "get_weather"),
        ("default_api.weather.get", "weather.get"),
        ("get", "get"),
        ("default_api.get", "get"),
        ("default_api.other", "default_api.other"),
        ("get_weather.default_api", "get_weather.default_api"),
        ("my_get_weather", "my_get_weather"),
        ("default_api.", "default_api."),
    ],
)
def test_only_an_offered_name_is_put_right(returned: str, expected: str) -> None:
    body = asking(tools=[tool(name) for name in ("get_weather", "weather.get", "get")])
    [called] = calls_of("deepseek", openai_reply(returned, id="c"), body)
    assert called["function"]["name"] == expected


def test_a_name_that_the_provider_forbids_comes_back_as_the_callers() -> None:
    body = asking(tools=[tool("weather/get")])
    for returned in ("weather_get", "default_api.weather_get", "default_api.weather/get"):
        [called] = calls_of("openai", openai_reply(returned, id="c"), body)
        assert called["function"]["name"] == ("weather/get" if "/" not in returned else returned)


def test_custom_tools_and_functions_count_as_offered() -> None:
    custom = {"type": "custom", "custom": {"name": "ns.f"}}
    _, request = request_of("openai", asking(tools=[custom, tool("f")]))
    message: Any = {"tool_calls": [{"type": "custom", "id": "c", "custom": {"name": "ns.f", "input": ""}}]}
    finish_calls(request, 0, message)
    assert message["tool_calls"][0]["custom"]["name"] == "ns.f"
    _, request = request_of("openai", asking(functions=[{"name": "f"}]))
    message = {"function_call": {"name": "functions.f", "arguments": ""}}
    finish_calls(request, 0, message)
    assert message["function_call"]["name"] == "f"


def test_minted_ids_are_unique_over_calls_choices_and_places() -> None:
    body = asking(tools=[tool("f")])
    reply = openai_reply("f")
    reply["choices"][0]["message"]["tool_calls"] *= 2
    reply["choices"].append({**reply["choices"][0], "index": 1})
    ids: list[str] = []
    for call_id in ("01A", "01B"):
        translator, request = request_of("deepseek", body, call_id)
        completion: Any = translator.parse_reply(request, reply)
        ids += [called["id"] for choice in completion["choices"] for called in choice["message"]["tool_calls"]]
    assert len(set(ids)) == 8
    assert all(len(each) == 29 and each.startswith("call_") for each in ids)


def test_an_equal_call_of_a_provider_gets_the_id_that_its_signature_names() -> None:
    body = asking(tools=[tool("f")])
    seen: set[str] = set()
    for call_id in ("01A", "01B"):
        translator, request = request_of("gemini", body, call_id)
        message: Any = translator.parse_reply(request, gemini_reply("f"))["choices"][0]["message"]
        assert message["reasoning_details"][0]["id"] == message["tool_calls"][0]["id"]
        seen.add(message["tool_calls"][0]["id"])
    assert len(seen) == 2


def test_a_providers_own_ids_stay() -> None:
    assert calls_of("gemini", gemini_reply("f", id="theirs"), asking(tools=[tool("f")]))[0]["id"] == "theirs"
    assert calls_of("deepseek", openai_reply("f", id="call_0"), asking(tools=[tool("f")]))[0]["id"] == "call_0"


@pytest.mark.parametrize("call_id", ["01A", "01B"])
def test_streams_have_the_names_and_ids_of_whole_replies(call_id: str) -> None:
    body = asking(tools=[tool("f")])
    for provider, whole in (("deepseek", openai_reply("functions.f")), ("gemini", gemini_reply("functions.f"))):
        translator, request = request_of(provider, body, call_id)
        events = json.loads(json.dumps(whole))
        if provider == "deepseek":
            events["choices"][0]["delta"] = events["choices"][0].pop("message")
        batches = [[StreamEvent("message", json.dumps(events))]]
        chunks = [chunk for batch in parsed(translator.open_stream(request), batches) for chunk in batch]
        deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
        [called] = [called for delta in deltas for called in delta.get("tool_calls", ())]
        [expected] = calls_of(provider, whole, body, call_id)
        assert (called["id"], called["function"]["name"]) == (expected["id"], "f")

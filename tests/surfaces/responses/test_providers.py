"""Requests of the Responses API as providers with dialects of their own get them."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from tests.providers.calls import asking, call
from tidegate.chat.operation import CHAT
from tidegate.domain.deployment import Deployment
from tidegate.errors import InvalidRequest
from tidegate.providers.chat_translator import ChatTranslator
from tidegate.providers.registry import Registry
from tidegate.surfaces import sealed_details
from tidegate.surfaces.late_dialects import RESPONSES

REGISTRY = Registry()
MODELS = {
    "anthropic": "claude-sonnet-4-5",
    "bedrock": "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "cohere": "command-a-03-2025",
    "deepseek": "deepseek-reasoner",
    "gemini": "gemini-2.5-flash",
    "mistral": "mistral-large-2512",
}
every = pytest.mark.parametrize("provider", MODELS)
TOOL = {"type": "function", "name": "get", "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}}
REASONING = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "I look."}],
    "encrypted_content": sealed_details.pack([{"type": "reasoning.text", "text": "I look."}]),
}
TURN = [
    {"role": "user", "content": "Go"},
    REASONING,
    {"type": "function_call", "call_id": "c1", "name": "get", "arguments": '{"a": "b"}'},
    {"type": "function_call", "call_id": "c2", "name": "get", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c1", "output": "first"},
    {"type": "function_call_output", "call_id": "c2", "output": "second"},
]


def built(provider: str, items: Any, **fields: Any) -> tuple[Any, tuple[str, ...]]:
    body = {"model": f"{provider}/{MODELS[provider]}", "input": items, **fields}
    request: Any = RESPONSES.parse(CHAT, json.dumps(body).encode())
    translator = REGISTRY.translator(provider, "chat")
    assert isinstance(translator, ChatTranslator)
    deployment = Deployment(provider, MODELS[provider], "https://host.invalid/v1")
    sent = translator.build_request(replace(call(asking()), request=request), deployment)
    assert not sent.is_native
    return json.loads(sent.body), sent.ignored


@every
def test_both_calls_and_both_results_reach_the_provider(provider: str) -> None:
    """Pitfall 43: parallel calls are of one turn."""
    body, _ = built(provider, TURN, tools=[TOOL])
    text = json.dumps(body)
    assert (text.count("first"), text.count("second")) == (1, 1)
    turns = body.get("messages") or body["contents"]
    assert len([turn for turn in turns if turn["role"] in ("assistant", "model")]) == 1


@every
def test_a_turn_without_tools_may_follow_one_with_calls(provider: str) -> None:
    """Pitfall 50: Bedrock refuses a history with calls and no tools."""
    body, _ = built(provider, [*TURN, {"role": "user", "content": "Now sum it up"}])
    text = json.dumps(body)
    assert "first" in text and "sum it up" in text
    if provider == "bedrock" and "toolUse" in text:
        assert body["toolConfig"]["tools"]


def test_deepseek_gets_its_reasoning_back_with_the_results() -> None:
    """Pitfall 44."""
    body, _ = built("deepseek", TURN, tools=[TOOL])
    assert body["messages"][1]["reasoning_content"] == "I look."


def test_the_effort_is_in_each_providers_own_terms() -> None:
    """Pitfall 58: no provider of chat completions gets the object."""
    assert built("mistral", "Hi", reasoning={"effort": "low", "summary": "auto"})[0].get("reasoning") is None
    assert built("anthropic", "Hi", reasoning={"effort": "low"})[0]["thinking"]["type"] == "enabled"


@every
def test_codexs_search_of_stored_pages_does_not_become_one_of_the_live_web(provider: str) -> None:
    body, ignored = built(provider, "Hi", tools=[TOOL, {"type": "web_search", "external_web_access": False}])
    assert "search" not in json.dumps(body).lower()
    assert "tools.web_search" in ignored


@every
def test_a_conversation_that_only_openai_can_read_is_refused(provider: str) -> None:
    with pytest.raises(InvalidRequest, match=r"input\[0\]"):
        built(provider, [{"type": "compaction", "encrypted_content": "gAAAA"}, {"role": "user", "content": "Hi"}])

"""Requests of the Responses API to providers that have it: what is sent, and what they are not sent."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from tests.providers.calls import asking, call
from tidegate.chat.request import ChatCall
from tidegate.domain.deployment import Deployment
from tidegate.domain.origin import NATIVE, ConversationToStore, Origin
from tidegate.providers.base import UpstreamRequest
from tidegate.providers.chat_translator import ChatTranslator
from tidegate.providers.registry import Registry

REGISTRY = Registry()
HELLO: Any = {"role": "user", "content": "Hello"}
SENT: dict[str, Any] = {
    "model": "openai/gpt-5.2",
    "input": [HELLO, {"type": "brand_new", "data": 1}],
    "unheard_of": {"a": 1},
    "stream": True,
    "store": True,
    "observability": True,
}


def native_call(origin_body: Any, conversation: ConversationToStore | None = None, **fields: Any) -> ChatCall:
    chat_call = call(asking(**fields))
    origin = Origin("responses", origin_body, {"openai-beta": "new=v1"}, conversation=conversation)
    return replace(chat_call, request=replace(chat_call.request, origin=origin))


def built(chat_call: ChatCall, provider: str = "openai", model: str = "gpt-5.2", **fields: Any) -> UpstreamRequest:
    base_url = fields.pop("base_url", "https://host.invalid/v1")
    return translator(provider).build_request(chat_call, Deployment(provider, model, base_url, **fields))


def translator(provider: str) -> ChatTranslator:
    found = REGISTRY.translator(provider, "chat")
    assert isinstance(found, ChatTranslator)
    return found


def sent(chat_call: ChatCall, provider: str = "openai", model: str = "gpt-5.2") -> Any:
    request = built(chat_call, provider, model)
    assert (request.is_native, request.dialect) == (True, "responses")
    return json.loads(request.body)


def test_unknown_fields_and_items_go_on_and_nothing_is_kept_upstream() -> None:
    request = built(native_call(SENT))
    expected = {name: value for name, value in SENT.items() if name != "observability"}
    assert json.loads(request.body) == {**expected, "model": "gpt-5.2", "store": False}
    assert request.headers == {"content-type": "application/json", "openai-beta": "new=v1"}
    assert (request.url, request.ignored) == ("https://host.invalid/v1/responses", ())


def test_ids_of_what_the_gateway_keeps_reach_no_provider() -> None:
    state = {"previous_response_id": "resp_1", "conversation": "conv_1", "background": False, "prompt": None}
    assert sent(native_call({**SENT, **state})) == sent(native_call(SENT))


def test_a_shortened_answer_has_its_limit_and_never_less_than_the_api_takes() -> None:
    shorter = native_call({**SENT, "max_output_tokens": 500}, max_completion_tokens=100)
    assert sent(shorter)["max_output_tokens"] == 100
    assert sent(native_call({**SENT, "max_output_tokens": 3}, max_completion_tokens=3))["max_output_tokens"] == 16


def test_a_reply_that_is_kept_has_encrypted_reasoning_where_the_model_reasons() -> None:
    stored_call = native_call(
        {**SENT, "include": ["message.output_text.logprobs"]}, conversation=ConversationToStore([])
    )
    encrypted = "reasoning.encrypted_content"
    assert sent(stored_call, model="gpt-5")["include"] == ["message.output_text.logprobs", encrypted]
    named = native_call({**SENT, "include": [encrypted]}, conversation=ConversationToStore([]))
    assert sent(named, model="gpt-5")["include"] == [encrypted]
    assert "include" not in sent(native_call(SENT, conversation=ConversationToStore([])), model="gpt-4.1")
    assert "include" not in sent(native_call(SENT), model="gpt-5")
    assert "include" not in sent(native_call(SENT, conversation=ConversationToStore([], is_on=False)), model="gpt-5")


def test_fields_that_a_provider_refuses_are_left_out_and_reported() -> None:
    body = {"model": "m", "input": "Hello", "store": False, "truncation": "auto", "prompt_cache_key": "k", "top_p": 1}
    request = built(native_call(body), "groq", "openai/gpt-oss-20b")
    assert json.loads(request.body) == {"model": "openai/gpt-oss-20b", "input": "Hello", "top_p": 1}
    assert request.ignored == ("prompt_cache_key", "truncation")


@pytest.mark.parametrize("provider", ["openai", "xai", "openrouter", "groq", "vllm", "vercel"])
def test_each_provider_with_the_api_gets_functions_and_their_results(provider: str) -> None:
    items: Any = [HELLO, {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"}]
    items.append({"type": "function_call_output", "call_id": "a", "output": "1"})
    body: Any = {"model": "m", "input": items, "tools": [{"type": "function", "name": "f", "parameters": None}]}
    assert sent(native_call(body), provider, "m")["input"] == items


@pytest.mark.parametrize("provider", ["xai", "openrouter", "groq", "vllm", "vercel"])
@pytest.mark.parametrize(
    "fields", [{"tools": [{"type": "custom", "name": "apply_patch"}]}, {"input": [{"type": "compaction"}]}]
)
def test_what_a_provider_does_not_take_is_translated(provider: str, fields: Any) -> None:
    assert not built(native_call({"model": "m", "input": "Hello", **fields}), provider, "m").is_native


@pytest.mark.parametrize("provider", ["mistral", "deepseek", "together", "ollama", "litellm", "anthropic", "gemini"])
def test_other_providers_get_the_translation(provider: str) -> None:
    base_url = "https://host.invalid"
    assert not built(native_call(SENT), provider, "m", base_url=base_url).is_native


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("https://r.openai.azure.com/openai/v1", "https://r.openai.azure.com/openai/v1/responses"),
        ("https://r.openai.azure.com", None),
    ],
)
def test_azure_has_the_api_at_its_v1_address_only(base_url: str, url: str | None) -> None:
    request = built(native_call({"model": "m", "input": "Hello"}), "azure", "gpt-5.2", base_url=base_url)
    assert (request.url if request.is_native else None) == url


def test_azures_search_which_leaves_its_boundary_is_never_passed_on() -> None:
    body = {"model": "m", "input": "Hello", "tools": [{"type": "web_search"}]}
    request = built(native_call(body), "azure", "gpt-5.2", base_url="https://r.openai.azure.com/openai/v1")
    assert not request.is_native


ACCOUNTS: Sequence[Any] = [
    {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}]},
    {"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]},
    {"tools": [{"type": "code_interpreter", "container": "cntr_1"}]},
    {"tools": [{"type": "mcp", "connector_id": "connector_gmail"}]},
]


@pytest.mark.parametrize("fields", ACCOUNTS)
def test_what_the_gateways_account_owns_is_not_passed_on(fields: Any) -> None:
    assert not built(native_call({"model": "m", "input": "Hello", **fields})).is_native


def test_parameters_of_functions_may_be_called_like_ids() -> None:
    schema: Any = {"type": "object", "properties": {"file_id": {"type": "string"}}}
    tool: Any = {"type": "function", "name": "read", "parameters": schema}
    for tools in ([tool], [{"type": "namespace", "name": "files", "tools": [tool]}]):
        assert built(native_call({"model": "m", "input": "Hello", "tools": tools})).is_native


def test_what_would_cost_more_than_is_held_is_translated_without_it() -> None:
    request = built(native_call({**SENT, "service_tier": "priority"}, service_tier="priority"), model="gpt-4-turbo")
    assert (request.is_native, request.ignored) == (False, ("service_tier",))


def test_a_changed_request_is_translated() -> None:
    assert not built(native_call(None)).is_native


def test_a_whole_reply_has_the_providers_own_one() -> None:
    body: Any = {
        "id": "resp_theirs",
        "object": "response",
        "status": "completed",
        "output": [
            {"type": "message", "id": "msg_1", "content": [{"type": "output_text", "text": "Hi"}]},
            {"type": "brand_new", "data": 1},
        ],
        "usage": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7},
        "unheard_of": 1,
    }
    reply: Any = translator("openai").parse_reply(built(native_call(SENT)), body)
    assert reply[NATIVE] == body
    assert (reply["choices"][0]["message"]["content"], reply["usage"]["completion_tokens"]) == ("Hi", 4)

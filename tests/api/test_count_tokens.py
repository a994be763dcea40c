"""`/v1/messages/count_tokens`: the provider's own count, and an estimate that is never too low."""

import json
from typing import Any

import httpx
import pytest

from tests.native_providers import ANTHROPIC, BEDROCK, GEMINI, Native
from tests.policy.heard import heard
from tests.providers.calls import built
from tests.providers.recorded import all_needed, dialect
from tests.world import world
from tidegate.domain.limits import Limits
from tidegate.providers import Registry

PATH = "/v1/messages/count_tokens?beta=true"
TURNS = [{"role": "user", "content": "How many tokens are these?"}]
TOOL = {"name": "get", "description": "Get a file.", "input_schema": {"type": "object", "properties": {}}}


def asked(model: str, **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": TURNS, **fields}


async def test_anthropic_counts_the_callers_own_body() -> None:
    async with world(lambda _: httpx.Response(200, json={"input_tokens": 17}), **ANTHROPIC.env) as client:
        reply = await client.post(
            asked(ANTHROPIC.id, max_tokens=5, stream=True, new_field=1), PATH, {"anthropic-beta": "new-2030-01-01"}
        )
    request = client.requests[0]
    assert (reply.status, reply.json, request.url.path) == (200, {"input_tokens": 17}, "/v1/messages/count_tokens")
    assert json.loads(request.content) == {"model": ANTHROPIC.model, "messages": TURNS, "new_field": 1}
    assert request.headers["anthropic-beta"] == "new-2030-01-01"


@pytest.mark.parametrize(
    ("provider", "reply", "path", "field"),
    [
        (BEDROCK, {"inputTokens": 17}, "/count-tokens", "input"),
        (GEMINI, {"totalTokens": 17}, ":countTokens", "generateContentRequest"),
    ],
)
async def test_other_providers_count_the_translated_body(provider: Native, reply: Any, path: str, field: str) -> None:
    async with world(lambda _: httpx.Response(200, json=reply), **provider.env) as client:
        counted = await client.post(asked(provider.id, tools=[TOOL]), PATH)
    assert counted.json == {"input_tokens": 17}
    assert client.requests[0].url.path.endswith(path)
    assert list(json.loads(client.requests[0].content)) == [field]


@pytest.mark.parametrize("status", [200, 404, 500])
async def test_a_provider_that_does_not_count_is_replaced_by_an_estimate(status: int) -> None:
    async with world(lambda _: httpx.Response(status, json={}), **ANTHROPIC.env) as client:
        counted = await client.post(asked(ANTHROPIC.id), PATH)
    assert (counted.status, counted.json["input_tokens"] > 8) == (200, True)


async def test_an_estimate_counts_everything_and_asks_nobody() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
    more: list[dict[str, Any]] = [
        {"system": "Be brief. " * 50},
        {"tools": [TOOL]},
        {
            "messages": [
                *TURNS,
                {"role": "assistant", "content": [{"type": "thinking", "thinking": "x " * 200, "signature": "s"}]},
            ]
        },
        {"messages": [{"role": "user", "content": [image]}]},
    ]
    async with world() as client:
        counts = [
            (await client.post(asked("mistral/mistral-small-latest", **each), PATH)).json["input_tokens"]
            for each in more
        ]
        plain = (await client.post(asked("mistral/mistral-small-latest"), PATH)).json["input_tokens"]
        search = [{"type": "web_search_20250305", "name": "web_search"}]
        servers = [{"type": "url", "url": "https://mcp.example", "name": "m"}]
        asked_more = asked("mistral/mistral-small-latest", tools=search, mcp_servers=servers)
        searching = (await client.post(asked_more, PATH)).json["input_tokens"]
    assert client.requests == []
    assert all(count > plain for count in counts)
    assert searching < plain + 1_000  # what a search will find is not in the prompt


async def test_a_count_takes_no_budget_and_is_recorded_without_a_cost() -> None:
    async with world(limits=Limits(tokens_per_month=1)) as client:
        reply = await client.post(asked("openai/gpt-4.1-mini"), PATH)
    outcome = client.recorder.outcomes[0]
    assert (reply.status, outcome.status, outcome.bill.tokens.input) == (200, "dry_run", 0)
    assert outcome.call.endpoint == "/v1/messages/count_tokens"


async def test_a_count_is_a_call_in_the_rates_and_needs_a_key() -> None:
    async with world(limits=Limits(requests_per_minute=1)) as client:
        first = await client.post(asked("openai/gpt-4.1-mini"), PATH)
        second = await client.post(asked("openai/gpt-4.1-mini"), PATH)
        stranger = await client.post(asked("openai/gpt-4.1-mini"), PATH, {"authorization": "Bearer sk-no"})
    assert [reply.status for reply in (first, second, stranger)] == [200, 429, 401]
    assert second.json["error"]["type"] == "rate_limit_error"


async def test_a_model_that_is_not_served_is_not_counted() -> None:
    async with world() as client:
        reply = await client.post(asked("nobody-serves-this/model"), PATH)
    assert (reply.status, reply.json["error"]["type"]) == (404, "not_found_error")


@all_needed
def test_an_estimate_is_hardly_ever_too_low() -> None:
    """Of the recorded calls without searches: 4 of 1,395 took more, to routers and for a template of 500 tokens."""
    ratios: list[float] = []
    for one in heard():
        if one.kind != "search":
            name = one.exchange.provider
            provider = dialect(name) if one.exchange.endpoint == "chat/completions" else Registry().load(name)
            sent = built(provider, one.request.body, one.exchange.model).body
            ratios.append(one.request.worst_case(None, sent).input / max(1, one.input))
    assert (len(ratios), sum(ratio < 1 for ratio in ratios)) == (1395, 4)

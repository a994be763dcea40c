"""Calls of models that the operator declares in `TIDEGATE_PROVIDERS`."""

import json
from decimal import Decimal
from typing import Any

import pytest

from tests.world import USER, completion, world
from tidegate.domain.limits import Limits

ROW = {"name": "qwen3", "base_url": "https://proxy.test/v1", "key": "QWEN3_API_KEY"}
PRICED = {"name": "qwen3", "aliases": ["qwen"], "output_limit": 1_000, "prices": {"input": 1, "output": 3}}
CALL = {"model": "qwen3", "messages": USER}


KEY = "provider-secret-3"


@pytest.mark.parametrize("row", [ROW, {**ROW, "models": ["qwen3"]}, {**ROW, "name": "alpha", "models": [PRICED]}])
async def test_a_bare_name_reaches_the_operators_own_provider(row: dict[str, Any]) -> None:
    async with world(TIDEGATE_PROVIDERS=json.dumps([row]), QWEN3_API_KEY=KEY) as client:
        reply = await client.post(CALL)
        assert reply.status == 200, reply.body
        assert str(client.requests[0].url) == "https://proxy.test/v1/chat/completions"
        assert json.loads(client.requests[0].content)["model"] == "qwen3"
        assert client.requests[0].headers["authorization"] == "Bearer provider-secret-3"


async def test_a_declared_price_is_held_and_billed() -> None:
    row = {**ROW, "name": "alpha", "models": [PRICED]}
    async with world(
        limits=Limits(usd_per_month=Decimal(1)), TIDEGATE_PROVIDERS=json.dumps([row]), QWEN3_API_KEY=KEY
    ) as client:
        reply = await client.post({**CALL, "model": "qwen"})
        assert reply.json["usage"]["cost"] == 0.00005  # 14 tokens of input and 12 of output
        assert client.recorder.outcomes[0].bill.cost_usd == Decimal("0.00005")
    async with world(
        limits=Limits(usd_per_month=Decimal("0.0001")), TIDEGATE_PROVIDERS=json.dumps([row]), QWEN3_API_KEY=KEY
    ) as client:
        assert (await client.post({**CALL, "max_tokens": 500})).json["error"]["code"] == "insufficient_quota"


async def test_a_price_of_its_own_makes_an_unlisted_model_of_a_known_provider_fit_a_budget() -> None:
    call = {"model": "openai/never-heard-of", "messages": USER, "max_tokens": 100}
    limits = Limits(usd_per_month=Decimal(1))
    async with world(limits=limits) as client:
        reply = await client.post(call)
        assert (reply.status, reply.json["error"]["code"]) == (403, "model_unpriced")
        for way_out in ("TIDEGATE_PROVIDERS", "allows_unpriced", "openai/never-heard-of"):
            assert way_out in reply.json["error"]["message"]
    declared = {"name": "openai", "models": [{"name": "never-heard-of", "prices": {"input": 1, "output": 3}}]}
    async with world(limits=limits, TIDEGATE_PROVIDERS=json.dumps([declared]), QWEN3_API_KEY=KEY) as client:
        assert (await client.post(call)).json["usage"]["cost"] == 0.00005


async def test_a_negotiated_price_wins_over_the_catalogue() -> None:
    declared = {"name": "openai", "models": [{"name": "gpt-4o", "prices": {"input": 0, "output": 1}}]}
    async with world(completion(), TIDEGATE_PROVIDERS=json.dumps([declared]), QWEN3_API_KEY=KEY) as client:
        reply = await client.post({**CALL, "model": "openai/gpt-4o"})
        assert reply.json["usage"]["cost"] == 0.000012
        assert json.loads(client.requests[0].content)["model"] == "gpt-4o"


async def test_a_name_that_two_providers_declare_names_both() -> None:
    rows = ({**ROW, "name": "alpha", "models": ["q"]}, {**ROW, "name": "beta", "models": ["q"]})
    async with world(TIDEGATE_PROVIDERS=json.dumps(rows), QWEN3_API_KEY=KEY) as client:
        error = (await client.post({**CALL, "model": "q"})).json["error"]
        assert (error["code"], error["param"]) == ("invalid_request", "model")
        assert "alpha/q or beta/q" in error["message"]
        assert (await client.post({**CALL, "model": "beta/q"})).status == 200


async def test_anthropic_is_sent_the_declared_limit_that_is_held() -> None:
    model = {"name": "claude-next", "output_limit": 2_000, "prices": {"input": 1, "output": 3}}
    message = {"id": "m", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn"}
    text = {"content": [{"type": "text", "text": "Hi."}], "usage": {"input_tokens": 9, "output_tokens": 3}}
    rows = json.dumps([{"name": "anthropic", "models": [model]}])
    async with world({**message, **text}, TIDEGATE_PROVIDERS=rows, ANTHROPIC_API_KEY=KEY) as client:
        assert (await client.post({**CALL, "model": "claude-next"})).status == 200
        assert json.loads(client.requests[0].content)["max_tokens"] == 2_000

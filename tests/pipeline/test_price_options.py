"""Service tiers and the like from the door to the record: what is sent, held and billed."""

import json
from decimal import Decimal
from typing import Any, cast

import httpx
import pytest

from tests.world import USER, Client, Handler, answers, completion, delta, streams, world
from tidegate.catalog import call_cost, load_catalog
from tidegate.catalog.row import PRICE_OPTIONS
from tidegate.chat.operation import CHAT
from tidegate.domain.limits import Limits
from tidegate.domain.operation import ReplyLog
from tidegate.domain.usage import TokenCounts

CALL = {"model": "openai/o3", "messages": USER, "max_tokens": 100}
COUNTS = {"prompt_tokens": 14, "completion_tokens": 12, "total_tokens": 26}


def price(model_id: str, *options: str) -> Decimal:
    row = load_catalog().find_model(model_id, options)
    cost = row and call_cost(row, TokenCounts(14, 12))
    assert cost is not None
    return cost


def cost(client: Client) -> Decimal | None:
    return client.recorder.outcomes[-1].bill.cost_usd


def plain(**fields: Any) -> Handler:
    return answers({**completion(), **fields})


def streamed(**fields: Any) -> Handler:
    return streams(
        delta("Hi", **fields), delta(finish="stop", **fields), {"choices": [], "usage": COUNTS, **fields}, "[DONE]"
    )


@pytest.mark.parametrize("provider", [plain, streamed])
@pytest.mark.parametrize(
    ("requested", "reported", "option"),
    [
        ("priority", "priority", ("service_tier=priority",)),
        ("priority", "default", ()),
        ("priority", None, ("service_tier=priority",)),
        ("flex", "flex", ("service_tier=flex",)),
        ("flex", None, ()),
        ("auto", "priority", ("service_tier=priority",)),
        (None, "priority", ("service_tier=priority",)),
        (None, None, ()),
    ],
)
async def test_the_bill_follows_the_tier_that_the_provider_reports(
    provider: Any, requested: str | None, reported: str | None, option: tuple[str, ...]
) -> None:
    fields = {} if reported is None else {"service_tier": reported}
    body = {**CALL, **({} if requested is None else {"service_tier": requested}), "stream": provider is streamed}
    async with world(provider(**fields)) as client:
        reply = await client.post(body)
        assert reply.status == 200 and "x-tidegate-ignored-params" not in reply.headers
        assert json.loads(client.requests[0].content).get("service_tier") == requested
        assert cost(client) == price("openai/o3", *option)


async def worst_case(**fields: Any) -> Decimal:
    async with world(plain()) as client:
        report = (await client.post({**CALL, "dry_run": True, **fields})).json
    [usd] = find(report, "largest_cost_usd")
    return Decimal(str(usd))


def find(report: Any, name: str) -> list[Any]:
    """Every value of that name in the report."""
    if isinstance(report, list):
        return [found for each in cast("list[Any]", report) for found in find(each, name)]
    if not isinstance(report, dict):
        return []
    inner = cast("dict[str, Any]", report)
    return ([inner[name]] if name in inner else []) + [found for each in inner.values() for found in find(each, name)]


async def test_a_budget_holds_the_price_of_the_tier() -> None:
    usual, priority = await worst_case(), await worst_case(service_tier="priority")
    assert priority == usual * Decimal("1.75") and await worst_case(service_tier="flex") == usual
    for fields, status in (({}, 200), ({"service_tier": "priority"}, 429)):
        async with world(plain(), limits=Limits(usd_per_day=usual * Decimal("1.7"))) as client:
            assert (await client.post({**CALL, **fields})).status == status


async def test_a_tier_without_a_price_is_left_out_and_named() -> None:
    async with world(plain()) as client:
        reply = await client.post({**CALL, "model": "mistral/mistral-small", "service_tier": "priority"})
        assert reply.headers["x-tidegate-ignored-params"] == "service_tier"
        assert b"priority" not in client.requests[0].content
        required = {**CALL, "service_tier": "scale", "require_parameters": True}
        assert (await client.post(required)).json["error"]["code"] == "unsupported_parameter"
    async with world(plain(), TIDEGATE_ALLOWED_PRICE_FIELDS="service_tier") as client:
        await client.post({**CALL, "service_tier": "scale"})
        assert json.loads(client.requests[0].content)["service_tier"] == "scale"


async def test_a_fast_mode_and_a_region_are_billed_as_anthropic_reports_them() -> None:
    usage = {"input_tokens": 14, "output_tokens": 12, "speed": "fast", "inference_geo": "us"}
    body = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn"}
    answer = {**body, "content": [{"type": "text", "text": "Hi"}], "usage": usage}
    asked = {**CALL, "model": "anthropic/claude-opus-4-8", "speed": "fast", "inference_geo": "us"}
    async with world(lambda _: httpx.Response(200, json=answer), ANTHROPIC_API_KEY="k") as client:
        assert (await client.post(asked)).status == 200
        sent = json.loads(client.requests[0].content)
        assert (sent["speed"], sent["inference_geo"]) == ("fast", "us")
        assert cost(client) == price("anthropic/claude-opus-4-8", "speed=fast", "inference_geo=us")
        refused = await client.post({**asked, "inference_geo": "eu"})
        assert (refused.status, refused.json["error"]["param"]) == (400, "inference_geo")


async def test_a_dry_run_shows_what_is_left_out() -> None:
    async with world(plain()) as client:
        report = (await client.post({**CALL, "dry_run": True, "service_tier": "scale"})).json
    assert find(report, "ignored") == [["service_tier"]]


@pytest.mark.parametrize("provider", [plain, streamed])
@pytest.mark.parametrize(
    ("model", "reported", "billed"),
    [
        ("openrouter/openai/gpt-4o", 0.5, "0.5"),  # a dearer host, or a plugin
        ("openrouter/openai/gpt-4o:nitro", 0.5, "0.5"),
        ("openrouter/openai/gpt-4o", 0.0000001, None),
        ("openrouter/openai/gpt-4o", -1, None),
        ("openrouter/openai/gpt-4o", True, None),
        ("openrouter/openai/gpt-4o", "0.5", None),
        ("openrouter/openai/gpt-4o", 1e9, None),
        ("perplexity/sonar", {"total_cost": 0.5}, "0.5"),
        ("perplexity/sonar", {"total_cost": {}}, None),
        ("mistral/mistral-small-latest", 0.5, None),  # in a currency or a unit that nobody documents
    ],
)
async def test_a_router_s_own_cost_is_billed_if_it_is_higher(
    provider: Any, model: str, reported: Any, billed: str | None
) -> None:
    usage = {**COUNTS, "cost": reported}
    handler = plain(usage=usage) if provider is plain else streams(delta("Hi"), delta(finish="stop", usage=usage))
    async with world(handler, OPENROUTER_API_KEY="k", PERPLEXITY_API_KEY="k") as client:
        assert (await client.post({**CALL, "model": model, "stream": provider is streamed})).status == 200
        assert cost(client) == (price(model) if billed is None else Decimal(billed))


@pytest.mark.parametrize("name", PRICE_OPTIONS)
def test_each_price_option_that_a_whole_reply_names_is_read(name: str) -> None:
    log, field = ReplyLog(), {name: "x"}
    reply = {**completion(), **field} if name == "service_tier" else {**completion(), "usage": {**COUNTS, **field}}
    CHAT.read_reply(reply, log)
    assert log.price_fields == field

"""Repricing says what each call of a range would have cost on another model, without reading records."""

import random
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from tests.call_records import call_record, expected_sums
from tests.control.rolled_up import stored
from tests.control.world import OF_ONE, WHOLE, Managed
from tests.store_worlds import NOON
from tidegate.catalog import call_cost, load_catalog
from tidegate.control.reprice import MAX_TARGETS, reprice
from tidegate.domain.aggregate import OTHER
from tidegate.domain.usage import TokenCounts
from tidegate.errors import AdminForbidden, InvalidRequest, NotFound

DAY = 86_400.0
SOURCE = random.Random(3)
GPT, MINI, SONNET = "openai/gpt-4o", "openai/gpt-4o-mini", "anthropic/claude-sonnet-4-5"


def call(model: str = GPT, at: float | None = None, **fields: Any) -> dict[str, Any]:
    provider, _, name = model.partition("/")
    source = {"provider": provider, "answered_model": name, "status": "ok", "cost_usd": Decimal("0.01"), **fields}
    counts = {"cached_tokens": SOURCE.randrange(200), "written_tokens": SOURCE.randrange(200)}
    source = {"input_tokens": 400 + SOURCE.randrange(2_000), "reasoning_tokens": 0, **counts, **source}
    return call_record(SOURCE, NOON - SOURCE.random() * 12 * DAY if at is None else at, **source)


def cost_on(model: str, record: Mapping[str, Any]) -> Decimal:
    """The list price of one call, by the code that bills calls."""
    row = load_catalog().find_model(model)
    assert row is not None
    kinds = ("input", "output", "cached", "written", "reasoning")
    counts = {kind: record[f"{kind}_tokens"] for kind in kinds}
    cost = call_cost(row, TokenCounts(**counts, searches=record["searches"]))
    assert cost is not None
    return cost


async def made(world: Managed, *models: str, **more: Any) -> dict[str, Any]:
    return (await reprice(world.control, WHOLE, "ws_one", models, **more)).to_json()


@pytest.mark.parametrize("model", [MINI, SONNET, "gemini/gemini-2.5-pro"])
async def test_the_cost_is_what_the_calls_would_have_been_billed(world: Managed, model: str) -> None:
    records = [call(SOURCE.choice((GPT, MINI))) for _ in range(200)]
    world = await stored(world, records, "ws_one")
    report = await made(world, model)
    (priced,) = report["models"]
    expected = sum((cost_on(model, record) for record in records), Decimal(0))
    assert (report["calls"], Decimal(report["cost_usd"])) == (200, expected_sums(records)["cost_usd"])
    assert abs(Decimal(priced["cost_usd"]) - expected) < Decimal("1e-12")
    assert Decimal(priced["difference_usd"]) == Decimal(priced["cost_usd"]) - Decimal(report["cost_usd"])
    for total in (priced["parts"], priced["by_model"]):
        assert abs(sum(Decimal(each["cost_usd"]) for each in total) - expected) < Decimal("1e-12")


async def test_the_own_list_price_stands_beside_what_was_recorded(world: Managed) -> None:
    records = [call(GPT) for _ in range(20)]
    report = await made(await stored(world, records, "ws_one"))
    (row,) = report["recorded"]
    assert (row["model"], row["calls"], row["cost_usd"], row["problem"]) == (GPT, 20, "0.2", None)
    assert abs(Decimal(row["list_cost_usd"]) - sum(cost_on(GPT, each) for each in records)) < Decimal("1e-12")
    assert report["models"] == []


async def test_what_is_not_known_is_named(world: Managed) -> None:
    records = [call("mine/unknown", cost_usd=None), call("cerebras/qwen-3-coder-480b"), call(GPT)]
    world = await stored(world, records, "ws_one")
    report = await made(world, "nobody/knows", "gemini/gemma-3", MINI)
    assert {each["model"]: each["problem"] for each in report["recorded"]} == {
        "mine/unknown": "unknown_model",
        "cerebras/qwen-3-coder-480b": "no_price",
        GPT: None,
    }
    targets = [(each["model"], each["problem"], each["cost_usd"] is None) for each in report["models"]]
    assert targets == [
        ("nobody/knows", "unknown_model", True),
        ("gemini/gemma-3", "no_price", True),
        (MINI, None, False),
    ]
    assert report["unpriced"] == 1
    messages = {each["code"]: each["message"] for each in report["cautions"]}
    assert {"unpriced", "no_list_price", "not_repriced"} < {*messages}
    assert "mine/unknown" in messages["no_list_price"] and "nobody/knows" in messages["not_repriced"]


async def test_calls_from_the_gateways_cache_are_left_out(world: Managed) -> None:
    world = await stored(world, [call(GPT), call(GPT, status="cached", cost_usd=Decimal(0))], "ws_one")
    report = await made(world, MINI)
    assert (report["calls"], report["cached"]) == (1, 1)
    assert "cached" in {each["code"] for each in report["cautions"]}


async def test_a_month_of_long_prompts_has_no_long_prompt(world: Managed) -> None:
    """The sum of many short prompts is long: the price of long prompts must not apply to it."""
    records = [call(GPT, input_tokens=2_000) for _ in range(300)]
    report = await made(await stored(world, records, "ws_one"), SONNET)
    parts = {part["kind"]: part for part in report["models"][0]["parts"]}
    assert (sum(each["input_tokens"] for each in records), parts["input"]["rate_usd"]) == (600_000, "3")
    assert "long_prompts" in {each["code"] for each in report["cautions"]}


async def test_cautions_are_always_there(world: Managed) -> None:
    report = await made(await stored(world, [], "ws_one"), MINI)
    assert [each["code"] for each in report["cautions"]] == ["tokenizers", "list_prices"]
    assert (report["calls"], report["models"][0]["cost_usd"]) == (0, "0")


async def test_the_default_range_is_this_month(world: Managed) -> None:
    first = NOON - 20.5 * DAY
    records = [call(GPT, first - 60), call(GPT, first + 60)]
    world = await stored(world, records, "ws_one")
    report = await made(world, MINI)
    assert (report["from"], report["calls"]) == ("2026-11-01T00:00:00.000Z", 1)
    assert (await made(world, MINI, since=first - DAY, until=first))["calls"] == 1


async def test_a_name_without_a_provider_is_looked_up(world: Managed) -> None:
    report = await made(await stored(world, [call()], "ws_one"), "gpt-4o-mini", "gpt-4o-mini")
    assert [each["model"] for each in report["models"]] == [MINI]


async def test_names_that_aggregates_do_not_keep_are_one_row(world: Managed) -> None:
    records = [call(f"mine/model-{number}", NOON - DAY) for number in range(300)]
    report = await made(await stored(world, records, "ws_one"), MINI)
    assert OTHER in {each["model"] for each in report["recorded"]}
    assert (report["calls"], "other" in {each["code"] for each in report["cautions"]}) == (300, True)


async def test_who_may_not_see_it_gets_nothing(world: Managed) -> None:
    world = await stored(world, [call()], "ws_one", "ws_two")
    with pytest.raises(NotFound):
        await reprice(world.control, OF_ONE, "ws_two", [MINI])
    with pytest.raises(AdminForbidden):
        await reprice(world.control, replace(WHOLE, scopes=("write",)), "ws_one", [MINI])
    with pytest.raises(InvalidRequest, match=f"at most {MAX_TARGETS} models"):
        await made(world, *map(str, range(MAX_TARGETS + 1)))
    with pytest.raises(InvalidRequest, match="at most 400 days"):
        await made(world, MINI, since=NOON - 500 * DAY)

"""The prices of service tiers and the like, against the source's own calculator."""

from datetime import UTC, datetime, time
from decimal import Decimal
from pathlib import Path
from runpy import run_path

import pytest
from genai_prices import Usage

from tidegate.catalog import call_cost, load_catalog, price_options
from tidegate.domain.usage import TokenCounts

CATALOG = load_catalog()
GENERATOR = run_path(str(Path(__file__).parents[2] / "infra/catalog.py"))
COUNTS = TokenCounts(input=400_000, output=30_000, cached=100_000, written=50_000, searches=3)


def cost(name: str, *options: str, tokens: TokenCounts = COUNTS) -> Decimal:
    row = CATALOG.find_model(name, options)
    price = row and call_cost(row, tokens)
    assert price is not None, name
    return price


def test_every_option_of_the_source_costs_what_the_source_calculates() -> None:
    ours: dict[tuple[str, str], Decimal] = {}
    theirs: dict[tuple[str, str], Decimal] = {}
    for origin in GENERATOR["origins"]():
        for model in origin.provider.models:
            row = CATALOG.find_model(f"{origin.name}/{model.id}")
            if row is None or row.name != model.name:
                continue
            for option in row.variants:
                name, _, value = option.partition("=")
                usage = Usage(
                    input_tokens=COUNTS.input,
                    output_tokens=COUNTS.output,
                    cache_read_tokens=COUNTS.cached,
                    cache_write_tokens=COUNTS.written,
                    web_searches=COUNTS.searches,
                )
                at = datetime.combine(row.checked, time(12), UTC)
                price = model.calc_price(
                    usage, origin.provider, genai_request_timestamp=at, price_context={name: value}
                )
                theirs[row.id, option] = price.total_price
                ours[row.id, option] = cost(row.id, option)
    assert ours == theirs and len(ours) > 70


def test_a_tier_has_its_own_price() -> None:
    assert cost("openai/o3", "service_tier=priority") > cost("openai/o3") > cost("openai/o3", "service_tier=flex")
    assert cost("anthropic/claude-opus-4-8", "speed=fast") > cost("anthropic/claude-opus-4-8")


def test_inference_in_one_region_costs_a_tenth_more_for_tokens_and_not_for_searches() -> None:
    name, geo, tokens = "anthropic/claude-opus-4-8", "inference_geo=us", TokenCounts(1000, 100)
    assert cost(name, geo, tokens=tokens) == cost(name, tokens=tokens) * Decimal("1.1")
    fast = cost(name, "speed=fast", tokens=tokens)
    assert cost(name, "speed=fast", geo, tokens=tokens) == fast * Decimal("1.1")
    searches = TokenCounts(searches=5)
    assert cost(name, geo, tokens=searches) == cost(name, tokens=searches) > 0


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("openai/gpt-3.5-turbo", "service_tier=priority"),
        ("openai/o3", "service_tier=unheard-of"),
        ("anthropic/claude-sonnet-4-5", "inference_geo=us"),
        ("azure/o3", "service_tier=priority"),  # OpenAI's row, at another provider
        ("vertex/claude-opus-4-8", "speed=fast"),
    ],
)
def test_an_option_without_a_known_price_has_the_usual_one(name: str, option: str) -> None:
    row = CATALOG.find_model(name)
    assert row is not None and option not in row.variants and option not in row.factors
    assert cost(name, option) == cost(name)


@pytest.mark.parametrize(
    ("requested", "reported", "options"),
    [
        ({}, {}, ()),
        ({"service_tier": "auto"}, {}, ()),
        ({"service_tier": "auto"}, {"service_tier": "priority"}, ("service_tier=priority",)),
        ({}, {"service_tier": "priority"}, ("service_tier=priority",)),
        ({"service_tier": "priority"}, {"service_tier": "default"}, ()),
        ({"service_tier": "priority"}, {"service_tier": None}, ("service_tier=priority",)),
        ({"service_tier": "flex"}, {}, ()),
        ({"service_tier": "flex"}, {"service_tier": "flex"}, ("service_tier=flex",)),
        ({"speed": "fast", "inference_geo": "us"}, {}, ("speed=fast", "inference_geo=us")),
        ({"speed": "fast"}, {"speed": "standard", "inference_geo": "not_available"}, ()),
        ({"service_tier": ["priority"], "speed": 2}, {}, ()),
    ],
)
def test_what_the_provider_reports_counts(
    requested: dict[str, object], reported: dict[str, object], options: tuple[str, ...]
) -> None:
    assert price_options(requested, reported) == options

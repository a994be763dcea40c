"""The prices of providers' batch APIs."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from tidegate.catalog import call_cost, load_catalog
from tidegate.catalog.batch_prices import BatchCatalog
from tidegate.domain.usage import TokenCounts

CATALOG = load_catalog()
BATCHES = BatchCatalog(CATALOG)
TOKENS = TokenCounts(input=10_000, output=2_000)


@pytest.mark.parametrize(
    "model_id",
    [
        "openai/gpt-4.1-mini",
        "openai/gpt-5-mini",
        "anthropic/claude-sonnet-4-5",
        "gemini/gemini-2.5-flash",
        "azure/gpt-4o",
        "bedrock/amazon.nova-lite-v1:0",
    ],
)
def test_tokens_in_a_batch_cost_half_and_searches_as_much(model_id: str) -> None:
    live, batch = CATALOG.find_model(model_id), BATCHES.find_model(model_id)
    assert live is not None and batch is not None and BATCHES.has_batch_price(model_id)
    live_cost, batch_cost = (call_cost(model, TOKENS) or Decimal() for model in (live, batch))
    assert live_cost and batch_cost == live_cost / 2
    searching = replace(TOKENS, searches=3)
    assert (call_cost(batch, searching) or 0) - batch_cost == (call_cost(live, searching) or 0) - live_cost


@pytest.mark.parametrize("model_id", ["openai/gpt-5-mini", "anthropic/claude-sonnet-4-5"])
def test_cached_tokens_in_a_batch_cost_half_where_the_provider_says_so(model_id: str) -> None:
    live, batch = CATALOG.find_model(model_id), BATCHES.find_model(model_id)
    cached = replace(TOKENS, cached=4_000)
    assert live is not None and batch is not None
    assert call_cost(batch, cached) == (call_cost(live, cached) or Decimal()) / 2


def test_azure_does_not_halve_the_price_of_other_providers() -> None:
    assert not BATCHES.has_batch_price("azure/unheard-of")
    assert not BATCHES.has_batch_price("openrouter/openai/gpt-4o")


def test_a_price_that_is_not_exactly_half_is_the_providers_own() -> None:
    batch = BATCHES.find_model("openai/gpt-5.4")
    assert batch is not None
    assert call_cost(batch, TokenCounts(input=1_000_000, cached=1_000_000)) == Decimal("0.25")
    assert call_cost(batch, TokenCounts(input=200_000, cached=200_000)) == Decimal("0.026")


@pytest.mark.parametrize(
    "model_id",
    ["deepseek/deepseek-chat", "cohere/command-r-plus", "openai/gpt-4o-audio-preview", "together/unheard-of"],
)
def test_models_without_a_known_price_in_batches_have_none(model_id: str) -> None:
    assert not BATCHES.has_batch_price(model_id)


def test_service_tiers_do_not_change_the_price_in_a_batch_but_the_place_does() -> None:
    def cost(*options: str) -> Decimal | None:
        model = BATCHES.find_model("anthropic/claude-opus-4-6", options)
        assert model is not None
        return call_cost(model, TokenCounts(input=1_000_000))

    plain = cost()
    assert plain is not None
    assert cost("service_tier=batch") == cost("service_tier=priority") == cost("speed=fast") == plain
    assert cost("inference_geo=us") == plain * Decimal("1.1")


def test_live_calls_keep_their_price() -> None:
    assert CATALOG.find_model("openai/gpt-5-mini") == load_catalog().find_model("openai/gpt-5-mini")
    assert CATALOG.find_model("openai/gpt-5-mini", ("service_tier=default",)) is not None

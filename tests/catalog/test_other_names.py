"""Every spelling that a provider reads as a model of the catalogue has that model's price."""

from decimal import Decimal

import pytest

from tidegate.catalog import call_cost, load_catalog
from tidegate.domain.usage import TokenCounts

CATALOG = load_catalog()


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("gemini/models/gemini-2.5-pro", "gemini/gemini-2.5-pro"),
        ("google/models/gemini-2.5-pro", "gemini/gemini-2.5-pro"),
        ("gemini/gemini/gemini-2.5-pro", "gemini/gemini-2.5-pro"),
        ("gemini/models%2Fgemini-2.5-pro", "gemini/gemini-2.5-pro"),
        ("vertex/publishers/google/models/gemini-2.5-pro", "vertex/gemini-2.5-pro"),
        ("vertex/projects/p/locations/eu/publishers/google/models/gemini-2.5-pro", "vertex/gemini-2.5-pro"),
        ("vertex/claude-sonnet-4-5@20250929", "vertex/claude-sonnet-4-5"),
        ("vertex/publishers/anthropic/models/claude-sonnet-4-5@20250929", "vertex/claude-sonnet-4-5"),
        ("fireworks/kimi-k2p5", "fireworks/accounts/fireworks/models/kimi-k2p5"),
        ("openai/gpt-4o/", "openai/gpt-4o"),
        ("openai//gpt-4o", "openai/gpt-4o"),
        ("openai/ gpt-4o", "openai/gpt-4o"),
        ("openai/gpt-4o%20", "openai/gpt-4o"),
        ("openai/\uff47pt\u20114o", "openai/gpt-4o"),
        ("openai/OPENAI/GPT-4o", "openai/gpt-4o"),
        ("anthropic/claude-sonnet-4-5-latest", "anthropic/claude-sonnet-4-5"),
        ("bedrock/apac.amazon.nova-pro-v1:0", "bedrock/amazon.nova-pro-v1:0"),
        ("bedrock/arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-pro-v1:0", "bedrock/amazon.nova-pro-v1:0"),
        ("openrouter/openai/gpt-4o:nitro", "openrouter/openai/gpt-4o"),
        ("openrouter/openai/gpt-4o:floor:exacto", "openrouter/openai/gpt-4o"),
        ("openrouter/openrouter/openai/gpt-4o:online", "openrouter/openai/gpt-4o"),
        ("openrouter/auto", None),
        ("openrouter/openai/gpt-4o@preset/mine", None),
        ("openrouter/@preset/mine", None),
        ("fireworks/accounts/fireworks/routers/kimi-k2p6-turbo", None),
        ("gemini/tunedModels/mine", None),
        ("nobody/models/gemini-2.5-pro", None),
    ],
)
def test_a_spelling_finds_the_row_of_its_model(name: str, row: str | None) -> None:
    found = CATALOG.find_model(name)
    assert (found and found.id) == row


def test_a_search_by_a_suffix_is_in_the_price() -> None:
    tokens = TokenCounts(input=1000, output=100)
    cost = {suffix: _cost(f"openrouter/openai/gpt-4o{suffix}", tokens) for suffix in ("", ":online", ":online:nitro")}
    assert cost[":online"] == cost[":online:nitro"] == cost[""] + Decimal("0.02")


def test_a_host_that_is_left_to_the_router_has_the_price_of_the_dearest() -> None:
    tokens = TokenCounts(input=1000, output=1000)
    name = "huggingface/meta-llama/Llama-3.3-70B-Instruct"
    hosts = [model_id for model_id in CATALOG.ids() if model_id.startswith(f"{name}:")]
    dearest = max(_cost(model_id, tokens) for model_id in hosts)
    assert len(hosts) > 2 and dearest > min(_cost(model_id, tokens) for model_id in hosts)
    assert {_cost(f"{name}{suffix}", tokens) for suffix in ("", ":fastest", ":cheapest", ":unknown")} == {dearest}


def _cost(name: str, tokens: TokenCounts) -> Decimal:
    model = CATALOG.find_model(name)
    cost = model and call_cost(model, tokens)
    assert cost is not None, name
    return cost

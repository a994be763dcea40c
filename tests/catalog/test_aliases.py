"""Names of models in the documents of other gateways lead to the models that are meant."""

import json
from datetime import date
from pathlib import Path

import pytest

from tidegate import catalog
from tidegate.domain.deployment import ProviderConfig
from tidegate.errors import ModelNotFound
from tidegate.policy.routing.router import Router

CATALOG = catalog.load_catalog()
ALIASES = json.loads((Path(catalog.__file__).parent / "families.json").read_bytes())["aliases"]
CONFIGS = {name: ProviderConfig(name, f"https://{name}.test/v1") for name in ("openai", "anthropic", "neuroa", "vllm")}


def deployed(name: str, default_provider: str | None = None) -> str:
    return Router(CONFIGS, {}, CATALOG, default_provider).resolve(name).deployments[0].model_id


@pytest.mark.parametrize(
    ("name", "model"),
    [
        # Neuroa's chat completions
        ("openai/gpt-4", "openai/gpt-4"),
        ("openai/gpt-4o", "openai/gpt-4o"),
        ("openai/gpt-4.1", "openai/gpt-4.1"),
        ("openai/o1-pro", "openai/o1-pro"),
        ("anthropic/claude-4-opus", "anthropic/claude-opus-4-0"),
        # neuroflash's chat completions, in English and in German
        ("openai/gpt-4.1-mini", "openai/gpt-4.1-mini"),
        # Lunos' chat completions: openai/gpt-4o, as above
    ],
)
def test_every_model_of_the_documents_leads_to_a_priced_one(name: str, model: str) -> None:
    assert deployed(name) == model
    row = CATALOG.find_model(model)
    assert row is not None and row.prices


def test_a_model_of_neuroas_own_goes_to_neuroa_without_a_price() -> None:
    """Neuroa publishes no prices, so budgets in USD refuse it unless the workspace allows unpriced models."""
    assert deployed("neuroa/m1-preview") == "neuroa/m1-preview"
    assert CATALOG.find_model("neuroa/m1-preview") is None


def test_alphaneurals_bare_name_is_a_model_of_the_operators_server() -> None:
    assert deployed("qwen3", default_provider="vllm") == "vllm/qwen3"
    with pytest.raises(ModelNotFound):
        deployed("qwen3")


@pytest.mark.parametrize(
    ("name", "official"),
    [
        ("claude-4-sonnet", "claude-sonnet-4-0"),
        ("Claude-4-Opus", "claude-opus-4-0"),
        ("claude-opus-4", "claude-opus-4-0"),
        ("claude-opus-4.1", "claude-opus-4-1"),
        ("claude-4.5-sonnet", "claude-sonnet-4-5"),
        ("claude-4-1-opus", "claude-opus-4-1"),
        ("claude-sonnet-4.6", "claude-sonnet-4-6"),
        ("claude-5-opus", "claude-opus-5"),
        ("claude-5.5-sonnet", "claude-sonnet-5-5"),
        ("claude-fable-5.1", "claude-fable-5-1"),
        ("claude-3.7-sonnet", "claude-3-7-sonnet-latest"),
        ("claude-3-5-haiku", "claude-3-5-haiku-latest"),
        ("claude-opus-4-20250514", "claude-opus-4-20250514"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5-20250929"),
        ("claude-opus-5-5", "claude-opus-5-5"),
        ("my-own-model", "my-own-model"),
    ],
)
def test_an_alias_is_sent_under_the_providers_own_name(name: str, official: str) -> None:
    assert CATALOG.official_name("anthropic", name) == official
    assert CATALOG.official_name("openrouter", name) == name


def test_names_of_the_catalogue_are_the_providers_own() -> None:
    rows = [row.id.partition("/") for row in CATALOG if row.provider == "anthropic"]
    renamed = {name: CATALOG.official_name(provider, name) for provider, _, name in rows}
    assert {name: official for name, official in renamed.items() if name != official} == {
        "claude-3-5-sonnet": "claude-3-5-sonnet-latest"
    }


def test_an_alias_without_a_provider_and_in_a_route_is_resolved_as_well() -> None:
    assert deployed("claude-4-opus") == "anthropic/claude-opus-4-0"


def test_every_alias_has_its_source_and_date() -> None:
    assert all(alias["source"] and date.fromisoformat(alias["checked"]) <= date(2026, 12, 1) for alias in ALIASES)

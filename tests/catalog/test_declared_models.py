"""Models that the operator declares: how they are read, and the rows that they become."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from tidegate.catalog import CatalogModel, call_cost, load_catalog
from tidegate.catalog.declared_catalog import DeclaredCatalog
from tidegate.catalog.declared_models import parse_models
from tidegate.catalog.row import DeclaredModel, Price, PriceTier
from tidegate.domain.usage import TokenCounts
from tidegate.errors import ConfigurationError
from tidegate.json import JsonObject


def test_a_model_is_a_name_or_an_object() -> None:
    prices: JsonObject = {
        "input": 0.15,
        "output": 1,
        "cached": 0,
        "tiers": [{"above": 1000, "input": 0.3, "output": 2}],
    }
    tier = PriceTier(input=Decimal("0.3"), output=Decimal(2), above=1000)
    assert parse_models(
        [
            "plain",
            {
                "name": "whole",
                "aliases": ["w"],
                "context_window": 32_000,
                "output_limit": 4_000,
                "inputs": ["text", "image"],
                "outputs": ["text"],
                "reasoning": "effort",
                "parameters": ["tools"],
                "prices": prices,
            },
        ]
    ) == (
        DeclaredModel("plain"),
        DeclaredModel(
            "whole",
            ("w",),
            32_000,
            4_000,
            ("text", "image"),
            ("text",),
            "effort",
            ("tools",),
            Price(input=Decimal("0.15"), output=Decimal(1), cached=Decimal(0), tiers=(tier,)),
        ),
    )


FAULTY: list[tuple[Any, str]] = [
    ({}, "models must be a list"),
    ([], "models must be a list"),
    ([1], "models[0] must be a name"),
    ([{}], "models[0]: Object missing required field `name`"),
    (["a", ""], "models[1].name: a name must have"),
    ([{"name": "a", "alias": ["b"]}], "models[0]: unknown field 'alias'"),
    ([{"name": "a", "aliases": ["b", "a"]}], "the name 'a' is used twice"),
    (["a", "A"], "the name 'a' is used twice"),
    ([{"name": "a", "aliases": [" b"]}], "models[0].aliases: a name must have"),
    ([{"name": "a", "context_window": "big"}], "models[0].context_window: Expected `int | null`, got `str`"),
    ([{"name": "a", "output_limit": 0}], "models[0].output_limit: it must be a positive number of tokens"),
    ([{"name": "a", "inputs": ["smell"]}], "models[0].inputs: choose from text, image"),
    ([{"name": "a", "reasoning": "loud"}], "models[0].reasoning: Invalid enum value 'loud'"),
    ([{"name": "a", "prices": 3}], "models[0].prices: it must be an object"),
    ([{"name": "a", "prices": None}], "models[0].prices: it must be an object"),
    ([{"name": "a", "prices": {"input": 1}}], "models[0].prices.output: prices need input and output"),
    ([{"name": "a", "prices": {"input": -1, "output": 1}}], "models[0].prices.input: it must be a number of USD"),
    ([{"name": "a", "prices": {"input": "1", "output": 1}}], "models[0].prices.input: it must be a number of USD"),
    ([{"name": "a", "prices": {"input": float("inf"), "output": 1}}], "models[0].prices.input: it must be"),
    ([{"name": "a", "prices": {"input": 1, "output": 1, "in": 1}}], "models[0].prices: unknown field 'in'"),
    (
        [{"name": "a", "prices": {"input": 1, "output": 1, "tiers": [{"input": 1, "output": 1}]}}],
        "models[0].prices.tiers[0].above: it must be a positive number",
    ),
    ([{"name": "a", "prices": {"input": 1, "output": 1, "tiers": 3}}], "models[0].prices.tiers: Expected `array`"),
]


@pytest.mark.parametrize(("models", "message"), FAULTY)
def test_a_faulty_model_is_explained_with_its_field(models: Any, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_models(models)
    assert message in caught.value.message


PRICE = Price(input=Decimal(2), output=Decimal(4))


def test_a_declared_model_is_found_by_all_of_its_names() -> None:
    catalog = DeclaredCatalog(load_catalog(), {"mine": [DeclaredModel("Big", ("b",), 9_000, prices=PRICE)]})
    [row] = catalog.declared()
    assert (row.id, row.context_window, row.prices) == ("mine/Big", 9_000, (PRICE,))
    for model_id in ("mine/Big", "mine/big", "MINE/b"):
        assert catalog.find_model(model_id) is row
    assert catalog.official_name("mine", "b") == "Big"
    assert catalog.find_model("mine/other") is None
    assert "mine/Big" in catalog.ids()
    assert len(catalog) == len(load_catalog()) + 1
    assert [row for row in catalog if row.provider == "mine"] == [row]


def test_a_declared_price_wins_over_the_catalogue_which_fills_in_the_rest() -> None:
    listed = load_catalog().find_model("openai/gpt-4o")
    assert listed is not None
    catalog = DeclaredCatalog(load_catalog(), {"openai": [DeclaredModel("gpt-4o", prices=PRICE)]})
    assert catalog.find_model("openai/gpt-4o") == replace(listed, prices=(PRICE,))
    assert len(catalog) == len(load_catalog())
    assert catalog.official_name("openai", "GPT-4o") == "gpt-4o"
    assert list(catalog.ids()) == [row.id for row in catalog]


def test_names_of_the_catalogue_keep_their_meaning() -> None:
    catalog = DeclaredCatalog(load_catalog(), {"mine": [DeclaredModel("Big")]})
    assert catalog.find_model("google/gemini-2.5-pro") == load_catalog().find_model("google/gemini-2.5-pro")
    assert catalog.official_name("anthropic", "claude-4-opus") == "claude-opus-4-0"
    assert catalog.resolve_bare_name("gpt-4o") == "openai/gpt-4o"


def test_an_alias_of_a_provider_finds_the_declared_model() -> None:
    catalog = DeclaredCatalog(load_catalog(), {"gemini": [DeclaredModel("new-model", prices=PRICE)]})
    found = catalog.find_model("google/new-model")
    assert isinstance(found, CatalogModel)
    assert call_cost(found, TokenCounts(input=1_000_000, output=500_000)) == Decimal(4)

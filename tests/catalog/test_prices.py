"""The prices against the source's own calculator, which is independent of ours."""

from datetime import UTC, datetime
from decimal import Decimal
from itertools import chain
from pathlib import Path
from runpy import run_path

import pytest
from genai_prices import Usage
from genai_prices.data import providers
from genai_prices.types import ModelInfo, Provider
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import astuple, replace

from tidegate.catalog import call_cost, load_catalog
from tidegate.catalog.prices import cost_parts
from tidegate.catalog.row import CatalogModel, Price, PriceTier
from tidegate.domain.usage import TokenCounts

origins = run_path(str(Path(__file__).parents[2] / "infra/catalog.py"))["origins"]

CHECKED = load_catalog().find_model("openai/gpt-4o").checked
THEIRS = [
    (f"{origin.name}/{model.id}{origin.suffix}", origin.provider, model)
    for origin in origins()
    for model in origin.provider.models
]
OWN_RATES = tuple(
    f"{maker}{name}"
    for maker, names in {
        "openai/": ("gpt-4o-search", "gpt-4o-mini-search", "gpt-5-search"),
        "openrouter/openai/": ("gpt-4o-search", "gpt-4o-mini-search", "o3-deep", "o4-mini-deep"),
        "openrouter/perplexity/": ("sonar",),
    }.items()
    for name in names
)
"""Models with rates that the source lacks."""
OWN_SEARCHES = ("xai/", "vertex/claude-")
"""Models with a price of searches that the source lacks."""
BOTH = [
    (row, provider, model)
    for name, provider, model in THEIRS
    if (row := load_catalog().find_model(name)) and row.prices and not row.id.startswith(OWN_RATES)
]
RICH = [each for each in BOTH if any(price.audio_input or price.image_output for price in each[0].prices)]
TIERED = [each for each in BOTH if any(price.tiers for price in each[0].prices)]
CHANGING = [each for each in BOTH if len(each[0].prices) > 1]

counts = st.integers(0, 300_000)


@st.composite
def tokens(draw: st.DrawFn) -> TokenCounts:
    cached, written, fresh, audio, written_1h = (draw(counts) for _ in range(5))
    heard = draw(st.integers(0, cached))
    reasoning, answer, spoken, drawn = (draw(counts) for _ in range(4))
    return TokenCounts(
        input=cached + written + written_1h + fresh + audio,
        output=reasoning + answer + spoken + drawn,
        cached=cached,
        written=written + written_1h,
        reasoning=reasoning,
        written_1h=written_1h,
        audio_input=audio + heard,
        audio_output=spoken,
        image_output=drawn,
        audio_cached=heard,
        searches=draw(st.integers(0, 30)),
    )


times = st.datetimes(datetime.combine(CHECKED, datetime.min.time()), datetime(2028, 1, 1), timezones=st.just(UTC))


def calculated(provider: Provider, model: ModelInfo, used: TokenCounts, at: datetime) -> Decimal:
    usage = Usage(
        input_tokens=used.input,
        output_tokens=used.output,
        cache_read_tokens=used.cached,
        cache_write_tokens=used.written,
        output_reasoning_tokens=used.reasoning,
        cache_write_5m_tokens=0,
        cache_write_1h_tokens=used.written_1h,
        input_audio_tokens=used.audio_input,
        output_audio_tokens=used.audio_output,
        cache_audio_read_tokens=used.audio_cached,
        input_image_tokens=used.image_input,
        cache_image_read_tokens=0,
        output_image_tokens=used.image_output,
        web_searches=used.searches,
    )
    return model.calc_price(usage, provider, genai_request_timestamp=at).total_price


def comparable(row: CatalogModel, used: TokenCounts) -> TokenCounts:
    return replace(used, searches=0) if row.id.startswith(OWN_SEARCHES) else used


@given(st.one_of(map(st.sampled_from, (BOTH, TIERED, CHANGING, RICH))), tokens(), times)
def test_a_call_costs_what_the_source_calculates(
    each: tuple[CatalogModel, Provider, ModelInfo], used: TokenCounts, at: datetime
) -> None:
    row, provider, model = each
    used = comparable(row, used)
    assert call_cost(row, used, at.timestamp()) == calculated(provider, model, used, at)


@pytest.mark.parametrize(
    "used",
    [
        TokenCounts(1000, 500, searches=3),
        TokenCounts(
            1_000_000, 100_000, 400_000, 200_000, 50_000, written_1h=90_000, audio_input=70_000, audio_output=8_000
        ),
        TokenCounts(1_000_000, 100_000, 400_000, audio_input=70_000, audio_cached=60_000),
    ],
)
def test_every_priced_model_costs_what_the_source_calculates(used: TokenCounts) -> None:
    at = datetime.combine(CHECKED, datetime.min.time(), UTC)
    ours = {row.id: call_cost(row, comparable(row, used), at.timestamp()) for row, _, _ in BOTH}
    assert ours == {row.id: calculated(provider, model, comparable(row, used), at) for row, provider, model in BOTH}
    assert len(ours) > 1800


@pytest.mark.parametrize(("model_id", "cost"), [("xai/grok-4", "0.015"), ("vertex/claude-sonnet-4-5", "0.03")])
def test_searches_cost_money_where_the_source_has_no_price_of_them(model_id: str, cost: str) -> None:
    row = load_catalog().find_model(model_id)
    assert row is not None and call_cost(row, TokenCounts(searches=3), 0) == Decimal(cost)


def test_every_provider_of_the_source_is_ours_or_left_out_on_purpose() -> None:
    kept = {origin.provider.id for origin in origins()}
    assert {provider.id for provider in providers} - kept == {
        "arcee", "avian", "cursor", "doubleword", "elevenlabs", "github-copilot", "modal", "openai-decisions",
        "quicksilverpro", "typesafe", "zhipuai",
    }  # fmt: skip


def cost_by_parts(row: CatalogModel, used: TokenCounts, at: float | None = None) -> str:
    """The cost as all of the calculation finds it, with its decimal places."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Price, "text_rates", property(lambda _: None))
        return str(call_cost(row, used, at))


def test_text_costs_what_all_of_the_calculation_finds_for_every_model() -> None:
    text = [TokenCounts(15, 12), TokenCounts(1_000_000, 0, 7, reasoning=3), TokenCounts(0, 500_000), TokenCounts()]
    rows = [(row, used) for row in load_catalog() for used in text]
    assert [(row.id, str(call_cost(row, used, 1.8e9))) for row, used in rows] == [
        (row.id, cost_by_parts(row, used, 1.8e9)) for row, used in rows
    ]


rates = st.decimals(0, 10_000, places=4) | st.sampled_from([Decimal("1E+2"), Decimal("0.000"), Decimal("2.50")])
optional_rates = st.none() | rates
prices_of_text = st.builds(
    Price, optional_rates, optional_rates, optional_rates, reasoning=optional_rates, request=st.none() | rates
)


@given(prices_of_text, st.one_of(tokens(), st.builds(TokenCounts, counts, counts, counts, reasoning=counts)))
def test_text_costs_what_all_of_the_calculation_finds_at_any_price(price: Price, used: TokenCounts) -> None:
    assert str(call_cost(model(price), used)) == cost_by_parts(model(price), used)


def model(*prices: Price) -> CatalogModel:
    return CatalogModel(id="a/b", name="B", source="this test", checked=CHECKED, prices=prices)


def usd(amount: str) -> Decimal:
    return Decimal(amount)


def test_a_model_without_a_price_costs_none_and_a_free_one_costs_nothing() -> None:
    unknown, half = model(), model(Price(input=usd("1")))
    free = model(Price(input=usd("0"), output=usd("0")))
    assert [call_cost(each, TokenCounts(5, 5)) for each in (unknown, half, free)] == [None, None, 0]


def test_cached_and_written_tokens_are_priced_once() -> None:
    own = model(Price(input=usd("10"), output=usd("20"), cached=usd("1"), written=usd("12")))
    same = model(Price(input=usd("10"), output=usd("20")))
    used = TokenCounts(input=1_000_000, output=0, cached=500_000, written=250_000)
    assert (call_cost(own, used), call_cost(same, used)) == (usd("6"), usd("10"))


def test_reasoning_is_part_of_the_output_unless_it_has_a_price() -> None:
    own = model(Price(input=usd("0"), output=usd("20"), reasoning=usd("2")))
    same = model(Price(input=usd("0"), output=usd("20")))
    used = TokenCounts(input=7, output=1_000_000, reasoning=500_000)
    assert (call_cost(own, used), call_cost(same, used)) == (usd("11"), usd("20"))


def test_tokens_written_for_an_hour_have_a_price_of_their_own_or_that_of_the_others() -> None:
    own = model(Price(input=usd("10"), output=usd("0"), written=usd("12"), written_1h=usd("20")))
    same = model(Price(input=usd("10"), output=usd("0"), written=usd("12")))
    used = TokenCounts(input=1_000_000, written=500_000, written_1h=250_000)
    assert (call_cost(own, used), call_cost(same, used)) == (usd("13"), usd("11"))


def test_audio_and_images_are_priced_where_they_have_a_price() -> None:
    rates = {"audio_input": usd("30"), "image_input": usd("5"), "audio_output": usd("60"), "image_output": usd("40")}
    own, same = model(Price(usd("1"), usd("2"), **rates)), model(Price(usd("1"), usd("2")))
    used = TokenCounts(
        1_000_000, 1_000_000, audio_input=100_000, image_input=200_000, audio_output=300_000, image_output=400_000
    )
    assert (call_cost(own, used), call_cost(same, used)) == (usd("39.3"), usd("3"))


def test_audio_that_does_not_fit_beside_the_cached_tokens_is_cached() -> None:
    rates = {"cached": usd("1"), "audio_input": usd("30"), "audio_cached": usd("3")}
    priced = model(Price(usd("10"), usd("0"), **rates))
    assert call_cost(priced, TokenCounts(input=1_000_000, cached=800_000, audio_input=300_000)) == usd("7")


def test_audio_that_is_known_to_be_cached_is_priced_as_such() -> None:
    rates = {"cached": usd("1"), "audio_input": usd("30"), "audio_cached": usd("3")}
    priced, unknown = model(Price(usd("10"), usd("0"), **rates)), model(Price(usd("10"), usd("0"), usd("1")))
    used = TokenCounts(input=1_000_000, cached=500_000, audio_input=300_000, audio_cached=200_000)
    assert (call_cost(priced, used), call_cost(unknown, used)) == (usd("7.9"), usd("5.5"))


def test_searches_are_priced_by_the_thousand_and_free_where_they_have_no_price() -> None:
    own = model(Price(input=usd("0"), output=usd("0"), search=usd("10")))
    none = model(Price(input=usd("0"), output=usd("0")))
    assert (call_cost(own, TokenCounts(searches=3)), call_cost(none, TokenCounts(searches=3))) == (
        usd("0.03"),
        usd("0"),
    )


def test_a_long_prompt_reprices_the_whole_call() -> None:
    tiered = model(
        Price(input=usd("1"), output=usd("2"), tiers=(PriceTier(above=200, input=usd("10"), output=usd("20")),))
    )
    assert (call_cost(tiered, TokenCounts(200, 100)), call_cost(tiered, TokenCounts(201, 100))) == (
        usd("0.0004"),
        usd("0.00401"),
    )


def test_counts_that_contradict_each_other_subtract_nothing() -> None:
    priced = model(Price(input=usd("1"), output=usd("1"), cached=usd("1"), reasoning=usd("1")))
    assert call_cost(priced, TokenCounts(input=1, output=1, cached=1_000_000, reasoning=1_000_000)) == 2


def test_without_a_time_the_price_of_the_checked_day_counts() -> None:
    changing = model(
        Price(input=usd("1"), output=usd("1")),
        Price(input=usd("9"), output=usd("9"), since=CHECKED.replace(year=CHECKED.year + 1)),
        Price(input=usd("5"), output=usd("5"), between=(0, 1440)),
    )
    assert call_cost(changing, TokenCounts(1_000_000, 0)) == 1


def test_hours_may_cross_midnight() -> None:
    day, night = Price(input=usd("1"), output=usd("1")), Price(input=usd("9"), output=usd("9"), between=(1380, 60))
    hours = [datetime(2026, 11, 21, hour, minute, tzinfo=UTC) for hour in (22, 23, 0, 1) for minute in (0, 59)]
    costs = [call_cost(model(day, night), TokenCounts(1_000_000, 0), at.timestamp()) for at in hours]
    assert costs == [1, 1, 9, 9, 9, 9, 1, 1]


def test_a_price_per_request_is_charged_once_for_each_call() -> None:
    assert call_cost(model(Price(input=usd("0"), output=usd("0"), request=usd("12"))), TokenCounts(9, 9)) == usd(
        "0.012"
    )


@pytest.mark.parametrize(
    ("model_id", "usd"),
    [
        ("openai/gpt-4o-search-preview", "0.025"),
        ("openai/gpt-4o-search-preview-2025-03-11", "0.025"),
        ("openai/gpt-4o-mini-search-preview", "0.025"),
        ("openai/gpt-4o-mini-search-preview-2025-03-11", "0.025"),
        ("openai/gpt-5-search-api", "0.01"),
        ("openrouter/openai/gpt-4o-search-preview", "0.175"),
        ("openrouter/openai/gpt-4o-mini-search-preview", "0.175"),
        ("openrouter/openai/o4-mini-deep-research", "0.05"),
        ("openrouter/perplexity/sonar", "0.025"),
        ("openrouter/perplexity/sonar-pro-search", "0.018"),
    ],
)
def test_models_that_always_search_have_a_price_for_it(model_id: str, usd: str) -> None:
    row = load_catalog().find_model(model_id)
    assert row is not None and call_cost(row, TokenCounts(0, 0, searches=5)) == Decimal(usd)


def test_every_price_of_the_catalogue_is_finite_and_not_negative() -> None:
    levels = [level for row in load_catalog() for each in row.prices for level in (each, *each.tiers)]
    rates = chain.from_iterable(map(astuple, levels))
    assert [rate for rate in rates if isinstance(rate, Decimal) and not 0 <= rate < 10_000] == []


@pytest.mark.parametrize("row", [row for row in load_catalog() if row.prices], ids=lambda row: row.id)
def test_the_parts_of_a_cost_add_up_to_it(row: CatalogModel) -> None:
    tokens = TokenCounts(input=300_000, output=5_000, cached=20_000, written=1_000, reasoning=700, searches=3)
    parts = cost_parts(row, tokens)
    total = call_cost(row, tokens)
    assert (parts is None) == (total is None)
    assert parts is None or abs(sum((part.cost_usd for part in parts), Decimal(0)) - (total or 0)) < Decimal("1e-12")


def test_a_cost_has_no_part_that_the_call_did_not_use() -> None:
    parts = cost_parts(model(Price(input=usd("2"), output=usd("8"))), TokenCounts(input=10, output=5, reasoning=2))
    assert [(part.kind, part.count, part.cost_usd) for part in parts or ()] == [
        ("input", 10, Decimal("0.00002")),
        ("output", 3, Decimal("0.000024")),
        ("reasoning", 2, Decimal("0.000016")),
    ]

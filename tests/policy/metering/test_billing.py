"""The bill: what is metered of a call, and what the caller reads of it."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tidegate.catalog import CatalogModel
from tidegate.catalog.row import Price
from tidegate.chat.completion import Usage
from tidegate.chat.estimate import estimate_prompt, estimate_text
from tidegate.chat.request import ChatRequest, build_chat_request
from tidegate.domain.usage import Bill, GeneratedText, TokenCounts, WordCounts
from tidegate.domain.workspace import Workspace
from tidegate.json import Json, decode, encode
from tidegate.policy.metering.billing import calculate_bill, usage_with_cost

PROMPT = "Write a tagline for an AI content platform."
ANSWER = "Content that flows, with the tide of your ideas."
WORKSPACE = Workspace(id="ws_1", name="One")
PRICED = CatalogModel(
    id="demo/priced",
    name="Priced",
    source="this test",
    checked=date(2026, 11, 21),
    prices=(Price(input=Decimal("2.5"), output=Decimal("10"), cached=Decimal("1.25"), written=Decimal("3")),),
)


def asked(*contents: Json) -> ChatRequest:
    return build_chat_request(
        {"model": "demo/priced", "messages": [{"role": "user", "content": content} for content in contents]}
    )


def usage(prompt: int, completion: int, **more: Json) -> Usage:
    tokens = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return cast(Usage, tokens | more)


def test_the_documented_example_is_nine_words() -> None:
    assert calculate_bill(usage(15, 12), asked(PROMPT), GeneratedText(ANSWER), WORKSPACE, PRICED) == Bill(
        tokens=TokenCounts(input=15, output=12),
        words=WordCounts(used=9, input=8, output=9, method="tokens"),
        cost_usd=Decimal("0.0001575"),
    )


@pytest.mark.parametrize(("tokens", "words"), [(0, 0), (1, 1), (2, 2), (6, 4), (10, 8), (12, 9), (14, 10), (1000, 750)])
def test_output_words_are_three_quarters_of_the_tokens_with_halves_to_even(tokens: int, words: int) -> None:
    assert calculate_bill(usage(1, tokens), asked(PROMPT), GeneratedText(), WORKSPACE, None).words.output == words


def test_the_unicode_method_counts_the_output() -> None:
    workspace = Workspace(id="ws_1", name="One", words_method="unicode")
    counted = calculate_bill(usage(15, 12), asked(PROMPT), GeneratedText(ANSWER), workspace, None).words
    assert counted == WordCounts(used=9, input=8, output=9, method="unicode")
    assert calculate_bill(usage(15, 1200), asked(PROMPT), GeneratedText("Two words"), workspace, None).words.used == 2


def test_a_workspace_may_be_charged_for_its_input() -> None:
    workspace = Workspace(id="ws_1", name="One", charge_input_words=True)
    request = asked(PROMPT, [{"type": "text", "text": "Two words"}])
    charged = calculate_bill(usage(15, 12), request, GeneratedText(ANSWER), workspace, None).words
    assert charged == WordCounts(used=19, input=10, output=9, method="tokens")


@pytest.mark.parametrize(("texts", "words"), [((), 0), (("It's", "3.", "14"), 3), (("It's", "naïve", "日本"), 4)])
def test_input_words_are_the_sum_of_those_of_all_texts(texts: tuple[str, ...], words: int) -> None:
    request = asked(PROMPT, *texts)
    assert calculate_bill(usage(15, 12), request, GeneratedText(), WORKSPACE, None).words.input == 8 + words


def test_details_are_read_and_priced_once() -> None:
    reported = usage(
        1000,
        500,
        prompt_tokens_details={"cached_tokens": 400, "cache_write_tokens": 100},
        completion_tokens_details={"reasoning_tokens": 300},
    )
    made = calculate_bill(reported, asked(PROMPT), GeneratedText(ANSWER), WORKSPACE, PRICED)
    assert made.tokens == TokenCounts(input=1000, output=500, cached=400, written=100, reasoning=300)
    assert made.cost_usd == Decimal("0.00705")


def test_every_count_that_has_a_price_is_read() -> None:
    reported = usage(
        1000,
        500,
        prompt_tokens_details={
            "cached_tokens": 1,
            "cache_write_tokens": 5,
            "cache_write_1h_tokens": 4,
            "audio_tokens": 3,
            "image_tokens": 2,
            "cached_tokens_details": {"audio_tokens": 1},
        },
        completion_tokens_details={"reasoning_tokens": 6, "audio_tokens": 7, "image_tokens": 8},
        server_tool_use={"web_search_requests": 9},
    )
    assert calculate_bill(reported, asked(PROMPT), GeneratedText(ANSWER), WORKSPACE, None).tokens == TokenCounts(
        input=1000,
        output=500,
        cached=1,
        written=5,
        reasoning=6,
        written_1h=4,
        audio_input=3,
        audio_output=7,
        image_input=2,
        image_output=8,
        searches=9,
        audio_cached=1,
    )


@pytest.mark.parametrize(
    "told",
    [
        {"server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 1}},
        {"server_tool_use_details": {"web_search_requests": 2}},
        {"num_search_queries": 2},
    ],
)
def test_searches_are_counted_whatever_a_provider_calls_them(told: dict[str, Json]) -> None:
    reported = usage(15, 12, **told)
    made = calculate_bill(reported, asked(PROMPT), GeneratedText(ANSWER), WORKSPACE, None)
    wire = cast(dict[str, Json], usage_with_cost(reported, made))
    kept = told.get("server_tool_use") or {}
    assert (made.tokens.searches, wire["server_tool_use"]) == (
        2,
        {**cast(dict[str, Json], kept), "web_search_requests": 2},
    )


def test_without_searches_the_wire_says_nothing_of_them() -> None:
    reported = usage(15, 12, server_tool_use=None, num_search_queries=0)
    assert (
        usage_with_cost(reported, calculate_bill(reported, asked(PROMPT), GeneratedText(), WORKSPACE, None)).get(
            "server_tool_use"
        )
        is None
    )


def test_cohere_is_paid_for_the_units_that_it_bills_and_metered_by_its_tokens() -> None:
    reported = usage(1_000_500, 500, billed_units={"input_tokens": 1_000_000, "output_tokens": 400_000})
    made = calculate_bill(reported, asked(PROMPT), GeneratedText(ANSWER), WORKSPACE, PRICED)
    assert (made.tokens, made.cost_usd) == (TokenCounts(input=1_000_500, output=500), Decimal("6.5"))
    searches_only = usage(1_000_000, 0, billed_units={"search_units": 1.0})
    assert calculate_bill(searches_only, asked(PROMPT), GeneratedText(), WORKSPACE, PRICED).cost_usd == Decimal("2.5")


def test_without_usage_the_texts_are_estimated() -> None:
    request = asked(PROMPT)
    made = calculate_bill(None, request, GeneratedText(ANSWER), WORKSPACE, PRICED)
    tokens = TokenCounts(input=estimate_prompt(request.fields), output=estimate_text(ANSWER), estimated=True)
    assert made.tokens == tokens
    assert made.cost_usd == (Decimal("2.5") * tokens.input + 10 * tokens.output) / 1_000_000


def test_a_cut_stream_that_told_only_its_input_has_its_output_estimated() -> None:
    made = calculate_bill(usage(15, 0), asked(PROMPT), GeneratedText(ANSWER), WORKSPACE, None)
    assert made.tokens == TokenCounts(input=15, output=estimate_text(ANSWER), estimated=True)
    assert usage_with_cost(usage(15, 0), made)["total_tokens"] == 15 + estimate_text(ANSWER)


def test_an_answer_without_text_or_tokens_is_not_estimated() -> None:
    assert calculate_bill(usage(15, 0), asked(PROMPT), GeneratedText(), WORKSPACE, None).tokens == TokenCounts(input=15)


ABSURD: list[Json] = [10**18, 10**15, 1e300, -1, "many", True, float("nan"), float("inf")]


@pytest.mark.parametrize("odd", ABSURD, ids=repr)
def test_a_usage_that_is_not_believed_is_replaced_by_our_estimate(odd: Json) -> None:
    request = asked(PROMPT)
    estimate = TokenCounts(
        input=request.estimate_prompt(), output=estimate_text(ANSWER), estimated=True, usage_fault="refused"
    )
    for reported in (usage(15, 12, prompt_tokens=odd), usage(15, 12, completion_tokens=odd)):
        made = calculate_bill(reported, request, GeneratedText(ANSWER), WORKSPACE, PRICED)
        assert made.tokens == estimate
        assert made.cost_usd == (Decimal("2.5") * estimate.input + 10 * estimate.output) / 1_000_000
        wire = usage_with_cost(reported, made)
        assert (wire["prompt_tokens"], wire["completion_tokens"]) == (estimate.input, estimate.output)
        assert (wire["total_tokens"], wire["estimated"]) == (estimate.input + estimate.output, True)


def test_the_estimate_in_place_of_a_refused_usage_is_at_most_what_was_held() -> None:
    request = build_chat_request({"model": "a/b", "messages": [{"role": "user", "content": PROMPT}], "max_tokens": 20})
    made = calculate_bill(usage(10**18, 10**18), request, GeneratedText("many words " * 1000), WORKSPACE, PRICED)
    assert (made.tokens.output, made.tokens.usage_fault) == (20, "refused")


def test_a_given_estimate_takes_the_place_of_a_refused_usage() -> None:
    estimate = TokenCounts(input=500, output=70, reasoning=20, estimated=True)
    arguments = asked(PROMPT), GeneratedText(ANSWER), WORKSPACE, PRICED, None, estimate
    assert calculate_bill(usage(10**18, 12), *arguments).tokens == replace(estimate, usage_fault="refused")
    assert calculate_bill(usage(600, 80), *arguments).tokens == TokenCounts(input=600, output=80)


def test_counts_are_believed_up_to_ten_times_what_the_model_can_read_and_write() -> None:
    model = replace(PRICED, context_window=200_000, output_limit=150_000)
    request = build_chat_request({"model": "a/b", "messages": [{"role": "user", "content": PROMPT}], "n": 2})
    made = calculate_bill(usage(2_000_000, 3_000_000), request, GeneratedText(ANSWER), WORKSPACE, model)
    assert made.tokens == TokenCounts(input=2_000_000, output=3_000_000)
    for prompt, completion in ((2_000_001, 1), (1, 3_000_001)):
        refused = calculate_bill(usage(prompt, completion), request, GeneratedText(ANSWER), WORKSPACE, model)
        assert refused.tokens.usage_fault == "refused"


def test_a_million_is_believed_whatever_the_catalogue_says() -> None:
    small = replace(PRICED, context_window=512, output_limit=512)
    made = calculate_bill(usage(1_000_000, 1_000_000), asked(PROMPT), GeneratedText(), WORKSPACE, small)
    assert made.tokens == TokenCounts(input=1_000_000, output=1_000_000)


def test_a_part_greater_than_the_whole_is_not_billed() -> None:
    reported = usage(10, 12, prompt_tokens_details={"cached_tokens": 10**9})
    made = calculate_bill(reported, asked(PROMPT), GeneratedText(ANSWER), WORKSPACE, PRICED)
    assert made.tokens == TokenCounts(input=10, output=12, cached=10, usage_fault="clamped")
    assert made.cost_usd == (Decimal("1.25") * 10 + 10 * 12) / 1_000_000
    details = usage_with_cost(reported, made)["prompt_tokens_details"]
    assert details["cached_tokens"] == 10


@pytest.mark.parametrize(("prompt", "output", "fields"), [(None, 12, {}), (0, 0, {}), (0, 12, {"estimated": True})])
def test_a_prompt_without_a_count_is_estimated(prompt: int | None, output: int, fields: dict[str, Json]) -> None:
    made = calculate_bill(
        usage(15, output, prompt_tokens=prompt, **fields), asked(PROMPT), GeneratedText(), WORKSPACE, None
    )
    assert made.tokens == TokenCounts(input=asked(PROMPT).estimate_prompt(), output=output, estimated=True)


def test_a_prompt_of_0_beside_an_answer_is_meant() -> None:
    made = calculate_bill(usage(0, 12), asked(PROMPT), GeneratedText("Hi"), WORKSPACE, None)
    assert (made.tokens, usage_with_cost(usage(0, 12), made)["prompt_tokens"]) == (TokenCounts(output=12), 0)


@pytest.mark.parametrize("odd", ABSURD, ids=repr)
def test_billed_units_that_are_not_believed_are_replaced_by_the_tokens(odd: Json) -> None:
    reported = usage(1_000_000, 0, billed_units={"input_tokens": odd, "output_tokens": 0})
    made = calculate_bill(reported, asked(PROMPT), GeneratedText(), WORKSPACE, PRICED)
    assert made.cost_usd == Decimal("2.5")


def test_a_price_may_depend_on_the_time_of_the_call() -> None:
    later = Price(input=Decimal(9), output=Decimal(9), since=date(2027, 1, 1))
    model = CatalogModel(
        id="a/b", name="B", source="this test", checked=date(2026, 11, 21), prices=(*PRICED.prices, later)
    )
    costs = [
        calculate_bill(usage(1_000_000, 0), asked(PROMPT), GeneratedText(), WORKSPACE, model, at).cost_usd
        for at in (None, datetime(2026, 12, 31, tzinfo=UTC).timestamp(), datetime(2027, 1, 1, tzinfo=UTC).timestamp())
    ]
    assert costs == [Decimal("2.5"), Decimal("2.5"), Decimal(9)]


def test_the_wire_gets_details_words_and_cost() -> None:
    reported = usage(15, 12)
    assert usage_with_cost(
        reported, calculate_bill(reported, asked(PROMPT), GeneratedText(ANSWER), WORKSPACE, PRICED)
    ) == {
        "prompt_tokens": 15,
        "completion_tokens": 12,
        "total_tokens": 27,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
        "words_used": 9,
        "words_details": {"input_words": 8, "output_words": 9, "method": "tokens"},
        "cost": 0.0001575,
    }


def test_what_the_provider_reported_is_kept() -> None:
    reported = usage(
        15,
        12,
        prompt_tokens_details={"cached_tokens": 4, "audio_tokens": 2, "cache_write_tokens": None},
        completion_tokens_details=None,
        queue_time=0.25,
    )
    wire = usage_with_cost(reported, calculate_bill(reported, asked(PROMPT), GeneratedText(ANSWER), WORKSPACE, None))
    assert wire["prompt_tokens_details"] == {"cached_tokens": 4, "audio_tokens": 2, "cache_write_tokens": None}
    assert wire["completion_tokens_details"] == {"reasoning_tokens": 0}
    assert cast(dict[str, Json], wire)["queue_time"] == 0.25


def test_an_unpriced_model_costs_null_and_a_free_one_zero() -> None:
    free = CatalogModel(
        id="a/b", name="B", source="this test", checked=date(2026, 11, 21), prices=(Price(Decimal(0), Decimal(0)),)
    )
    reported = usage(15, 12)
    costs = [
        usage_with_cost(reported, calculate_bill(reported, asked(PROMPT), GeneratedText(), WORKSPACE, model))["cost"]
        for model in (None, CatalogModel(id="a/b", name="B", source="this test", checked=date(2026, 11, 21)), free)
    ]
    assert costs == [None, None, 0.0]


def test_an_estimate_says_so() -> None:
    made = calculate_bill(None, asked(PROMPT), GeneratedText(ANSWER), WORKSPACE, None)
    wire = usage_with_cost(None, made)
    assert wire["total_tokens"] == wire["prompt_tokens"] + wire["completion_tokens"]
    assert wire["estimated"] is True
    assert "estimated" not in usage_with_cost(
        usage(1, 1), calculate_bill(usage(1, 1), asked(PROMPT), GeneratedText(), WORKSPACE, None)
    )


def test_the_reported_usage_is_not_changed() -> None:
    reported = usage(15, 12, prompt_tokens_details={"audio_tokens": 1})
    before = encode(reported)
    usage_with_cost(reported, calculate_bill(reported, asked(PROMPT), GeneratedText(ANSWER), WORKSPACE, PRICED))
    assert encode(reported) == before


counts: st.SearchStrategy[Json] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=3),
)
names = (
    "cached_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "reasoning_tokens",
    "audio_tokens",
    "image_tokens",
)
details = st.none() | st.dictionaries(st.sampled_from(names), counts)
searched = st.none() | st.dictionaries(st.sampled_from(["web_search_requests", "web_fetch_requests"]), counts)
billed = st.none() | st.dictionaries(st.sampled_from(["input_tokens", "output_tokens", "search_units"]), counts)


@given(st.fixed_dictionaries({}, optional={
    "prompt_tokens": counts, "completion_tokens": counts, "total_tokens": counts,
    "prompt_tokens_details": details, "completion_tokens_details": details,
    "server_tool_use": searched, "server_tool_use_details": searched, "num_search_queries": counts,
    "billed_units": billed,
}))  # fmt: skip
def test_whatever_a_provider_reports_becomes_a_bill_and_valid_json(reported: dict[str, Json]) -> None:
    made = calculate_bill(cast(Usage, reported), asked(PROMPT), GeneratedText(ANSWER), WORKSPACE, PRICED)
    wire = usage_with_cost(cast(Usage, reported), made)
    assert made.cost_usd is not None and made.cost_usd >= 0
    assert made.cost_usd < 1_000
    assert min(made.tokens.input, made.tokens.output, made.tokens.cached, made.tokens.reasoning) >= 0
    assert decode(encode(wire)) == wire


def test_reasoning_is_output_but_no_words_of_the_answer() -> None:
    workspace = replace(WORKSPACE, words_method="unicode")
    produced = GeneratedText("Two words", "and a long thought before them")
    made = calculate_bill(None, asked(PROMPT), produced, workspace, None)
    assert made.words.output == 2
    assert (
        made.tokens.output
        > calculate_bill(None, asked(PROMPT), GeneratedText("Two words"), workspace, None).tokens.output
    )


amounts = st.decimals(0, 10**7, places=18) | st.decimals(0, 1, places=11) | st.decimals(0, 10**6, places=10)


@given(
    amounts
    | st.builds(lambda number, places: Decimal(number).scaleb(-places), st.integers(0, 10**9), st.integers(0, 18))
)
def test_the_cost_has_ten_decimal_places(cost_usd: Decimal) -> None:
    bill = Bill(TokenCounts(), WordCounts(0, 0, 0, "tokens"), cost_usd)
    assert usage_with_cost(None, bill)["cost"] == round(float(cost_usd), 10)


@given(st.integers(0, 10**9))
def test_output_words_are_rounded_as_python_does(tokens: int) -> None:
    made = calculate_bill(None, asked(PROMPT), GeneratedText(), WORKSPACE, None, None, TokenCounts(output=tokens))
    assert made.words.output == round(0.75 * tokens)

"""What a chat request may use at most: the input that is sent, in any field, and the answer at its dearest rate."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tidegate.catalog import CatalogModel, call_cost, load_catalog
from tidegate.catalog.row import Rates
from tidegate.chat.body_bound import ENVELOPE_TOKENS, bound_body
from tidegate.chat.estimate import PromptEstimates
from tidegate.chat.media_bound import AUDIO_TOKENS, IMAGE_TOKENS
from tidegate.chat.operation import CHAT
from tidegate.chat.request import build_chat_request, parse_chat_request
from tidegate.chat.text_bound import _bound_block, bound_text
from tidegate.chat.worst_case import (
    DEEP_SEARCHES,
    IMAGE_ANSWER_TOKENS,
    MOST_TOKENS_PER_BYTE,
    SEARCH_RESULT_TOKENS,
    UNKNOWN_OUTPUT_TOKENS,
    WEB_SEARCHES,
)
from tidegate.domain.usage import MAX_SEARCHES_BELIEVED, TokenCounts
from tidegate.json import encode
from tidegate.surfaces.late_dialects import RESPONSES

TEXT = "A text of many words in a field that nobody has named. " * 500


def model(model_id: str) -> CatalogModel:
    found = load_catalog().find_model(model_id)
    assert found is not None
    return found


def worst_case(model_id: str = "openai/gpt-4.1", sent: bytes | None = None, **fields: Any) -> TokenCounts:
    body: Any = {"model": model_id, "messages": [{"role": "user", "content": "Hi"}], **fields}
    return build_chat_request(body).worst_case(model(model_id), sent)


@pytest.mark.parametrize(
    "fields",
    [
        {"documents": [TEXT]},
        {"prediction": {"type": "content", "content": TEXT}},
        {"messages": [{"role": "user", "content": "Hi", "name": TEXT}]},
        {"messages": [{"role": "assistant", "content": "Hi", "refusal": TEXT}]},
        {"messages": [{"role": "assistant", "content": None, "reasoning_content": TEXT}]},
        {"tools": [{"type": "custom", "custom": {"name": "c", "format": {"grammar": {"definition": TEXT}}}}]},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_a_text_in_any_field_is_held(fields: Any) -> None:
    assert worst_case(**fields).input >= bound_text(TEXT) - ENVELOPE_TOKENS


def test_what_a_translator_adds_is_held() -> None:
    assert (
        worst_case(sent=encode({"contents": [{"parts": [{"text": TEXT}]}]})).input >= bound_text(TEXT) - ENVELOPE_TOKENS
    )


def test_an_answer_in_sound_is_held_at_the_rate_of_sound() -> None:
    asked = worst_case("openai/gpt-audio", modalities=["text", "audio"], max_completion_tokens=4_000)
    assert (asked.output, asked.audio_output, asked.image_output) == (4_000, 4_000, 0)
    text = worst_case("openai/gpt-audio", modalities=["text"], max_completion_tokens=4_000)
    assert (text.output, text.audio_output) == (4_000, 0)
    native = b'{"generationConfig":{"responseModalities":["AUDIO"]}}'
    assert worst_case("openai/gpt-audio", native, modalities=["text"], max_tokens=4_000).audio_output == 4_000
    cost = call_cost(model("openai/gpt-audio"), asked)
    assert cost is not None and cost >= Decimal("0.256")  # 4,000 at 64 USD a million


def test_an_answer_of_a_model_of_images_may_be_one_whatever_is_asked_for() -> None:
    image_model = "gemini/gemini-2.5-flash-image"
    assert worst_case(image_model, max_tokens=4_000).image_output == 4_000
    assert worst_case(image_model, max_tokens=4_000, modalities=["TEXT"]).image_output == 4_000
    assert worst_case(image_model, max_tokens=1, n=2).image_output == 2 * IMAGE_ANSWER_TOKENS
    assert worst_case(image_model).image_output == model(image_model).output_limit or UNKNOWN_OUTPUT_TOKENS


def test_media_are_held_by_kind() -> None:
    audio = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}}
    image = {"type": "image_url", "image_url": {"url": "https://a.invalid/a.png"}}
    held = worst_case(messages=[{"role": "user", "content": [audio, image]}])
    assert (held.audio_input, held.image_input) == (AUDIO_TOKENS, IMAGE_TOKENS)
    assert held.input > AUDIO_TOKENS + IMAGE_TOKENS


def test_an_image_takes_more_of_a_model_that_is_known_for_it() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://a.invalid/a.png"}}
    held = worst_case("openai/gpt-4o-mini", messages=[{"role": "user", "content": [image]}])
    assert held.image_input == 50_000 < held.input


def test_both_forms_of_a_cache_mark_are_held_as_written() -> None:
    anthropic = worst_case(sent=b'{"messages":[{"content":[{"text":"Hi","cache_control":{}}]}]}')
    converse = worst_case(sent=b'{"messages":[{"content":[{"text":"Hi"},{"cachePoint":{}}]}]}')
    assert anthropic.written == anthropic.written_1h == anthropic.input
    assert converse.written == converse.input
    assert worst_case(sent=b"{}").written == 0


def test_searches_are_held() -> None:
    assert worst_case(web_search_options={}).searches == WEB_SEARCHES
    absurd = worst_case(tools=[{"type": "web_search", "max_uses": 10**40}])
    assert absurd.searches == MAX_SEARCHES_BELIEVED and call_cost(model("openai/gpt-4.1"), absurd)


def test_what_the_tools_of_mcp_servers_may_read_is_held() -> None:
    assert worst_case(mcp_servers=[{"type": "url", "url": "https://x.example"}]).input > SEARCH_RESULT_TOKENS
    assert worst_case(mcp_servers=[]).input < SEARCH_RESULT_TOKENS


def test_what_tools_may_read_that_only_a_provider_of_the_callers_dialect_gets_is_held() -> None:
    tools: Any = [{"type": "code_interpreter", "container": {"type": "auto"}}, {"type": "function", "name": "f"}]
    asked = {"model": "openai/gpt-4.1", "input": "Hi", "tools": tools}
    request = RESPONSES.parse(CHAT, encode(asked))
    assert request.worst_case(None, encode(asked)).input > SEARCH_RESULT_TOKENS
    assert request.worst_case(None, encode({**asked, "tools": tools[1:]})).input < SEARCH_RESULT_TOKENS


@pytest.mark.parametrize(
    ("model_id", "searches"),
    [
        ("perplexity/sonar", WEB_SEARCHES),
        ("perplexity/sonar-pro", WEB_SEARCHES),
        ("perplexity/sonar-deep-research", DEEP_SEARCHES),
        ("openrouter/perplexity/sonar-deep-research", DEEP_SEARCHES),
        ("openai/o3-deep-research", DEEP_SEARCHES),
        ("openai/gpt-4o-search-preview", WEB_SEARCHES),
        ("openai/gpt-5-search-api", WEB_SEARCHES),
        ("openai/gpt-4o", 0),
    ],
)
def test_a_model_that_always_searches_holds_searches_and_what_they_find(model_id: str, searches: int) -> None:
    held = worst_case(model_id)
    assert held.searches == searches and (held.input > SEARCH_RESULT_TOKENS) == bool(searches)
    assert worst_case(model_id, tools=[{"type": "web_search", "max_uses": 60}]).searches == 60


def test_no_model_is_dearer_where_the_worst_case_takes_it_for_cheaper() -> None:
    """`worst_case_tokens` relies on it: sound and images are never cheaper than text, reasoning never dearer."""

    def rate(rates: Rates, name: str) -> Decimal:
        own = getattr(rates, name)
        return own if own is not None else rates.output or Decimal(0)

    for row in load_catalog():
        for rates in (rates for price in row.prices for rates in (price, *price.tiers)):
            assert rate(rates, "audio_output") >= rate(rates, "output"), row.id
            assert rate(rates, "image_output") >= rate(rates, "output"), row.id
            assert rate(rates, "reasoning") <= rate(rates, "output"), row.id


@pytest.mark.parametrize(
    ("more", "searches"),
    [
        ({}, 0),
        ({"web_search_options": {}}, 5),
        ({"web_search_options": {"search_context_size": "high"}}, 10),
        ({"tools": [{"type": "web_search", "search_context_size": "high"}]}, 10),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 50}]}, 50),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": "many"}]}, 5),
    ],
)
def test_a_call_holds_the_searches_that_it_allows(more: dict[str, Any], searches: int) -> None:
    fields: Any = {"model": "anthropic/claude-sonnet-4-5", "messages": [{"role": "user", "content": "Hi."}], **more}
    assert build_chat_request(fields).worst_case(None).searches == searches


@pytest.mark.parametrize("thinking", [{"thinking_budget": 30_000}, {"thinking": {"budgetTokens": 30_000}}])
def test_a_budget_for_reasoning_on_top_of_the_limit_is_held(thinking: Any) -> None:
    assert worst_case(sent=encode(thinking), max_tokens=10, n=2).output == 2 * 30_010
    in_a_text = encode({"messages": [{"role": "user", "content": encode(thinking).decode()}]})
    assert worst_case(sent=in_a_text, max_tokens=10, n=2).output == 20


def test_a_rejected_prediction_is_held_at_the_rate_of_the_answer() -> None:
    for content in (TEXT, [{"type": "text", "text": TEXT}]):
        held = worst_case(prediction={"type": "content", "content": content}, max_tokens=10, n=2)
        assert held.output >= 2 * (bound_text(TEXT) + 10)
    assert worst_case(prediction=None, max_tokens=10).output == 10


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "max_output_tokens", "maxTokens"])
def test_a_limit_that_only_the_provider_is_told_is_held(name: str) -> None:
    fields: Any = {
        "model": "anthropic/nobody-knows-it",
        "messages": [{"role": "user", "content": '"max_tokens":10000'}],
    }
    request = build_chat_request(fields)
    assert request.worst_case(None, encode({**fields, name: 64_000})).output == 64_000
    assert request.worst_case(None, encode(fields)).output == UNKNOWN_OUTPUT_TOKENS
    limited = build_chat_request({**fields, "max_tokens": 10})
    assert limited.worst_case(None, encode({**fields, name: 64_000})).output == 10


_CLASSES = [b"a", b"q", b"A", b"1", b".", b" ", b"\t", b"\x01", b"\xff"]
"""A byte of each class, with letters that are not often neighbours."""


def test_no_text_takes_more_tokens_than_this_for_each_byte() -> None:
    """The tokens of a byte depend on the two bytes before it alone: the longest path over them is the dearest text."""
    dearest: dict[tuple[bytes, bytes], float] = {(b"", b""): 0.0}
    for length in range(1, 40):
        longer: dict[tuple[bytes, bytes], float] = {}
        for (before_last, last), tokens in dearest.items():
            context = before_last + last
            for byte in _CLASSES:
                grown = tokens + _bound_block(context + byte) - (_bound_block(context) if context else 0.0)
                longer[last, byte] = max(grown, longer.get((last, byte), 0.0))
        dearest = longer
        assert max(dearest.values()) <= 1.2101 * length < MOST_TOKENS_PER_BYTE * length


_TEXT = st.text(st.sampled_from('aqA1. \t\n\x01é日"\\'), max_size=120) | st.sampled_from(["file", "signature", "role"])
_ROLES = st.sampled_from(["user", "system", "assistant"])
_MESSAGES = st.lists(st.fixed_dictionaries({"role": _ROLES, "content": _TEXT}), min_size=1)
_LIMITS = st.fixed_dictionaries(
    {}, optional={"n": st.just(3), "max_tokens": st.just(9), "max_completion_tokens": st.just(8)}
)


@given(_MESSAGES, _LIMITS, st.sampled_from(["openai/gpt-4.1", "gemini/gemini-2.5-flash-image", "perplexity/sonar"]))
def test_a_plain_request_holds_what_the_whole_look_at_it_says(messages: Any, limits: Any, model_id: str) -> None:
    sent = encode({"model": model_id, "messages": messages, **limits})
    plain = parse_chat_request(sent)
    assert plain.is_plain
    general = replace(plain, is_plain=False, plain=None, converted_body=plain.body, estimates=PromptEstimates())
    assert plain.worst_case(model(model_id), sent) == general.worst_case(model(model_id), sent)
    assert plain.estimates.tokens == general.estimates.tokens
    assert (plain.choices, plain.output_limit) == (general.choices, general.output_limit)
    assert bound_body(sent).input <= len(sent) * MOST_TOKENS_PER_BYTE


def test_a_short_plain_prompt_is_not_looked_at() -> None:
    messages = [{"role": "user", "content": "Write a tagline for an AI content platform."}]
    sent = encode({"model": "gpt-4.1", "messages": messages})
    request = parse_chat_request(sent)
    request.worst_case(model("openai/gpt-4.1"), sent)
    assert request.estimates.last_bound is None

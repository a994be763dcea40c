"""What recorded replies cost, against genai-prices reading the raw bodies by its own rules: only data are shared."""

import json
from base64 import b64decode
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from genai_prices import Usage
from genai_prices.data import providers
from genai_prices.types import Provider as Priced

from tests.policy.heard import events, streamed
from tests.providers.reading_bedrock import frames
from tests.providers.recorded import COMPLETE, Exchange, all_needed, exchanges
from tidegate.catalog import load_catalog
from tidegate.catalog.names import canonical_model_id
from tidegate.chat.request import build_chat_request
from tidegate.domain.usage import GeneratedText
from tidegate.domain.workspace import Workspace
from tidegate.errors import UpstreamError
from tidegate.policy.metering.billing import calculate_bill
from tidegate.providers import Registry
from tidegate.upstream.eventstream import EventStreamDecoder

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
REQUEST = build_chat_request({"model": "any/m", "messages": [{"role": "user", "content": "Hi"}]})
WORKSPACE = Workspace("ws_1", "One")
CHAT = ("chat/completions", "messages", "converse", "converse-stream", "v2/chat")
GEMINI = ("generateContent", "streamGenerateContent")

THEIRS = {"bedrock": "aws", "gemini": "google", "moonshot": "moonshotai", "vertex": "google", "xai": "x-ai"}
"""The source's names of our providers, where they differ."""

FLAVOURS = {"chat/completions": "chat"}


def answered(provider: str) -> Iterator[Exchange]:
    spoken = GEMINI if provider in ("gemini", "vertex") else CHAT
    return (one for one in exchanges(provider) if one.status == 200 and one.endpoint in spoken)


def ours(provider: str, one: Exchange) -> Decimal | None:
    row = load_catalog().find_model(canonical_model_id(f"{provider}/{one.model}"))
    translator = Registry().load(provider)
    match one.kind:
        case "json" if not isinstance(one.body, list):
            usage = translator.parse_completion(one.body).get("usage")
        case "eventstream_b64":
            usage = streamed(translator, EventStreamDecoder().feed(b64decode(one.body)))
        case _:
            usage = streamed(translator, events(one))
    return (
        None
        if usage is None
        else calculate_bill(usage, REQUEST, GeneratedText(), WORKSPACE, row, NOON.timestamp()).cost_usd
    )


def raw(one: Exchange) -> Any:
    """One object with the whole usage, from the raw bytes: of a stream, what its events say of it, the last wins."""
    if one.kind == "json" and not isinstance(one.body, list):
        return one.body
    if one.kind == "eventstream_b64":
        last = frames(b64decode(one.body))[-1]  # the message "metadata", behind a prelude and its headers
        return json.loads(last[12 + int.from_bytes(last[4:8]) : -4])
    found: dict[str, Any] = {}
    for event in events(one):
        if event.data != "[DONE]":
            said = json.loads(event.data)
            for holder in (said, said.get("message"), said.get("delta"), said.get("x_groq")):
                for name in ("usage", "usageMetadata"):
                    if isinstance(holder, dict) and isinstance(holder.get(name), dict):
                        found[name] = {**(found.get(name, {}) if name == "usage" else {}), **holder[name]}
    return found


def theirs(provider: str, one: Exchange) -> Decimal | None:
    source: Priced = next(each for each in providers if each.id == THEIRS.get(provider, provider))
    model = source.find_model(one.model.lower(), all_providers=list(providers))
    if model is None:
        return None
    flavour = FLAVOURS.get(one.endpoint, "default")
    known = {each.api_flavor for each in source.extractors or ()}
    _, usage = source.extract_usage(raw(one), api_flavor=flavour if flavour in known else "default")
    if provider in ("gemini", "vertex"):
        usage += Usage(web_searches=searched(one))
    return model.calc_price(usage, source, genai_request_timestamp=NOON).total_price


def searched(one: Exchange) -> int:
    """What Google charges for, which their reading of its usage leaves out: prompts, and since Gemini 3 queries."""
    replies = [json.loads(event.data) for event in events(one)] if one.kind == "sse" else one.body
    candidates = [
        found
        for reply in (replies if isinstance(replies, list) else [replies])
        for found in reply.get("candidates", [])
    ]
    grounded = [found["groundingMetadata"] for found in candidates if "groundingMetadata" in found]
    queries = {query for each in grounded for query in each.get("webSearchQueries", []) if query}
    return min(len(queries), 1) if "gemini-2" in one.model else len(queries)


def verdict(provider: str, one: Exchange) -> str:
    try:
        mine = ours(provider, one)
    except UpstreamError:
        return "no reply"
    try:
        source = theirs(provider, one)
    except (ValueError, AttributeError):
        return "refused"
    if mine is None:
        return "unpriced" if not source else "left out"
    return "equal" if mine == source else "differs"


EXPECTED = {
    "anthropic": {"equal": 407, "differs": 3},
    "azure": {"equal": 16, "refused": 32},
    "bedrock": {"equal": 309, "unpriced": 12, "no reply": 3},
    "cerebras": {"equal": 9, "unpriced": 3},
    "cohere": {"equal": 59, "unpriced": 11},
    "deepseek": {"equal": 48},
    "gemini": {"equal": 429, "left out": 1},
    "groq": {"equal": 72, "unpriced": 3, "no reply": 2},
    "mistral": {"equal": 99, "differs": 23},
    "openai": {"equal": 259, "unpriced": 2, "refused": 11, "differs": 4},
    "openrouter": {"equal": 131, "unpriced": 2, "refused": 1, "no reply": 1},
    "perplexity": {"equal": 15},
    "vertex": {"equal": 199, "refused": 11, "no reply": 5},
    "zai": {"equal": 10},
}
"""Of each provider's replies, how many cost the same by both, and what became of the others.

`no reply`   an error inside a 200, or a reply that its provider calls broken: nothing is billed
`unpriced`   neither knows a price; theirs is 0 for a model of Cerebras that is listed without one
`left out`   a model that speaks, which is not in our catalogue
`refused`    theirs finds no usage, cannot read the details of it, or more cached tokens than input (Grok on Azure)
"""


@pytest.mark.parametrize("provider", EXPECTED)
def test_a_recorded_reply_costs_what_the_source_calculates_from_its_raw_body(provider: str) -> None:
    found = Counter(verdict(provider, one) for one in answered(provider))
    assert found == EXPECTED[provider] if COMPLETE else set(found) <= {"equal", "unpriced", "no reply"}


@all_needed
def test_the_differences_are_those_that_are_known() -> None:
    different = {
        provider: [raw(one) for one in answered(provider) if verdict(provider, one) == "differs"]
        for provider in EXPECTED
        if "differs" in EXPECTED[provider]
    }
    # Ours has the price of a search with each request, which theirs lacks.
    searches = [one for one in answered("openai") if verdict("openai", one) == "differs"]
    assert all("search-preview" in one.model for one in searches)
    # Ours counts what a compaction took, which Anthropic's totals leave out.
    assert all(
        any(each["type"] == "compaction" for each in body["usage"]["iterations"]) for body in different["anthropic"]
    )
    # Mistral once had a name of its own for cached tokens, which theirs does not read; and audio beside the prompt.
    assert all(
        body["usage"].get("num_cached_tokens") or body["usage"]["prompt_tokens_details"]["audio_tokens"] == 375
        for body in different["mistral"]
    )

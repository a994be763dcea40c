"""Every recorded refusal of an OpenAI-compatible API is classified."""

import json

import pytest

from tests.providers.recorded import PROVIDERS, Exchange, all_needed, dialect, exchanges
from tidegate.errors import (
    ContextLengthExceeded,
    ProviderAuth,
    ProviderBadRequest,
    ProviderModelNotFound,
    ProviderRateLimited,
    UpstreamError,
)

_TOO_LONG = ("maximum context length", "context window", "prompt too long", "messages is too long", "is too long:")


def _refusals(provider: str) -> list[Exchange]:
    ours = ("chat/completions", "responses", "embeddings")
    return [one for one in exchanges(provider) if one.status >= 300 and one.endpoint in ours]


def _expected(one: Exchange) -> type[UpstreamError]:
    text = json.dumps(one.body)
    if any(words in text for words in _TOO_LONG):
        return ContextLengthExceeded
    if one.status == 401 or "Incorrect API key" in text:
        return ProviderAuth
    if one.status == 404 or "model_not_found" in text:
        return ProviderModelNotFound
    return {429: ProviderRateLimited, 400: ProviderBadRequest}[one.status]


@pytest.mark.parametrize("provider", [*PROVIDERS, "xai"])
def test_a_recorded_refusal_is_classified(provider: str) -> None:
    for one in _refusals(provider):
        error = dialect(provider).parse_error(one.status, one.headers, one.body)
        assert type(error) is _expected(one), (one.id, error.message)
        assert error.upstream_status == one.status
        assert error.message
        if isinstance(error, ProviderBadRequest):
            raw = one.body["error"]
            assert error.message == (raw["message"] if isinstance(raw, dict) else raw), one.id
            assert error.param == (raw.get("param") if isinstance(raw, dict) else None), one.id


def test_the_recorded_rate_limit_with_a_delay_keeps_it() -> None:
    (limited,) = (one for one in _refusals("azure") if one.status == 429)
    assert dialect("azure").parse_error(429, limited.headers, limited.body).retry_after_seconds == 1.0


@all_needed
def test_the_recorded_refusals_are_all_there() -> None:
    assert sum(len(_refusals(name)) for name in [*PROVIDERS, "xai"]) == 51

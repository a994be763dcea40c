"""Whatever string field a text stands in: if it reaches a provider, it is held."""

import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.chat.hostile_texts import HostileText, hostile_texts
from tests.chat.placements import requests
from tests.providers.calls import built
from tidegate.chat.body_bound import ENVELOPE_TOKENS
from tidegate.chat.request import build_chat_request
from tidegate.errors import TidegateError
from tidegate.providers import Registry

MODELS = {
    "openai": "gpt-5",
    "azure": "gpt-5",
    "deepseek": "deepseek-chat",
    "mistral": "mistral-large-latest",
    "groq": "openai/gpt-oss-120b",
    "openrouter": "anthropic/claude-sonnet-4.5",
    "perplexity": "sonar",
    "anthropic": "claude-sonnet-4-5",
    "bedrock": "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "gemini": "gemini-2.5-flash",
    "cohere": "command-a-03-2025",
}
MARGIN = 1.2
"""The most that a hostile text may take, as a factor of its bound. docs/LIMITS.md promises it."""

TEXTS = {each.name: each for each in hostile_texts()}
ENCODED = ("reasoning signature", "reasoning encrypted", "input_audio.data")
"""Fields that no model reads as text: signatures, which a provider refuses unless it wrote them, and sound."""


def sent(provider: str, request: dict[str, Any]) -> bytes | None:
    """The body for the provider; None if the gateway refuses the request."""
    try:
        return built(Registry().load(provider), request, MODELS[provider]).body
    except (TidegateError, UnicodeError):
        return None


def reaches(text: str, body: bytes) -> bool:
    written = (text, json.dumps(text, ensure_ascii=False)[1:-1], b64encode(text.encode()).decode())
    return any(each.encode() in body for each in written)


def held(request: dict[str, Any], body: bytes) -> int:
    parsed = build_chat_request(request)
    counted = parsed.prompt_tokens(body).input
    assert parsed.worst_case(None, body).input >= counted
    return counted + ENVELOPE_TOKENS


@pytest.mark.parametrize("provider", MODELS)
@pytest.mark.parametrize("name", ["words of 8", "base64", "a1b2", "lines of 1", "Georgian"])
def test_a_text_is_held_in_every_field_that_reaches_the_provider(provider: str, name: str) -> None:
    hostile = TEXTS[name]
    free: list[Any] = []
    reached = 0
    for path, request in requests(hostile.text):
        body = sent(provider, request)
        if body is not None and reaches(hostile.text, body) and not path.endswith(ENCODED):
            reached += 1
            tokens = held(request, body)
            if tokens * MARGIN < hostile.tokens:
                free.append((path, tokens))
    assert free == []
    assert reached >= 30


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(sorted(MODELS)),
    st.sampled_from([path for path, _ in requests("x") if not path.endswith(ENCODED)]),
    st.lists(st.sampled_from(sorted(TEXTS)), min_size=1, max_size=5),
)
def test_a_request_of_hostile_texts_is_held(provider: str, path: str, names: list[str]) -> None:
    chosen: list[HostileText] = [TEXTS[name] for name in names]
    text = "\n\n".join(each.text for each in chosen)
    request = dict(requests(text))[path]
    body = sent(provider, request)
    if body is not None and reaches(text, body):
        assert MARGIN * held(request, body) >= sum(each.tokens for each in chosen)

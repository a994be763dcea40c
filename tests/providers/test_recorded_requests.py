"""Every recorded request that a provider accepted comes through us unchanged, but for what is declared here."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.providers.calls import sent
from tests.providers.recorded import PROVIDERS, Exchange, chats, dialect
from tidegate.chat.request import build_chat_request
from tidegate.errors import InvalidRequest

# What providers accept beyond OpenAI's dialect, in requests that were written for them alone. Clients of the gateway
# write OpenAI's dialect, so the door refuses these.
_NATIVE = {
    "groq": {"reasoning_effort"},  # "default"
    "huggingface": {"tool_choice.type"},  # left out
    "mistral": {"tools[0].type", "tool_choice", "messages[*].content[*].type", "messages[*].content[*].image_url"},
    "perplexity": {"messages[*].content[*].type", "response_format.json_schema.name"},
}

_RETOLD = {"reasoning", "reasoning_effort", "thinking", "enable_thinking", "web_search_options", "tool_choice"}
"""Fields that say the same in the provider's own words: their tests are the cases of each provider."""

_OURS = {"models", "usage"}
"""OpenRouter knows these fields as well. Here the gateway asks the models, one after the other, and gives the usage."""


def _accepted(provider: str) -> list[Exchange]:
    return [*chats(provider, streams=False), *chats(provider, streams=True)]


def _refusal(body: dict[str, Any]) -> str | None:
    try:
        build_chat_request(body)
    except InvalidRequest as error:
        return "".join(
            "*" if char.isdigit() and "messages" in (error.param or "") else char for char in error.param or ""
        )
    return None


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_accepted_request_passes_the_door(provider: str) -> None:
    for one in _accepted(provider):
        assert _refusal(one.request) in {None, *_NATIVE.get(provider, ())}, one.id


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_accepted_request_goes_out_as_it_came_in(provider: str) -> None:
    for one in _accepted(provider):
        if _refusal(one.request) is None:
            body, ignored = sent(dialect(provider), one.request, one.request["model"])
            left = [path for path in _differences(one.request, body) if not _declared(path, one.request, ignored)]
            assert left == [], (one.id, ignored)


def _declared(path: str, raw: dict[str, Any], ignored: tuple[str, ...]) -> bool:
    top = path.split(".")[0].split("[")[0]
    if top in _RETOLD | _OURS or top in ignored or path in ignored:
        return True
    match path.split("."):
        case ["stream_options", *_]:
            return True  # always asked for in a stream, never without
        case ["stream"]:
            return not raw["stream"]
        case ["max_tokens" | "max_completion_tokens"]:
            return True  # under the name that the provider knows
        case ["seed" | "random_seed"]:
            return True
        case [field]:
            return raw.get(field) in (None, [], True, 1)  # asks for nothing
        case [_, "reasoning" | "reasoning_content" | "reasoning_details"]:
            return True  # replayed under the names that the provider knows
        case [_, "role"]:
            return True  # developer, where only system is known
        case ["messages[*]", "tool_calls[*]", "index"] | ["messages[*]", "tool_calls"]:
            return True  # an ordinal that only deltas have; an empty list
        case _:
            return False


def _differences(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """Paths of what is not the same; null and absent are."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in {**before, **after}:
            if before.get(name) is not None or after.get(name) is not None:
                yield from _differences(before.get(name), after.get(name), f"{path}.{name}".lstrip("."))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for one, other in zip(before, after, strict=True):
            yield from _differences(one, other, f"{path}[*]")
    elif before != after:
        yield path

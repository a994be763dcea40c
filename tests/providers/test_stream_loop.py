"""What a failure leaves of the events that came in the same read."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from tests.providers.streams import translated
from tidegate.errors import ProviderRateLimited, UpstreamError
from tidegate.providers import Registry
from tidegate.providers.base import Provider, StreamEvent

OPENAI, BEDROCK = Registry().load("openai"), Registry().load("bedrock")


def sse(**said: Any) -> StreamEvent:
    return StreamEvent("message", json.dumps(said))


def spoken(**delta: Any) -> StreamEvent:
    return sse(choices=[{"index": 0, "delta": delta, "finish_reason": None}])


def frame(kind: str, **said: Any) -> StreamEvent:
    return StreamEvent(kind, json.dumps(said).encode())


SLOW = sse(error={"message": "Slow down.", "type": "requests", "code": "rate_limit_exceeded"})
THROTTLED = frame("exception:throttlingException", message="Slow down.")
OPENAI_ROLE = spoken(role="assistant", content="")
BEDROCK_ROLE = frame("messageStart", role="assistant")
BEDROCK_TEXT = frame("contentBlockDelta", contentBlockIndex=0, delta={"text": "Create"})


async def before_the_failure(provider: Provider, events: Sequence[StreamEvent]) -> list[str]:
    """The contents of the chunks that `events`, all in one read, become before they fail."""
    chunks: list[Any] = []
    with pytest.raises(UpstreamError) as caught:
        for batch in translated(provider.new_stream(), [events]):
            chunks += batch
    assert type(caught.value) is ProviderRateLimited
    return [chunk["choices"][0]["delta"]["content"] for chunk in chunks]


@pytest.mark.parametrize(
    ("provider", "events", "said"),
    [
        (OPENAI, [OPENAI_ROLE, spoken(content="Create"), SLOW], ["", "Create"]),
        (BEDROCK, [BEDROCK_ROLE, BEDROCK_TEXT, THROTTLED], ["Create"]),
    ],
    ids=["openai", "bedrock"],
)
async def test_what_was_said_before_a_failure_is_not_lost(
    provider: Provider, events: list[StreamEvent], said: list[str]
) -> None:
    assert await before_the_failure(provider, events) == said


@pytest.mark.parametrize(
    ("provider", "events"),
    [(OPENAI, [OPENAI_ROLE, SLOW]), (BEDROCK, [BEDROCK_ROLE, THROTTLED])],
    ids=["openai", "bedrock"],
)
async def test_a_failure_right_behind_the_role_is_one_before_the_answer(
    provider: Provider, events: list[StreamEvent]
) -> None:
    assert await before_the_failure(provider, events) == []

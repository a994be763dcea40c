"""What a stream costs that is left before its usage: sound and images that arrived, and what was not taken."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from tests.world import USER, Exchange, Trickle, delta, event_stream, sse, world
from tidegate.chat.worst_case import IMAGE_ANSWER_TOKENS
from tidegate.domain.call import Outcome
from tidegate.domain.limits import Limits
from tidegate.policy.metering.unreported import AUDIO_CHARACTERS_PER_TOKEN

IMAGE_MODEL = "openrouter/google/gemini-2.5-flash-image"


def chunk(**change: Any) -> Any:
    return {**delta(), "choices": [{"index": 0, "delta": change, "finish_reason": None}]}


async def leave(
    model: str, *chunks: Any, stop: bytes, slow: bool = False, seconds: float = 0.0, **fields: Any
) -> Outcome:
    """Return the outcome of a call that is left when `stop` was sent; `slow` never takes it."""
    body = Trickle()
    async with world(
        lambda _: event_stream(body), limits=Limits(usd_per_day=Decimal(10)), OPENROUTER_API_KEY="provider-secret-3"
    ) as client:
        request = {"model": model, "messages": USER, "stream": True, **fields}
        exchange = Exchange(client.app, request, "/v1/chat/completions")
        exchange.slow_at = stop if slow else None
        call = asyncio.create_task(exchange.run())
        body.pieces.put_nowait(sse(delta("Hi."), *chunks))
        if not slow:
            await exchange.until(lambda sent: stop in sent)
        await asyncio.sleep(seconds)
        exchange.hang_up()
        await call
        [outcome] = client.recorder.outcomes
        assert outcome.status == "cancelled"
        return outcome


async def test_sound_that_arrived_is_charged_at_its_rate() -> None:
    sound = chunk(audio={"id": "a", "data": "A" * (600 * AUDIO_CHARACTERS_PER_TOKEN), "transcript": "Good morning."})
    fields: Any = {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "pcm16"}}
    outcome = await leave("openai/gpt-audio", sound, stop=b"morning", max_completion_tokens=4_000, **fields)
    assert outcome.bill.tokens.audio_output >= 600
    assert outcome.bill.tokens.output > outcome.bill.tokens.audio_output
    assert outcome.bill.cost_usd is not None and outcome.bill.cost_usd >= Decimal("0.0384")  # 600 at 64 USD a million


async def test_an_image_that_arrived_is_charged() -> None:
    image = chunk(
        content="", images=[{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}]
    )
    outcome = await leave(IMAGE_MODEL, image, stop=b"base64", modalities=["text", "image"])
    assert outcome.bill.tokens.image_output == IMAGE_ANSWER_TOKENS


@pytest.mark.parametrize(("model", "slow"), [(IMAGE_MODEL, False), ("openai/gpt-4.1", True)])
async def test_what_is_generated_unseen_is_charged(model: str, slow: bool) -> None:
    """An image before it arrives, and text that the caller does not take."""
    outcome = await leave(model, stop=b"Hi.", slow=slow, seconds=0.5)
    assert outcome.bill.tokens.output >= 25

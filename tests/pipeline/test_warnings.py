"""Who is told that a budget runs out, and that no call waits for it or fails by it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import force_setattr

from tests.world import STREAM, USER, Client, answers, completion, streams, world
from tidegate.domain.limits import Limits
from tidegate.errors import StoreUnavailable

CALL = {"model": "openai/gpt-4.1-mini", "messages": USER, "max_tokens": 12}
"""Uses 150 tokens, and holds 154."""

USAGE = {"prompt_tokens": 138, "completion_tokens": 12, "total_tokens": 150}


def limited(streamed: bool = False, **limits: Any) -> AbstractAsyncContextManager[Client]:
    events = [*STREAM[:-2], {"choices": [], "usage": USAGE}, "[DONE]"]
    provider = streams(*events) if streamed else answers(completion(usage=USAGE))
    return world(provider, limits=Limits(**limits))


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[str, int, object]]:
    lines = [vars(line) for line in caplog.records if line.message == "budget.threshold"]
    return [(line["limit"], line["threshold"], line["used"]) for line in lines]


@pytest.mark.parametrize("streamed", [False, True])
async def test_thresholds_are_told_once_as_calls_use_the_budget_up(
    streamed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        async with limited(streamed, tokens_per_month=750, usd_per_day=Decimal(100)) as client:
            for _ in range(4):
                assert (await client.post({**CALL, "stream": streamed})).status == 200
    assert told(caplog) == [("tokens_per_month", 50, 450), ("tokens_per_month", 80, 600)]


async def test_without_a_limit_nothing_is_watched(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        async with limited() as client:
            assert (await client.post(CALL)).status == 200
            assert client.recorder.ledger.accounts == {}
    assert told(caplog) == []


async def test_the_caller_has_the_answer_before_anybody_is_told() -> None:
    async with limited(tokens_per_day=290) as client:
        heard, gate = asyncio.Event(), asyncio.Event()
        ledger = client.recorder.ledger
        note = ledger.replace_alerted

        async def slow(*arguments: Any) -> bool:
            heard.set()
            await gate.wait()
            return await note(*arguments)

        force_setattr(client.app.lifespan_state["gateway"], "ledger", _Slow(ledger, slow))
        calling = asyncio.create_task(client.post(CALL))
        await heard.wait()
        assert [outcome.status for outcome in client.recorder.outcomes] == ["ok"]
        assert not calling.done()
        gate.set()
        assert (await calling).status == 200


async def test_a_ledger_that_is_dead_by_then_fails_no_call(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        async with limited(tokens_per_day=290) as client:

            async def dead(*_: Any) -> bool:
                raise StoreUnavailable("down")

            force_setattr(client.app.lifespan_state["gateway"], "ledger", _Slow(client.recorder.ledger, dead))
            assert (await client.post(CALL)).status == 200
    assert [line.message for line in caplog.records] == ["threshold.unnoted"]


async def test_a_call_that_could_not_be_recorded_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        async with limited(tokens_per_day=290) as client:
            client.recorder.unavailable = True
            assert (await client.post(CALL)).status == 200
    assert told(caplog) == []


class _Slow:
    """The ledger, with another way to note."""

    def __init__(self, ledger: Any, note: Callable[..., Awaitable[bool]]) -> None:
        self.reserve, self.account, self.replace_alerted = ledger.reserve, ledger.account, note

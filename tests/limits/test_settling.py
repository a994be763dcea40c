"""A call is settled whatever its provider reports, and whatever goes wrong with its bill."""

import asyncio
import logging
from decimal import Decimal, InvalidOperation
from typing import Any

import pytest
from msgspec.structs import replace

from tests.limits.books import balanced
from tests.limits.place import Place, composed_over, furnished, place
from tests.store_worlds import NOON, memory_world
from tests.world import SECRET, STREAM, USER, WORKSPACE, answers, completion, delta, streams
from tidegate.chat.operation import CHAT
from tidegate.chat.request import parse_chat_request
from tidegate.domain.account import used_amount
from tidegate.domain.budget_alerts import BudgetAlert
from tidegate.domain.call import Outcome
from tidegate.domain.limits import Limits
from tidegate.json import encode_canonical
from tidegate.pipeline import settle
from tidegate.ports import Meter
from tidegate.surfaces.openai import OPENAI

BODY: Any = {"model": "openai/gpt-4.1-mini", "messages": USER, "max_tokens": 100}
LIMITS = Limits(usd_per_day=Decimal(1), tokens_per_month=100_000, words_per_day=10_000)

ABSURD: list[Any] = [
    {"prompt_tokens": 10**18, "completion_tokens": 12},
    {"prompt_tokens": 10**15, "completion_tokens": 10**15},
    {"prompt_tokens": 1e300, "completion_tokens": 12},
    {"prompt_tokens": -5, "completion_tokens": 12},
    {"prompt_tokens": "many", "completion_tokens": None},
    {"prompt_tokens": True, "completion_tokens": False},
]


async def the_record(here: Place) -> dict[str, object]:
    [record] = await here.world.usages.calls(WORKSPACE.id, 10)
    return record


@pytest.mark.parametrize("usage", ABSURD, ids=repr)
@pytest.mark.parametrize("stream", [False, True])
async def test_absurd_usage_is_settled_for_what_was_held_at_most(
    endpoint: str | None, usage: Any, stream: bool
) -> None:
    events = (delta("Hello."), delta(finish="stop"), {"choices": [], "usage": usage}, "[DONE]")
    provider = streams(*events) if stream else answers(completion(usage=usage))
    async with place(endpoint, provider, LIMITS) as here:
        assert (await here.post({**BODY, "stream": stream})).status == 200
        assert await balanced(here.world, *here.scopes) == {"ok": 1}
        record = await the_record(here)
        assert (record["usage_fault"], record["estimated"]) == ("refused", True)
        account = await here.world.ledger.account(here.scopes[0])
        assert not account.holds
        assert 0 < used_amount(account, "tokens", "day", NOON) < 200
        assert 0 < used_amount(account, "usd", "day", NOON) < Decimal("0.001")


async def test_a_refused_usage_costs_what_one_that_never_came_does() -> None:
    body = {**BODY, "unknown_field": "text that a provider may read " * 100}
    records: list[dict[str, object]] = []
    for usage in (None, {"prompt_tokens": 10**18, "completion_tokens": 12}):
        async with place(None, answers({**completion(), "usage": usage}), LIMITS) as here:
            assert (await here.post(body)).status == 200
            records.append(await the_record(here))
    for name in ("input_tokens", "output_tokens", "cost_usd"):
        assert records[0][name] == records[1][name]
    assert [record["usage_fault"] for record in records] == [None, "refused"]
    assert int(str(records[0]["input_tokens"])) > 300


async def test_more_cached_tokens_than_prompt_are_not_billed(endpoint: str | None) -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 12, "prompt_tokens_details": {"cached_tokens": 10**9}}
    async with place(endpoint, answers(completion(usage=usage)), LIMITS) as here:
        assert (await here.post(BODY)).status == 200
        assert await balanced(here.world, *here.scopes) == {"ok": 1}
        record = await the_record(here)
        assert (record["usage_fault"], record["cached_tokens"], record["cost_usd"]) == ("clamped", 10, "0.0000202")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_bill_that_cannot_be_calculated_is_the_hold(
    endpoint: str | None, stream: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise InvalidOperation

    monkeypatch.setattr(settle, "calculate_bill", broken)
    async with place(endpoint, streams(*STREAM) if stream else answers(completion()), LIMITS) as here:
        assert (await here.post({**BODY, "stream": stream})).status == 200
        await settled_for_the_hold(here)
    assert "bill.failed" in [record.message for record in caplog.records]


async def test_a_bill_without_a_thread_is_the_hold(
    endpoint: str | None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(settle, "offload", refuse)
    async with place(endpoint, streams(*STREAM), LIMITS) as here:
        assert (await here.post({**BODY, "stream": True})).status == 200
        await settled_for_the_hold(here)
    assert "bill.failed" in [record.message for record in caplog.records]


class Squeamish:
    """A meter that can only write what a call holds."""

    def __init__(self, inner: Meter) -> None:
        self._inner = inner
        self.records_at_once = inner.records_at_once

    async def record(self, outcome: Outcome) -> None:
        if outcome.bill.tokens.usage_fault != "failed":
            raise ValueError("A number is too large or too small for the table.")
        await self._inner.record(outcome)


async def test_a_bill_that_cannot_be_written_is_the_hold(
    endpoint: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    async with place(endpoint, answers(completion()), LIMITS, meter=Squeamish) as here:
        assert (await here.post(BODY)).status == 200
        await settled_for_the_hold(here)
    assert "settlement.failed" in [record.message for record in caplog.records]


async def settled_for_the_hold(here: Place) -> None:
    """The only call is settled once, for all that it held."""
    assert await balanced(here.world, *here.scopes) == {"ok": 1}
    record = await the_record(here)
    assert (record["usage_fault"], record["estimated"], record["output_tokens"]) == ("failed", True, 100)
    account = await here.world.ledger.account(here.scopes[0])
    assert not account.holds
    assert used_amount(account, "tokens", "day", NOON) > 100
    assert used_amount(account, "words", "day", NOON) == 75
    assert used_amount(account, "usd", "day", NOON) > Decimal("0.00016")


async def test_without_limits_a_bill_that_cannot_be_calculated_has_an_unknown_cost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(settle, "calculate_bill", None)
    async with place(None, answers(completion()), Limits()) as here:
        assert (await here.post(BODY)).status == 200
        record = await the_record(here)
        assert (record["status"], record["usage_fault"], record["cost_usd"]) == ("ok", "failed", None)


async def test_a_meter_that_is_broken_costs_the_caller_nothing(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        records_at_once = True

        def __init__(self, _: Meter) -> None:
            pass

        async def record(self, _: Outcome) -> None:
            raise RuntimeError

    async with place(None, answers(completion()), LIMITS, meter=Broken) as here:
        assert (await here.post(BODY)).status == 200
    assert [record.levelno for record in caplog.records if record.message == "meter.failed"] == [logging.ERROR]


class SlowAlerts:
    """Alerts that are sent when `gate` opens."""

    def __init__(self) -> None:
        self.began, self.gate, self.sent = asyncio.Event(), asyncio.Event(), list[BudgetAlert]()

    async def emit(self, alert: BudgetAlert) -> None:
        self.began.set()
        await self.gate.wait()
        self.sent.append(alert)


async def test_a_cancellation_does_not_interrupt_what_follows_a_record_that_is_made_at_once() -> None:
    world, alerts = memory_world(), SlowAlerts()
    await furnished(world, Limits(tokens_per_day=250), None)
    provider = answers(completion(usage={"prompt_tokens": 20, "completion_tokens": 130}))
    async with composed_over(world, provider) as composed:
        gateway = replace(composed, open_budget_alerts=lambda: alerts)
        principal, workspace = await gateway.authenticate(OPENAI, f"Bearer {SECRET}", None)
        call = gateway.new_call(principal, workspace, OPENAI, CHAT, parse_chat_request(encode_canonical(BODY)))

        async def ask() -> None:
            async with gateway.answer(call):
                pass

        caller = asyncio.create_task(ask())
        await asyncio.wait_for(alerts.began.wait(), 5)
        assert len(await world.usages.calls(WORKSPACE.id, 10)) == 1
        caller.cancel()
        await asyncio.sleep(0)
        alerts.gate.set()
        with pytest.raises(asyncio.CancelledError):
            await caller
    assert len(alerts.sent) == 1

"""Two deployments asked for one answer: the first one that begins counts, and what the other one costs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from random import Random
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from tests.pipeline.routed import BUSY, CALL, FIRST, MODEL, OK, OTHER, SECOND, Hosts, admit, routed
from tests.world import STREAM, WORKSPACE, Client, Exchange, Trickle, delta, event_stream, sse
from tidegate.domain.limits import Limits
from tidegate.domain.workspace import Workspace
from tidegate.errors import ProviderAuth

pytestmark = pytest.mark.jumping_clock

HEDGED = f"{MODEL}(fast#1):hedged"
PROMPT = 24
"""Tokens of the call's prompt as it is sent, estimated."""


class Slow:
    """A host that answers when it is `asked` to, and is told when nobody waits for that any more."""

    def __init__(self, *, answers: Any = None, seconds: float = 10**6) -> None:
        self.answers = answers
        self.seconds = seconds
        self.left = False

    async def __call__(self) -> httpx.Response:
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.left = True
            raise
        assert self.answers is not None
        status, body = self.answers
        return httpx.Response(status, json=body)


@asynccontextmanager
async def hedged(hosts: Hosts, *targets: Any, workspace: Workspace = WORKSPACE, **route: Any) -> AsyncIterator[Client]:
    """A gateway that asks a second deployment after two seconds, and leaves no task behind."""
    before = asyncio.all_tasks()
    async with routed(hosts, *targets, workspace=workspace, hedge_after_seconds=2, **route) as client:
        yield client
    for _ in range(5):  # httpx leaves generators of its own to the event loop
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize("stream", [False, True])
async def test_a_second_one_is_asked_after_a_while_and_the_first_answer_counts(stream: bool) -> None:
    slow = Slow()
    hosts = Hosts(first=slow, second=OK)
    async with hedged(hosts) as client:
        reply = await client.post({**CALL, "stream": stream, "stream_options": {"include_usage": True}})
        assert (reply.status, reply.headers["x-tidegate-attempts"]) == (200, "2")
        assert reply.headers["x-tidegate-failed-attempts"].rpartition(":")[0] == HEDGED
        usage = reply.events[-2]["usage"] if stream else reply.json["usage"]
        [outcome] = client.recorder.outcomes
        output = 12 + outcome.bill.tokens.reasoning  # the loser may have generated something unseen
        assert (usage["prompt_tokens"], usage["completion_tokens"], usage["estimated"]) == (14 + PROMPT, output, True)
        assert (outcome.status, outcome.attempts, len(outcome.failed_attempts)) == ("ok", 2, 1)
        assert outcome.bill.tokens.input == 14 + PROMPT
        assert outcome.bill.cost_usd == Decimal("0.0000004") * (14 + PROMPT) + Decimal("0.0000016") * output
        assert slow.left
    assert hosts.asked == ["first", "second"]


@pytest.mark.parametrize("stream", [False, True])
async def test_whoever_answers_in_time_is_the_only_one_asked(stream: bool) -> None:
    hosts = Hosts(first=OK, second=OK)
    async with hedged(hosts) as client:
        reply = await client.post({**CALL, "stream": stream})
        assert (reply.status, reply.headers["x-tidegate-attempts"]) == (200, "1")
        [outcome] = client.recorder.outcomes
        assert (outcome.bill.tokens.input, outcome.bill.tokens.estimated) == (14, False)
    assert hosts.asked == ["first"]


async def test_the_first_one_may_still_be_the_faster_one() -> None:
    late = Slow()
    hosts = Hosts(first=Slow(answers=OK, seconds=3), second=late)
    async with hedged(hosts) as client:
        assert (await client.post(CALL)).status == 200
        [outcome] = client.recorder.outcomes
        assert (outcome.attempts, outcome.bill.tokens.input, late.left) == (2, 14 + PROMPT, True)
    assert hosts.asked == ["first", "second"]


@pytest.mark.parametrize("slower", ["first", "second"])
async def test_of_two_that_are_asked_one_may_fail_and_charges_nothing(slower: str) -> None:
    answering, failing = Slow(answers=OK, seconds=4), Slow(answers=BUSY, seconds=3 if slower == "second" else 1)
    hosts = Hosts(**{slower: answering, "first" if slower == "second" else "second": failing})
    async with hedged(hosts) as client:
        assert (await client.post(CALL)).status == 200
        [outcome] = client.recorder.outcomes
        assert [each.error_code for each in outcome.failed_attempts] == ["provider_overloaded"]
        assert (outcome.attempts, outcome.bill.tokens.input, outcome.bill.tokens.estimated) == (2, 14, False)
    assert hosts.asked == ["first", "second"]


async def test_when_both_fail_the_third_one_is_asked() -> None:
    hosts = Hosts(first=Slow(answers=BUSY, seconds=3), second=Slow(answers=BUSY, seconds=3), mistral=OK)
    async with hedged(hosts, FIRST, SECOND, {"model": OTHER}) as client:
        reply = await client.post(CALL)
        assert (reply.status, reply.headers["x-tidegate-model"]) == (200, OTHER)
        assert (reply.headers["x-tidegate-attempts"], client.delays) == ("3", [])
    assert hosts.asked == ["first", "second", "mistral"]


async def test_when_both_fail_and_nobody_is_left_they_are_tried_again() -> None:
    hosts = Hosts(first=[Slow(answers=BUSY, seconds=3), OK], second=Slow(answers=BUSY, seconds=0.5))
    async with hedged(hosts) as client:
        assert (await client.post(CALL)).status == 200
        assert len(client.delays) == 2
    assert hosts.asked == ["first", "second", "second", "first"]


async def test_a_failure_before_that_goes_on_to_the_next_at_once() -> None:
    hosts = Hosts(first=BUSY, second=Slow(), mistral=OK)
    async with hedged(hosts, FIRST, SECOND, {"model": OTHER}) as client:
        reply = await client.post(CALL)
        assert (reply.status, reply.headers["x-tidegate-model"]) == (200, OTHER)
    assert hosts.asked == ["first", "second", "mistral"]


async def test_who_cools_down_is_nobodys_hedge() -> None:
    hosts = Hosts(first=Slow(answers=OK, seconds=9), second=OK)
    async with hedged(hosts) as client:
        gateway = client.app.lifespan_state["gateway"]
        resolution, call = gateway.router.resolve("fast"), await admit(gateway, CALL)
        refused = ProviderAuth("x", upstream_status=401)
        gateway.balancer.record_failure(
            resolution.deployments[1], resolution, call, refused, waited_seconds=0, call_timed_out=False
        )
        assert (await client.post(CALL)).headers["x-tidegate-attempts"] == "1"
    assert hosts.asked == ["first"]


async def test_there_is_room_for_both_or_for_one_alone() -> None:
    for most, asked in ((10_000, ["first", "second"]), (300, ["first"])):
        hosts = Hosts(first=Slow(answers=OK, seconds=9), second=OK)
        async with hedged(hosts, workspace=replace(WORKSPACE, limits=Limits(tokens_per_day=most))) as client:
            assert (await client.post({**CALL, "max_tokens": 100})).status == 200
        assert hosts.asked == asked


async def test_what_is_held_covers_both() -> None:
    held: list[Any] = []

    async def look() -> httpx.Response:
        held.extend(hold.amounts for account in ledgers[0].accounts.values() for hold in account.holds.values())
        return httpx.Response(OK[0], json=OK[1])

    ledgers: list[Any] = []
    hosts = Hosts(first=look, second=OK)
    async with hedged(
        hosts, workspace=replace(WORKSPACE, limits=Limits(tokens_per_day=10_000, usd_per_day=Decimal(1)))
    ) as client:
        ledgers.append(client.recorder.ledger)
        for body in ({**CALL, "max_tokens": 100}, {**CALL, "model": MODEL, "max_tokens": 100}):
            assert (await client.post(body)).status == 200
        both, one = held
        assert (both.tokens, both.words) == (2 * one.tokens, one.words)
        assert both.usd == 2 * one.usd


async def test_a_client_that_leaves_ends_both_and_pays_for_both() -> None:
    first, second = Slow(), Slow()
    hosts = Hosts(first=first, second=second)
    async with hedged(hosts) as client:
        exchange = Exchange(client.app, {**CALL, "stream": True}, "/v1/chat/completions", None)
        asyncio.get_running_loop().call_later(5, exchange.hang_up)
        await exchange.run()
        [outcome] = client.recorder.outcomes
        assert (outcome.status, outcome.attempts, first.left, second.left) == ("cancelled", 2, True, True)
        assert outcome.bill.tokens.input == 2 * PROMPT


async def test_a_stream_that_breaks_off_says_so() -> None:
    async def breaks() -> httpx.Response:
        return event_stream(sse(delta("Create ")))

    hosts = Hosts(first=Slow(), second=breaks)
    async with hedged(hosts) as client:
        reply = await client.post({**CALL, "stream": True})
        assert [event["error"]["code"] for event in reply.events if "error" in event] == ["provider_stream_cut"]
        assert client.recorder.outcomes[0].status == "failed"


async def test_a_slow_reader_holds_the_upstream_back() -> None:
    trickle = Trickle()

    async def slowly() -> httpx.Response:
        return event_stream(trickle)

    hosts = Hosts(first=slowly, second=OK)
    async with hedged(hosts) as client:
        gateway = client.app.lifespan_state["gateway"]
        for event in STREAM[:-1] * 20:
            trickle.pieces.put_nowait(sse(event))
        call = await admit(gateway, {**CALL, "stream": True})
        async with gateway.answer(call) as answer:
            await anext(answer.batches)
            await asyncio.sleep(60)
            assert trickle.pieces.qsize() > 90
            await answer.batches.aclose()
        assert trickle.closed.is_set()


async def test_the_time_is_shared_with_those_who_come_after() -> None:
    hosts = Hosts(first=Slow(), second=Slow(), mistral=OK)
    async with hedged(hosts) as client:
        reply = await client.post({**CALL, "fallbacks": [OTHER], "num_retries": 0})
        assert (reply.status, reply.headers["x-tidegate-model"]) == (200, OTHER)
        [outcome] = client.recorder.outcomes
        assert [each.error_code for each in outcome.failed_attempts] == ["provider_timeout"] * 2
        assert (outcome.bill.tokens.input, outcome.bill.tokens.estimated) == (14 + 2 * PROMPT, True)
    assert hosts.asked == ["first", "second", "mistral"]


async def test_three_hundred_at_once_leave_nothing_behind() -> None:
    chance = Random(7)

    async def somehow() -> httpx.Response:
        await asyncio.sleep(chance.expovariate(0.5))
        kind = chance.random()
        if kind < 0.2:
            return httpx.Response(BUSY[0], json=BUSY[1])
        return event_stream(sse(*(STREAM if kind < 0.9 else STREAM[:2])))

    hosts = Hosts(first=somehow, second=somehow, mistral=somehow)

    async def one(client: Client, n: int) -> None:
        exchange = Exchange(client.app, {**CALL, "stream": True, "user": str(n)}, "/v1/chat/completions", None)
        if n % 10 == 0:
            asyncio.get_running_loop().call_later(chance.random() * 4, exchange.hang_up)
        await exchange.run()

    targets = (FIRST, SECOND, {"model": OTHER})
    limited = replace(WORKSPACE, limits=Limits(tokens_per_day=10**9, parallel_calls=1_000))
    async with hedged(hosts, *targets, workspace=limited, by="weight", cooldown_failures=100) as client:
        await asyncio.gather(*(one(client, n) for n in range(300)))
        outcomes = client.recorder.outcomes
        assert len({outcome.call.id for outcome in outcomes}) == len(outcomes) == 300
        assert {outcome.status for outcome in outcomes} == {"ok", "failed", "cancelled"}
        assert any(each.error_code == "hedged" for outcome in outcomes for each in outcome.failed_attempts)
        assert [account.holds for account in client.recorder.ledger.accounts.values()] == [{}]

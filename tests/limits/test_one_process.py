"""Limits over the store in memory: many calls at once, and gateways whose clocks differ.

It ends with its process: nothing is left to sweep after a SIGKILL. `test_processes.py` tests several ones.
"""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any

import httpx

from tests.limits.books import balanced
from tests.limits.place import furnished, gateway_over, opened, place
from tests.store_worlds import NOON, World
from tests.world import USER, Exchange, answers, completion
from tidegate.domain.account import used_amount
from tidegate.domain.limits import Amounts, Limits

BODY: Any = {"model": "openai/gpt-4.1-mini", "messages": USER, "max_tokens": 100}
DECEMBER = 1_796_083_200.0
"""2026-12-01T00:00:00Z"""


async def held() -> Amounts:
    """What one call of `BODY` holds."""
    amounts: list[Amounts] = []

    async def provider(_: httpx.Request) -> httpx.Response:
        [hold] = (await here.world.ledger.account(here.scopes[0])).holds.values()
        amounts.append(hold.amounts)
        return httpx.Response(200, json=completion())

    async with place(None, provider, Limits(tokens_per_day=10_000)) as here:
        await here.post(BODY)
    return amounts[0]


def room(amounts: Amounts, calls: int) -> Limits:
    return Limits(
        tokens_per_month=calls * amounts.tokens,
        words_per_month=calls * amounts.words,
        usd_per_month=calls * amounts.usd,
    )


async def called(world: World, used: Amounts, calls: int, *clocks: float) -> Counter[str]:
    """How many calls ended with which error code. At each of the clocks, a gateway answers as many of them at once."""
    usage = {"prompt_tokens": used.tokens - 100, "completion_tokens": 100, "total_tokens": used.tokens}

    async def one(app: Any) -> str:
        exchange = Exchange(app, BODY, "/v1/chat/completions")
        await exchange.run()
        reply = exchange.reply()
        return "ok" if reply.status == 200 else str(reply.json["error"]["code"])

    async with AsyncExitStack() as stack:
        gateways = [gateway_over(world, answers(completion(usage=usage)), lambda now=now: now) for now in clocks]
        apps = [await stack.enter_async_context(gateway) for gateway in gateways]
        return Counter(await asyncio.gather(*(one(app) for app in apps for _ in range(calls))))


async def test_of_many_at_once_exactly_those_pass_that_there_is_room_for() -> None:
    amounts, calls, passing = await held(), 200, 100
    async with opened(None) as world:
        scopes = await furnished(world, room(amounts, passing), room(amounts, passing + 10))
        ended = await called(world, amounts, calls, *[NOON] * 4)
        assert ended == {"ok": passing, "insufficient_quota": 4 * calls - passing}
        assert await balanced(world, *scopes) == {"ok": passing, "failed": 4 * calls - passing}
        for scope in scopes:
            account = await world.ledger.account(scope)
            assert not account.holds
            assert used_amount(account, "tokens", "month", NOON) == passing * amounts.tokens


async def test_a_month_ends_between_clocks_that_are_two_seconds_apart() -> None:
    amounts = await held()
    async with opened(None) as world:
        scopes = await furnished(world, room(amounts, 12), None)
        ended = await called(world, amounts, 10, *[DECEMBER - 1, DECEMBER + 1] * 2)
        assert ended == {"ok": 24, "insufficient_quota": 16}
        assert await balanced(world, *scopes) == {"ok": 24, "failed": 16}
        account = await world.ledger.account(scopes[0])
        for at in (DECEMBER - 1, DECEMBER + 1):
            assert used_amount(account, "tokens", "month", at) == 12 * amounts.tokens


async def test_a_minute_is_exact_for_clocks_that_are_two_seconds_apart() -> None:
    amounts = await held()
    async with opened(None) as world:
        scopes = await furnished(world, Limits(requests_per_minute=15), None)
        ended = await called(world, amounts, 8, *[DECEMBER + 30, DECEMBER + 32] * 2)
        assert ended == {"ok": 15, "rate_limit_exceeded": 17}
        # The next minute begins for the one before it does for the other, whose calls count in it as well.
        assert await called(world, amounts, 8, *[DECEMBER + 61] * 2) == {"ok": 15, "rate_limit_exceeded": 1}
        assert await called(world, amounts, 8, *[DECEMBER + 59] * 2) == {"rate_limit_exceeded": 16}
        assert (await world.ledger.account(scopes[0])).minute_calls == 15

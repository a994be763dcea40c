"""What a refused call gives back does not harm the calls after it, in any store."""

from decimal import ROUND_UP, Context, Decimal, localcontext
from typing import Any

import httpx
import pytest

from tests.limits.books import balanced
from tests.limits.place import place
from tests.store_worlds import NOON
from tests.world import USER, WORKSPACE, completion
from tidegate.domain.account import used_amount
from tidegate.domain.limits import Limits

BODY: Any = {"model": "openai/gpt-4.1-mini", "messages": USER, "max_tokens": 100}


@pytest.mark.parametrize(
    "limits", [Limits(requests_per_minute=50), Limits(usd_per_day=Decimal(1)), Limits(tokens_per_minute=50_000)]
)
@pytest.mark.parametrize("key_limits", [None, Limits(usd_per_month=Decimal(1))])
async def test_calls_after_a_refused_one_are_metered(
    endpoint: str | None, limits: Limits, key_limits: Limits | None
) -> None:
    statuses = iter([400, 200, 200, 200])

    def provider(_: httpx.Request) -> httpx.Response:
        status = next(statuses)
        return httpx.Response(status, json=completion() if status == 200 else {"error": {"message": "no"}})

    async with place(endpoint, provider, limits, key_limits) as here:
        assert [(await here.post(BODY)).status for _ in range(4)] == [400, 200, 200, 200]
        assert await balanced(here.world, *here.scopes) == {"failed": 1, "ok": 3}
        for scope in here.scopes:
            account = await here.world.ledger.account(scope)
            assert not account.holds
            assert used_amount(account, "tokens", "day", NOON) == 3 * 26
            assert used_amount(account, "usd", "day", NOON) == 3 * Decimal("0.0000248")


COARSE = Context(prec=3, rounding=ROUND_UP, traps=[])
"""A context that no sum of money survives."""


@pytest.mark.parametrize("endpoint", ["memory", "aws_endpoint"], indirect=True)
async def test_money_does_not_depend_on_the_context_of_the_thread(endpoint: str | None) -> None:
    statuses = iter([400, *[200] * 7])

    def provider(_: httpx.Request) -> httpx.Response:
        status = next(statuses)
        return httpx.Response(status, json=completion() if status == 200 else {"error": {"message": "no"}})

    exact = Limits(usd_per_day=Decimal("0.123456789"), usd_per_month=Decimal(10**9))
    async with place(endpoint, provider, exact, exact) as here:
        with localcontext(COARSE):
            assert [(await here.post(BODY)).status for _ in range(8)] == [400, *[200] * 7]
            counters = await here.world.usages.counters(WORKSPACE.id, "M#2026-11")
        assert await balanced(here.world, *here.scopes) == {"failed": 1, "ok": 7}
        assert counters is not None
        assert counters["cost_usd"] == "0.0001736"

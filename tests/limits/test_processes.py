"""Limits under several processes at once, each with the whole gateway, over one store.

ministack and SQLite take the full number of calls, moto fewer: it takes seconds to read 800 records.

`test_one_process.py` has what the store in memory shares with them: many calls at once, and clocks that differ.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pytest
from msgspec.structs import replace

from tests.limits.books import balanced
from tests.limits.conflicts import conflicting
from tests.limits.crowd import Job, Worker, begun, crowd, together
from tests.store_worlds import NOON, World, aws_world, outcome
from tests.world import KEY, USER, WORKSPACE
from tidegate import catalog
from tidegate.aws.aggregates import create_rollup
from tidegate.aws.sweeper import Sweeper
from tidegate.chat.request import parse_chat_request
from tidegate.domain.account import AccountScope, Hold, used_amount
from tidegate.domain.limits import Limits
from tidegate.policy.metering import reservation

pytestmark = pytest.mark.slow

MODEL = "openai/gpt-4.1-mini"
BODY: Any = {"model": MODEL, "messages": USER, "max_tokens": 100}
DECEMBER = 1_796_083_200.0
"""2026-12-01T00:00:00Z"""


def _held() -> Hold:
    """What one call of `BODY` holds."""
    call = outcome().call
    limited = replace(call.workspace, limits=Limits(tokens_per_day=1))
    asked = replace(call, workspace=limited, request=parse_chat_request(json.dumps(BODY).encode()))
    needed = reservation.worst_case_reservation(asked, MODEL, catalog.load_catalog().find_model(MODEL))
    assert needed is not None
    return needed.hold


HELD = _held()
WHOLE = (HELD.input_tokens, HELD.amounts.tokens - HELD.input_tokens)
"""Tokens of input and output: all that is held."""

PART = (14, 12)


def room(calls: int, **more: Any) -> Limits:
    """For that many calls, in each unit."""
    amounts = HELD.amounts
    return Limits(
        tokens_per_month=calls * amounts.tokens,
        words_per_month=calls * amounts.words,
        usd_per_month=calls * amounts.usd,
        **more,
    )


@dataclass(frozen=True)
class Table:
    endpoint: str
    world: World
    scopes: tuple[AccountScope, ...]

    def job(self, calls: int, tokens: tuple[int, int] = WHOLE, **fields: Any) -> Job:
        assert self.world.store is not None
        return Job(self.endpoint, self.world.store.table, BODY, calls, *tokens, **fields)

    async def holds(self) -> int:
        return len((await self.world.ledger.account(self.scopes[0])).holds)


@asynccontextmanager
async def table(endpoint: str, limits: Limits, key_limits: Limits | None = None) -> AsyncIterator[Table]:
    """A new table with a workspace of those limits, and a key of those."""
    async with aws_world(endpoint) as world:
        await world.tenants.put_workspace(replace(WORKSPACE, limits=limits))
        await world.keys.put_key(replace(KEY, limits=key_limits or Limits()))
        scopes = [AccountScope("workspace", WORKSPACE.id, limits)]
        if key_limits:
            scopes.append(AccountScope("key", KEY.id, key_limits))
        yield Table(endpoint, world, tuple(scopes))


@pytest.fixture(scope="module")
def workers() -> Iterator[list[Worker]]:
    with crowd(4) as made:
        yield made


@pytest.fixture(scope="module", params=["stack", "aws_endpoint", "sqlite_endpoint"])
def mock(request: pytest.FixtureRequest) -> str:
    """The address of each emulator of DynamoDB, and a folder for SQLite."""
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize(
    ("emulator", "calls", "passing"), [("stack", 200, 100), ("aws_endpoint", 50, 40), ("sqlite_endpoint", 200, 100)]
)
async def test_exactly_those_pass_that_there_is_room_for(
    request: pytest.FixtureRequest, workers: list[Worker], emulator: str, calls: int, passing: int
) -> None:
    async with table(request.getfixturevalue(emulator), room(passing)) as place:
        ended = together(workers, [place.job(calls)] * 4)
        assert ended == {"ok": passing, "insufficient_quota": 4 * calls - passing}
        assert await balanced(place.world, *place.scopes) == {"ok": passing, "failed": 4 * calls - passing}
        account = await place.world.ledger.account(place.scopes[0])
        assert not account.holds
        assert used_amount(account, "usd", "month", NOON) == HELD.amounts.usd * passing


async def test_a_workspace_and_its_key_have_room_together_or_not_at_all(mock: str, workers: list[Worker]) -> None:
    async with table(mock, room(60), room(25)) as place:
        ended = together(workers, [place.job(20)] * 4)
        assert ended == {"ok": 25, "insufficient_quota": 55}
        assert await balanced(place.world, *place.scopes) == {"ok": 25, "failed": 55}


async def test_room_that_is_given_back_is_room_for_the_next_calls(mock: str, workers: list[Worker]) -> None:
    # Four calls at a time fit beside what the others have used, and never all forty at once.
    tokens = 4 * HELD.amounts.tokens + 36 * sum(PART)
    assert tokens < 40 * HELD.amounts.tokens / 2
    async with table(mock, Limits(tokens_per_month=tokens)) as place:
        assert together(workers, [place.job(10, PART, one_by_one=True)] * 4) == {"ok": 40}
        assert await balanced(place.world, *place.scopes) == {"ok": 40}
        # What is left now is left for calls at once, too.
        left = (tokens - 40 * sum(PART)) // HELD.amounts.tokens
        ended = together(workers, [place.job(10)] * 4)
        assert ended == {"ok": left, "insufficient_quota": 40 - left}
        await balanced(place.world, *place.scopes)


async def test_a_process_that_is_killed_leaves_its_holds_until_they_are_swept(mock: str, workers: list[Worker]) -> None:
    async with table(mock, room(10)) as place:
        with crowd(1) as [doomed]:
            begun([doomed], [place.job(3, provider="waits")])
            for _ in range(3):
                doomed.heard("waiting")
            doomed.kill()
        assert together(workers, [place.job(5)] * 4) == {"ok": 7, "insufficient_quota": 13}
        assert await place.holds() == 3
        await sweep(place)
        assert await place.holds() == 0
        assert await balanced(place.world, *place.scopes) == {"ok": 7, "lost": 3, "failed": 13}
        assert together(workers, [place.job(1)] * 4) == {"insufficient_quota": 4}


async def test_a_process_that_is_killed_at_any_moment_leaves_nothing_in_between(mock: str) -> None:
    async with table(mock, room(1000)) as place:
        with crowd(3) as doomed:
            begun(doomed[2:], [place.job(1, PART, provider="waits")])
            doomed[2].heard("waiting")  # one is lost at every moment
            begun(doomed[:2], [place.job(30, PART), place.job(30, PART)])
            for _ in range(1_000):  # a slow process may see none of the others' holds
                if await place.holds() > 1:
                    break
            for worker in doomed:
                worker.kill()
        # What was on its way arrives after its process has ended.
        while await place.holds():
            await sweep(place)
        await asyncio.sleep(1)
        await close_hour(place)
        for _ in range(100):
            with suppress(AssertionError):
                ended = await balanced(place.world, *place.scopes)
                break
            await asyncio.sleep(0.1)
            await sweep(place)
        else:
            ended = await balanced(place.world, *place.scopes)
        assert set(ended) <= {"ok", "lost", "cancelled"}
        assert ended["lost"] > 0


async def test_clients_that_hang_up_in_mid_stream_are_charged_once(mock: str, workers: list[Worker]) -> None:
    async with table(mock, room(1000)) as place:
        assert together(workers, [place.job(15, provider="streams")] * 4) == {"ok": 60}
        assert await place.holds() == 0
        assert await balanced(place.world, *place.scopes) == {"cancelled": 60}


async def test_throttling_conflicts_and_lost_answers_change_nothing(stack: str, workers: list[Worker]) -> None:
    async with table(stack, room(40), room(30)) as place:
        ended = together(workers, [place.job(15, troubles=0.3)] * 4)
        assert ended == {"ok": 30, "insufficient_quota": 30}
        assert await place.holds() == 0
        assert await balanced(place.world, *place.scopes) == {"ok": 30, "failed": 30}


async def test_transactions_that_are_in_each_others_way_change_nothing(stack: str, workers: list[Worker]) -> None:
    async with table(stack, room(20), room(30)) as place:
        with conflicting(stack) as (url, conflicts):
            ended = together(workers, [replace(place.job(15), endpoint=url)] * 4)
        assert ended == {"ok": 20, "insufficient_quota": 40}
        assert await balanced(place.world, *place.scopes) == {"ok": 20, "failed": 40}
        assert conflicts.met["TransactWriteItems"] > 0


async def test_a_month_ends_between_clocks_that_are_two_seconds_apart(mock: str, workers: list[Worker]) -> None:
    async with table(mock, room(12)) as place:
        old, new = place.job(10, at=DECEMBER - 1), place.job(10, at=DECEMBER + 1)
        assert together(workers, [old, new, old, new]) == {"ok": 24, "insufficient_quota": 16}
        assert await balanced(place.world, *place.scopes) == {"ok": 24, "failed": 16}
        account = await place.world.ledger.account(place.scopes[0])
        for at in (DECEMBER - 1, DECEMBER + 1):
            assert used_amount(account, "tokens", "month", at) == 12 * HELD.amounts.tokens


async def test_a_minute_is_exact_for_clocks_that_are_two_seconds_apart(mock: str, workers: list[Worker]) -> None:
    async with table(mock, Limits(requests_per_minute=15)) as place:
        early, late = place.job(8, at=DECEMBER + 30), place.job(8, at=DECEMBER + 32)
        assert together(workers, [early, late, early, late]) == {"ok": 15, "rate_limit_exceeded": 17}
        # The next minute begins for the one before it does for the other, whose calls count in it as well.
        early, late = place.job(8, at=DECEMBER + 59), place.job(8, at=DECEMBER + 61)
        assert together(workers[:2], [late, late]) == {"ok": 15, "rate_limit_exceeded": 1}
        assert together(workers[:2], [early, early]) == {"rate_limit_exceeded": 16}
        assert (await place.world.ledger.account(place.scopes[0])).minute_calls == 15


async def close_hour(place: Table) -> None:
    """As soon as no call can be counted in it any more."""
    assert place.world.store is not None
    place.world.clock.now = NOON + 7200
    assert (await create_rollup(place.world.store).run()).failed == 0


async def sweep(place: Table) -> None:
    """As soon as no call can be open any more."""
    assert place.world.store is not None
    place.world.clock.now = NOON + 3600
    swept = await Sweeper(place.world.store).run()
    assert (swept.is_done, swept.failed) == (True, 0)

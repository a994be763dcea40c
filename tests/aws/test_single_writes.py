"""A call that is settled by single writes is on record once and counted once, whatever happens between the writes."""

import asyncio
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from tests.aws.script import instantly
from tests.limits.books import balanced
from tests.store_worlds import NOON, World, aws_world, hold, key, outcome, workspace
from tidegate.aws.aggregates import create_rollup
from tidegate.aws.dynamo import Backoff, DynamoError, TableClient
from tidegate.aws.expressions import Payload
from tidegate.aws.meter import COUNT_SECONDS, DynamoMeter
from tidegate.aws.sweeper import Sweeper
from tidegate.domain.account import AccountScope, Reservation
from tidegate.domain.call import Outcome
from tidegate.domain.limits import Limits
from tidegate.errors import StoreUnavailable, UpstreamError
from tidegate.policy.metering.roller import LATE_SECONDS

LIMITS = Limits(
    requests_per_minute=100,
    tokens_per_minute=10_000,
    parallel_calls=10,
    tokens_per_day=10_000,
    words_per_month=10_000,
    usd_per_month=Decimal(10),
)
WORKSPACE, KEY = AccountScope("workspace", "ws_one", LIMITS), AccountScope("key", "key_one", LIMITS)
SCOPES = [(), (WORKSPACE,), (WORKSPACE, KEY)]
UNLIMITED = AccountScope("workspace", "ws_one", Limits())
LATER = NOON + 2 * 3600
"""The hour of the calls is over, and so is the time of each hold."""

_WRITES = {"PutItem", "UpdateItem", "TransactWriteItems"}


class Killed(BaseException):
    """The process is gone."""


class Harmed:
    """A client that does something else in place of its write with that number."""

    prefers_transactions = False

    def __init__(self, inner: TableClient, number: int, harm: "Callable[[Harmed, str, Payload], Any]") -> None:
        self.inner, self.number, self.harm, self.writes = inner, number, harm, list[str]()
        self.repeats = True
        self.backoff = Backoff(sleep=instantly)

    async def call(self, action: str, payload: Payload, *, repeats: bool = True) -> Payload:
        if action not in _WRITES:
            return await self.inner.call(action, payload)
        self.writes.append(action)
        self.repeats = repeats
        if len(self.writes) - 1 == self.number:
            return await self.harm(self, action, payload)
        return await self.inner.call(action, payload)


async def killed_before(_: Harmed, action: str, payload: Payload) -> Payload:
    raise Killed


async def killed_after(client: Harmed, action: str, payload: Payload) -> Payload:
    await client.inner.call(action, payload)
    raise Killed


async def failing(_: Harmed, action: str, payload: Payload) -> Payload:
    raise DynamoError("InternalServerError")


async def lost_answer(client: Harmed, action: str, payload: Payload) -> Payload:
    """The write is made, and its answer is lost. The client sends it again, if that does no harm."""
    await client.inner.call(action, payload)
    if not client.repeats:
        raise UpstreamError("lost on the way")
    return await client.inner.call(action, payload)


def harmed(world: World, number: int, harm: Any) -> tuple[DynamoMeter, Harmed]:
    assert world.store is not None
    client = Harmed(world.store.client, number, harm)
    return DynamoMeter(replace(world.store, client=client)), client


async def begun(world: World, scopes: Sequence[AccountScope], **fields: Any) -> Outcome:
    """A call that has used `USED`, with a hold if it has limits."""
    made = outcome(**fields)
    if not scopes:
        return made
    kinds = tuple(scope.kind for scope in scopes)
    taken = hold(made.call.id, at=made.call.started_at, account_kinds=kinds)
    await world.ledger.reserve(Reservation(taken, tuple(scopes)))
    return replace(made, hold=taken)


async def recover(world: World) -> None:
    """Close the hour, as the keeper does after its end."""
    assert world.store is not None
    world.clock.now = LATER
    assert (await Sweeper(world.store).run()).failed == 0
    assert (await create_rollup(world.store).run()).failed == 0


@pytest.fixture
async def world(aws_endpoint: str) -> Any:
    async with aws_world(aws_endpoint) as made:
        await made.tenants.put_workspace(workspace())
        await made.keys.put_key(key())
        yield made


@pytest.mark.parametrize("scopes", SCOPES)
@pytest.mark.parametrize("harm", [killed_before, killed_after])
async def test_a_process_that_is_killed_at_any_write_leaves_what_can_be_finished(
    world: World, scopes: tuple[AccountScope, ...], harm: Any
) -> None:
    number = 0
    while True:
        meter, client = harmed(world, number, harm)
        ended = await begun(world, scopes, at=NOON + number)
        try:
            await meter.record(ended)
        except Killed:
            number += 1
            continue
        break
    # The record, a hold in each account, and the counters.
    assert number == len(client.writes) == 2 + len(scopes)
    await recover(world)
    # The first call may have been killed before it had a record.
    lost = {"lost": 1} if scopes and harm is killed_before else {}
    assert await balanced(world, *(scopes or (UNLIMITED,))) == {"ok": number + (harm is killed_after), **lost}
    for scope in scopes:
        assert not (await world.ledger.account(scope)).holds
    # A second time finds nothing left to do.
    before = await world.usages.counters("ws_one", "M#2026-11")
    await recover(world)
    assert await world.usages.counters("ws_one", "M#2026-11") == before


@pytest.mark.parametrize("scopes", SCOPES)
async def test_writes_whose_answers_are_lost_are_made_once(world: World, scopes: tuple[AccountScope, ...]) -> None:
    for number in range(2 + len(scopes)):
        meter, client = harmed(world, number, lost_answer)
        await meter.record(await begun(world, scopes, at=NOON + number))
        assert len(client.writes) == 2 + len(scopes)
    # At once, before anything is recovered.
    assert await balanced(world, *(scopes or (UNLIMITED,))) == {"ok": 2 + len(scopes)}
    await recover(world)
    assert await balanced(world, *(scopes or (UNLIMITED,))) == {"ok": 2 + len(scopes)}


@pytest.mark.parametrize("scopes", SCOPES)
async def test_writes_that_fail_after_the_record_are_made_later(
    world: World, scopes: tuple[AccountScope, ...], caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(1, 2 + len(scopes)):
        meter, _ = harmed(world, number, failing)
        await meter.record(await begun(world, scopes, at=NOON + number))
    assert [record.message for record in caplog.records if record.name == "tidegate.aws.meter"] == [
        *["hold.left"] * len(scopes),
        "call.uncounted",
    ]
    await recover(world)
    assert await balanced(world, *(scopes or (UNLIMITED,))) == {"ok": 1 + len(scopes)}


async def test_a_store_that_fails_before_the_record_is_unavailable(world: World) -> None:
    meter, client = harmed(world, 0, failing)
    with pytest.raises(StoreUnavailable):
        await meter.record(outcome())
    assert client.writes == ["PutItem"]
    assert await world.usages.counters("ws_one", "M#2026-11") is None


@pytest.mark.parametrize("scopes", SCOPES)
async def test_a_call_that_is_recorded_twice_is_counted_as_the_first_time(
    world: World, scopes: tuple[AccountScope, ...]
) -> None:
    first = await begun(world, scopes)
    for again in (first, first, replace(first, status="failed", attempts=3)):
        await world.meter.record(again)
    # Also when the first process was killed before it had counted the call.
    meter, _ = harmed(world, 0, killed_after)
    second = await begun(world, scopes, at=NOON + 1)
    with pytest.raises(Killed):
        await meter.record(second)
    for again in (second, replace(second, status="failed")):
        await world.meter.record(again)
    await recover(world)
    assert await balanced(world, *(scopes or (UNLIMITED,))) == {"ok": 2}


async def test_of_a_sweep_and_a_process_that_is_late_one_settles_the_call(world: World) -> None:
    for number in range(8):
        ended = await begun(world, (WORKSPACE, KEY), at=NOON + number)
        world.clock.now = NOON + 700 + number
        assert world.store is not None
        await asyncio.gather(world.meter.record(ended), Sweeper(world.store).run())
    await recover(world)
    assert (await balanced(world, WORKSPACE, KEY)).total() == 8
    assert not (await world.ledger.account(KEY)).holds


async def test_processes_that_settle_the_same_call_settle_it_once(world: World) -> None:
    ended = await begun(world, (WORKSPACE, KEY))
    await asyncio.gather(*(world.meter.record(replace(ended, attempts=n)) for n in range(1, 7)))
    assert await balanced(world, WORKSPACE, KEY) == {"ok": 1}


async def test_a_call_whose_hour_may_be_closed_is_counted_in_its_day(world: World) -> None:
    """Its record and its day are one transaction, which no closing of the hour can miss."""
    ended = await begun(world, (WORKSPACE,), at=NOON + 3599)
    world.clock.now = NOON + 3600 + COUNT_SECONDS
    meter, client = harmed(world, 99, killed_before)
    await meter.record(ended)
    assert client.writes == ["TransactWriteItems"]
    assert COUNT_SECONDS < LATE_SECONDS
    await recover(world)
    assert await balanced(world, WORKSPACE) == {"ok": 1}


async def test_a_write_that_comes_after_its_hour_was_closed_counts_nothing_twice(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """The process stood still between the record and the counters, until the hour was over."""

    async def stand_still(client: Harmed, action: str, payload: Payload) -> Payload:
        await recover(world)
        return await client.inner.call(action, payload)

    meter, client = harmed(world, 1, stand_still)
    await meter.record(outcome())
    assert client.writes[:2] == ["PutItem", "UpdateItem"]
    assert "call.uncounted" in [record.message for record in caplog.records]
    assert await balanced(world, UNLIMITED) == {"ok": 1}

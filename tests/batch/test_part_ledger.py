"""The hold of a part: few writes for many lines, what is not used is used again, and nobody is asked without room."""

import asyncio
import logging
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from tests.batch.parts import Mortal, part_world
from tests.batch.world import NOON, Provider
from tests.world import KEY
from tidegate.batch.part_ledger import LineStopped, PartLedger
from tidegate.domain.account import AccountScope, Hold, Reservation
from tidegate.domain.batch_options import BatchOptions
from tidegate.domain.ids import ulid
from tidegate.domain.limits import Amounts, Limits
from tidegate.errors import LimitReached
from tidegate.memory.ledger import MemoryLedger

pytestmark = pytest.mark.jumping_clock

SLICE = Hold("slice", "ws_test", "key_test", "", Amounts(), 0, NOON, NOON + 3600, (), is_batch=True)


def scope(kind: Any = "workspace", **limits: Any) -> AccountScope:
    return AccountScope(kind, "ws_test" if kind == "workspace" else "key_test", Limits(**limits))


def reservation(tokens: int, *scopes: AccountScope, id: str | None = None) -> Reservation:
    hold = Hold(id or ulid(NOON), "ws_test", "key_test", "openai/m", Amounts(tokens), 0, NOON, NOON + 600)
    return Reservation(hold, scopes)


class Counted(MemoryLedger):
    """A ledger that counts its reservations."""

    reservations: int = 0

    async def reserve(self, reservation: Reservation, replacing: Hold | None = None) -> Any:
        self.reservations += 1
        await asyncio.sleep(0.01)
        return await MemoryLedger.reserve(self, reservation, replacing)


def opened(inner: MemoryLedger) -> PartLedger:
    """The ledger of a part, which is closed when the budget is exhausted."""
    closes: list[Any] = []
    ledger = PartLedger(inner, SLICE, lambda: True, lambda: closes[0]())
    closes.append(ledger.close)
    return ledger


async def test_many_lines_take_few_writes() -> None:
    inner, day = Counted(lambda: NOON), scope(tokens_per_day=10**9)
    ledger = opened(inner)

    async def lines(count: int) -> None:
        for _ in range(count):
            line = reservation(150, day)
            await ledger.reserve(line)
            await asyncio.sleep(1)
            ledger.end_line(line.hold.call_id, Amounts(26))

    await asyncio.gather(*(lines(5) for _ in range(64)))
    assert inner.reservations <= 6
    hold = await ledger.booked_hold()
    account = await inner.account(day)
    assert (account.holds, len(account.holds)) == ({"slice": hold}, 1)
    assert hold is not None and 320 * 26 <= hold.amounts.tokens <= 320 * 26 + 2 * 64 * 150


async def test_the_newest_limits_apply_to_the_next_line() -> None:
    inner = MemoryLedger(lambda: NOON)
    ledger = opened(inner)
    first = reservation(100, scope(tokens_per_day=200))
    await ledger.reserve(first)
    ledger.end_line(first.hold.call_id, Amounts(100))
    with pytest.raises(LineStopped):
        await ledger.reserve(reservation(150, scope(tokens_per_day=200)))
    assert ledger.shortage is not None and ledger.shortage.amounts == Amounts(150)
    later = opened(inner)
    await later.reserve(reservation(150, scope(tokens_per_day=500)))


async def test_a_line_waits_for_the_room_of_another_one() -> None:
    ledger, day = opened(MemoryLedger(lambda: NOON)), scope(tokens_per_day=200)
    first, second = reservation(150, day), reservation(150, day)
    await ledger.reserve(first)
    waiting = asyncio.create_task(ledger.reserve(second))
    await asyncio.sleep(1)
    assert not waiting.done()
    ledger.end_line(first.hold.call_id, Amounts(26))
    await waiting
    assert ledger.shortage is None


async def test_two_lines_that_need_more_than_they_hold_do_not_wait_for_each_other() -> None:
    ledger, day = opened(MemoryLedger(lambda: NOON)), scope(tokens_per_day=200)
    first, second = reservation(90, day, id="one"), reservation(90, day, id="two")
    await ledger.reserve(first)
    await ledger.reserve(second)
    retries = (
        ledger.reserve(reservation(180, day, id=id), line.hold) for id, line in (("one", first), ("two", second))
    )
    ends = await asyncio.gather(*retries, return_exceptions=True)
    assert list(map(type, ends)) == [LineStopped, LineStopped]


async def test_a_line_that_waits_for_another_learns_that_this_one_waits_too() -> None:
    ledger, day = opened(MemoryLedger(lambda: NOON)), scope(tokens_per_day=200)
    first, second = reservation(90, day, id="one"), reservation(90, day, id="two")
    await ledger.reserve(first)
    await ledger.reserve(second)

    async def retry_later() -> None:
        await asyncio.sleep(0.01)
        await ledger.reserve(reservation(180, day, id="two"), second.hold)

    retry = ledger.reserve(reservation(180, day, id="one"), first.hold)
    ends = await asyncio.gather(retry, retry_later(), return_exceptions=True)
    assert list(map(type, ends)) == [LineStopped, LineStopped]


async def test_a_line_that_can_never_fit_is_refused_at_once() -> None:
    ledger, day = opened(MemoryLedger(lambda: NOON)), scope(tokens_per_day=200)
    with pytest.raises(LimitReached, match="can never allow"):
        await ledger.reserve(reservation(201, day))
    assert (ledger.hold, ledger.shortage) == (None, None)


async def test_a_line_with_rates_alone_needs_no_room() -> None:
    inner = MemoryLedger(lambda: NOON)
    ledger = opened(inner)
    await ledger.reserve(reservation(10**9, scope(tokens_per_minute=1, requests_per_minute=0, parallel_calls=0)))
    assert (ledger.hold, inner.accounts) == (None, {})


async def test_a_worker_without_its_lease_books_nothing() -> None:
    inner = MemoryLedger(lambda: NOON)
    ledger = PartLedger(inner, SLICE, lambda: False, lambda: None)
    with pytest.raises(LineStopped):
        await ledger.reserve(reservation(1, scope(tokens_per_day=200)))
    assert inner.accounts == {}


async def test_budget_alerts_are_sent_after_a_part(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    async with part_world(lines=6, limits=Limits(tokens_per_month=6 * 26 + 150)) as parts:
        await parts.deliver()
    assert [line.message for line in caplog.records] == ["budget.threshold"]


@pytest.mark.parametrize("seconds", [0.0, 2.0])
async def test_what_a_part_costs_in_accesses(seconds: float) -> None:
    """200 lines of two seconds: a handful of writes to begin and end, and two in each second for the journal."""
    counts = Counter[str]()

    class Counting(Mortal):
        async def access(self, method: Any, *args: Any, **named: Any) -> Any:
            counts[getattr(method, "__name__", "")] += 1
            return await super().access(method, *args, **named)

    key = replace(KEY, limits=Limits(usd_per_month=Decimal(10)))
    async with part_world(Provider(seconds=seconds), lines=200, key=key, options=BatchOptions()) as parts:
        await parts.run(Counting(parts.deaths), 0)
        await parts.check()
    assert counts["settle"] == 1
    assert counts["reserve"] <= 4
    assert counts["put"] <= 8
    assert counts["save"] <= 10
    assert counts["read"] == 1

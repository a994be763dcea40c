"""The call log: filters, live lists, exports, and ranges that are too long."""

import asyncio
import csv
import io
import random
from decimal import Decimal
from typing import Any

import pytest

from tests.call_records import call_record
from tests.control.world import OF_ONE, WHOLE, Managed
from tests.store_worlds import NOON
from tidegate.batch.settled_lines import LinesRecord
from tidegate.control import logs, reports, workspaces
from tidegate.control.logs import CSV_COLUMNS, MAX_DAYS, MAX_EXPORTED_CALLS, CallFilters
from tidegate.domain.ids import min_ulid, ulid, ulid_time
from tidegate.domain.limits import Amounts
from tidegate.domain.settlement import Settlement
from tidegate.domain.workspace import Workspace
from tidegate.errors import InvalidRequest
from tidegate.memory.meter import MemoryMeter

DAY = 86_400.0


class Log:
    """The call log of one workspace, and what is written into it."""

    def __init__(self, world: Managed) -> None:
        self.world = world

    async def call(self, begun: float = 0.0, **fields: Any) -> str:
        meter = self.world.stores.meter
        assert isinstance(meter, MemoryMeter)
        record = call_record(random.Random(1), NOON + begun, **{"seconds": 1.0, "error_code": None, **fields})
        call_id, settled = record["id"], LinesRecord(**record)
        await meter.settle(Settlement("ws_one", call_id, NOON + begun, 0, settled, {"calls": 1}, Amounts(), None))
        return call_id

    async def found(self, limit: int = 50, **filters: Any) -> list[object]:
        page = await logs.list_calls(self.world.control, OF_ONE, "ws_one", CallFilters(**filters), limit)
        return [call["id"] for call in page.calls]

    async def export(self, cursor: str | None = None, **filters: Any) -> tuple[list[dict[str, str]], str | None]:
        export = await logs.export_calls(self.world.control, OF_ONE, "ws_one", CallFilters(**filters), cursor)
        return list(csv.DictReader(io.StringIO(export.csv))), export.cursor


@pytest.fixture
async def log(world: Managed) -> Log:
    await workspaces.create_workspace(world.control, WHOLE, Workspace("ws_one", "One"))
    return Log(world)


async def test_calls_are_found_by_session_error_duration_and_cost(log: Log) -> None:
    plain = await log.call(session_id=None, cost_usd=Decimal("0.01"))
    of_session = await log.call(1, session_id="s-1", cost_usd=Decimal("0.02"))
    failed = await log.call(2, error_code="Provider_Timeout", session_id="s-1", cost_usd=None)
    retried = await log.call(3, failed_attempts="openai/gpt#1=rate_limit_exceeded", seconds=9.5, cost_usd=Decimal(2))
    assert await log.found(session_id="s-1") == [failed, of_session]
    assert await log.found(error="timeout") == [failed]
    assert await log.found(error="RATE_limit") == [retried]
    assert await log.found(error="e") == [retried, failed]
    assert await log.found(slower_than=9) == [retried]
    assert await log.found(slower_than=9.5) == []
    assert await log.found(dearer_than=Decimal("0.01")) == [retried, of_session]
    assert await log.found(dearer_than=Decimal("0.01"), session_id="s-1", slower_than=0.5) == [of_session]
    assert set(await log.found()) == {plain, of_session, failed, retried}


async def test_a_live_list_has_calls_that_began_earlier_and_have_ended_since(log: Log) -> None:
    first = await log.call(60, seconds=1)
    assert await log.found(after=first) == []
    long_call = await log.call(-500, seconds=600)
    short_call = await log.call(70, seconds=2)
    await log.call(-900, seconds=30)
    assert await log.found(after=first) == [short_call, long_call]
    assert await log.found(after=first, limit=1) == [short_call]
    assert await log.found(after=first, slower_than=100) == [long_call]


async def test_a_live_list_may_begin_with_any_time(log: Log) -> None:
    await log.call(-500, seconds=3)
    since = min_ulid(NOON)
    assert await log.found(after=since) == []
    one, other = await log.call(1), await log.call(-100, seconds=105)
    assert await log.found(after=since) == [one, other]
    with pytest.raises(InvalidRequest) as caught:
        await log.found(after="call_1")
    assert caught.value.param == "after"


async def test_an_export_has_the_filtered_calls_and_no_formula(log: Log) -> None:
    await log.call(session_id="=SUM(A1)", app_id="-1", cost_usd=Decimal("0.5"))
    await log.call(1, session_id="other")
    (row,), cursor = await log.export(session_id="=SUM(A1)")
    assert (tuple(row), cursor) == (CSV_COLUMNS, None)
    assert (row["session_id"], row["app_id"], row["cost_usd"]) == ("'=SUM(A1)", "'-1", "0.5")


async def test_an_export_is_bounded_and_goes_on_at_its_cursor(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_EXPORTED_CALLS == 10_000
    monkeypatch.setattr(logs, "MAX_EXPORTED_CALLS", 7)
    ids = [await log.call(second) for second in range(10)]
    rows, cursor = await log.export()
    assert [row["id"] for row in rows] == ids[:2:-1]
    rest, end = await log.export(cursor)
    assert ([row["id"] for row in rest], end) == (ids[2::-1], None)


async def test_calls_go_on_while_an_export_is_written(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_EXPORT_PAGE", 2)
    for second in range(7):
        await log.call(second)
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(count_turns())
    assert len((await log.export())[0]) == 7
    other.cancel()
    assert turns >= 3


async def test_an_export_whose_filter_matches_little_reads_no_more_than_its_bound(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "MAX_EXPORT_RECORDS", 6)
    monkeypatch.setattr(logs, "_EXPORT_PAGE", 3)
    wanted = await log.call(session_id="wanted")
    for second in range(1, 9):
        await log.call(second)
    rows, cursor = await log.export(session_id="wanted")
    assert (rows, cursor is None) == ([], False)
    rows, cursor = await log.export(cursor, session_id="wanted")
    assert [row["id"] for row in rows] == [wanted]


async def test_a_year_of_records_is_refused_and_the_overview_offered(log: Log) -> None:
    await log.call()
    assert len(await log.found(since=NOON - MAX_DAYS * DAY)) == 1
    assert len(await log.found(since=NOON - DAY, until=NOON + 365 * DAY)) == 1
    for asked in (log.found, log.export):
        with pytest.raises(InvalidRequest, match="use the overview") as caught:
            await asked(since=NOON - 365 * DAY)
        assert caught.value.param == "from"


async def test_usage_is_reported_by_session(log: Log) -> None:
    await log.call(session_id="s-1", cost_usd=Decimal("0.5"))
    await log.call(1, session_id="s-1", cost_usd=Decimal("0.25"))
    await log.call(2, session_id=None, cost_usd=Decimal("0.01"))
    report = await reports.report_usage(log.world.control, OF_ONE, "ws_one", "session", None, None)
    assert [(row["name"], row["calls"], row["cost_usd"]) for row in report.rows] == [
        ("s-1", 2, "0.75"),
        ("", 1, "0.01"),
    ]


def test_a_ulid_has_its_time() -> None:
    assert ulid_time(ulid(NOON + 0.5)) == NOON + 0.5
    assert ulid_time(min_ulid(NOON)) == NOON
    assert (ulid_time(""), ulid_time("0")) == (0.0, 0.0)

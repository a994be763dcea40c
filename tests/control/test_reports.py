from datetime import date
from decimal import Decimal

import pytest
from msgspec.structs import replace

from tests.control.world import OF_ONE, WHOLE, Managed
from tests.store_worlds import NOON, outcome
from tidegate.control import logs, reports, workspaces
from tidegate.control.logs import CallFilters
from tidegate.domain.deployment import Deployment
from tidegate.domain.workspace import Workspace
from tidegate.errors import InvalidRequest, NotFound

DAY = 86400


@pytest.fixture
async def used(world: Managed) -> Managed:
    """Two calls of today, one of them failed, and one of yesterday by another model and application."""
    for workspace_id in ("ws_one", "ws_two"):
        await workspaces.create_workspace(world.control, WHOLE, Workspace(workspace_id, workspace_id))
    other = outcome(at=NOON - DAY, deployment=Deployment("openai", "gpt", "https://x.invalid"), cost_usd=Decimal("0.5"))
    other = replace(other, call=replace(other.call, app_id="=SUM(A1)"))
    for call in (other, outcome(at=NOON), outcome(at=NOON + 1, status="failed"), outcome(workspace_id="ws_two")):
        await world.stores.meter.record(call)
    return world


def row(name: str | None, calls: int, failed: int, cost: str) -> dict[str, int | str]:
    figures = {
        "calls": calls,
        "calls_failed": failed,
        "input_tokens": 11 * calls,
        "output_tokens": 12 * calls,
        "words": 9 * calls,
        "cost_usd": cost,
    }
    return figures if name is None else {"name": name, **figures}


async def report(world: Managed, by: reports.Grouping, **ends: date | None) -> reports.UsageReport:
    whole = {"first": None, "last": None, **ends}
    return await reports.report_usage(world.control, OF_ONE, "ws_one", by, **whole)


async def test_usage_by_day(used: Managed) -> None:
    made = await report(used, "day")
    assert (made.first, made.last) == (date(2026, 11, 1), date(2026, 11, 21))
    assert made.rows == [row("2026-11-20", 1, 0, "0.5"), row("2026-11-21", 2, 1, "0.0002469")]
    assert made.total == row(None, 3, 1, "0.5002469")


async def test_usage_by_model_key_and_application(used: Managed) -> None:
    first, second = row("openai/gpt", 1, 0, "0.5"), row("demo/echo-1", 2, 1, "0.0002469")
    assert (await report(used, "model")).rows == [first, second]
    assert (await report(used, "key")).rows == [row("key_one", 3, 1, "0.5002469")]
    assert (await report(used, "app")).rows == [{**first, "name": "=SUM(A1)"}, {**second, "name": "app"}]
    assert (await report(used, "model")).total == (await report(used, "day")).total
    today = date(2026, 11, 21)
    assert (await report(used, "model", first=today, last=today)).rows == [second]


async def test_usage_as_a_table_holds_no_formula(used: Managed) -> None:
    assert reports.to_csv(await report(used, "app")) == (
        "app,calls,calls_failed,input_tokens,output_tokens,words,cost_usd\r\n"
        "'=SUM(A1),1,0,11,12,9,0.5\r\n"
        "app,2,1,22,24,18,0.0002469\r\n"
    )


async def test_nothing_used_is_an_empty_report(used: Managed) -> None:
    for by in ("day", "model"):
        for first, last in ((date(2020, 1, 1), date(2020, 1, 31)), (date.min, date.min), (date.max, date.max)):
            made = await report(used, by, first=first, last=last)
            assert (made.rows, made.total) == ([], row(None, 0, 0, "0"))


async def test_a_range_has_an_end_and_up_to_92_days(used: Managed) -> None:
    for first, last in ((date(2026, 11, 2), date(2026, 11, 1)), (date(2026, 1, 1), date(2026, 4, 3))):
        with pytest.raises(InvalidRequest) as caught:
            await report(used, "day", first=first, last=last)
        assert caught.value.param == "to"
    await report(used, "day", first=date(2026, 1, 1), last=date(2026, 4, 2))
    with pytest.raises(NotFound):
        await reports.report_usage(used.control, OF_ONE, "ws_two", "day", None, None)


async def test_calls_are_filtered(used: Managed) -> None:
    async def found(**filters: object) -> int:
        return len((await logs.list_calls(used.control, OF_ONE, "ws_one", CallFilters(**filters), 10)).calls)

    assert await found() == 3
    assert await found(status="failed") == 1
    assert await found(model="openai/gpt") == 1
    assert await found(model="demo/echo") == 3  # as asked for
    assert await found(key_id="key_one", app_id="app") == 2
    assert await found(key_id="key_two") == 0
    assert await found(since=NOON) == 2
    assert await found(since=NOON + 1) == 1
    assert await found(until=NOON) == 1
    assert await found(since=NOON - DAY, until=NOON + 1) == 2
    assert await found(since=NOON, until=NOON - DAY) == 0


async def test_pages_of_calls_lead_to_the_last(used: Managed) -> None:
    for n in range(20):
        await used.stores.meter.record(outcome(at=NOON + 10 + n, status="ok" if n % 5 else "cancelled"))
    seen: list[object] = []
    cursor: str | None = None
    pages = 0
    while pages == 0 or cursor:
        page = await logs.list_calls(used.control, OF_ONE, "ws_one", CallFilters(status="cancelled"), 3, cursor)
        seen += [call["time"] for call in page.calls]
        cursor, pages = page.cursor, pages + 1
    assert seen == [f"2026-11-21T12:00:{n}.000Z" for n in (25, 20, 15, 10)]


async def test_a_cursor_that_is_none_is_refused(used: Managed) -> None:
    for cursor in ("", "x", "Z" * 27, "CALL#"):
        with pytest.raises(InvalidRequest) as caught:
            await logs.list_calls(used.control, OF_ONE, "ws_one", CallFilters(), 10, cursor)
        assert caught.value.param == "cursor"
    with pytest.raises(InvalidRequest):
        await logs.list_calls(used.control, OF_ONE, "ws_one", CallFilters(), 201)

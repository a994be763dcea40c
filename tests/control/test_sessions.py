"""Sessions come from aggregates; one session has its calls, and reads only hours that may have some."""

import random
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from tests.call_records import call_record, expected_sums
from tests.control.rolled_up import settle, stored
from tests.control.world import OF_ONE, WHOLE, Managed
from tests.store_worlds import NOON
from tidegate.control import sessions
from tidegate.control.sessions import Session, find_session, list_sessions
from tidegate.domain.aggregate import OTHER, Aggregate
from tidegate.domain.ids import ulid_time
from tidegate.errors import AdminForbidden, InvalidRequest, NotFound

HOUR, DAY = 3600.0, 86_400.0
SOURCE = random.Random(7)


def call(at: float, session: str | None = "s1", **fields: Any) -> dict[str, Any]:
    return call_record(SOURCE, at, session_id=session, **{"agent_id": None, "status": "ok", **fields})


class CountingUsages:
    """Records which hours are read, and how many records."""

    def __init__(self, usages: Any) -> None:
        self._usages, self.spans, self.records_read = usages, list[tuple[float, float]](), 0

    async def records(self, workspace_id: str, after: str, before: str, limit: int, shards: int = 1) -> Any:
        self.spans.append((ulid_time(after), ulid_time(before)))
        found = await self._usages.records(workspace_id, after, before, limit, shards)
        self.records_read += len(found)
        return found


def counting(world: Managed) -> tuple[Managed, CountingUsages]:
    usages: Any = CountingUsages(world.control.usages)
    return Managed(world.stores, replace(world.control, usages=usages)), usages


async def find(world: Managed, session_id: str = "s1", **more: Any) -> Session:
    return await find_session(world.control, WHOLE, "ws_one", session_id, **more)


def listed(found: Session) -> list[str]:
    return [str(record["time"]) for record in found.tree.calls]


def times(records: Sequence[Mapping[str, Any]]) -> list[str]:
    return sorted(str(record["time"]) for record in records)


async def test_a_session_is_a_tree_of_agents_and_calls(world: Managed) -> None:
    main = [call(NOON - 2 * DAY + second, seconds=2.0) for second in (0, 5)]
    named = {"agent_id": "helper", "parent_agent_id": "planner"}
    helper = [call(NOON - 2 * DAY + 3, **named, status="failed", error_code="provider_timeout")]
    world = await stored(world, [*main, *helper, call(NOON - 2 * DAY, "s2")], "ws_one")
    made: Any = (await find(world)).to_json()
    assert [(each["agent_id"], each["calls"], each["failed"]) for each in made["agents"]] == [
        (None, 2, 0),
        ("helper", 1, 1),
    ]
    assert [each["parent_agent_id"] for each in made["agents"]] == [None, "planner"]
    assert [each["time"] for each in made["agents"][0]["calls_listed"]] == times(main)
    sums = expected_sums([*main, *helper])
    assert (made["calls"], made["failed"], Decimal(made["cost_usd"])) == (3, 1, sums["cost_usd"])
    assert made["tokens"] == sums["input_tokens"] + sums["output_tokens"]
    assert made["errors"] == [{"name": "provider_timeout", "calls": 1}]
    assert sum(each["calls"] for each in made["models"]) == 3
    assert (made["started"], made["next_cursor"]) == (main[0]["time"], None)
    assert made["total"]["calls"] == 3


async def test_only_hours_with_calls_of_the_session_are_read(world: Managed) -> None:
    mine = [call(NOON - days * DAY - 1800) for days in (3, 9)]
    others = [call(NOON - hour * HOUR - 60, "s2") for hour in range(30, 24 * 12, 5)]
    world, usages = counting(await stored(world, [*mine, *others], "ws_one"))
    assert listed(await find(world)) == times(mine)
    hours = {begin // HOUR * HOUR for begin, _ in usages.spans}
    assert hours == {*(NOON - days * DAY - HOUR for days in (3, 9)), NOON - HOUR}
    assert usages.records_read < 8


async def test_calls_that_are_not_rolled_up_yet_are_found(world: Managed) -> None:
    world = await stored(world, [], "ws_one")
    late = [call(NOON - 1700), call(NOON - 5)]
    await settle(world, late, "ws_one")
    made = await find(world)
    assert (listed(made), made.total) == (times(late), None)


async def test_a_session_that_its_hour_does_not_name_is_found(world: Managed) -> None:
    at = NOON - 2 * DAY
    crowd = [call(at + number, f"other-{number}", cost_usd=Decimal(1)) for number in range(300)]
    mine = [call(at + 400, cost_usd=Decimal(0))]
    world = await stored(world, [*crowd, *mine], "ws_one")
    aggregates: Any = world.control.aggregates
    (hour,) = (await aggregates.find("ws_one", "2026-11-19T12", "2026-11-19T12")).values()
    assert isinstance(hour, Aggregate) and "s1" not in hour.group("session") and OTHER in hour.group("session")
    assert listed(await find(world)) == times(mine)


async def test_hours_that_do_not_name_a_session_are_searched_only_near_it(world: Managed) -> None:
    """Else each look at a session of a busy workspace would read all records of a month."""
    near, far = NOON - 2 * DAY, NOON - 9 * DAY
    crowds = [call(at + number, f"other-{number}", cost_usd=Decimal(1)) for at in (near, far) for number in range(300)]
    named = call(near - 3 * HOUR)
    unnamed = [call(at + 400, cost_usd=Decimal(0)) for at in (near, far)]
    world, usages = counting(await stored(world, [*crowds, named, *unnamed], "ws_one"))
    made = await find(world)
    assert (listed(made), made.hours_left_out) == (times([named, unnamed[0]]), 1)
    assert usages.records_read < 400
    made = await find(world, since=NOON - 10 * DAY)
    assert (listed(made), made.hours_left_out) == (times([named, *unnamed]), 0)


async def test_days_that_do_not_name_a_session_are_not_looked_at_far_from_it(world: Managed) -> None:
    near, far = NOON - 2 * DAY, NOON - 9 * DAY
    crowds = [call(at + number, f"other-{number}", cost_usd=Decimal(1)) for at in (near, far) for number in range(300)]
    mine = [call(near, cost_usd=Decimal(9)), call(far, cost_usd=Decimal(0))]
    world = await stored(world, [*crowds, *mine], "ws_one")
    made = await find(world)
    assert (listed(made), made.hours_left_out) == (times(mine)[1:], 24)
    made = await find(world, since=NOON - 10 * DAY)
    assert (listed(made), made.hours_left_out) == (times(mine), 0)


async def test_a_long_session_has_pages(world: Managed, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = [call(NOON - DAY - hour * HOUR + second) for hour in range(4) for second in range(5)]
    others = [call(each + 1, "s2") for each in (NOON - DAY - hour * HOUR for hour in range(4))]
    world = await stored(world, [*mine, *others], "ws_one")
    monkeypatch.setattr(sessions, "MAX_CALLS", 7)
    monkeypatch.setattr(sessions, "_PAGE", 3)
    pages, cursor = list[list[str]](), None
    while cursor is not None or not pages:
        made = await find(world, cursor=cursor)
        cursor = made.cursor
        pages.append(listed(made))
    assert [len(page) for page in pages] == [7, 7, 6]
    assert [time for page in reversed(pages) for time in page] == times(mine)


async def test_a_page_reads_a_bounded_number_of_records(world: Managed, monkeypatch: pytest.MonkeyPatch) -> None:
    at = NOON - DAY
    mine, others = [call(at)], [call(at + second, "s2") for second in range(1, 40)]
    world, usages = counting(await stored(world, [*mine, *others], "ws_one"))
    monkeypatch.setattr(sessions, "MAX_SEARCHED_RECORDS", 10)
    monkeypatch.setattr(sessions, "_PAGE", 10)
    made = await find(world)
    assert (listed(made), usages.records_read) == ([], 10)
    assert made.to_json()["searched_since"] == times(others)[-10]
    found = list[str]()
    while made.cursor is not None:
        made = await find(world, cursor=made.cursor)
        found += listed(made)
    assert found == times(mine)


async def test_a_range_is_exact_and_at_most_three_months(world: Managed) -> None:
    mine = [call(NOON - DAY + minute * 60) for minute in range(10)]
    world = await stored(world, mine, "ws_one")
    made = await find(world, since=NOON - DAY + 120, until=NOON - DAY + 240)
    assert listed(made) == times(mine)[2:4]
    with pytest.raises(InvalidRequest, match="use the overview"):
        await find(world, since=NOON - 365 * DAY)


async def test_unknown_and_foreign_sessions_are_not_found(world: Managed) -> None:
    world = await stored(world, [call(NOON - DAY)], "ws_one", "ws_two")
    with pytest.raises(NotFound) as caught:
        await find(world, "s9")
    assert caught.value.param == "id"
    with pytest.raises(NotFound):
        await find_session(world.control, OF_ONE, "ws_two", "s1")
    with pytest.raises(InvalidRequest):
        await find(world, cursor="no-cursor!")
    with pytest.raises(AdminForbidden):
        await find_session(world.control, replace(WHOLE, scopes=("write",)), "ws_one", "s1")


async def test_sessions_are_listed_from_aggregates_alone(world: Managed) -> None:
    records = [call_record(SOURCE, NOON - SOURCE.random() * 2 * DAY) for _ in range(400)]
    world, usages = counting(await stored(world, records, "ws_one"))
    made = await list_sessions(world.control, WHOLE, "ws_one", NOON - 3 * DAY)
    assert (usages.spans, made.step) == ([], "hour")
    by_name: dict[str, list[Any]] = {}
    for record in records:
        by_name.setdefault(record["session_id"] or "", []).append(record)
    for row in made.rows:
        mine = by_name[str(row["session_id"])]
        assert (row["calls"], Decimal(str(row["cost_usd"]))) == (len(mine), expected_sums(mine)["cost_usd"])
        assert row["first_at"] == f"{min(times(mine))[:13]}:00:00.000Z"
        assert row["models"] == sorted({f"{each['provider']}/{each['answered_model']}" for each in mine})
    costs = [Decimal(str(row["cost_usd"])) for row in made.rows]
    assert costs == sorted(costs, reverse=True)
    assert len(made.rows) + made.more == len(by_name) - 1
    assert made.without_session is not None and made.without_session["calls"] == len(by_name[""])


@pytest.mark.parametrize(("order", "first"), [("cost", "dear"), ("calls", "busy"), ("recent", "new")])
async def test_sessions_are_listed_in_an_order(world: Managed, order: Any, first: str) -> None:
    old, new = NOON - 5 * HOUR, NOON - 2 * HOUR
    records = [call(old, "dear", cost_usd=Decimal(9)), call(new, "new", cost_usd=Decimal(1))]
    records += [call(old + second, "busy", cost_usd=Decimal(1)) for second in range(3)]
    world = await stored(world, records, "ws_one")
    made = await list_sessions(world.control, WHOLE, "ws_one", order=order)
    assert made.rows[0]["session_id"] == first
    assert (made.other, made.without_session) == (None, None)

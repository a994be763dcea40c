"""An overview says what the records of its range say, without reading them."""

import csv
import io
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from tests.call_records import SUMMED, call_record, expected_sums
from tests.control.rolled_up import stored
from tests.control.world import OF_ONE, WHOLE, Managed
from tests.store_worlds import ASKED, NOON, hold
from tidegate.control import keys, overview, workspaces
from tidegate.control.aggregate_range import MAX_DAYS, MAX_HOURS
from tidegate.control.overview import Overview, OverviewFilters
from tidegate.domain.account import AccountScope, Reservation
from tidegate.domain.aggregate import DIMENSIONS, OTHER, Aggregate
from tidegate.domain.limits import Limits
from tidegate.domain.managed_resources import AdminKey
from tidegate.domain.workspace import VirtualKey, Workspace
from tidegate.errors import AdminForbidden, InvalidRequest, NotFound
from tidegate.policy.metering.roller import Aggregates

HOUR, DAY = 3600.0, 86_400.0
FIELDS = {"key": "key_id", "app": "app_id", "session": "session_id", "endpoint": "endpoint", "status": "status"}


def records_of_days(days: int, number: int) -> list[dict[str, Any]]:
    source = random.Random(11)
    return [call_record(source, NOON - source.random() * days * DAY) for _ in range(number)]


async def make(world: Managed, **asked: Any) -> Overview:
    filters = OverviewFilters(**asked.pop("filters", {}))
    options = {"workspace_ids": ["ws_one"], **asked}
    return await overview.overview(world.control, WHOLE, filters=filters, **options)


def sums_of(figures: Mapping[str, Any]) -> dict[str, Any]:
    return {**{name: figures[name] for name in ("calls", *SUMMED)}, "cost_usd": Decimal(str(figures["cost_usd"]))}


def in_range(records: Sequence[Mapping[str, Any]], since: float, until: float) -> list[Mapping[str, Any]]:
    first, last = (datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H") for at in (since, until))
    return [record for record in records if first <= record["time"] < last]


@pytest.mark.parametrize(
    ("since", "until", "step"),
    [
        (NOON - 6 * DAY, NOON, "hour"),
        (NOON - 6 * DAY, NOON, "day"),
        (NOON - 12 * HOUR - 5 * DAY, NOON - 12 * HOUR, "day"),
        (NOON - 5 * HOUR, NOON - 2 * HOUR, "day"),
        (NOON - 20 * HOUR, NOON - 2 * HOUR, "day"),
        (NOON - 2 * DAY, NOON - 36 * HOUR, "hour"),
        (NOON - 40 * DAY, NOON, "day"),
    ],
)
async def test_figures_are_those_of_the_records_in_the_range(
    world: Managed, since: float, until: float, step: overview.Step
) -> None:
    records = records_of_days(7, 1_500)
    world = await stored(world, records, "ws_one")
    made = await make(world, since=since, until=until, step=step)
    wanted = in_range(records, since, until)
    assert wanted
    assert sums_of(made.totals) == expected_sums(wanted)
    width = 13 if step == "hour" else 10
    for point in made.series:
        name = str(point["at"])[:width]
        assert sums_of(point) == expected_sums(record for record in wanted if record["time"].startswith(name))
    assert len(made.series) == len({str(point["at"])[:width] for point in made.series})


async def test_today_and_a_day_that_has_just_ended_are_read_by_the_hour(world: Managed) -> None:
    records = records_of_days(3, 500)
    world = await stored(world, records, "ws_one")
    midnight = NOON + 12 * HOUR
    world.stores.clock.now = midnight + 60  # before the next roll
    made = await make(world, since=NOON - 3 * DAY, step="day")
    assert sums_of(made.totals) == expected_sums(records)


@pytest.mark.parametrize(("dimension", "field"), FIELDS.items())
async def test_rows_and_filters_are_by_name(world: Managed, dimension: str, field: str) -> None:
    records = records_of_days(2, 1_000)
    world = await stored(world, records, "ws_one")
    made = await make(world, since=NOON - 3 * DAY)
    rows = {str(row["name"]): sums_of(row) for row in made.by[dimension]}
    names = {record[field] or "" for record in records}
    if len(names) <= 100:
        assert rows == {n: expected_sums(r for r in records if (r[field] or "") == n) for n in names}
    costs = [Decimal(str(row["cost_usd"])) for row in made.by[dimension] if row["name"] != OTHER]
    assert costs == sorted(costs, reverse=True)
    name = str(made.by[dimension][0]["name"])
    selected = await make(world, since=NOON - 3 * DAY, filters={dimension: name, "provider": "openai"})
    wanted = [each for each in records if (each[field] or "") == name and each["provider"] == "openai"]
    assert sums_of(selected.totals) == expected_sums(wanted)
    assert {row["name"] for row in selected.by[dimension]} <= {name}


class WatchedAggregates:
    """Aggregates that remember what was asked for: the first and the last, and whether with sessions."""

    def __init__(self, aggregates: Aggregates) -> None:
        self.aggregates, self.asked = aggregates, list[tuple[str, str, bool]]()

    async def find(
        self, workspace_id: str, first: str, last: str, *, has_sessions: bool = True
    ) -> Mapping[str, Aggregate]:
        self.asked.append((first, last, has_sessions))
        return await self.aggregates.find(workspace_id, first, last, has_sessions=has_sessions)


async def test_hours_of_whole_days_are_read_without_their_sessions_which_the_days_have(world: Managed) -> None:
    records = records_of_days(4, 400)
    world = await stored(world, records, "ws_one")
    assert world.control.aggregates is not None
    watched = WatchedAggregates(world.control.aggregates)
    control: Any = replace(world.control, aggregates=watched)
    span = {"since": NOON - 3 * DAY, "until": NOON, "step": "hour"}
    made = await overview.overview(control, WHOLE, ["ws_one"], **span)
    assert watched.asked == [
        ("2026-11-19", "2026-11-20", True),
        ("2026-11-18T12", "2026-11-18T23", True),
        ("2026-11-21T00", "2026-11-21T11", True),
        ("2026-11-19T00", "2026-11-20T23", False),
    ]
    sessions = {record["session_id"] or "" for record in in_range(records, NOON - 3 * DAY, NOON)}
    assert sum(int(row["calls"] or 0) for row in made.by["session"]) == made.totals["calls"]
    assert len(made.by["session"]) >= min(len(sessions), 100)


async def test_sessions_are_not_filtered_by_status(world: Managed) -> None:
    world = await stored(world, [], "ws_one")
    for other in ({"status": "ok"}, {"error": "provider_timeout"}):
        with pytest.raises(InvalidRequest) as caught:
            await make(world, filters={"session": "s", **other})
        assert caught.value.param == "session"


async def test_series_and_rows_are_written_as_csv(world: Managed) -> None:
    world = await stored(world, [{**records_of_days(1, 1)[0], "app_id": "=SUM(A1)"}], "ws_one")
    made = await make(world, since=NOON - 2 * DAY)
    series = list(csv.DictReader(io.StringIO(made.to_csv())))
    assert [row["at"] for row in series] == [point["at"] for point in made.series]
    (row,) = csv.DictReader(io.StringIO(made.to_csv("app")))
    assert (row["name"], row["calls"], row["cost_usd"]) == ("'=SUM(A1)", "1", made.totals["cost_usd"])


async def test_failures_cached_calls_and_errors_are_counted(world: Managed) -> None:
    records = records_of_days(1, 800)
    world = await stored(world, records, "ws_one")
    made = await make(world, since=NOON - 2 * DAY)
    counts = {status: sum(each["status"] == status for each in records) for status in ("failed", "cached")}
    assert {name: made.totals[name] for name in counts} == counts
    errors = {record["error_code"] for record in records} - {None}
    assert {str(row["name"]): row["calls"] for row in made.by["error"]} == {
        name: sum(record["error_code"] == name for record in records) for name in errors
    }


async def test_percentiles_are_near_those_of_the_records(world: Managed) -> None:
    records = records_of_days(1, 2_000)
    world = await stored(world, records, "ws_one")
    made = await make(world, since=NOON - 2 * DAY)
    asked = [record for record in records if record["attempts"]]
    for name, field in (("duration", "seconds"), ("ttft", "first_event_seconds")):
        values = sorted(float(record[field]) for record in asked)
        for percent, exact in ((50, values[len(values) // 2]), (95, values[int(len(values) * 0.95)])):
            estimate = made.totals[f"{name}_p{percent}"]
            assert isinstance(estimate, float)
            assert exact / 1.09 < estimate < exact * 1.09
    assert all(row["duration_p50"] is not None for row in made.by["model"])
    assert all(row["duration_p50"] is None for row in made.by["session"])


async def test_an_overview_of_several_workspaces_is_their_sum(world: Managed) -> None:
    records = records_of_days(1, 100)
    world = await stored(world, records, "ws_one", "ws_two")
    for ids in (["ws_one", "ws_two"], None):
        made = await make(world, workspace_ids=ids, since=NOON - 2 * DAY)
        assert sums_of(made.totals) == expected_sums([*records, *records])
    of_one = await overview.overview(world.control, OF_ONE, None, NOON - 2 * DAY)
    assert sums_of(of_one.totals) == expected_sums(records)


async def test_others_workspaces_are_not_found(world: Managed) -> None:
    world = await stored(world, [], "ws_one", "ws_two")
    for ids in (["ws_two"], ["ws_one", "ws_two"], ["ws_unknown"]):
        with pytest.raises(NotFound):
            await overview.overview(world.control, OF_ONE, ids)
    with pytest.raises(AdminForbidden):
        await overview.overview(world.control, AdminKey("adm_x", "", "", ("write",)))


async def test_without_calls_the_series_has_zeros_and_no_percentiles(world: Managed) -> None:
    world = await stored(world, [], "ws_one")
    made = await make(world)
    assert len(made.series) == 24
    assert made.series[0]["at"] == "2026-11-20T12:00:00.000Z"
    assert {made.totals[name] for name in ("calls", "failed", "words")} == {0}
    assert (made.totals["cost_usd"], made.totals["ttft_p50"]) == ("0", None)
    assert made.by == {dimension: [] for dimension in DIMENSIONS}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"since": NOON, "until": NOON - HOUR}, "range is empty"),
        ({"since": NOON + HOUR}, "range is empty"),
        ({"since": NOON - (MAX_HOURS + 1) * HOUR, "step": "hour"}, "use step=day"),
        ({"since": NOON - (MAX_DAYS + 1) * DAY}, f"at most {MAX_DAYS} days"),
    ],
)
async def test_ranges_that_are_too_long_or_empty_are_refused(world: Managed, asked: Any, message: str) -> None:
    world = await stored(world, [], "ws_one")
    with pytest.raises(InvalidRequest, match=message):
        await make(world, **asked)


async def test_budgets_say_what_is_used_held_and_left_and_until_when(world: Managed) -> None:
    world = await stored(world, [], "ws_one", "ws_two")
    limits = Limits(tokens_per_day=1_000, usd_per_month=Decimal(10), requests_per_minute=5)
    stores = world.stores
    before = await world.control.resources.find(Workspace, "ws_one")
    assert before is not None
    await workspaces.update_workspace(world.control, WHOLE, before, replace(before, limits=limits), None)
    asked_key = VirtualKey("", "", "", ("ws_one",), "ws_one", limits=Limits(words_per_day=70))
    made_key = (await keys.create_key(world.control, WHOLE, asked_key)).key
    scope = AccountScope("workspace", "ws_one", limits)
    await stores.ledger.reserve(Reservation(hold(), (scope,)))
    made = (await make(world)).to_json()
    assert made["budgets"] == [
        {
            **{"scope": "workspace", "id": "ws_one", "unit": "tokens", "span": "day", "limit": 1000, "used": 0},
            **{"held": ASKED.tokens, "remaining": 900, "resets_at": "2026-11-22T00:00:00.000Z"},
        },
        {
            **{"scope": "workspace", "id": "ws_one", "unit": "usd", "span": "month", "limit": "10", "used": "0"},
            **{"held": "0.5", "remaining": "9.5", "resets_at": "2026-12-01T00:00:00.000Z"},
        },
        {
            **{"scope": "key", "id": made_key.id, "unit": "words", "span": "day", "limit": 70, "used": 0},
            **{"held": 0, "remaining": 70, "resets_at": "2026-11-22T00:00:00.000Z"},
        },
    ]
    assert (made["from"], made["to"], made["step"]) == ("2026-11-20T12:00:00.000Z", "2026-11-21T12:00:00.000Z", "hour")

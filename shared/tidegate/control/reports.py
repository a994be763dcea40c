"""Usage reports of a workspace: a range of days, grouped by day, model, key, application or session."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Literal, TypeAlias

from msgspec import Struct

from tidegate.control import spreadsheet
from tidegate.control.authorization import find_workspace
from tidegate.control.control import Control
from tidegate.control.logs import USE_OVERVIEW
from tidegate.domain.aggregate import answering_model
from tidegate.domain.ids import min_ulid
from tidegate.domain.managed_resources import AdminKey
from tidegate.domain.money import exact_money
from tidegate.domain.record import plain_decimal
from tidegate.domain.workspace import Workspace
from tidegate.errors import InvalidRequest

Grouping = Literal["day", "model", "key", "app", "session"]
Figures: TypeAlias = dict[str, int | str]
_Sums: TypeAlias = dict[str, int | Decimal]

MAX_DAYS = 92
MAX_RECORDS = 100_000
"""Records read for one report by model, key, app or session. A report by day reads counters, and has no such limit."""

COUNT_COLUMNS = ("calls", "calls_failed", "input_tokens", "output_tokens", "words")
_PAGE = 1000


class UsageReport(Struct, frozen=True):
    """A usage report. A row has the group's `name`, counts, and `cost_usd` as text; `total` has no name."""

    workspace_id: str
    by: Grouping
    first: date
    last: date
    rows: Sequence[Figures]
    total: Figures


async def report_usage(
    control: Control, actor: AdminKey, workspace_id: str, by: Grouping, first: date | None, last: date | None
) -> UsageReport:
    """Report the usage from the first to the last day (UTC), both included; by default this month until today."""
    workspace = await find_workspace(control, actor, workspace_id)
    today = datetime.fromtimestamp(control.clock(), UTC).date()
    last = last or max(today, first or today)
    first = first or last.replace(day=1)
    if last < first:
        raise InvalidRequest(f"The last day {last} is before the first day {first}.", param="to")
    if (last - first).days >= MAX_DAYS:
        raise InvalidRequest(f"A report covers at most {MAX_DAYS} days: for more, {USE_OVERVIEW}.", param="to")
    if by == "day":
        days = await control.usages.days(workspace.id, first.isoformat(), last.isoformat(), workspace.shards)
        sums = {day: _sums_of_counters(counters) for day, counters in days.items()}
    else:
        sums = await _sums_of_records(control, workspace, by, first, last)
    rows = [_row(name, each) for name, each in sums.items()]
    if by != "day":
        rows.sort(key=lambda row: (-Decimal(row["cost_usd"]), -int(row["calls"]), str(row["name"])))
    return UsageReport(workspace.id, by, first, last, rows, _total(sums.values()))


def to_csv(report: UsageReport) -> str:
    """Write the rows as CSV with a header."""
    columns = (*COUNT_COLUMNS, "cost_usd")
    rows = ([row["name"], *(row[column] for column in columns)] for row in report.rows)
    return spreadsheet.to_csv([report.by, *columns], rows)


async def _sums_of_records(
    control: Control, workspace: Workspace, by: Grouping, first: date, last: date
) -> dict[str, _Sums]:
    first_id, before_id = _first_id_of_day(first), _first_id_of_day(last, days=1)
    sums: dict[str, _Sums] = {}
    records_read = 0
    while records := await control.usages.records(workspace.id, first_id, before_id, _PAGE, workspace.shards):
        for record in records:
            _add_record(sums.setdefault(_group_name(by, record), {}), record)
        before_id = str(records[-1]["id"])
        records_read += len(records)
        if records_read > MAX_RECORDS:
            message = (
                f"The range has more than {MAX_RECORDS} calls: choose fewer days, group by day, or {USE_OVERVIEW}."
            )
            raise InvalidRequest(message, param="from")
    return sums


def _group_name(by: Grouping, record: Mapping[str, object]) -> str:
    match by:
        case "model":
            return answering_model(record)
        case "key":
            return str(record.get("key_id") or "")
        case "app":
            return str(record.get("app_id") or "")
        case "session":
            return str(record.get("session_id") or "")
        case "day":
            return str(record["time"])[:10]


@exact_money
def _add_record(sums: _Sums, record: Mapping[str, object]) -> None:
    counted = {"calls": 1, "calls_failed": int(record.get("status") == "failed")}
    for name in COUNT_COLUMNS:
        sums[name] = sums.get(name, 0) + counted.get(name, int(str(record.get(name) or 0)))
    sums["cost_usd"] = sums.get("cost_usd", Decimal(0)) + Decimal(str(record.get("cost_usd") or 0))


def _sums_of_counters(counters: Mapping[str, int | str]) -> _Sums:
    return {**{name: int(counters[name]) for name in COUNT_COLUMNS}, "cost_usd": Decimal(counters["cost_usd"])}


@exact_money
def _total(sums: Iterable[_Sums]) -> Figures:
    total_sums: _Sums = {}
    for each in sums:
        for name, amount in each.items():
            total_sums[name] = total_sums.get(name, 0) + amount
    return _figures(total_sums)


def _row(name: str, sums: _Sums) -> Figures:
    return {"name": name, **_figures(sums)}


def _figures(sums: _Sums) -> Figures:
    counted: Figures = {name: int(sums.get(name, 0)) for name in COUNT_COLUMNS}
    return {**counted, "cost_usd": plain_decimal(Decimal(sums.get("cost_usd", 0)))}


def _first_id_of_day(day: date, days: int = 0) -> str:
    """Return the smallest call id of the day that is `days` days after `day`, also after the last date of Python."""
    return min_ulid(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() + days * 86400)

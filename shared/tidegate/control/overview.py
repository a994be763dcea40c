"""The overview of workspaces: calls, tokens, cost and times, as a series and by name.

It reads aggregates of hours and days, and no records. These are up to five minutes old on AWS, and five seconds on one
machine.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal

from msgspec import Struct

from tidegate.control.authorization import check_scope, find_workspace
from tidegate.control.control import Control
from tidegate.control.overview_budgets import BudgetStatus, find_budgets
from tidegate.control.overview_figures import Figures, figures_of, rows_of
from tidegate.control.spreadsheet import to_csv
from tidegate.domain.aggregate import DIMENSIONS, Aggregate, Filter
from tidegate.domain.managed_resources import AdminKey
from tidegate.domain.record import iso_time
from tidegate.domain.workspace import Workspace
from tidegate.errors import InvalidRequest
from tidegate.policy.metering.roller import Aggregates

Step = Literal["hour", "day"]

DEFAULT_HOURS = 24
MAX_HOURS = 8 * 24
"""Points of a series by hour: a week, and the day before it."""

MAX_DAYS = 400
MAX_WORKSPACES = 100

_HOUR_SECONDS, _DAY_SECONDS = 3600, 86400
_STEPS: Mapping[Step, int] = {"hour": _HOUR_SECONDS, "day": _DAY_SECONDS}


class Overview(Struct, frozen=True):
    """An overview. `since` and `until` are whole hours in UTC seconds.

    A point of `series` has figures and `at`, its begin; a row of `by` has figures and `name`. Rows are by dimension,
    those with the highest cost first. Percentiles are seconds of the calls that a provider was asked for, None where
    they are not known: by session, status and error.
    """

    since: float
    until: float
    step: Step
    series: Sequence[Figures]
    totals: Figures
    by: Mapping[str, Sequence[Figures]]
    budgets: Sequence[BudgetStatus]

    def to_json(self) -> dict[str, object]:
        """Return the overview as JSON: times in ISO 8601."""
        return {
            "from": iso_time(self.since),
            "to": iso_time(self.until),
            "step": self.step,
            "series": self.series,
            "totals": self.totals,
            "by": self.by,
            "budgets": [budget.to_json() for budget in self.budgets],
        }

    def to_csv(self, dimension: str | None = None) -> str:
        """Return the rows of a dimension as CSV; None is the series."""
        rows = self.series if dimension is None else self.by[dimension]
        columns = ["at" if dimension is None else "name", *self.totals]
        return to_csv(columns, ([row[column] for column in columns] for row in rows))


class OverviewFilters(Struct, frozen=True):
    """Selects calls by their names in each dimension; None selects all. `model` is `provider/model`."""

    model: str | None = None
    provider: str | None = None
    key: str | None = None
    app: str | None = None
    endpoint: str | None = None
    session: str | None = None
    status: str | None = None
    error: str | None = None

    def selected(self) -> tuple[Filter, ...]:
        """Return the filters that are set. Raises `InvalidRequest` if they cannot be used together."""
        if self.session is not None and (self.status, self.error) != (None, None):
            message = "An overview is filtered by session, or by status and error: list the calls to see both."
            raise InvalidRequest(message, param="session")
        named = ((dimension, getattr(self, dimension)) for dimension in DIMENSIONS)
        return tuple(Filter(dimension, str(name)) for dimension, name in named if name is not None)


async def overview(
    control: Control,
    actor: AdminKey,
    workspace_ids: Sequence[str] | None = None,
    since: float | None = None,
    until: float | None = None,
    filters: OverviewFilters | None = None,
    step: Step | None = None,
) -> Overview:
    """Sum up the workspaces; None are all that `actor` may see. By default, of the last 24 hours.

    Times are UTC seconds, rounded to the whole hours around them. By default, the step is an hour up to three days.
    Raises `InvalidRequest`, `NotFound`, `AdminForbidden`.
    """
    workspaces = await _find_workspaces(control, actor, workspace_ids)
    since, until, step = _check_range(control.clock(), since, until, step)
    selected = (filters or OverviewFilters()).selected()
    points = {at: Aggregate() for at in _points(since, until, step)}
    for workspace in workspaces:
        async for at, aggregate in _read(control.aggregates, workspace.id, since, until, step):
            points[at].add(aggregate.select(selected))
            await asyncio.sleep(0)  # calls in the same process go on
    total = Aggregate()
    for aggregate in points.values():
        total.add(aggregate)
    key = filters.key if filters else None
    return Overview(
        since,
        until,
        step,
        [{"at": iso_time(at), **figures_of(aggregate)} for at, aggregate in points.items()],
        figures_of(total),
        rows_of(total),
        await find_budgets(control, workspaces, key),
    )


async def _find_workspaces(
    control: Control, actor: AdminKey, workspace_ids: Sequence[str] | None
) -> Sequence[Workspace]:
    ids = actor.workspace_ids if workspace_ids is None else workspace_ids
    if ids is None:
        check_scope(actor, "read")
        workspaces = await control.resources.page(Workspace, limit=MAX_WORKSPACES + 1)
    else:
        workspaces = [await find_workspace(control, actor, id) for id in dict.fromkeys(ids[: MAX_WORKSPACES + 1])]
    if len(workspaces) > MAX_WORKSPACES:
        raise InvalidRequest(f"An overview covers at most {MAX_WORKSPACES} workspaces: name them.", param="workspace")
    return workspaces


def _check_range(now: float, since: float | None, until: float | None, step: Step | None) -> tuple[float, float, Step]:
    """Return the range in whole hours, at most until now, and the step."""
    end = _ceil_hour(now if until is None else min(until, now))
    begin = end - DEFAULT_HOURS * _HOUR_SECONDS if since is None else since // _HOUR_SECONDS * _HOUR_SECONDS
    if begin >= end:
        raise InvalidRequest("The range is empty: `from` must be before `to`, and not in the future.", param="from")
    hours = (end - begin) / _HOUR_SECONDS
    if hours > MAX_DAYS * 24:
        raise InvalidRequest(f"An overview covers at most {MAX_DAYS} days.", param="from")
    step = step or ("hour" if hours <= 3 * 24 else "day")
    if step == "hour" and hours > MAX_HOURS:
        raise InvalidRequest(f"An overview by hour covers at most {MAX_HOURS // 24} days: use step=day.", param="step")
    return begin, end, step


async def _read(
    aggregates: Aggregates | None, workspace_id: str, since: float, until: float, step: Step
) -> AsyncIterator[tuple[float, Aggregate]]:
    """Yield the aggregates of the range, each with the begin of its point.

    Days that the range has as a whole have one aggregate, unless they are not over or have just ended.
    """
    if aggregates is None:
        return
    if step == "hour":
        spans = [(since, until)]
    else:
        first, last = _ceil_day(since), until // _DAY_SECONDS * _DAY_SECONDS
        days: Mapping[str, Aggregate] = {}
        if first < last:
            days = await aggregates.find(workspace_id, _day(first), _day(last - 1))
        for name, aggregate in days.items():
            yield _begin(name), aggregate
        summed_until = max((_begin(name) + _DAY_SECONDS for name in days), default=first)
        spans = [(since, min(first, until)), (max(since, summed_until), until)]
    for begin, end in spans:
        if begin < end:
            for name, aggregate in (await aggregates.find(workspace_id, _hour(begin), _hour(end - 1))).items():
                yield max(since, _begin(name) // _STEPS[step] * _STEPS[step]), aggregate


def _points(since: float, until: float, step: Step) -> Iterator[float]:
    at = since
    while at < until:
        yield at
        at = (at // _STEPS[step] + 1) * _STEPS[step]


def _ceil_hour(at: float) -> float:
    return -(-at // _HOUR_SECONDS) * _HOUR_SECONDS


def _ceil_day(at: float) -> float:
    return -(-at // _DAY_SECONDS) * _DAY_SECONDS


def _hour(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H")


def _day(at: float) -> str:
    return _hour(at)[:10]


def _begin(name: str) -> float:
    """Return the begin of an hour or a day, in UTC seconds."""
    return (
        datetime.fromisoformat(name if len(name) == len("2026-11-21") else f"{name}:00").replace(tzinfo=UTC).timestamp()
    )

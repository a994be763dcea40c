"""The overview of workspaces: calls, tokens, cost and times, as a series and by name.

It reads aggregates of hours and days, and no records. These are up to five minutes old on AWS, and five seconds on one
machine.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from tidegate.control.aggregate_range import Step, check_range, points_of, read_aggregates, read_hours
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

MAX_WORKSPACES = 100


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
    workspaces = await find_workspaces(control, actor, workspace_ids)
    since, until, step = check_range(control.clock(), since, until, step)
    selected = (filters or OverviewFilters()).selected()
    points: dict[float, list[Aggregate]] = {at: [] for at in points_of(since, until, step)}
    summed: list[Aggregate] = []
    for workspace in workspaces:
        if step == "hour" and not selected:
            async for at, aggregate, is_summed in read_hours(control.aggregates, workspace.id, since, until):
                summed += [aggregate] * is_summed
                if at is not None:
                    points[at].append(aggregate)
        else:
            # Names that a day has given up for `OTHER` may be in its hours: filters look there.
            async for at, aggregate in read_aggregates(control.aggregates, workspace.id, since, until, step):
                summed.append(aggregate.select(selected))
                points[at].append(summed[-1])
                await asyncio.sleep(0)  # calls in the same process go on
    total = _sum(summed)
    key = filters.key if filters else None
    return Overview(
        since,
        until,
        step,
        [{"at": iso_time(at), **figures_of(_sum(found))} for at, found in points.items()],
        figures_of(total),
        rows_of(total),
        await find_budgets(control, workspaces, key),
    )


def _sum(aggregates: Iterable[Aggregate]) -> Aggregate:
    total = Aggregate()
    total.add(*aggregates)
    return total


async def find_workspaces(
    control: Control, actor: AdminKey, workspace_ids: Sequence[str] | None
) -> Sequence[Workspace]:
    """Return the workspaces, at most `MAX_WORKSPACES`; None are all that `actor` may see.

    Raises `InvalidRequest`, `NotFound`, `AdminForbidden`.
    """
    ids = actor.workspace_ids if workspace_ids is None else workspace_ids
    if ids is None:
        check_scope(actor, "read")
        workspaces = await control.resources.page(Workspace, limit=MAX_WORKSPACES + 1)
    else:
        workspaces = [await find_workspace(control, actor, id) for id in dict.fromkeys(ids[: MAX_WORKSPACES + 1])]
    if len(workspaces) > MAX_WORKSPACES:
        raise InvalidRequest(f"An overview covers at most {MAX_WORKSPACES} workspaces: name them.", param="workspace")
    return workspaces

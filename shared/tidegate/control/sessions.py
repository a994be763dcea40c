"""Sessions of a workspace: a list from aggregates, and one session as a tree of agents and their calls.

Records have no index by session. Aggregates of days name the days in which a session has calls, those of hours the
hours, and only records of these hours are read. Hours that are not rolled up yet are read as well.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from decimal import Decimal
from math import inf
from typing import Literal

from msgspec import Struct

from tidegate.control.aggregate_range import Step, begin_of, check_range, day_name, hour_name, read_aggregates
from tidegate.control.authorization import find_workspace
from tidegate.control.control import Control
from tidegate.control.logs import MAX_DAYS, USE_OVERVIEW, check_cursor
from tidegate.control.overview_figures import Figures, sums_of
from tidegate.control.session_tree import SessionTree, make_tree
from tidegate.domain.aggregate import OTHER, Aggregate
from tidegate.domain.ids import min_ulid, ulid_time
from tidegate.domain.managed_resources import AdminKey
from tidegate.domain.record import iso_time
from tidegate.domain.workspace import Workspace
from tidegate.errors import InvalidRequest, NotFound
from tidegate.policy.metering.roller import LATE_SECONDS, Aggregates

Order = Literal["cost", "calls", "recent"]

DEFAULT_DAYS = 31
"""The range in which a session is looked up by default."""

MAX_SESSIONS = 100
MAX_CALLS = 2_000
"""Calls of one page of a session: about 2 MB of records, and Lambda's replies are at most 6 MB."""

MAX_SEARCHED_RECORDS = 10_000
"""Records read for one page, about 0.6 s: with few calls of the session among them, the page is short."""

NEAR_SECONDS = 3 * 3600.0
"""How far from hours that name a session others are searched: people and their agents pause for hours."""

_AHEAD_SECONDS = 60.0
"""Calls of machines whose clocks are ahead have begun after now."""

_PAGE = 1_000
_HOUR_SECONDS, _DAY_SECONDS = 3600, 86400


class SessionList(Struct, frozen=True):
    """Sessions of a range of whole hours, in UTC seconds.

    A row has sums, `session_id`, `models`, and `first_at` and `last_at`: the begins of the first and the last hour, or
    day, with calls. `other` are the sums of sessions that the aggregates do not name, `without_session` those of calls
    without a session; None if there are no such calls. `more` sessions are not listed.
    """

    since: float
    until: float
    step: Step
    rows: Sequence[Mapping[str, object]]
    more: int
    other: Figures | None
    without_session: Figures | None

    def to_json(self) -> dict[str, object]:
        """Return the list as JSON: times in ISO 8601."""
        return {
            "from": iso_time(self.since),
            "to": iso_time(self.until),
            "step": self.step,
            "data": self.rows,
            "more": self.more,
            "other": self.other,
            "without_session": self.without_session,
        }


class Session(Struct, frozen=True):
    """One page of a session. `total` are the sums of all its calls that are rolled up; None if there are none.

    `cursor` leads to older calls; it is None on the last page. `hours_left_out` were not searched: their aggregates do
    not name all sessions, and they are hours away from those that name this one.
    """

    session_id: str
    since: float
    until: float
    tree: SessionTree
    total: Figures | None
    cursor: str | None
    hours_left_out: int = 0

    def to_json(self) -> dict[str, object]:
        """Return the session as JSON: times in ISO 8601, money as text."""
        return {
            "session_id": self.session_id,
            "from": iso_time(self.since),
            "to": iso_time(self.until),
            **self.tree.to_json(),
            "total": self.total,
            "searched_since": iso_time(self.since if self.cursor is None else ulid_time(self.cursor)),
            "hours_left_out": self.hours_left_out,
            "next_cursor": self.cursor,
        }


async def list_sessions(
    control: Control,
    actor: AdminKey,
    workspace_id: str,
    since: float | None = None,
    until: float | None = None,
    order: Order = "cost",
) -> SessionList:
    """List the first `MAX_SESSIONS` sessions of a range, by default of the last 24 hours.

    Raises `InvalidRequest`, `NotFound`, `AdminForbidden`.
    """
    workspace = await find_workspace(control, actor, workspace_id)
    since, until, step = check_range(control.clock(), since, until, None)
    sessions: dict[str, _Sums] = {}
    async for at, aggregate in read_aggregates(control.aggregates, workspace.id, since, until, step):
        for name, group in aggregate.group("session").items():
            sessions.setdefault(name, _Sums(at)).add(at, group)
        await asyncio.sleep(0)  # calls in the same process go on
    other, without = (sessions.pop(name, None) for name in (OTHER, ""))
    rows = [_row(name, sums) for name, sums in sessions.items()]
    rows.sort(key=lambda row: _rank(row, order), reverse=True)
    unnamed = (None if sums is None else sums_of(sums.total) for sums in (other, without))
    return SessionList(since, until, step, rows[:MAX_SESSIONS], max(0, len(rows) - MAX_SESSIONS), *unnamed)


async def find_session(
    control: Control,
    actor: AdminKey,
    workspace_id: str,
    session_id: str,
    since: float | None = None,
    until: float | None = None,
    cursor: str | None = None,
) -> Session:
    """Return a page of the session's calls in a range, by default of the last `DEFAULT_DAYS` days.

    Without `since`, hours far away from the session's own are left out. The first page has
    the newest calls. Raises `InvalidRequest`, `AdminForbidden`, and `NotFound`, also for a session without calls in the
    range.
    """
    check_cursor(cursor)
    workspace = await find_workspace(control, actor, workspace_id)
    now = control.clock()
    until = min(now + _AHEAD_SECONDS, inf if until is None else until)
    names_range = since is not None
    since = until - DEFAULT_DAYS * _DAY_SECONDS if since is None else since
    if until - since > MAX_DAYS * _DAY_SECONDS:
        message = f"A session is looked up in at most {MAX_DAYS} days: for more, {USE_OVERVIEW}."
        raise InvalidRequest(message, param="from")
    hours, unsure, total = await _find_hours(
        control.aggregates, workspace.id, session_id, since, until, names_range=names_range
    )
    near = [at for at in unsure if names_range or not hours or _is_near(at, hours)]
    left_out = len(unsure) - len(near)
    hours += near
    hours += [at for at in _open_hours(now) if at not in hours and since < at + _HOUR_SECONDS and at < until]
    calls, cursor_after = await _read_calls(control, workspace, session_id, (since, until, sorted(hours)), cursor)
    if not calls and cursor is None and cursor_after is None:
        message = f"No call of this workspace has the session {session_id[:80]!r} in this range, or none has ended yet."
        raise NotFound(message, param="id")
    sums = sums_of(total) if total.calls else None
    return Session(session_id, since, until, make_tree(calls), sums, cursor_after, left_out)


class _Sums:
    """Sums of a session, and the begins of the first and the last point in which it has calls."""

    def __init__(self, at: float) -> None:
        self.first, self.last, self.total = at, at, Aggregate()

    def add(self, at: float, aggregate: Aggregate) -> None:
        self.first, self.last = min(self.first, at), max(self.last, at)
        self.total.add(aggregate)


def _rank(row: Mapping[str, object], order: Order) -> tuple[object, ...]:
    """Return what rows are sorted by, the largest first."""
    cost, calls, last_at = Decimal(str(row["cost_usd"])), row["calls"], row["last_at"]
    first = {"cost": (cost, calls), "calls": (calls, cost), "recent": (last_at, cost)}
    return *first[order], row["session_id"]


def _row(session_id: str, sums: _Sums) -> Mapping[str, object]:
    return {
        "session_id": session_id,
        **sums_of(sums.total),
        "models": sorted(sums.total.group("model")),
        "first_at": iso_time(sums.first),
        "last_at": iso_time(sums.last),
    }


async def _find_hours(
    aggregates: Aggregates | None, workspace_id: str, session_id: str, since: float, until: float, *, names_range: bool
) -> tuple[list[float], list[float], Aggregate]:
    """Return the begins of hours with calls of the session, those of hours that may have some, and its sums.

    An aggregate may not name a session: it is in `OTHER` then. Unless the caller names a range, days that do not name
    the session are not looked at if they are not next to those that do: their hours may have some.
    """
    total, hours, unsure = Aggregate(), list[float](), list[float]()
    if aggregates is None or since >= until:
        return hours, unsure, total
    days = await aggregates.find(workspace_id, day_name(since), day_name(until))
    without = {name for name, aggregate in days.items() if not _may_have(aggregate, session_id)}
    named = [begin_of(name) for name, aggregate in days.items() if session_id in aggregate.group("session")]
    if named and not names_range:
        first, last = min(named) - _DAY_SECONDS, max(named) + _DAY_SECONDS
        far = {name for name in days.keys() - without if not first <= begin_of(name) <= last}
        unsure += [begin_of(name) + hour * _HOUR_SECONDS for name in far for hour in range(24)]
        without |= far
    for begin, end in _spans_without(since, until, without):
        found = await aggregates.find(workspace_id, hour_name(begin), hour_name(end - 1))
        for name, aggregate in found.items():
            names = aggregate.group("session")
            if session_id in names:
                hours.append(begin_of(name))
                total.add(names[session_id])
            elif OTHER in names:
                unsure.append(begin_of(name))
        await asyncio.sleep(0)
    return hours, unsure, total


def _is_near(at: float, hours: Sequence[float]) -> bool:
    return min(hours) - NEAR_SECONDS <= at <= max(hours) + NEAR_SECONDS


def _may_have(aggregate: Aggregate, session_id: str) -> bool:
    names = aggregate.group("session")
    return session_id in names or OTHER in names


def _spans_without(since: float, until: float, days: set[str]) -> list[tuple[float, float]]:
    """Return the range without these days."""
    spans, at = list[tuple[float, float]](), since
    while at < until:
        end = min(until, (at // _DAY_SECONDS + 1) * _DAY_SECONDS)
        if day_name(at) not in days:
            spans.append((at, end))
        at = end
    return _joined(spans)


def _open_hours(now: float) -> list[float]:
    """Return the begins of the hours whose aggregates may still lack calls."""
    hour = now // _HOUR_SECONDS * _HOUR_SECONDS
    return [hour] if now - hour >= LATE_SECONDS else [hour - _HOUR_SECONDS, hour]


def _joined(spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Join spans that follow each other."""
    joined = list[tuple[float, float]]()
    for begin, end in spans:
        if joined and joined[-1][1] == begin:
            joined[-1] = joined[-1][0], end
        else:
            joined.append((begin, end))
    return joined


async def _read_calls(
    control: Control,
    workspace: Workspace,
    session_id: str,
    hours: tuple[float, float, Sequence[float]],
    cursor: str | None,
) -> tuple[list[Mapping[str, object]], str | None]:
    """Return the calls of a page, the newest first, and the cursor to older ones."""
    calls, searched = list[Mapping[str, object]](), 0
    async for records in _pages(control, workspace, hours, cursor):
        searched += len(records)
        for record in records:
            if record.get("session_id") == session_id:
                calls.append(record)
                if len(calls) == MAX_CALLS:
                    return calls, str(record["id"])
        if searched >= MAX_SEARCHED_RECORDS:
            return calls, str(records[-1]["id"])
    return calls, None


async def _pages(
    control: Control, workspace: Workspace, hours: tuple[float, float, Sequence[float]], cursor: str | None
) -> AsyncIterator[Sequence[Mapping[str, object]]]:
    """Yield the records of hours within a range, the newest first."""
    since, until, begins = hours
    for begin, end in reversed(_joined([(at, at + _HOUR_SECONDS) for at in begins])):
        first_id, before_id = min_ulid(max(begin, since)), min_ulid(min(end, until))
        before_id = min(before_id, cursor or before_id)
        while first_id < before_id and (
            records := await control.usages.records(workspace.id, first_id, before_id, _PAGE, workspace.shards)
        ):
            yield records
            before_id = str(records[-1]["id"])
            if len(records) < _PAGE:
                break

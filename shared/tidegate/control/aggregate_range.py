"""Ranges of whole hours and days, and the aggregates in them."""

from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime
from typing import Literal, TypeAlias

from tidegate.domain.aggregate import Aggregate
from tidegate.errors import InvalidRequest
from tidegate.policy.metering.roller import Aggregates

Step = Literal["hour", "day"]

DEFAULT_HOURS = 24
MAX_HOURS = 8 * 24
"""Points of a series by hour: a week, and the day before it."""

MAX_DAYS = 400

_HOUR_SECONDS, _DAY_SECONDS = 3600, 86400
_STEPS: Mapping[Step, int] = {"hour": _HOUR_SECONDS, "day": _DAY_SECONDS}


def check_range(now: float, since: float | None, until: float | None, step: Step | None) -> tuple[float, float, Step]:
    """Return the range in whole hours, at most until now, and the step. Raises `InvalidRequest`."""
    end = _ceil_hour(now if until is None else min(until, now))
    begin = end - DEFAULT_HOURS * _HOUR_SECONDS if since is None else since // _HOUR_SECONDS * _HOUR_SECONDS
    if begin >= end:
        raise InvalidRequest("The range is empty: `from` must be before `to`, and not in the future.", param="from")
    hours = (end - begin) / _HOUR_SECONDS
    if hours > MAX_DAYS * 24:
        raise InvalidRequest(f"A range has at most {MAX_DAYS} days.", param="from")
    step = step or ("hour" if hours <= 3 * 24 else "day")
    if step == "hour" and hours > MAX_HOURS:
        raise InvalidRequest(f"An overview by hour covers at most {MAX_HOURS // 24} days: use step=day.", param="step")
    return begin, end, step


async def read_aggregates(
    aggregates: Aggregates | None, workspace_id: str, since: float, until: float, step: Step
) -> AsyncIterator[tuple[float, Aggregate]]:
    """Yield the aggregates of the range, each with the begin of its point.

    Days that the range has as a whole have one aggregate, unless they are not over or have just ended.
    """
    if aggregates is None:
        return
    spans = [(since, until)]
    if step == "day":
        days, spans, _ = await _read_days(aggregates, workspace_id, since, until)
        for begin, aggregate in days:
            yield begin, aggregate
    for begin, end in spans:
        for at, aggregate in await _read_hours(aggregates, workspace_id, begin, end):
            yield max(since, at // _STEPS[step] * _STEPS[step]), aggregate


async def read_hours(
    aggregates: Aggregates | None, workspace_id: str, since: float, until: float
) -> AsyncIterator[tuple[float | None, Aggregate, bool]]:
    """Yield the aggregates of the hours, and those of whole days, which take less time to be summed up in their place.

    Each comes with its begin, None for a day, and with True if the total of the range includes it. Hours of these days
    are without sessions.
    """
    if aggregates is None:
        return
    days, spans, whole_days = await _read_days(aggregates, workspace_id, since, until)
    for _, aggregate in days:
        yield None, aggregate, True
    for begin, end in spans:
        for at, aggregate in await _read_hours(aggregates, workspace_id, begin, end):
            yield at, aggregate, True
    for at, aggregate in await _read_hours(aggregates, workspace_id, *whole_days, has_sessions=False):
        yield at, aggregate, False


_Span: TypeAlias = tuple[float, float]
_Found: TypeAlias = list[tuple[float, Aggregate]]


async def _read_days(
    aggregates: Aggregates, workspace_id: str, since: float, until: float
) -> tuple[_Found, list[_Span], _Span]:
    """Return the aggregates of whole days, the spans that these do not cover, and the span that they cover."""
    first, last = _ceil_day(since), until // _DAY_SECONDS * _DAY_SECONDS
    days: Mapping[str, Aggregate] = {}
    if first < last:
        days = await aggregates.find(workspace_id, day_name(first), day_name(last - 1))
    found = [(begin_of(name), aggregate) for name, aggregate in days.items()]
    summed_until = max((begin + _DAY_SECONDS for begin, _ in found), default=first)
    return found, [(since, min(first, until)), (max(since, summed_until), until)], (first, summed_until)


async def _read_hours(
    aggregates: Aggregates, workspace_id: str, begin: float, end: float, *, has_sessions: bool = True
) -> _Found:
    if begin >= end:
        return []
    names = hour_name(begin), hour_name(end - 1)
    found = await aggregates.find(workspace_id, *names, has_sessions=has_sessions)
    return [(begin_of(name), aggregate) for name, aggregate in found.items()]


def points_of(since: float, until: float, step: Step) -> Iterator[float]:
    """Yield the begins of the points of a series."""
    at = since
    while at < until:
        yield at
        at = (at // _STEPS[step] + 1) * _STEPS[step]


def hour_name(at: float) -> str:
    """Return the name of the hour of a time: "2026-11-21T12"."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H")


def day_name(at: float) -> str:
    """Return the name of the day of a time: "2026-11-21"."""
    return hour_name(at)[:10]


def begin_of(name: str) -> float:
    """Return the begin of an hour or a day, in UTC seconds."""
    return (
        datetime.fromisoformat(name if len(name) == len("2026-11-21") else f"{name}:00").replace(tzinfo=UTC).timestamp()
    )


def _ceil_hour(at: float) -> float:
    return -(-at // _HOUR_SECONDS) * _HOUR_SECONDS


def _ceil_day(at: float) -> float:
    return -(-at // _DAY_SECONDS) * _DAY_SECONDS

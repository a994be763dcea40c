"""The roller: makes an aggregate of each hour and day of a workspace from its call records, never while a call waits.

An hour is made anew from its records as long as it changes, so that a repetition does no harm. Records may come late:
a call's when it ends, a part of a batch's days after its start. The counters of a day show it: they have each call that
has a record. A day whose aggregates have fewer calls than its counters is made anew.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from math import inf
from typing import Protocol

from msgspec import Struct, field

from tidegate.domain.aggregate import Aggregate, Record
from tidegate.domain.ids import min_ulid
from tidegate.domain.record import RETENTION_SECONDS
from tidegate.domain.workspace import Workspace

LATE_SECONDS = 25 * 60.0
"""How long after its start a call is usually on record: its 15 minutes, one to settle, and two runs of the sweeper."""

LATE_DAYS = 10
"""Days whose counters are compared in each roll: a record of a batch comes up to eight days after its start."""

PAUSE_FACTOR = 20
"""Pause after a roll, in times of what it took: the roller of a busy workspace works a twentieth of the time."""

SERVER_PAUSE_FACTOR = 100
"""Pause after a roll in a process that answers calls: a roll of its last 10,000 calls takes 0.25 seconds (2026-11)."""

HOUR_SECONDS = 40.0
"""How long after the end of its time a roll may go on with the hour that it has begun."""

PAGE_RECORDS = 1000
"""Records read at once: about a megabyte, which is DynamoDB's limit."""

RECORDS_IN_A_TURN = 50
"""Records that are summed up in one turn of the event loop, which calls need on one machine: 1 ms."""

log = logging.getLogger(__name__)

_HOUR_SECONDS, _DAY_HOURS = 3600, 24


class RollProgress(Struct):
    """How far the aggregates of a workspace are. `version` counts the writes.

    `rolled_at` is the start of the last roll that read records, in UTC seconds, and `seconds` is what it took.
    `verified` are the calls of the counters by day, as compared last; `hours` are the calls of a day's
    24 aggregates. Days of `open_days` have no aggregate of the whole day yet. Days of `pending` are made anew, the
    first of them from its `pending_hour` on. `has_part`: an hour was summed in part, when the time was up.
    """

    version: int = 0
    rolled_at: float = 0.0
    seconds: float = 0.0
    verified: dict[str, int] = field(default_factory=dict[str, int])
    hours: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    open_days: list[str] = field(default_factory=list[str])
    pending: list[str] = field(default_factory=list[str])
    pending_hour: int = 0
    has_part: bool = False


class RollPart(Struct, frozen=True):
    """A part of the sums of an hour: of the records in the shards before `shard`, and in this one up to `after`."""

    hour: str
    shard: int
    after: str
    aggregate: Aggregate


class RollCounts(Struct):
    """Counts of rolls: the hours that were summed up, and the days that are left for the next time."""

    hours: int = 0
    pending_days: int = 0


class Aggregates(Protocol):
    """The stored aggregates. Names are hours ("2026-11-21T12") or days ("2026-11-21"). All raise `StoreUnavailable`."""

    async def find(
        self, workspace_id: str, first: str, last: str, *, has_sessions: bool = True
    ) -> Mapping[str, Aggregate]:
        """Return the aggregates of the hours, or of the days, from the first to the last, by name and in order.

        Those without sessions are found in a third of the time.
        """
        ...

    async def replace(self, workspace_id: str, name: str, aggregate: Aggregate, rolled_at: float) -> None:
        """Store the aggregate, unless the stored one was rolled later: that one has read more records."""
        ...

    async def delete_all(self, workspace_id: str) -> None:
        """Delete all aggregates of the workspace, and its progress. May be repeated after a failure."""
        ...


class RollStore(Aggregates, Protocol):
    """Stored aggregates, progress and records, as the roller uses them."""

    async def find_progress(self, workspace_id: str) -> RollProgress | None: ...

    async def save_progress(self, workspace_id: str, progress: RollProgress) -> None:
        """Store the progress as the next version, unless another roller has stored that version."""
        ...

    async def find_part(self, workspace_id: str) -> RollPart | None: ...

    async def save_part(self, workspace_id: str, part: RollPart) -> None:
        """Store the part in place of the last one."""
        ...

    async def count_calls(self, workspace_id: str, first: str, last: str, shards: int) -> Mapping[str, int]:
        """Return the calls that the counters have, by day from the first to the last; days without calls are absent."""
        ...

    async def scan(self, workspace_id: str, shard: int, after: str, before: str, limit: int) -> Sequence[Record]:
        """Return records of a shard with ids strictly between `after` and `before`, the oldest first."""
        ...


class Roller(Struct, frozen=True):
    """Rolls up the records of one workspace after the other, `page_records` at a time."""

    store: RollStore
    clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    page_records: int = PAGE_RECORDS
    pause_factor: int = PAUSE_FACTOR

    async def roll(self, workspace: Workspace, stop_at: float = inf, counts: RollCounts | None = None) -> bool:
        """Bring the aggregates up to date. False if `stop_at`, a time of `monotonic`, came before the end.

        Adds to `counts` what it has done.
        An hour that has begun by then may take `HOUR_SECONDS` more. Reads counters, and records only if these have
        changed. Raises `StoreUnavailable`.
        """
        now, begun_at = self.clock(), self.monotonic()
        progress = await self.store.find_progress(workspace.id) or RollProgress()
        if not progress.pending and 0 <= now - progress.rolled_at < self.pause_factor * progress.seconds:
            return True
        counts = counts or RollCounts()
        run = _Run(self, workspace, progress, now, stop_at, counts)
        changed = await run.find_changed_days()
        if not changed and not progress.pending and not run.ended_days():
            return True
        for day, calls in changed.items():
            await run.roll_changed_day(day, calls)
        await run.roll_pending_days()
        await run.roll_ended_days()
        run.forget_old_days()
        progress.rolled_at, progress.seconds = now, self.monotonic() - begun_at
        await self.store.save_progress(workspace.id, progress)
        counts.pending_days += len(progress.pending)
        if progress.pending:
            log.info("roller.unfinished", extra={"workspace_id": workspace.id, "days": len(progress.pending)})
        return not progress.pending


class _Run(Struct):
    """One roll of one workspace."""

    roller: Roller
    workspace: Workspace
    progress: RollProgress
    now: float
    stop_at: float
    counts: RollCounts

    async def find_changed_days(self) -> dict[str, int]:
        """Return the calls of the days, by their counters, whose aggregates may lack some; the newest first.

        Looks at the days whose records may come late; the first time, at all days that have records.
        """
        progress, today = self.progress, _day_at(self.now)
        if progress.version:
            first = min(today, _day_at(progress.rolled_at)) - timedelta(days=LATE_DAYS)
        else:
            first = today - timedelta(seconds=RETENTION_SECONDS)
        workspace = self.workspace
        days = await self.roller.store.count_calls(workspace.id, first.isoformat(), today.isoformat(), workspace.shards)
        newest_first = sorted(days.items(), reverse=True)
        return {day: calls for day, calls in newest_first if calls != progress.verified.get(day)}

    async def roll_changed_day(self, day: str, calls: int) -> None:
        """Roll the hours in which calls have been running since the last roll; all of the day, if that is not all."""
        progress = self.progress
        since = progress.rolled_at - LATE_SECONDS
        is_complete = bool(progress.version)
        if is_complete:
            for hour in range(_DAY_HOURS):
                begin = _begin_of(day, hour)
                if since < begin + _HOUR_SECONDS and begin <= self.now:
                    is_complete = is_complete and await self._roll_hour(day, hour)
        found = sum(progress.hours.get(day, ()))
        if not is_complete or found < calls:
            is_first = progress.pending[:1] == [day] and not progress.pending_hour and not progress.has_part
            if not is_first and day not in progress.pending[1:]:
                progress.pending.append(day)
        # Calls that came since the counters were read may hide missing ones: then the counters have changed next time.
        progress.verified[day] = calls

    async def roll_pending_days(self) -> None:
        """Roll all hours of the pending days, until the time is up."""
        progress = self.progress
        while progress.pending:
            day = progress.pending[0]
            for hour in range(progress.pending_hour, _DAY_HOURS):
                if _begin_of(day, hour) <= self.now and not await self._roll_hour(day, hour):
                    return
                progress.pending_hour = hour + 1
            progress.pending.pop(0)
            progress.pending_hour = 0

    def ended_days(self) -> list[str]:
        """Return the days that are over, and whose aggregate of the whole day is not up to date."""
        progress, today = self.progress, _day_at(self.now).isoformat()
        return [day for day in progress.open_days if day < today and day not in progress.pending]

    async def roll_ended_days(self) -> None:
        """Make the aggregates of whole days from those of their hours."""
        store = self.roller.store
        for day in self.ended_days():
            total = Aggregate()
            total.add(*(await store.find(self.workspace.id, f"{day}T00", f"{day}T23")).values())
            total.fold()
            await store.replace(self.workspace.id, day, total, self.now)
            self.progress.open_days.remove(day)

    def forget_old_days(self) -> None:
        """Leave out of the progress the days that are not compared any more."""
        progress = self.progress
        first = (_day_at(self.now) - timedelta(days=LATE_DAYS)).isoformat()
        progress.verified = {day: calls for day, calls in progress.verified.items() if day >= first}
        progress.hours = {
            day: calls for day, calls in progress.hours.items() if day >= first or day in progress.pending
        }

    async def _roll_hour(self, day: str, hour: int) -> bool:
        """Make the aggregate of an hour; False if the time was up before.

        An aggregate never loses calls: its records may have expired.
        """
        is_too_late = self.roller.monotonic() >= self.stop_at
        aggregate = None if is_too_late else await self._aggregate_hour(f"{day}T{hour:02}", _begin_of(day, hour))
        if aggregate is None:
            return False
        calls_by_hour = self.progress.hours.setdefault(day, [0] * _DAY_HOURS)
        calls = aggregate.calls
        if calls and calls >= calls_by_hour[hour]:
            aggregate.fold()
            await self.roller.store.replace(self.workspace.id, f"{day}T{hour:02}", aggregate, self.now)
            calls_by_hour[hour] = calls
            self.counts.hours += 1
            if day not in self.progress.open_days:
                self.progress.open_days.append(day)
        return True

    async def _aggregate_hour(self, name: str, begin: float) -> Aggregate | None:
        """Return the aggregate of an hour. If the time is up before, keep the part for the next roll, and return None.

        Records that come late into a part are missing in the aggregate: the counters show it, and the day is made anew.
        """
        store, start, before = self.roller.store, min_ulid(begin), min_ulid(begin + _HOUR_SECONDS)
        part = await store.find_part(self.workspace.id) if self.progress.has_part else None
        if part is None or part.hour != name:
            part = RollPart(name, 0, start, Aggregate())
        else:
            self.progress.has_part = False
        total, after, limit = part.aggregate, part.after, self.roller.page_records
        for shard in range(part.shard, self.workspace.shards):
            while True:
                if self.roller.monotonic() >= self.stop_at + HOUR_SECONDS:
                    total.fold()
                    await store.save_part(self.workspace.id, RollPart(name, shard, after, total))
                    self.progress.has_part = True
                    return None
                records = await store.scan(self.workspace.id, shard, after, before, limit)
                for index, record in enumerate(records):
                    if index % RECORDS_IN_A_TURN == 0:
                        await asyncio.sleep(0)
                    total.add_record(record)
                if len(records) < limit:
                    break
                after = str(records[-1]["id"])
            after = start
        return total


def _day_at(at: float) -> date:
    return datetime.fromtimestamp(at, UTC).date()


def _begin_of(day: str, hour: int) -> float:
    return datetime.fromisoformat(f"{day}T{hour:02}:00:00+00:00").timestamp()

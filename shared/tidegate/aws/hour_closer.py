"""Closes hours that are over: counts their calls anew by their records, and adds them to the counters of their day.

While an hour is open, a call is counted by a write of its own, after that of its record. A process that died between
the two has left a record that nobody has counted. An hour is closed when no call of it can be in progress:

1. `closed` is set in the hour's counters. From then on no call is counted in them.
2. The records that were counted in hours (`COUNTED_HOURLY`) are summed up.
3. The sums are added to the day, whose attribute `hours` is the condition: this happens once.

Each step may be repeated, and several processes may close the same hour. Hours are found by their records, one after
the other from the last that was closed.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

from msgspec import Struct

from tidegate.aws.counters import ADDED_HOURS, counters_name, counters_range
from tidegate.aws.expressions import Attr, Update, add_all
from tidegate.aws.store import ConditionFailed, Store
from tidegate.aws.table import COUNTED_HOURLY, counters_item_key, workspace_partition
from tidegate.domain.account import add_amounts
from tidegate.domain.aggregate import Record
from tidegate.domain.ids import min_ulid, ulid_time
from tidegate.domain.limits import Number
from tidegate.domain.record import COUNTERS, counter_hour, stored_increments
from tidegate.domain.workspace import Workspace
from tidegate.policy.metering.roller import LATE_DAYS, LATE_SECONDS, PAGE_RECORDS

log = logging.getLogger(__name__)

ADDED_HOURS_ATTRIBUTES = ("pk", "sk", "ttl", ADDED_HOURS)

Scan = Callable[[str, int, str, str, int], Awaitable[Sequence[Record]]]
"""See `RollStore.scan`."""

_HOUR_SECONDS, _DAY_SECONDS = 3600, 86400

_FIRST_SECONDS = 2 * _DAY_SECONDS
"""How far back records are looked for in a workspace none of whose hours was ever closed."""

_KEPT_SECONDS = _DAY_SECONDS
"""How long the counters of a closed hour are kept, so that a write which comes very late is refused."""


class HourCloser(Struct, frozen=True):
    """Closes the hours of one workspace after the other; reads `page_records` at once."""

    store: Store
    scan: Scan
    page_records: int = PAGE_RECORDS
    monotonic: Callable[[], float] = time.monotonic

    async def close(self, workspace: Workspace, stop_at: float) -> int:
        """Close the workspace's hours that are over, and return how many. Ends early at `stop_at` of `monotonic`.

        Raises `StoreUnavailable`.
        """
        if self.store.client.prefers_transactions:  # nothing is counted in hours
            return 0
        closed, end = 0, _hour_of(self.store.clock() - LATE_SECONDS)
        for shard in range(workspace.shards):
            added = await self._added_hours(workspace.id, shard)
            begin = _last_end(added) or end - _FIRST_SECONDS
            while begin < end and self.monotonic() < stop_at:
                oldest = await self.scan(workspace.id, shard, min_ulid(begin), min_ulid(end), 1)
                if not oldest:
                    break
                begin = _hour_of(ulid_time(str(oldest[0]["id"])))
                if not await self._close_hour(workspace.id, shard, begin, added):
                    break  # another process closes them
                closed += 1
                begin += _HOUR_SECONDS
        return closed

    async def _added_hours(self, workspace_id: str, shard: int) -> dict[str, int]:
        """The attribute `hours` of the last days, by day."""
        now = self.store.clock()
        bounds = counters_range(_day_of(now - LATE_DAYS * _DAY_SECONDS), _day_of(now))
        partition = workspace_partition(workspace_id, shard)
        items = await self.store.query_range(partition, *bounds, attributes=ADDED_HOURS_ATTRIBUTES)
        return {counters_name(item).day: int(str(item[ADDED_HOURS])) for item in items if ADDED_HOURS in item}

    async def _close_hour(self, workspace_id: str, shard: int, begin: int, added: dict[str, int]) -> bool:
        """Add the hour to its day, whose hours so far are in `added`. False if another process has changed these."""
        hour_name, day = counter_hour(begin), _day_of(begin)
        expires_at = int(self.store.clock()) + _KEPT_SECONDS
        fence = Attr("closed").set(True) & Attr("ttl").set(expires_at)
        hour_key = counters_item_key(workspace_id, hour_name, shard)._asdict()
        counted = await self.store.update(Update(self.store.table, dict(hour_key), fence))
        sums = await self._sum_records(workspace_id, shard, begin)
        if any(int(str(counted.get(name, 0))) != sums.get(name, 0) for name in COUNTERS):
            log.warning("counters.corrected", extra={"workspace_id": workspace_id, "hour": hour_name})
        before, hours = added.get(day, 0), Attr(ADDED_HOURS)
        after = before | 1 << begin // _HOUR_SECONDS % 24
        is_unchanged = hours.equals(before) if before else hours.does_not_exist()
        key = counters_item_key(workspace_id, f"D#{day}", shard)._asdict()
        try:
            await self.store.update(Update(self.store.table, dict(key), hours.set(after) & add_all(sums), is_unchanged))
        except ConditionFailed:
            return False
        added[day] = after
        return True

    async def _sum_records(self, workspace_id: str, shard: int, begin: int) -> dict[str, Number]:
        after, before = min_ulid(begin), min_ulid(begin + _HOUR_SECONDS)
        sums: dict[str, Number] = {}
        while True:
            records = await self.scan(workspace_id, shard, after, before, self.page_records)
            for record in records:
                if COUNTED_HOURLY in record:
                    add_amounts(sums, stored_increments(record))
            if len(records) < self.page_records:
                return sums
            after = str(records[-1]["id"])


def _hour_of(at: float) -> int:
    return int(at // _HOUR_SECONDS * _HOUR_SECONDS)


def _day_of(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).date().isoformat()


def _last_end(added: dict[str, int]) -> int:
    """The end of the last hour that was added to its day; 0 if none was."""
    last = max((day for day, hours in added.items() if hours), default=None)
    if last is None:
        return 0
    begin = int(datetime.fromisoformat(f"{last}T00:00:00+00:00").timestamp())
    return begin + added[last].bit_length() * _HOUR_SECONDS

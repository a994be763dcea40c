"""Aggregates of call records in the table, and the run of the roller over all workspaces.

| attribute | content |
|---|---|
| `document` | the compressed aggregate of an hour or a day; of the progress, JSON |
| `rolled_at` | the start of the roll that made it; an aggregate is never replaced by one of an earlier roll |
| `version` | of the progress, the version that the next write must name |
| `hour`, `shard`, `after` | of a part of an hour, how far it reaches |
| `ttl` | when it expires |
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import cast

import msgspec
from msgspec import Struct
from msgspec.structs import asdict

from tidegate.aws.counters import ADDED_HOURS, find_day_counters
from tidegate.aws.expressions import Attr, Delete, Put
from tidegate.aws.hour_closer import HourCloser
from tidegate.aws.store import ConditionFailed, Item, ItemKey, Store
from tidegate.aws.table import (
    CALLS_PREFIX,
    COUNTED_HOURLY,
    WORKSPACES_PARTITION,
    aggregate_item_key,
    aggregates_partition,
    roll_part_item_key,
    roll_progress_item_key,
    workspace_from_item,
    workspace_partition,
)
from tidegate.domain.aggregate import Aggregate, Record
from tidegate.domain.aggregate_document import decode_aggregate, encode_aggregate
from tidegate.domain.record import RETENTION_SECONDS
from tidegate.errors import StoreUnavailable
from tidegate.policy.metering.roller import SERVER_PAUSE_FACTOR, RollCounts, Roller, RollPart, RollProgress

log = logging.getLogger(__name__)

DAY_RETENTION_SECONDS = 1100 * 86400
"""Aggregates of days are kept for three years, those of hours as long as records: `RETENTION_SECONDS`."""

RECORD_ATTRIBUTES = (
    *("pk", "sk", "ttl", "id", "model", "provider", "answered_model", "key_id", "app_id", "endpoint", "session_id"),
    *("status", "error_code", "attempts", "seconds", "first_event_seconds", "cost_usd", "lines", "lines_failed"),
    *("input_tokens", "output_tokens", "cached_tokens", "written_tokens", "reasoning_tokens", "searches"),
    *("words", "input_words", COUNTED_HOURLY),
)
"""The attributes that the roller reads of a record. The keeper's role allows no others in the partitions of calls."""

COUNTER_ATTRIBUTES = ("pk", "sk", "ttl", "calls", ADDED_HOURS)

ROLLUP_ITEM_KEY = ItemKey("SWEEPER", "ROLLER")
"""The progress of a run that ran out of time: `reached` is the sort key of its last workspace in `WORKSPACES`."""

RUN_SECONDS = 15.0
"""Time limit of one run, which may take `HOUR_SECONDS` more: with the sweep's 200 seconds, less than the function has.

The next run continues where this one stopped.
"""

SERVER_PAGE_RECORDS, SERVER_RUN_SECONDS = 100, 1.0
"""Calls in the same process wait for at most 100 records, about 5 ms. A longer run is continued by the next one."""

_DELETED_AT_ONCE = 100
"""DynamoDB's limit for one transaction."""

_FIRST_KEY, _LAST_KEY = "A", "Z"

_decode_progress = msgspec.json.Decoder(RollProgress).decode
_encode = msgspec.json.Encoder().encode


class DynamoAggregates(Struct, frozen=True):
    """The ports `Aggregates` and `RollStore`."""

    store: Store

    async def find(
        self, workspace_id: str, first: str, last: str, *, has_sessions: bool = True
    ) -> Mapping[str, Aggregate]:
        """See `Aggregates.find`."""
        low, high = (aggregate_item_key(workspace_id, name) for name in (first, last))
        items = await self.store.query_range(low.pk, low.sk, high.sk)
        aggregates: dict[str, Aggregate] = {}
        for item in items:
            # The roller writes nothing else there.
            name, document = str(item["sk"]).partition("#")[2], cast(bytes, item["document"])
            aggregates[name] = decode_aggregate(document, has_sessions)
            await asyncio.sleep(0)  # each takes milliseconds: calls in the same process go on
        return aggregates

    async def replace(self, workspace_id: str, name: str, aggregate: Aggregate, rolled_at: float) -> None:
        """See `Aggregates.replace`."""
        retention_seconds = RETENTION_SECONDS if "T" in name else DAY_RETENTION_SECONDS
        begun_at = datetime.fromisoformat(name[:10]).replace(tzinfo=UTC).timestamp()
        item = {
            **aggregate_item_key(workspace_id, name)._asdict(),
            "document": encode_aggregate(aggregate),
            "rolled_at": rolled_at,
            "ttl": int(begun_at + 86400 + retention_seconds),
        }
        is_newest = Attr("pk").does_not_exist() | Attr("rolled_at").lte(rolled_at)
        try:
            await self.store.put(Put(self.store.table, item, is_newest))
        except ConditionFailed:
            log.info("aggregate.kept", extra={"workspace_id": workspace_id, "aggregate": name})

    async def delete_all(self, workspace_id: str) -> None:
        """See `Aggregates.delete_all`."""
        pk = aggregates_partition(workspace_id)
        items = await self.store.query_range(pk, _FIRST_KEY, _LAST_KEY, attributes=("pk", "sk"))
        for begin in range(0, len(items), _DELETED_AT_ONCE):
            writes = [
                Delete(self.store.table, {"pk": pk, "sk": str(item["sk"])})
                for item in items[begin : begin + _DELETED_AT_ONCE]
            ]
            await self.store.write(writes)

    async def find_progress(self, workspace_id: str) -> RollProgress | None:
        """See `RollStore.find_progress`."""
        item_key = roll_progress_item_key(workspace_id)
        item = (await self.store.read(item_key)).get(item_key)
        try:
            return None if item is None else _decode_progress(str(item["document"]))
        except msgspec.ValidationError as error:
            raise StoreUnavailable("The progress of aggregates in the table is not valid.") from error

    async def save_progress(self, workspace_id: str, progress: RollProgress) -> None:
        """See `RollStore.save_progress`."""
        version = progress.version + 1
        document = _encode({**asdict(progress), "version": version}).decode()
        item = {**roll_progress_item_key(workspace_id)._asdict(), "document": document, "version": version}
        is_next = Attr("version").equals(progress.version) if progress.version else Attr("pk").does_not_exist()
        try:
            await self.store.put(Put(self.store.table, item, is_next))
        except ConditionFailed:
            log.info("roller.overtaken", extra={"workspace_id": workspace_id})

    async def find_part(self, workspace_id: str) -> RollPart | None:
        """See `RollStore.find_part`."""
        item_key = roll_part_item_key(workspace_id)
        item = (await self.store.read(item_key)).get(item_key)
        if item is None:
            return None
        aggregate = decode_aggregate(cast(bytes, item["document"]))
        return RollPart(str(item["hour"]), int(str(item["shard"])), str(item["after"]), aggregate)

    async def save_part(self, workspace_id: str, part: RollPart) -> None:
        """See `RollStore.save_part`."""
        item = {
            **roll_part_item_key(workspace_id)._asdict(),
            **{"hour": part.hour, "shard": part.shard, "after": part.after},
            "document": encode_aggregate(part.aggregate),
        }
        await self.store.put(Put(self.store.table, item))

    async def count_calls(self, workspace_id: str, first: str, last: str, shards: int) -> Mapping[str, int]:
        """See `RollStore.count_calls`."""
        days = await find_day_counters(self.store, workspace_id, first, last, shards, COUNTER_ATTRIBUTES)
        return {day: sum(int(str(item.get("calls", 0))) for item in items) for day, items in days.items()}

    async def scan(self, workspace_id: str, shard: int, after: str, before: str, limit: int) -> Sequence[Record]:
        """See `RollStore.scan`."""
        low, high = f"{CALLS_PREFIX}{after}", f"{CALLS_PREFIX}{before}"
        pk = workspace_partition(workspace_id, shard)
        # The range includes both ends, which the caller does not want.
        items = await self.store.query_range(pk, low, high, limit=limit + 2, attributes=RECORD_ATTRIBUTES)
        return [item for item in items if item["sk"] not in (low, high)][:limit]


class RollupResult(Struct):
    """Counts of one run. `is_done` is False if its time was up before it had reached the last workspace."""

    workspaces: int = 0
    failed: int = 0
    hours: int = 0
    pending_days: int = 0
    is_done: bool = True


class Rollup(Struct, frozen=True):
    """Closes the hours of all workspaces, and rolls up their records. A failure in one does not stop the run."""

    store: Store
    roller: Roller
    closer: HourCloser
    run_seconds: float = RUN_SECONDS
    monotonic: Callable[[], float] = time.monotonic

    async def run(self) -> RollupResult:
        """Make one run, from where the last one stopped. Raises `StoreUnavailable` if workspaces cannot be listed."""
        stop_at, result = self.monotonic() + self.run_seconds, RollupResult()
        items = await self.store.read(ROLLUP_ITEM_KEY)
        checkpoint = reached = next((str(item["reached"]) for item in items.values()), "")
        for item in await self.store.query(WORKSPACES_PARTITION, "WS#"):
            sort_key = str(item["sk"])
            if sort_key <= checkpoint:
                continue
            if self.monotonic() >= stop_at:
                result.is_done = False
                break
            await self._roll_workspace(item, result, stop_at)
            reached = sort_key
        else:
            reached = ""
        if reached != checkpoint:
            await self.store.put(Put(self.store.table, {**ROLLUP_ITEM_KEY._asdict(), "reached": reached}))
        return result

    async def _roll_workspace(self, item: Item, result: RollupResult, stop_at: float) -> None:
        result.workspaces += 1
        counts = RollCounts()
        try:
            workspace = workspace_from_item(item)
            await self.closer.close(workspace, stop_at)
            await self.roller.roll(workspace, stop_at, counts)
        except StoreUnavailable as error:
            result.failed += 1
            log.error("roller.failed", extra={"place": item["sk"], "error": type(error).__name__})
        result.hours += counts.hours
        result.pending_days += counts.pending_days


def create_rollup(store: Store) -> Rollup:
    """Create the run of the roller over the workspaces of a table."""
    aggregates = DynamoAggregates(store)
    return Rollup(store, Roller(aggregates, store.clock), HourCloser(store, aggregates.scan))


def create_server_rollup(store: Store) -> Rollup:
    """Create the run of the roller in a process that answers calls: in short runs, and few records at once."""
    aggregates = DynamoAggregates(store)
    roller = Roller(aggregates, store.clock, page_records=SERVER_PAGE_RECORDS, pause_factor=SERVER_PAUSE_FACTOR)
    closer = HourCloser(store, aggregates.scan, SERVER_PAGE_RECORDS)
    return Rollup(store, roller, closer, run_seconds=SERVER_RUN_SECONDS)

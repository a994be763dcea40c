"""Call records and usage counters in dictionaries, with bounded memory."""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from itertools import islice

import msgspec
from msgspec.structs import replace

from tidegate.domain.account import add_amounts
from tidegate.domain.call import Outcome
from tidegate.domain.limits import DAY_SECONDS
from tidegate.domain.record import (
    RETENTION_SECONDS,
    CallRecord,
    RecordValue,
    add_increments,
    periods_of_day,
    readable_counters,
    readable_record,
)
from tidegate.domain.settlement import Settlement, build_settlement
from tidegate.memory.ledger import MemoryLedger

MAX_CALLS = 10_000
"""Limit for all workspaces together. The oldest records are dropped first, and could then be recorded again.

Expired records are dropped when the next call is recorded.
"""

_encode = msgspec.msgpack.Encoder().encode
"""A record is stored as bytes, one object in place of forty: to free these, which no cache of the processor has any
more, and to make others in their place, took 3 µs of each call (2026-11)."""

_decoder: msgspec.msgpack.Decoder[dict[str, RecordValue]] = msgspec.msgpack.Decoder()

_AMOUNTS = ("cost_usd", "held_usd")
"""The fields of a record that are decimal numbers, which are text in its bytes."""


class MemoryMeter:
    """The ports `Meter`, `Settlements` and `UsageReader`.

    Counters are complete; only the newest `max_calls` records are stored.
    """

    records_at_once = True

    def __init__(
        self,
        max_calls: int = MAX_CALLS,
        clock: Callable[[], float] = time.time,
        ledger: MemoryLedger | None = None,
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._max_calls = max_calls
        self._calls: deque[tuple[float, tuple[str, str], bytes]] = deque()
        """The start, the workspace and id, and the record of each call, in the order in which they ended."""
        self._recorded: set[tuple[str, str]] = set()
        self._counters: dict[tuple[str, str], dict[str, int | Decimal]] = {}
        """By workspace and day, such as "D#2026-11-21"."""

    async def record(self, outcome: Outcome) -> CallRecord:
        """See `Meter.record`."""
        settlement = build_settlement(outcome)
        self._settle(settlement)
        return settlement.record

    async def settle(self, settlement: Settlement) -> bool:
        """See `Settlements.settle`."""
        if settlement.hold is not None and self._ledger is not None:
            settlement = replace(settlement, hold=self._ledger.booked_hold(settlement.hold))
        return self._settle(settlement)

    def _settle(self, settlement: Settlement) -> bool:
        workspace_id, at, hold, calls = settlement.workspace_id, settlement.at, settlement.hold, self._calls
        call_key = (workspace_id, settlement.call_id)
        if call_key in self._recorded:
            return False
        record, expired_at = _encode(settlement.record), self._clock() - RETENTION_SECONDS
        while calls and (calls[0][0] <= expired_at or len(calls) >= self._max_calls):
            self._recorded.discard(calls.popleft()[1])
        self._recorded.add(call_key)
        calls.append((at, call_key, record))
        if hold is not None and self._ledger is not None:
            self._ledger.settle_call(hold, settlement.actual)
        counters_key = (workspace_id, periods_of_day(int(at // DAY_SECONDS))[1])
        if counters_key not in self._counters:
            self._counters[counters_key] = {}
        add_increments(self._counters[counters_key], settlement.increments)
        return True

    async def counters(self, workspace_id: str, period: str, shards: int = 1) -> dict[str, int | str] | None:
        """See `UsageReader.counters`; None if there were no calls in that period. A month is the sum of its days."""
        kind, _, date = period.partition("#")
        days = [f"D#{date}"] if kind == "D" else [f"D#{date}-{day:02}" for day in range(1, 32)]
        found = [counters for day in days if (counters := self._counters.get((workspace_id, day)))]
        sums = dict[str, int | Decimal]()
        for counters in found:
            add_amounts(sums, counters)
        return readable_counters(sums) if found else None

    async def calls(self, workspace_id: str, limit: int, shards: int = 1) -> Sequence[dict[str, object]]:
        """See `UsageReader.calls`."""
        newest_first = sorted(self._find(workspace_id), reverse=True)
        return [readable_record(_decode(record)) for _, record in islice(newest_first, limit)]

    async def days(
        self, workspace_id: str, first: str, last: str, shards: int = 1
    ) -> Mapping[str, Mapping[str, int | str]]:
        """See `UsageReader.days`."""
        return {
            period.removeprefix("D#"): readable_counters(counters)
            for (owner_id, period), counters in sorted(self._counters.items())
            if owner_id == workspace_id and f"D#{first}" <= period <= f"D#{last}"
        }

    async def records(
        self, workspace_id: str, after: str, before: str, limit: int, shards: int = 1
    ) -> Sequence[dict[str, object]]:
        """See `UsageReader.records`."""
        found = sorted(self._find(workspace_id, after, before), reverse=True)
        return [readable_record(_decode(record)) for _, record in islice(found, limit)]

    def scan(self, workspace_id: str, after: str, before: str, limit: int) -> Sequence[Mapping[str, RecordValue]]:
        """Return records with ids strictly between `after` and `before`, as they are stored, the oldest first."""
        return [_decode(record) for _, record in sorted(self._find(workspace_id, after, before))[:limit]]

    def _find(self, workspace_id: str, after: str = "", before: str = "~") -> list[tuple[str, bytes]]:
        """Return the ids and records of calls whose ids are strictly between `after` and `before`."""
        expired_at = self._clock() - RETENTION_SECONDS
        return [
            (call_id, record)
            for at, (owner_id, call_id), record in self._calls
            if owner_id == workspace_id and after < call_id < before and at > expired_at
        ]


def _decode(record: bytes) -> dict[str, RecordValue]:
    fields = _decoder.decode(record)
    for name in _AMOUNTS:
        if isinstance(amount := fields.get(name), str):
            fields[name] = Decimal(amount)
    return fields

"""Call records and usage counters in dictionaries, with bounded memory."""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from itertools import islice

from msgspec.structs import replace

from tidegate.domain.account import add_amounts
from tidegate.domain.call import Outcome
from tidegate.domain.record import RETENTION_SECONDS, RecordValue, counter_periods, readable_counters, readable_record
from tidegate.domain.settlement import Settlement, build_settlement
from tidegate.memory.ledger import MemoryLedger

MAX_CALLS = 10_000
"""Limit for all workspaces together. The oldest records are dropped first, and could then be recorded again.

Expired records are dropped when the next call is recorded.
"""


class MemoryMeter:
    """The ports `Meter`, `Settlements` and `UsageReader`.

    Counters are complete; only the newest `max_calls` records are stored.
    """

    def __init__(
        self,
        max_calls: int = MAX_CALLS,
        clock: Callable[[], float] = time.time,
        ledger: MemoryLedger | None = None,
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._max_calls = max_calls
        self._calls: deque[tuple[float, dict[str, RecordValue]]] = deque()
        self._recorded: set[tuple[str, str]] = set()
        self._counters: dict[tuple[str, str], dict[str, int | Decimal]] = {}  # of days

    async def record(self, outcome: Outcome) -> None:
        """See `Meter.record`."""
        self._settle(build_settlement(outcome))

    async def settle(self, settlement: Settlement) -> bool:
        """See `Settlements.settle`."""
        if settlement.hold is not None and self._ledger is not None:
            settlement = replace(settlement, hold=self._ledger.booked_hold(settlement.hold))
        return self._settle(settlement)

    def _settle(self, settlement: Settlement) -> bool:
        call_key = (settlement.workspace_id, settlement.call_id)
        if call_key in self._recorded:
            return False
        calls, expired_at = self._calls, self._clock() - RETENTION_SECONDS
        while calls and (calls[0][0] <= expired_at or len(calls) >= self._max_calls):
            _, oldest = calls.popleft()
            self._recorded.discard((str(oldest["workspace_id"]), str(oldest["id"])))
        self._recorded.add(call_key)
        calls.append((settlement.at, settlement.record))
        if settlement.hold is not None and self._ledger is not None:
            self._ledger.settle_call(settlement.hold, settlement.actual)
        _, day = counter_periods(settlement.at)
        counters_key = (settlement.workspace_id, day)
        if counters_key not in self._counters:
            self._counters[counters_key] = {}
        add_amounts(self._counters[counters_key], settlement.increments)
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
        records = (
            call for at, call in self._calls if call["workspace_id"] == workspace_id and not self._is_expired(at)
        )
        newest_first = sorted(records, key=lambda call: str(call["id"]), reverse=True)
        return [readable_record(call) for call in islice(newest_first, limit)]

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
        records = await self.calls(workspace_id, self._max_calls)
        return [call for call in records if after < str(call["id"]) < before][:limit]

    def scan(self, workspace_id: str, after: str, before: str, limit: int) -> Sequence[Mapping[str, RecordValue]]:
        """Return records with ids strictly between `after` and `before`, as they are stored, the oldest first."""
        records = (
            call
            for at, call in self._calls
            if after < str(call["id"]) < before and call["workspace_id"] == workspace_id and not self._is_expired(at)
        )
        return sorted(records, key=lambda call: str(call["id"]))[:limit]

    def _is_expired(self, started_at: float) -> bool:
        return started_at <= self._clock() - RETENTION_SECONDS

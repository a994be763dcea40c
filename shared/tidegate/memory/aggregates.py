"""Aggregates of call records in dictionaries, and their roller."""

from collections.abc import Mapping, Sequence
from copy import deepcopy

from msgspec import Struct, field
from msgspec.structs import replace as replace_fields

from tidegate.domain.aggregate import Aggregate, Record
from tidegate.domain.aggregate_document import decode_aggregate, encode_aggregate
from tidegate.memory.meter import MemoryMeter
from tidegate.memory.tenants import MemoryTenants
from tidegate.policy.metering.roller import Roller, RollPart, RollProgress


class MemoryAggregates(Struct, frozen=True):
    """The ports `Aggregates` and `RollStore`. Each workspace has its documents by name, with the time of their roll."""

    meter: MemoryMeter
    documents: dict[str, dict[str, tuple[float, bytes]]] = field(
        default_factory=dict[str, dict[str, tuple[float, bytes]]]
    )
    progress: dict[str, RollProgress] = field(default_factory=dict[str, RollProgress])
    parts: dict[str, RollPart] = field(default_factory=dict[str, RollPart])

    async def find(
        self, workspace_id: str, first: str, last: str, *, has_sessions: bool = True
    ) -> Mapping[str, Aggregate]:
        """See `Aggregates.find`."""
        documents = sorted(self.documents.get(workspace_id, {}).items())
        return {
            name: decode_aggregate(document, has_sessions)
            for name, (_, document) in documents
            if first <= name <= last and len(name) == len(first)
        }

    async def replace(self, workspace_id: str, name: str, aggregate: Aggregate, rolled_at: float) -> None:
        """See `Aggregates.replace`."""
        documents = self.documents.setdefault(workspace_id, {})
        if name not in documents or documents[name][0] <= rolled_at:
            documents[name] = rolled_at, encode_aggregate(aggregate)

    async def delete_all(self, workspace_id: str) -> None:
        """See `Aggregates.delete_all`."""
        self.documents.pop(workspace_id, None)
        self.progress.pop(workspace_id, None)
        self.parts.pop(workspace_id, None)

    async def find_progress(self, workspace_id: str) -> RollProgress | None:
        """See `RollStore.find_progress`."""
        return deepcopy(self.progress.get(workspace_id))

    async def save_progress(self, workspace_id: str, progress: RollProgress) -> None:
        """See `RollStore.save_progress`."""
        stored = self.progress.get(workspace_id)
        if progress.version == (stored.version if stored else 0):
            self.progress[workspace_id] = replace_fields(deepcopy(progress), version=progress.version + 1)

    async def find_part(self, workspace_id: str) -> RollPart | None:
        """See `RollStore.find_part`."""
        return deepcopy(self.parts.get(workspace_id))

    async def save_part(self, workspace_id: str, part: RollPart) -> None:
        """See `RollStore.save_part`."""
        self.parts[workspace_id] = deepcopy(part)

    async def count_calls(self, workspace_id: str, first: str, last: str, shards: int) -> Mapping[str, int]:
        """See `RollStore.count_calls`."""
        days = await self.meter.days(workspace_id, first, last)
        return {day: int(counters["calls"]) for day, counters in days.items()}

    async def scan(self, workspace_id: str, shard: int, after: str, before: str, limit: int) -> Sequence[Record]:
        """See `RollStore.scan`; there is one shard."""
        return self.meter.scan(workspace_id, after, before, limit) if shard == 0 else ()


class MemoryRollup(Struct, frozen=True):
    """Rolls up the records of all workspaces."""

    tenants: MemoryTenants
    roller: Roller

    async def run(self) -> None:
        """Make one run."""
        for workspace in tuple(self.tenants.workspaces.values()):
            await self.roller.roll(workspace)

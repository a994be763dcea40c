"""The journal of a part: answers are given only once they are on record, which takes two writes for many of them.

First an object with the answers is written, then the part, by compare-and-swap. The part tells which objects count.
If that write is refused, another worker has the part: this one stops at once, and charges nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable

from msgspec import Struct, field
from msgspec.structs import replace

from tidegate.batch.components import BatchComponents
from tidegate.batch.keys import journal_key
from tidegate.batch.part_answers import PartAnswers
from tidegate.batch.results import Result, journal_entry
from tidegate.domain.batch import BatchUsage, Part, sum_usages
from tidegate.errors import StoreUnavailable

FLUSH_BYTES = 1024 * 1024
"""The answers that are collected in memory before they are put on record, however early that is."""

LEASE_SECONDS = 120.0
"""For how long a worker has a part without a sign of life. After its death, another one begins so much later."""

LEASE_MARGIN_SECONDS = 15.0
"""The time before the end of a lease in which its worker writes nothing any more: clocks differ, and writes take time.

DynamoDB and S3 are given ten seconds for a write.
"""

RETRY_SECONDS = 1.0


class LeaseLost(Exception):
    """Another worker has the part, or may have it: this one must not write any more."""


class Journal(Struct):
    """The part of a worker as it is on record, and its answers, on record and not yet.

    `results` are the answers of all lines that have one. `taken_to` is the line before which all lines have begun or
    are answered.
    """

    components: BatchComponents
    part: Part
    deadline: float
    results: PartAnswers
    taken_to: int = 0
    hold_shard: Callable[[], int | None] = lambda: None
    is_full: asyncio.Event = field(default_factory=asyncio.Event)
    _entries: list[bytes] = field(default_factory=list[bytes])
    _size: int = 0
    _completed: int = 0
    _failed: int = 0
    _usages: list[BatchUsage] = field(default_factory=list[BatchUsage])
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def add_usage(self, usage: BatchUsage) -> None:
        """Collect the usage of a call that did not answer its line."""
        if usage != BatchUsage():
            self._usages.append(usage)

    def add(self, result: Result, usage: BatchUsage) -> None:
        """Collect an answer and its usage."""
        entry = journal_entry(result)
        self.results.add(result)
        self._entries.append(entry)
        self._size += len(entry)
        self._usages.append(usage)  # all are summed at once, when they are put on record
        if result.file == "o":
            self._completed += 1
        else:
            self._failed += 1
        if self._size >= FLUSH_BYTES:
            self.is_full.set()

    @property
    def has_news(self) -> bool:
        """True if something is not on record yet, or the lease ends soon."""
        ends_soon = self.part.lease_until - self.components.clock() < LEASE_SECONDS / 2
        return bool(self._entries or self._usages) or ends_soon

    @property
    def is_leased(self) -> bool:
        """True while no other worker can have the part, and this one may write."""
        return self.part.lease_until - LEASE_MARGIN_SECONDS > self.components.clock()

    async def flush(self) -> None:
        """Put everything on record that was collected. Raises `LeaseLost` and `StoreUnavailable`."""
        async with self._lock:
            await self._flush()

    async def allow(self, line: int) -> None:
        """Put on record that lines up to this one may be asked, and some more."""
        async with self._lock:
            if line >= self.part.asked_to:
                await self._flush()

    async def save(self, part: Part) -> None:
        """Write the part in place of the one on record. Raises `LeaseLost` and `StoreUnavailable`."""

        async def write() -> bool:
            return await self.components.table.save(part) or await self.is_on_record(part)

        if not await self.repeated(write):
            raise LeaseLost
        self.part = replace(part, version=part.version + 1)

    async def repeated(self, write: Callable[[], Awaitable[bool]]) -> bool:
        """Return what `write` returns. It is repeated while a store fails and the lease allows it."""
        while True:
            if not self.is_leased:
                raise LeaseLost
            try:
                return await write()
            except StoreUnavailable:
                if self.part.lease_until - LEASE_MARGIN_SECONDS - RETRY_SECONDS <= self.components.clock():
                    raise
                await asyncio.sleep(RETRY_SECONDS)

    async def _flush(self) -> None:
        part, options, now = self.part, self.components.options, self.components.clock()
        entries = b"".join(self._entries)
        usage = sum_usages([BatchUsage(completed=self._completed, failed=self._failed), *self._usages])
        self._entries, self._size, self._completed, self._failed, self._usages = [], 0, 0, 0, []
        self.is_full.clear()
        attempt, number = len(part.journal_objects) - 1, part.journal_objects[-1]
        key = journal_key(part.workspace_id, part.batch_id, part.number, attempt, number)
        shard = self.hold_shard()
        changed = replace(
            part,
            journal_objects=(*part.journal_objects[:-1], number + bool(entries)),
            usage=part.usage + usage,
            unsettled=part.unsettled + usage,
            asked_to=min(max(part.asked_to, self.taken_to + options.parallel_calls), part.first_line + part.lines),
            lease_until=lease_end(now, self.deadline),
            slice_shard=part.slice_shard if shard is None else shard,
        )
        if entries:

            async def put() -> bool:
                await self.components.objects.put(key, entries)
                return True

            await self.repeated(put)
        await self.save(changed)
        self.results.put_on_record(key, entries)

    async def is_on_record(self, part: Part) -> bool:
        """True if a write whose answer was lost was made."""
        stored = await find_part(self.components, part)
        return stored == replace(part, version=part.version + 1)


async def find_part(components: BatchComponents, part: Part) -> Part | None:
    """The part as it is stored now."""
    batch = await components.table.find_batch(part.workspace_id, part.batch_id)
    return None if batch is None else (await components.table.find_parts(batch, [part.number])).get(part.number)


def lease_end(now: float, deadline: float) -> float:
    """When a lease that is taken or renewed now ends: not long after the deadline of its worker."""
    return min(now + LEASE_SECONDS, max(deadline, now) + 2 * LEASE_MARGIN_SECONDS)


def unanswered(part: Part, answers: PartAnswers) -> list[int]:
    """The lines of the part that are not answered, in order."""
    return answers.missing(range(part.first_line, part.first_line + part.lines))

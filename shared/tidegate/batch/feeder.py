"""Gives parts to workers: so many at a time that a cancelled or paused batch stops soon, and that others get a share.

A free place in a window goes to the workspace that has the fewest parts in flight, and to the batch of it that has the
fewest, which need not be the batch whose part has made room. The windows of workspaces and providers are not exact:
two processes that feed at the same time may both use a free place.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from msgspec.structs import replace

from tidegate.batch.components import BatchComponents
from tidegate.batch.messages import Compose, RunPart
from tidegate.batch.ranges import read_ranges
from tidegate.batch.transitions import CHANGE_TRIES, change_batch
from tidegate.domain.batch import Batch, BatchEnding, Part
from tidegate.domain.batch_options import BatchOptions
from tidegate.errors import StoreUnavailable

PARTS_PER_SAVE = 19
"""A write has at most twenty values, one of which is the batch."""

WORKER_WAIT_SECONDS = 10.0
"""The longest wait for a provider that a worker makes itself: the next chance to feed may be a minute later."""


async def feed_parts(components: BatchComponents, workspace_id: str, batch_id: str) -> None:
    """Fill the windows of this batch and of those that share them, or end the batch if all of its parts are back.

    Call it whenever a part has come back, or a batch may go on. Raises `StoreUnavailable`.
    """
    table, now = components.table, components.clock()
    batch = await table.find_batch(workspace_id, batch_id)
    if batch is None:
        return
    if ending_of(batch, now) is not None:
        await _finalize(components, batch)
    open_batches = [batch, *(other for other in await table.open_batches() if other.id != batch_id)]
    shares = fair_shares(batch, open_batches, components.options, now)
    blocked = await _blocked_providers(components, [other for other in open_batches if other.id in shares], now)
    if blocked:
        shares = fair_shares(batch, open_batches, components.options, now, blocked)
    for other, places in shares.items():
        await _feed(components, next(found for found in open_batches if found.id == other), places)


def ending_of(batch: Batch, now: float) -> BatchEnding | None:
    """How the batch ends, if no part is with a worker or a provider any more and none will be; None if it goes on."""
    if batch.running or batch.has_open_jobs:
        return None
    if batch.status == "cancelling":
        return "cancelled"
    if batch.status != "in_progress":
        return None
    if parts_left(batch) == 0:
        return "expired" if any(job.ending == "expired" for job in batch.jobs) else "completed"
    return "expired" if batch.expires_at <= now else None


def parts_left(batch: Batch) -> int:
    """The parts that no worker and no job at a provider has or has finished."""
    return batch.parts - batch.fed + len(batch.returned)


def parts_for_workers(batch: Batch) -> int:
    """The parts that are left to workers: not those that are to be in a job at a provider."""
    return len(batch.returned) if batch.mode == "provider_batch" else parts_left(batch)


def wants_parts(batch: Batch, now: float) -> bool:
    """True if parts of the batch may be fed now."""
    return batch.takes_parts and batch.expires_at > now and parts_for_workers(batch) > 0


async def _blocked_providers(components: BatchComponents, batches: Iterable[Batch], now: float) -> frozenset[str]:
    """The providers of these batches that want to be left alone for a while. Workers wait for shorter times."""
    names = {name for batch in batches for name in batch.providers}
    paces = await asyncio.gather(*(components.table.find_pace(name) for name in names))
    return frozenset(pace.provider for pace in paces if pace.blocked_until > now + WORKER_WAIT_SECONDS)


def fair_shares(
    batch: Batch,
    open_batches: Iterable[Batch],
    options: BatchOptions,
    now: float,
    blocked: frozenset[str] = frozenset(),
) -> Mapping[str, int]:
    """The parts that batches may have in flight, by id, where that is more than they have.

    Only batches of the workspace of `batch`, or with a provider in common with it, get a share; those whose providers
    are all `blocked` do not.
    """
    running, windows = Counter[str](), Counter[tuple[str, str]]()
    for other in open_batches:
        running[other.id] = len(other.running)
        for window in _windows(other):
            windows[window] += len(other.running)
    candidates = [
        other
        for other in open_batches
        if wants_parts(other, now)
        and not _windows(other).isdisjoint(_windows(batch))
        and not (other.providers and blocked.issuperset(other.providers))
    ]
    left = {other.id: parts_for_workers(other) for other in candidates}
    sizes = {"workspace": options.workspace_window, "provider": options.provider_window}
    shares: dict[str, int] = {}

    def has_room(other: Batch) -> bool:
        is_within = all(windows[window] < sizes[window[0]] for window in _windows(other))
        return is_within and left[other.id] > 0 and running[other.id] < options.batch_window

    while candidates := [other for other in candidates if has_room(other)]:
        neediest = min(
            candidates,
            key=lambda other: (
                windows["workspace", other.workspace_id],
                running[other.id],
                other.in_progress_at or 0.0,
                other.id,
            ),
        )
        running[neediest.id] += 1
        left[neediest.id] -= 1
        windows.update(_windows(neediest))
        shares[neediest.id] = running[neediest.id]
    return shares


def _windows(batch: Batch) -> set[tuple[str, str]]:
    """The windows that the batch shares with others."""
    return {("workspace", batch.workspace_id), *(("provider", name) for name in batch.providers)}


async def _finalize(components: BatchComponents, batch: Batch) -> None:
    now = components.clock()

    def finalize(stored: Batch) -> Batch | None:
        ending = ending_of(stored, now)
        if ending is None:
            return None
        return replace(
            stored,
            status="finalizing",
            ending=ending,
            finalizing_at=now,
            pause=None,
            paused_at=None,
            paused_needs=None,
            cursor={},
            step_lease_until=0.0,
        )

    if await change_batch(components, batch.workspace_id, batch.id, finalize) is not None:
        await components.queue.send(Compose(batch.workspace_id, batch.id))


async def _feed(components: BatchComponents, batch: Batch, places: int) -> None:
    """Bring the batch's parts in flight to `places`. `batch` may be out of date."""
    stored: Batch | None = batch
    for _ in range(CHANGE_TRIES):
        now = components.clock()
        if stored is None or not wants_parts(stored, now):
            return
        numbers = list(_next_numbers(stored, min(places - len(stored.running), PARTS_PER_SAVE)))
        if not numbers:
            return
        parts = await _queued_parts(components, stored, numbers, now)
        if await components.table.save(_with_running(stored, numbers), *parts):
            messages = [RunPart(batch.workspace_id, batch.id, number) for number in numbers]
            await asyncio.gather(*(components.queue.send(message) for message in messages))
            if len(numbers) < PARTS_PER_SAVE:
                return
        stored = await components.table.find_batch(batch.workspace_id, batch.id)
    raise StoreUnavailable("Too many processes feed this batch; try again in a moment.", retry_after_seconds=1)


def _next_numbers(batch: Batch, count: int) -> Iterator[int]:
    """The next parts to feed: first those that came back."""
    if count > 0:
        yield from batch.returned[:count]
        if batch.mode == "calls":
            yield from range(batch.fed, min(batch.parts, batch.fed + max(0, count - len(batch.returned))))


def _with_running(batch: Batch, numbers: list[int]) -> Batch:
    fed = max(batch.fed, max(numbers) + 1)
    returned = tuple(number for number in batch.returned if number not in numbers)
    return replace(batch, fed=fed, running=(*batch.running, *numbers), returned=returned)


async def _queued_parts(components: BatchComponents, batch: Batch, numbers: list[int], now: float) -> list[Part]:
    known = await components.table.find_parts(batch, [number for number in numbers if number < batch.fed])
    # A part that was to be in a job at a provider comes back without having been stored.
    ranges = await read_ranges(components.objects, batch, [number for number in numbers if number not in known])
    parts = [replace(part, status="queued", queued_at=now, lease=None, lease_until=0.0) for part in known.values()]
    return [*parts, *(range.part_of(batch, now) for range in ranges.values())]

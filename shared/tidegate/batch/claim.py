"""Claims a part for a worker, and settles what a worker that died has left of it."""

import secrets

from msgspec.structs import replace

from tidegate.batch.components import BatchComponents
from tidegate.batch.journal import Journal, lease_end, unanswered
from tidegate.batch.part_answers import PartAnswers
from tidegate.batch.part_settlement import find_slice_hold, settle_slice
from tidegate.batch.ports import MAX_QUEUE_DELAY_SECONDS, TryLater
from tidegate.domain.batch import Batch, BatchUsage, Part
from tidegate.domain.ids import ulid


async def claim_part(components: BatchComponents, part: Part, deadline: float) -> Journal | None:
    """Take the part if it waits for a worker, or if its worker has died. None if another one was faster.

    A new attempt begins, so that a worker that comes back to life changes nothing. Raises `TryLater` while another
    worker has the part.
    """
    now = components.clock()
    if part.status == "running" and part.lease_until > now:
        raise TryLater(min(part.lease_until - now + 1.0, MAX_QUEUE_DELAY_SECONDS))
    claimed = replace(
        part,
        status="running",
        lease=secrets.token_urlsafe(9),
        lease_until=lease_end(now, deadline),
        journal_objects=(*part.journal_objects, 0),
    )
    if not await components.table.save(claimed):
        return None
    answers = PartAnswers(components.objects)
    await answers.load(claimed)
    return Journal(components, replace(claimed, version=claimed.version + 1), deadline, answers)


async def settle_dead_slice(components: BatchComponents, batch: Batch, journal: Journal, shards: int) -> Part:
    """Settle what a worker that has died left unsettled. Return the part without its slice, which is not saved yet.

    Lines that were perhaps asked, and whose answers are not on record, count as lost: they are asked again.
    """
    part = journal.part
    if part.slice_id is None:
        return part
    hold = await find_slice_hold(components, part, shards)
    await settle_slice(components, batch, part, hold, components.clock())
    lost = sum(line < part.asked_to for line in unanswered(part, journal.results))
    return replace(without_slice(part), usage=part.usage + BatchUsage(lost=lost))


async def begin_slice(journal: Journal, part: Part, key_id: str) -> None:
    """Save the part with a new slice. Raises `LeaseLost` and `StoreUnavailable`."""
    components, now = journal.components, journal.components.clock()
    waiting = unanswered(part, journal.results)
    first = waiting[: components.options.parallel_calls]
    asked_to = first[-1] + 1 if first else 0
    await journal.save(
        replace(
            without_slice(part),
            slice_id=ulid(now),
            slice_key_id=key_id,
            asked_to=asked_to,
            lease_until=lease_end(now, journal.deadline),
        )
    )


def without_slice(part: Part) -> Part:
    """The part once its slice is settled."""
    return replace(part, slice_id=None, slice_key_id=None, slice_shard=0, unsettled=BatchUsage(), asked_to=0)

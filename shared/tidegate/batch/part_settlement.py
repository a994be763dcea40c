"""Settles parts of batches: what a worker has answered of a part is one settlement, with one record.

A worker's share of a part is a slice. Its id is the call id of its hold and of its record, so that it is settled once,
whether its own worker does it or the next one.
"""

from msgspec.structs import replace

from tidegate.batch.components import BatchComponents
from tidegate.batch.pace import provider_of
from tidegate.batch.settled_lines import find_booked_hold, lines_record, usage_increments
from tidegate.domain.account import Hold
from tidegate.domain.batch import Batch, BatchUsage, Part
from tidegate.domain.ids import ulid
from tidegate.domain.record import iso_time
from tidegate.domain.settlement import Settlement


async def settle_slice(
    components: BatchComponents, batch: Batch, part: Part, hold: Hold | None, started_at: float
) -> None:
    """Charge what is on record and not settled yet, and release the hold. Repetitions do nothing."""
    if part.slice_id is not None and (hold is not None or part.unsettled != BatchUsage()):
        await components.settlements.settle(_settlement(batch, part, hold, started_at, components.clock()))


async def release_slice(components: BatchComponents, batch: Batch, part: Part, shards: int) -> None:
    """Release a hold that a worker has booked for its slice although another one had settled that already.

    This takes a worker that was suspended in the middle of a write. The slice has its record, so the release has an own
    one, without lines.
    """
    hold = await find_slice_hold(components, part, shards)
    if hold is not None:
        now = components.clock()
        released = replace(part, slice_id=ulid(now), unsettled=BatchUsage())
        await components.settlements.settle(_settlement(batch, released, hold, now, now))


async def find_slice_hold(components: BatchComponents, part: Part, shards: int) -> Hold | None:
    """The hold of the part's slice as it is booked; None if it is settled, or has none."""
    if part.slice_id is None:
        return None
    ledger, shards = components.gateway.ledger, max(shards, part.slice_shard + 1)
    return await find_booked_hold(ledger, part.slice_id, part.workspace_id, part.slice_key_id or "", shards)


def _settlement(batch: Batch, part: Part, hold: Hold | None, started_at: float, now: float) -> Settlement:
    usage, id = part.unsettled, part.slice_id or ""
    at = hold.at if hold else started_at
    return Settlement(
        workspace_id=part.workspace_id,
        call_id=id,
        at=at,
        shard=hold.shard if hold else part.slice_shard,
        record=replace(
            lines_record(usage),
            id=id,
            time=iso_time(at),
            endpoint=batch.endpoint,
            model=batch.model,
            provider=provider_of(batch.providers[0]) if len(batch.providers) == 1 else None,
            batch_id=batch.id,
            part=part.number,
            seconds=round(now - at, 6),
            workspace_id=part.workspace_id,
            key_id=part.slice_key_id,
        ),
        increments=usage_increments(usage),
        actual=usage.amounts,
        hold=hold,
    )

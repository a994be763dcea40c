"""Ends a worker's time with a part: the part is done, or it goes back unfinished, and the batch is perhaps paused."""

import logging
from collections.abc import Mapping

from msgspec.structs import replace

from tidegate.batch.claim import without_slice
from tidegate.batch.journal import Journal, LeaseLost, unanswered
from tidegate.batch.keys import part_errors_key, part_output_key
from tidegate.batch.transitions import change_batch
from tidegate.domain.batch import Batch, Part, PauseReason
from tidegate.domain.limits import Amounts
from tidegate.domain.record import plain_decimal

log = logging.getLogger(__name__)


async def write_results(journal: Journal, part: Part) -> Part:
    """Write the results of a part whose lines are all answered, in their order. Return the part as done.

    Results that are written again are the same.
    """
    place = (part.workspace_id, part.batch_id, part.number)
    sizes = [0, 0]

    async def write() -> bool:
        sizes[0] = await journal.results.write(part_output_key(*place), "o")
        sizes[1] = await journal.results.write(part_errors_key(*place), "e")
        return True

    await journal.repeated(write)
    return replace(part, status="done", output_bytes=sizes[0], error_bytes=sizes[1])


async def leave_part(journal: Journal, part: Part, pause: PauseReason | None, needs: Amounts | None) -> None:
    """Save the part as done or returned, together with the batch, in which `pause` is set. The slice is settled.

    Raises `LeaseLost` and `StoreUnavailable`.
    """
    components, now = journal.components, journal.components.clock()
    left = replace(without_slice(part), lease=None, lease_until=0.0)

    def change(batch: Batch) -> Batch | None:
        if part.number not in batch.running:
            return None
        batch = replace(batch, running=tuple(number for number in batch.running if number != part.number))
        if part.status == "done":
            return replace(batch, usage=batch.usage + part.usage)
        batch = replace(batch, returned=(*batch.returned, part.number))
        if pause is None or not batch.takes_parts:
            return batch
        return replace(batch, pause=pause, paused_at=now, paused_needs=needs)

    saved: list[Batch] = []

    async def save() -> bool:
        batch = await change_batch(components, part.workspace_id, part.batch_id, change, left)
        saved.extend([batch] if batch is not None else [])
        return batch is not None or await journal.is_on_record(left)

    if not await journal.repeated(save):
        raise LeaseLost
    for batch in saved:
        if pause is not None and batch.paused_at == now and batch.pause == pause:
            await components.events.emit("BatchPaused", batch)


def log_part(journal: Journal, reason: str | None, failures: Mapping[str, int], started_at: float) -> None:
    """Write the one log line of a worker's time with a part."""
    part, usage = journal.part, journal.part.usage
    fields = {
        "batch_id": part.batch_id,
        "workspace_id": part.workspace_id,
        "part": part.number,
        "lines": part.lines,
        "left": len(unanswered(part, journal.results)),
        "stopped_by": reason,
        "completed": usage.completed,
        "failed": usage.failed,
        "lost": usage.lost,
        "failures": dict(failures),
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cost_usd": plain_decimal(usage.cost_usd),
        "seconds": round(journal.components.clock() - started_at, 3),
    }
    log.info("part.ended", extra=fields)

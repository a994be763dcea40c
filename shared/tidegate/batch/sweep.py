"""Looks after all open batches: starts again what has died, ends what is over, and lets paused batches go on.

Messages may be lost and workers may die at any time: this finds what they have left undone, within a few minutes. While
batches are open, it comes again every minute; a schedule begins it anew if its own message is lost.
"""

import logging
from collections.abc import Sequence

from msgspec.structs import replace

from tidegate.batch.components import BatchComponents
from tidegate.batch.feeder import feed_parts
from tidegate.batch.messages import Compose, Message, PollJobs, RunPart, Sweep, Validate
from tidegate.batch.pauses import resume_if_possible
from tidegate.batch.ports import TryLater
from tidegate.batch.steps import step_deaths
from tidegate.batch.transitions import change_batch
from tidegate.domain.batch import Batch, Part
from tidegate.errors import StoreUnavailable
from tidegate.lazy import load

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 60.0

QUEUED_SECONDS = 120.0
"""Messages of parts and steps that nobody has taken for so long are perhaps lost. Those that wait come twice then."""

HANDBACK_SECONDS = 600.0
"""The time in which workers hand back the parts of a batch that was cancelled or has expired; OpenAI's is ten minutes.

Most need seconds. After it, the parts are taken from them: what they have asked and not put on record is lost.
"""

_CLAIM_SECONDS = 50.0


async def sweep_batches(components: BatchComponents, deadline: float) -> None:
    """Look after all open batches until `deadline` in UTC seconds; the rest is left to the next time.

    Raises `TryLater` if the store fails.
    """
    table, queue = components.table, components.queue
    try:
        if not await table.claim_once("sweep", _CLAIM_SECONDS):
            return
        batches = await table.open_batches()
        if batches:
            await queue.send(Sweep(), INTERVAL_SECONDS)
    except StoreUnavailable as error:
        raise TryLater(INTERVAL_SECONDS) from error
    if batches:
        log.info("batches.swept", extra=_backlog(batches, components.clock()))
    for batch in batches:
        if components.clock() >= deadline:
            log.warning("batch.sweep_unfinished", extra={"batches": len(batches)})
            return
        try:
            await _look_after(components, batch)
        except StoreUnavailable:
            log.warning("batch.sweep_failed", extra={"batch": batch.id}, exc_info=True)
    try:
        await load("tidegate.batch.file_cleanup", "delete_expired_contents")(components, deadline)
    except StoreUnavailable:
        log.warning("batch.file_cleanup_failed", exc_info=True)


def _backlog(batches: Sequence[Batch], now: float) -> dict[str, object]:
    """Return what is to be done: batches, unanswered lines, and how old the oldest batch is."""
    return {
        "batches": len(batches),
        "lines": sum(batch.total - batch.usage.completed - batch.usage.failed for batch in batches),
        "oldest_seconds": round(max(now - batch.created_at for batch in batches), 1),
    }


async def _look_after(components: BatchComponents, batch: Batch) -> None:
    match batch.status:
        case "validating":
            await _start_again(components, batch, Validate(batch.workspace_id, batch.id), batch.created_at)
        case "finalizing":
            since = batch.finalizing_at or batch.created_at
            await _start_again(components, batch, Compose(batch.workspace_id, batch.id), since)
        case _:
            if batch.mode == "provider_batch" or batch.has_open_jobs:
                await components.queue.send(PollJobs(batch.workspace_id, batch.id))
            await _feed_lost_parts(components, batch)
            await resume_if_possible(components, batch)
            await feed_parts(components, batch.workspace_id, batch.id)
            await _announce_progress(components, batch)


async def _start_again(components: BatchComponents, batch: Batch, message: Message, since: float) -> None:
    """Send the message of a step that no process has, unless it may still be on its way."""
    now = components.clock()
    if max(since, batch.step_lease_until) + QUEUED_SECONDS > now:
        return
    if step_deaths(batch):
        log.warning("batch.step_died", extra={"batch": batch.id, "deaths": step_deaths(batch)})
    if await components.table.claim_once(f"{batch.status}#{batch.id}", QUEUED_SECONDS):
        await components.queue.send(message)


async def _feed_lost_parts(components: BatchComponents, batch: Batch) -> None:
    """Queue parts again whose message is lost, or whose worker is dead or does not hand them back."""
    now = components.clock()
    parts = await components.table.find_parts(batch, batch.running)
    for part in parts.values():
        if not _is_lost(batch, part, now):
            continue
        queued = replace(part, status="queued", queued_at=now, lease=None, lease_until=0.0)
        if await components.table.save(queued):
            await components.queue.send(RunPart(batch.workspace_id, batch.id, part.number))


def _is_lost(batch: Batch, part: Part, now: float) -> bool:
    if part.status == "queued":
        return part.queued_at + QUEUED_SECONDS <= now
    over_since = batch.cancelling_at if batch.cancelling_at is not None else batch.expires_at
    return part.status == "running" and (part.lease_until <= now or over_since + HANDBACK_SECONDS <= now)


async def _announce_progress(components: BatchComponents, batch: Batch) -> None:
    """Emit an event if lines were answered since the last one."""

    def announce(stored: Batch) -> Batch | None:
        answered = stored.usage.completed + stored.usage.failed
        return replace(stored, announced_lines=answered) if answered > stored.announced_lines else None

    if batch.usage.completed + batch.usage.failed > batch.announced_lines:
        changed = await change_batch(components, batch.workspace_id, batch.id, announce)
        if changed is not None and not changed.is_terminal:
            await components.events.emit("BatchProgress", changed)

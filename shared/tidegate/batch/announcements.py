"""Announces the end of a batch: to the event bus, to a webhook, and beside a dropped object that failed."""

from tidegate.batch.components import BatchStores
from tidegate.batch.messages import Notify
from tidegate.domain.batch import Batch
from tidegate.lazy import load


async def announce_end(stores: BatchStores, batch: Batch) -> None:
    """Emit the event of a terminal batch, and send the message for its webhook.

    May be called again: all calls have one event id, by which receivers of webhooks know what they have already.
    """
    await stores.events.emit("BatchFailed" if batch.status == "failed" else "BatchCompleted", batch)
    if batch.status == "failed" and batch.source == "object":
        await load("tidegate.batch.dropped_objects", "reject_input")(stores, batch)
    event_id = f"evt_{batch.id.removeprefix('batch_')}"
    await stores.queue.send(Notify(batch.workspace_id, batch.id, f"batch.{batch.status}", event_id))

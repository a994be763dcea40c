"""Events of batches on an EventBridge bus: BatchValidated, BatchProgress, BatchPaused, BatchCompleted, BatchFailed.

The detail of an event is the batch as `GET /v1/batches/{id}` shows it, and its `workspace_id`.
"""

import logging
import time
from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from tidegate.aws.events import EventBus, open_event_bus
from tidegate.batch.ports import BatchEventType
from tidegate.batch.views import batch_json
from tidegate.domain.batch import Batch
from tidegate.errors import StoreUnavailable
from tidegate.settings import AwsSettings
from tidegate.transport.base import Transport
from tidegate.transport.sigv4 import AwsKeys

log = logging.getLogger(__name__)

MAX_FAULTS = 20
"""Faults of a batch in an event, of which EventBridge takes 256 KB."""


class EventBridgeBatchEvents(Struct, frozen=True):
    """The port `BatchEvents`."""

    bus: EventBus
    clock: Callable[[], float] = time.time

    async def emit(self, event_type: BatchEventType, batch: Batch) -> None:
        """See `BatchEvents.emit`."""
        detail = {**batch_json(replace(batch, errors=batch.errors[:MAX_FAULTS])), "workspace_id": batch.workspace_id}
        try:
            await self.bus.send(self.clock(), event_type, detail)
        except (StoreUnavailable, TimeoutError) as error:
            facts = {"kind": event_type, "workspace_id": batch.workspace_id, "batch_id": batch.id}
            log.error("event.lost", extra={**facts, "error": str(error)})


def create_batch_events(transport: Transport, aws_keys: AwsKeys, aws: AwsSettings, bus: str) -> EventBridgeBatchEvents:
    """Create the events on the bus of that name. Opens nothing; the caller owns `transport`."""
    return EventBridgeBatchEvents(open_event_bus(transport, aws_keys, aws, bus))

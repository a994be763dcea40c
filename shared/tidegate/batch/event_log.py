"""Events of batches in the log, where there is no event bus."""

import logging

from tidegate.batch.ports import BatchEventType
from tidegate.domain.batch import Batch

log = logging.getLogger(__name__)


class LogBatchEvents:
    """The port `BatchEvents`: one line for each event."""

    async def emit(self, event_type: BatchEventType, batch: Batch) -> None:
        """See `BatchEvents.emit`. Progress is for debugging only."""
        level = logging.DEBUG if event_type == "BatchProgress" else logging.INFO
        usage = batch.usage
        numbers = {"total": batch.total, "completed": usage.completed, "failed": usage.failed}
        extra = {"batch_id": batch.id, "workspace_id": batch.workspace_id, "status": batch.status, "pause": batch.pause}
        log.log(level, "batch.event", extra={"event": event_type, **extra, **numbers})

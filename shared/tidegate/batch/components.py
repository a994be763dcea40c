"""The ports and settings of the batch engine, composed once per process."""

import time
from collections.abc import Callable, Mapping

from msgspec import Struct, field

from tidegate.batch.ports import (
    BatchEvents,
    BatchObjects,
    BatchQueue,
    BatchTable,
    Callers,
    Replies,
    Settlements,
    Webhooks,
)
from tidegate.domain.batch_options import BatchOptions
from tidegate.domain.operation import Operation
from tidegate.domain.surface import Surface
from tidegate.gateway import Gateway


class BatchStores(Struct, frozen=True, kw_only=True):
    """The ports of batches over one world."""

    table: BatchTable
    objects: BatchObjects
    queue: BatchQueue
    callers: Callers
    events: BatchEvents
    settlements: Settlements


class BatchComponents(BatchStores, frozen=True, kw_only=True):
    """All that the steps of a batch use. `endpoints` are the surface and operation by path, of which lines name one.

    `call_limits` are the calls at once, by provider, with which the last worker of this process ended. Once
    `is_stopping` is true, the process ends soon: workers begin no line any more, and hand back their parts.
    """

    gateway: Gateway
    endpoints: Mapping[str, tuple[Surface, Operation]]
    options: BatchOptions = BatchOptions()
    replies: Replies | None = None
    webhooks: Webhooks | None = None
    clock: Callable[[], float] = time.time
    is_stopping: Callable[[], bool] = lambda: False
    call_limits: dict[str, float] = field(default_factory=dict[str, float])

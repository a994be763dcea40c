"""The batch engine of the local server: it takes the messages of the queue in this process while the server runs.

The queue is in memory, so a new process begins with `resume_open_batches`: on a data folder that no other server uses,
what an earlier process had leased is free, and its messages are sent again.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from tidegate.batch.components import BatchComponents
from tidegate.batch.engine import Engine
from tidegate.batch.feeder import feed_parts
from tidegate.batch.messages import Compose, Message, PollJobs, RunPart, Sweep, Validate
from tidegate.batch.ports import TryLater
from tidegate.batch.transitions import change_batch
from tidegate.domain.batch import Batch
from tidegate.errors import StoreUnavailable
from tidegate.local.batch_pipe import receive_piped
from tidegate.local.drop_folder import DropFolder, watch_drop_folder
from tidegate.memory.batch_queue import MemoryBatchQueue

log = logging.getLogger(__name__)

STEPS = 4
"""Steps at once: parts of 64 calls, which are bound by the processor from there on."""

STEP_SECONDS = 900.0
"""The time of one step, as on Lambda: longer than the longest call."""

SWEEP_SECONDS = 60.0
STOP_SECONDS = 5.0
"""How long calls in progress may take when the server stops. Their answers are lost after it, and asked for again."""

MAX_FAILURES = 8
"""A message that has failed so often is dropped. If its step is still to be done, the sweep sends it again."""

_LONGEST_DELAY = 60.0


class LocalBatches(Struct, frozen=True):
    """The batch engine's components, and the queue that this process reads; None if others do the steps.

    `is_kept`: the store has what an earlier process has left. Files that are dropped into `drop_folder` are taken.
    Messages of the server's other processes come through `pipe`, a descriptor.
    """

    components: BatchComponents
    queue: MemoryBatchQueue | None = None
    is_kept: bool = False
    drop_folder: DropFolder | None = None
    pipe: int | None = None


class StepEngine(Protocol):
    """`batch.engine.Engine`."""

    async def handle(self, message: Message, deadline: float) -> None:
        """See `Engine.handle`."""
        ...


@asynccontextmanager
async def open_batches(batches: LocalBatches | None) -> AsyncGenerator[BatchComponents | None]:
    """Run the engine until the context is left, and yield its components. Raises `StoreUnavailable`."""
    if batches is None or batches.queue is None:
        yield batches and batches.components
        return
    if batches.is_kept:
        await resume_open_batches(batches.components)
    stopping = asyncio.Event()
    components = replace(batches.components, is_stopping=stopping.is_set)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(run_batches(Engine(components), batches.queue, stopping=stopping))
        if batches.pipe is not None:
            await stack.enter_async_context(receive_piped(batches.pipe, batches.queue))
        if batches.drop_folder is not None:
            await stack.enter_async_context(watch_drop_folder(components, batches.drop_folder))
        yield components


@asynccontextmanager
async def run_batches(
    engine: StepEngine,
    queue: MemoryBatchQueue,
    *,
    stopping: asyncio.Event | None = None,
    steps: int = STEPS,
    clock: Callable[[], float] = time.time,
    pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> AsyncGenerator[None]:
    """Do the steps that come, `steps` at once, until the context is left.

    Then `stopping` is set, and the steps that are running have `STOP_SECONDS` to end before they are cancelled.
    """
    stopping = stopping or asyncio.Event()
    worker = _Worker(engine, queue, clock, stopping)
    tasks = [asyncio.create_task(worker.work()) for _ in range(steps)]
    sweeps = asyncio.create_task(_send_sweeps(queue, pause))
    try:
        yield
    finally:
        sweeps.cancel()
        stopping.set()
        _, running = await asyncio.wait(tasks, timeout=STOP_SECONDS)
        for task in running:
            task.cancel()
        if running:
            log.warning("batch_steps.cancelled", extra={"steps": len(running)})
            await asyncio.wait(running, timeout=STOP_SECONDS)


async def resume_open_batches(components: BatchComponents) -> None:
    """Free what an earlier process had leased, and send the next messages of all open batches."""
    table, now = components.table, components.clock()
    for batch in await table.open_batches():
        await change_batch(components, batch.workspace_id, batch.id, _without_lease)
        parts = await table.find_parts(batch, batch.running)
        for part in parts.values():
            await table.save(replace(part, status="queued", queued_at=now, lease=None, lease_until=0.0))
        for message in _next_messages(batch):
            await components.queue.send(message)
        await feed_parts(components, batch.workspace_id, batch.id)


def _without_lease(batch: Batch) -> Batch | None:
    return replace(batch, step_lease_until=0.0) if batch.step_lease_until else None


def _next_messages(batch: Batch) -> list[Message]:
    workspace_id = batch.workspace_id
    match batch.status:
        case "validating":
            return [Validate(workspace_id, batch.id)]
        case "finalizing":
            return [Compose(workspace_id, batch.id)]
        case _:
            if batch.mode == "provider_batch":
                return [PollJobs(workspace_id, batch.id)]
            return [RunPart(workspace_id, batch.id, number) for number in batch.running]


async def _send_sweeps(queue: MemoryBatchQueue, pause: Callable[[float], Awaitable[object]]) -> None:
    while True:
        await queue.send(Sweep())
        await pause(SWEEP_SECONDS)


class _Worker:
    def __init__(
        self, engine: StepEngine, queue: MemoryBatchQueue, clock: Callable[[], float], stopping: asyncio.Event
    ) -> None:
        self._engine, self._queue, self._clock, self._stopping = engine, queue, clock, stopping
        self._failures: Counter[Message] = Counter()

    async def work(self) -> None:
        """Do one step after the other, until the server stops."""
        while (message := await self._receive()) is not None:
            try:
                await self._engine.handle(message, self._clock() + STEP_SECONDS)
            except TryLater as later:
                await self._queue.send(message, later.seconds)
            except StoreUnavailable as error:
                await self._send_again(message, error.message)
            # A fault of ours in one step must not end all others.
            except Exception as error:
                log.exception("batch_step.broken", extra={"step": _step(message)})
                await self._send_again(message, type(error).__name__)
            else:
                self._failures.pop(message, None)

    async def _receive(self) -> Message | None:
        """Wait for the next message; None once the server stops."""
        receiving = asyncio.create_task(self._queue.receive())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait((receiving, stopping), return_when=asyncio.FIRST_COMPLETED)
            return receiving.result() if receiving.done() and not self._stopping.is_set() else None
        finally:
            receiving.cancel()
            stopping.cancel()

    async def _send_again(self, message: Message, reason: str) -> None:
        self._failures[message] += 1
        failures = self._failures[message]
        log.warning("batch_step.failed", extra={"step": _step(message), "failures": failures, "error": reason})
        if failures < MAX_FAILURES:
            await self._queue.send(message, min(2.0 ** (failures - 1), _LONGEST_DELAY))
        else:
            del self._failures[message]


def _step(message: Message) -> str:
    return type(message).__name__

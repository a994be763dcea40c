"""Messages of the batch engine between the processes of one server: all send, the first one does the steps.

A line of a pipe is a message and its delay. The lines are shorter than what a pipe takes at once, so that those of
several processes do not mix. Lines that a process took before it died are sent again by the next one, which begins with
`background_batches.resume_open_batches`.
"""

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import msgspec
from msgspec import Struct

from tidegate.batch.messages import Message
from tidegate.batch.ports import BatchQueue
from tidegate.errors import StoreUnavailable
from tidegate.local.background_task import in_background

SEND_SECONDS = 5.0
"""How long a sender waits for room in the pipe: it is full if the first process does not read."""

_PAUSE_SECONDS = 0.05


class _Line(Struct, frozen=True):
    message: Message
    delay_seconds: float = 0.0


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Line).decode


class PipedBatchQueue:
    """The port `BatchQueue`, over the writing end of a pipe."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor

    async def send(self, message: Message, delay_seconds: float = 0.0) -> None:
        """See `BatchQueue.send`. Raises `StoreUnavailable` if nobody reads."""
        line = _encode(_Line(message, delay_seconds)) + b"\n"
        for _ in range(round(SEND_SECONDS / _PAUSE_SECONDS)):
            with suppress(BlockingIOError):
                os.write(self._descriptor, line)
                return
            await asyncio.sleep(_PAUSE_SECONDS)
        raise StoreUnavailable("The batch engine of this server takes no messages.")


@asynccontextmanager
async def receive_piped(descriptor: int, queue: BatchQueue) -> AsyncGenerator[None]:
    """Pass the messages of a pipe on to `queue` until the context is left."""
    reader = asyncio.StreamReader()
    pipe = os.fdopen(os.dup(descriptor), "rb", buffering=0)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), pipe
    )
    try:
        async with in_background(_receive(reader, queue)):
            yield
    finally:
        transport.close()


async def _receive(reader: asyncio.StreamReader, queue: BatchQueue) -> None:
    while line := await reader.readline():
        entry = _decode(line)
        await queue.send(entry.message, entry.delay_seconds)

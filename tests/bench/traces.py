"""What a trace costs: processor time of a stream of 500 chunks with a trace and without, the two taking turns.

Each call goes through the whole gateway in memory, in this process; the provider sends a piece for each chunk, as a
socket does. The time is that of all threads of the process.
"""

import asyncio
import gc
import json
import logging
import statistics
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
from msgspec import Struct

from tests.world import Client, delta, sse, world

CHUNKS = 500
MODEL = "openai/gpt-4.1-mini"
PROMPT = "Write a tagline for an AI content platform. " * 40


class Cost(Struct, frozen=True):
    """Milliseconds of processor for one stream, medians: without a trace, and with one."""

    bare: float
    traced: float


class Pieces(httpx.AsyncByteStream):
    """The body of a reply, a piece for each chunk; each comes in a turn of the event loop of its own."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            await asyncio.sleep(0)
            yield piece


def measure(rounds: int) -> Cost:
    """Return the medians of so many rounds."""
    logging.disable(logging.CRITICAL)
    try:
        return asyncio.run(_measure(rounds))
    finally:
        logging.disable(logging.NOTSET)


async def _measure(rounds: int) -> Cost:
    texts = [f"word{number} " for number in range(CHUNKS)]
    pieces = [sse(delta("")), *(sse(delta(text)) for text in texts), sse(delta(finish="stop"), "[DONE]")]

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Pieces(pieces))

    plain: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": PROMPT}], "stream": True}
    bodies = {"bare": plain, "traced": {**plain, "observability": True}}
    times: dict[str, list[float]] = {name: [] for name in bodies}
    async with world(answer) as client:
        encoded = {name: json.dumps(body).encode() for name, body in bodies.items()}
        for body in encoded.values():
            await _ms(client, body)
        gc.collect()
        gc.freeze()
        for _ in range(rounds):
            for name, body in encoded.items():
                times[name].append(await _ms(client, body))
    return Cost(statistics.median(times["bare"]), statistics.median(times["traced"]))


async def _ms(client: Client, body: bytes) -> float:
    started = time.process_time()
    await client.post(body)
    return (time.process_time() - started) * 1000

"""What a trace costs: processor time of a stream of 500 chunks with a trace and without, the two taking turns.

Measured twice. As a caller has it: the processor time of `tidegate serve`, between a client and a provider over
sockets, whose pieces come a millisecond apart. And the gateway alone, in memory and in this process; the provider sends
a piece for each chunk. Each counts all threads of its process.
"""

import asyncio
import gc
import json
import logging
import statistics
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import closing
from typing import Any

import httpx
from msgspec import Struct

from tests.bench import processes
from tests.bench.latency import Line
from tests.bench.requests import body, raw
from tests.bench.upstream import LONG_CHUNKS
from tests.world import Client, delta, sse, world

MODEL = "openai/gpt-4.1-mini"
PROMPT = "Write a tagline for an AI content platform. " * 40

_WARM_CALLS = 5

_REST_SECONDS = 0.005


class Cost(Struct, frozen=True):
    """Milliseconds of processor for one stream without a trace, and what a trace adds.

    Both are medians: the second one of the differences between two streams that follow each other.
    """

    bare: float
    added: float

    @property
    def share(self) -> float:
        return self.added / self.bare


class Pieces(httpx.AsyncByteStream):
    """The body of a reply, a piece for each chunk; each comes in a turn of the event loop of its own."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            await asyncio.sleep(0)
            yield piece


def measure_server(rounds: int, store: str = "memory") -> Cost:
    """Return the medians of so many rounds, over HTTP: of the server's process."""
    messages = [{"role": "user", "content": PROMPT}]
    requests = {
        "bare": raw(body("long", messages=messages)),
        "traced": raw(body("long", messages=messages, observability=True)),
    }
    times: dict[str, list[float]] = {name: [] for name in requests}
    with (
        processes.upstream() as provider,
        processes.gateway(store, provider) as gateway,
        closing(Line(gateway.port)) as line,
    ):
        for _ in range(_WARM_CALLS):
            for request in requests.values():
                line.call(request)
        for _ in range(rounds):
            for name, request in requests.items():
                started = gateway.processor_seconds()
                line.call(request)
                times[name].append((_settled_seconds(gateway) - started) * 1000)
    return _cost(times)


def _settled_seconds(program: processes.Program) -> float:
    """Return the program's processor time once it rests: it settles calls after their replies."""
    seconds = program.processor_seconds()
    while True:
        time.sleep(_REST_SECONDS)
        now = program.processor_seconds()
        if now - seconds < _REST_SECONDS / 100:
            return now
        seconds = now


def measure(rounds: int) -> Cost:
    """Return the medians of so many rounds, in this process."""
    logging.disable(logging.CRITICAL)
    try:
        return asyncio.run(_measure(rounds))
    finally:
        logging.disable(logging.NOTSET)


async def _measure(rounds: int) -> Cost:
    texts = [f"word{number} " for number in range(LONG_CHUNKS)]
    pieces = [sse(delta("")), *(sse(delta(text)) for text in texts), sse(delta(finish="stop"), "[DONE]")]

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Pieces(pieces))

    plain: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": PROMPT}], "stream": True}
    bodies = {"bare": plain, "traced": {**plain, "observability": True}}
    times: dict[str, list[float]] = {name: [] for name in bodies}
    async with world(answer) as client:
        encoded = {name: json.dumps(body).encode() for name, body in bodies.items()}
        for content in encoded.values():
            await _ms(client, content)
        gc.collect()
        gc.freeze()
        for _ in range(rounds):
            for name, content in encoded.items():
                times[name].append(await _ms(client, content))
    return _cost(times)


async def _ms(client: Client, body: bytes) -> float:
    started = time.process_time()
    await client.post(body)
    return (time.process_time() - started) * 1000


def _cost(times: Mapping[str, list[float]]) -> Cost:
    added = [traced - bare for traced, bare in zip(times["traced"], times["bare"], strict=True)]
    return Cost(statistics.median(times["bare"]), statistics.median(added))

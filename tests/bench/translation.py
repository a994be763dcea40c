"""What providers cost: one chunk of a stream translated, and a provider's module loaded when a call first needs it.

The streams are those of `tests/providers/cases/<provider>/stream`, with one of their texts said a thousand times, one
network read for each event: the dearest way for a stream to come.
"""

import asyncio
import os
import statistics
import subprocess
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.processes import ROOT
from tests.upstream.frames import framed
from tidegate.chat.operation import CHAT
from tidegate.domain.surface import SurfaceStream
from tidegate.providers import Registry
from tidegate.providers.base import Provider, StreamEvent
from tidegate.surfaces.late_dialects import MESSAGES
from tidegate.upstream.eventstream import EventStreamDecoder
from tidegate.upstream.sse import SseDecoder

PROVIDERS = ("openai", "azure", "anthropic", "gemini", "vertex", "cohere", "bedrock")
TEXTS = 1000
_ASKED = b'{"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}'
_SAID = (b"Hel", "Grü".encode(), b"Write")

_LOAD = """
import sys, time
from functions.chat.app import app
from tidegate.providers import Registry
registry = Registry()
started = time.perf_counter()
registry.load(sys.argv[1])
print((time.perf_counter() - started) * 1000)
"""
_VARIABLES = {"TIDEGATE_TABLE": "t", "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one provider: microseconds for each chunk, milliseconds to load it after the data plane."""

    chunk_us: float
    load_ms: float


def measure(artifact: Path, python: str, rounds: int) -> dict[str, Cost]:
    """Medians of several rounds, the providers taking turns."""
    chunks: dict[str, list[float]] = {name: [] for name in PROVIDERS}
    loads: dict[str, list[float]] = {name: [] for name in PROVIDERS}
    for _ in range(rounds):
        for name in PROVIDERS:
            chunks[name].append(_chunk_us(name))
            loads[name].append(_load_ms(name, artifact, python))
    return {name: Cost(statistics.median(chunks[name]), statistics.median(loads[name])) for name in PROVIDERS}


def message_chunk_us(rounds: int) -> float:
    """The median cost of one chunk of OpenAI's, translated and written as an event of the Messages API."""
    return statistics.median(_message_chunk_us() for _ in range(rounds))


def _message_chunk_us() -> float:
    provider = Registry().load("openai")
    reads = _reads("openai", provider)
    stream = MESSAGES.open_stream(MESSAGES.parse(CHAT, _ASKED))
    started = time.perf_counter()
    made = asyncio.run(_translate(provider, reads, stream))
    return (time.perf_counter() - started) / made * 1e6


def _chunk_us(name: str) -> float:
    provider = Registry().load(name)
    reads = _reads(name, provider)
    started = time.perf_counter()
    made = asyncio.run(_translate(provider, reads))
    taken = time.perf_counter() - started
    if made < TEXTS:
        raise RuntimeError(f"{name} made {made} chunks of {TEXTS} texts")
    return taken / made * 1e6


async def _translate(provider: Provider, reads: Sequence[bytes], stream: SurfaceStream | None = None) -> int:
    async def events() -> AsyncIterator[Sequence[StreamEvent]]:
        decoder = SseDecoder() if provider.framing == "sse" else EventStreamDecoder()
        for read in reads:
            yield decoder.feed(read)

    made = 0
    async for batch in provider.parse_stream(events()):
        made += len(batch)
        if stream is not None:
            stream.events(batch)
    return made


def _reads(name: str, provider: Provider) -> list[bytes]:
    """The stream, an event a read, whose text in the middle comes a thousand times."""
    cases = ROOT / "tests" / "providers" / "cases"
    [path] = (cases / name / "stream").glob("upstream.*")
    if provider.framing == "eventstream":
        reads = [framed(line) for line in path.read_text().splitlines()]
    else:
        reads = [event.encode() + b"\n\n" for event in path.read_text().split("\n\n") if event]
    said = next(
        place for place, read in enumerate(reads) if b"Hel" in read or "Grü".encode() in read or b"Write" in read
    )
    return [*reads[:said], *[reads[said]] * TEXTS, *reads[said + 1 :]]


def _load_ms(name: str, artifact: Path, python: str) -> float:
    """On Lambda's Python, precompiled, once the function itself has been imported."""
    env = {**_VARIABLES, "PYTHONPATH": str(artifact), "PATH": os.environ["PATH"]}
    done = subprocess.run([python, "-c", _LOAD, name], env=env, capture_output=True, text=True, check=True)
    return float(done.stdout)

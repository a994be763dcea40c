"""What providers cost: one chunk of a stream translated, and a provider's module loaded when a call first needs it.

The streams are those of `tests/providers/cases/<provider>/stream`, with one of their texts said a thousand times, one
network read for each event: the dearest way for a stream to come.
"""

import os
import re
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.processes import ROOT
from tests.providers.streams import translated
from tests.upstream.frames import framed
from tidegate.chat.operation import CHAT
from tidegate.domain.surface import Surface, SurfaceStream
from tidegate.providers import Registry
from tidegate.providers.base import Provider
from tidegate.surfaces.late_dialects import MESSAGES, RESPONSES
from tidegate.upstream.eventstream import EventStreamDecoder
from tidegate.upstream.sse import SseDecoder

PROVIDERS = ("openai", "azure", "anthropic", "gemini", "vertex", "cohere", "bedrock")
TEXTS = 1000
_ASKED = b'{"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}'
_SAID = (b"Hel", "Grü".encode(), b"Write")

_CHAT_SURFACES = ("openai", "openrouter", "neuroflash")

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


SURFACES: Mapping[str, tuple[Surface, bytes, str]] = {
    "Messages": (MESSAGES, _ASKED, "openai"),
    "Responses": (RESPONSES, b'{"model": "m", "input": "Hi", "store": false}', "anthropic"),
}
"""Surfaces whose events are not chat's, a request of each, and a provider whose chunks are translated for it."""


def surface_chunk_us(rounds: int) -> dict[str, float]:
    """The median cost of one chunk of a provider's, translated and written as an event, by surface."""
    return {name: statistics.median(_surface_chunk_us(name) for _ in range(rounds)) for name in SURFACES}


def dialects_load_ms(artifact: Path, python: str, rounds: int) -> float:
    """The median time that the function's import spends in the modules of dialects other than chat's."""
    return statistics.median(_dialects_load_ms(artifact, python) for _ in range(rounds))


def _dialects_load_ms(artifact: Path, python: str) -> float:
    env = {**_VARIABLES, "PYTHONPATH": str(artifact), "PATH": os.environ["PATH"]}
    command = [python, "-X", "importtime", "-c", "import functions.chat.app"]
    lines = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stderr.splitlines()
    found = [re.fullmatch(r"import time: +(\d+) \| +\d+ \| +tidegate\.surfaces\.(\w+)(\.\w+)*", line) for line in lines]
    return sum(int(match[1]) for match in found if match and match[2] not in _CHAT_SURFACES) / 1000


def _surface_chunk_us(name: str) -> float:
    surface, asked, provider_name = SURFACES[name]
    provider = Registry().load(provider_name)
    reads = _reads(provider_name, provider)
    stream = surface.open_stream(surface.parse(CHAT, asked))
    started = time.perf_counter()
    made = _translate(provider, reads, stream)
    return (time.perf_counter() - started) / made * 1e6


def _chunk_us(name: str) -> float:
    provider = Registry().load(name)
    reads = _reads(name, provider)
    started = time.perf_counter()
    made = _translate(provider, reads)
    taken = time.perf_counter() - started
    if made < TEXTS:
        raise RuntimeError(f"{name} made {made} chunks of {TEXTS} texts")
    return taken / made * 1e6


def _translate(provider: Provider, reads: Sequence[bytes], stream: SurfaceStream | None = None) -> int:
    decoder = SseDecoder() if provider.framing == "sse" else EventStreamDecoder()
    made = 0
    for batch in translated(provider.new_stream(), map(decoder.feed, reads)):
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

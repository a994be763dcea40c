"""Many streams that are open at once: what each holds, and how long another call with a long prompt delays them."""

import asyncio
import socket
import statistics
import time
from collections.abc import Awaitable
from typing import NamedTuple, cast

import uvloop

from tests.bench.processes import Program
from tests.bench.requests import body, raw
from tests.bench.upstream import SLOW_PAUSE_SECONDS

STREAMS = 1_000
PROMPT_BYTES = 10_000_000
PROMPTS = 3
TEXT = "A tagline for the platform. "

_OPENING_SECONDS = 8.0
"""The most that may pass until all streams are open: the first ones end after 12."""

_CALM_SECONDS = 3.0
_END = b"0\r\n\r\n"


class Held(NamedTuple):
    """Megabytes of the started gateway before the streams, and with all of them open, and milliseconds of delay.

    `calm_ms` is how much later than a pause 99.9 % of the chunks came at most while only the streams ran, `delayed_ms`
    while long prompts came as well.
    """

    before_mb: float
    open_mb: float
    calm_ms: float
    delayed_ms: float

    @property
    def stream_kb(self) -> float:
        """The memory of one stream."""
        return (self.open_mb - self.before_mb) / STREAMS * 1000


def measure(gateway: Program) -> Held:
    """Return what the streams hold, and how a prompt of `PROMPT_BYTES` delays them."""
    return uvloop.run(_measure(gateway))


async def _measure(gateway: Program) -> Held:
    prompt = _long_prompt()  # to render it takes 50 ms, in which no chunk would be read
    await _call(gateway.port)
    before = gateway.resident_mb()
    request = raw(body("slow"))
    lines = await asyncio.wait_for(_open(request, gateway.port), _OPENING_SECONDS)
    held = gateway.resident_mb()
    if not all(line.is_open for line in lines):
        raise RuntimeError("streams have ended before all were open")
    calm = await _delays(lines, asyncio.sleep(_CALM_SECONDS))
    delayed = await _delays(lines, asyncio.to_thread(_send_prompts, gateway.port, prompt))
    for line in lines:
        line.close()
    return Held(before, held, calm, delayed)


async def _open(request: bytes, port: int) -> "list[_Line]":
    """Open all streams, and wait until each has its first chunk. Raises `RuntimeError` if one is refused."""
    loop = asyncio.get_running_loop()
    lines: list[_Line] = []
    for _ in range(STREAMS):
        _, line = await loop.create_connection(lambda: _Line(request), "127.0.0.1", port)
        lines.append(line)
    await asyncio.gather(*(line.opened for line in lines))
    return lines


async def _call(port: int) -> None:
    """Wait for a reply: a gateway names its port, and takes connections, while it still loads 7 MB."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(raw(body()))
    await reader.readuntil(b"\r\n\r\n")
    writer.close()


def _long_prompt() -> bytes:
    return raw(body(messages=[{"role": "user", "content": TEXT * (PROMPT_BYTES // len(TEXT))}]))


async def _delays(lines: "list[_Line]", work: Awaitable[None]) -> float:
    """The delay of 99.9 % of the chunks that come during `work`, in milliseconds."""
    for line in lines:
        line.gaps.clear()
    await work
    gaps = [gap for line in lines for gap in line.gaps]
    return (statistics.quantiles(gaps, n=1000)[998] - SLOW_PAUSE_SECONDS) * 1000


def _send_prompts(port: int, prompt: bytes) -> None:
    """Send long prompts one after the other. Runs in a thread, in calls that hold up no chunk that is measured."""
    with socket.create_connection(("127.0.0.1", port)) as connection, connection.makefile("rb") as replies:
        for _ in range(PROMPTS):
            connection.sendall(prompt)
            status, length = replies.readline(), 0
            while (line := replies.readline().lower()) != b"\r\n":
                name, _, value = line.partition(b":")
                length = int(value) if name == b"content-length" else length
            if b" 200 " not in status:
                raise RuntimeError(f"the long prompt was refused: {status!r}")
            replies.read(length)
            time.sleep(SLOW_PAUSE_SECONDS)


class _Line(asyncio.Protocol):
    """A connection with one stream: when its reply has `opened`, and the seconds between its chunks."""

    def __init__(self, request: bytes) -> None:
        self.gaps: list[float] = []
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.is_open = False
        self._request = request
        self._last: float | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        if self._last is not None:
            self.gaps.append(now - self._last)
        elif data.startswith(b"HTTP/1.1 200 "):
            self.is_open = True
            self.opened.set_result(None)
        else:
            self.opened.set_exception(RuntimeError(f"a stream was refused: {data[:100]!r}"))
        if data.endswith(_END):
            self.is_open = False
        self._last = now

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        if not self.opened.done():
            self.opened.set_exception(RuntimeError("a stream was not answered"))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

"""Many connections at once: complete replies for each second, by wrk where it is installed, or else from here.

Source: https://github.com/wg/wrk/blob/master/SCRIPTING
"""

import asyncio
import json
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple, cast

import uvloop

from tests.bench.latency import is_whole
from tests.bench.processes import Program
from tests.bench.requests import HEADERS, NUMBER, Shot, raw

CONNECTIONS = 16
GENERATOR = "wrk" if shutil.which("wrk") else "an asyncio client of the bench's own"


class Pace(NamedTuple):
    """Calls that succeeded, for each second and in all, and the milliseconds in which 99 % of them were answered."""

    per_second: float
    calls: int
    p99_ms: float


def load(program: Program, shot: Shot, seconds: float) -> Pace:
    """The pace of `CONNECTIONS` connections, on each of which calls follow each other. Raises `RuntimeError`."""
    if shutil.which("wrk"):
        return _by_wrk(program, shot, seconds)
    return uvloop.run(_drive(program.port, raw(shot.body, shot.path), seconds=seconds))


def rate(program: Program, body: str, seconds: float) -> float:
    """Calls that succeed for each second on `CONNECTIONS` connections. Raises `RuntimeError` when all fail."""
    return load(program, Shot(body), seconds).per_second


def send(program: Program, body: str, calls: int) -> None:
    """That many calls on `CONNECTIONS` connections."""
    uvloop.run(_drive(program.port, raw(body), calls=calls))


def _by_wrk(program: Program, shot: Shot, seconds: float) -> Pace:
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "call.lua"
        script.write_text(_script(shot.body))
        command = ["wrk", "--threads", "1", "--connections", str(CONNECTIONS), "--timeout", "60s"]
        command += ["--duration", f"{max(1, round(seconds))}s", "--script", str(script)]
        url = f"http://127.0.0.1:{program.port}{shot.path}"
        done = subprocess.run([*command, url], capture_output=True, text=True, check=True)
    told: dict[str, float] = json.loads(done.stdout.rpartition("RESULT ")[2])
    succeeded = told["requests"] - told["errors"]
    if told["errors"] and succeeded <= 0:
        raise RuntimeError(f"none of {told['requests']:.0f} calls succeeded")
    return Pace(succeeded / told["microseconds"] * 1e6, int(succeeded), told["p99_microseconds"] / 1000)


def _script(body: str) -> str:
    """Lua, whose long brackets take JSON as it is."""
    headers = "\n".join(f'wrk.headers["{name}"] = "{value}"' for name, value in HEADERS.items() if name != "Host")
    return f"""\
wrk.method = "POST"
wrk.body = [==[{body}]==]
{headers}
{_numbered(_first_number()) if NUMBER in body else ""}
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('RESULT {{"requests": %d, "microseconds": %d, "p99_microseconds": %d, "errors": %d}}',
    summary.requests, summary.duration, latency:percentile(99), e.connect + e.read + e.write + e.status + e.timeout))
end
"""


def _first_number() -> int:
    """A number beyond those of earlier loads: a millisecond has fewer calls than one."""
    return time.time_ns() // 1_000_000 % 10 ** len(NUMBER)


def _numbered(first: int) -> str:
    return f"""
local number, before, after = {first}, wrk.body:match("^(.-){NUMBER}(.*)$")
function request()
  number = number + 1
  return wrk.format(nil, nil, nil, before .. string.format("%0{len(NUMBER)}d", number) .. after)
end
"""


async def _drive(port: int, request: bytes, *, seconds: float = 0.0, calls: int = 0) -> Pace:
    loop = asyncio.get_running_loop()
    load = _Load(request, time.perf_counter() + seconds if seconds else None, calls)
    for _ in range(CONNECTIONS):
        await loop.create_connection(lambda: _Client(load), "127.0.0.1", port)
    await load.over
    taken = time.perf_counter() - load.started
    return Pace(load.answered / taken, load.answered, statistics.quantiles(load.times, n=100)[98] * 1000)


class _Load:
    """What all connections together still have to do."""

    def __init__(self, request: bytes, until: float | None, calls: int) -> None:
        self.request = request
        self.started = time.perf_counter()
        self.times: list[float] = []
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._until = until
        self._calls = calls
        self._sent = 0
        self._first_number = _first_number()

    @property
    def answered(self) -> int:
        return len(self.times)

    def more(self) -> bool:
        """Whether to send another one."""
        self._sent += 1
        if self._until is None:
            return self._sent <= self._calls
        return time.perf_counter() < self._until

    def next_request(self) -> bytes:
        """The request, with another number in its prompt."""
        return self.request.replace(NUMBER.encode(), b"%08d" % (self._first_number + self._sent))

    def took(self, reply: bytes, seconds: float) -> None:
        self.times.append(seconds)
        if not reply.startswith(b"HTTP/1.1 200"):
            self.fail(RuntimeError(f"a call was refused: {reply[:300]!r}"))
        elif self._until is None and self.answered >= self._calls:
            self.end()

    def rest(self) -> None:
        """Nothing is left to send; what counts calls waits for those under way."""
        if self._until is not None:
            self.end()

    def end(self) -> None:
        if not self.over.done():
            self.over.set_result(None)

    def fail(self, error: Exception) -> None:
        if not self.over.done():
            self.over.set_exception(error)


class _Client(asyncio.Protocol):
    def __init__(self, load: _Load) -> None:
        self._load = load
        self._reply = b""
        self._sent_at = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self._next(self._transport)

    def data_received(self, data: bytes) -> None:
        self._reply += data
        if is_whole(self._reply) and self._transport is not None:
            reply, self._reply = self._reply, b""
            self._load.took(reply, time.perf_counter() - self._sent_at)
            self._next(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.fail(exc or ConnectionError("the server closed the connection"))

    def _next(self, transport: asyncio.Transport) -> None:
        if self._load.more():
            self._sent_at = time.perf_counter()
            transport.write(self._load.next_request())
        else:
            self._load.rest()

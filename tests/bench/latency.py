"""One connection, one call after the other, on a blocking socket: what a call takes, and its first token."""

import socket
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.bench.processes import Program
from tests.bench.replies import TOKEN
from tests.bench.requests import body, raw

_START_SECONDS = 20.0
_READ_SECONDS = 60.0
_FIRST_TOKEN = f'"content":"{TOKEN}"'.encode()


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds."""

    p50: float
    p99: float


def plain(
    programs: Mapping[str, Program], calls: int, pause: float = 0.0, request: bytes = raw(body())
) -> dict[str, Times]:
    """How long a plain call takes at each program, the programs taking turns, with a pause (seconds) after each."""
    return _turns(programs, request, calls, pause, until=None)


def first_token(programs: Mapping[str, Program], calls: int, pause: float = 0.0) -> dict[str, Times]:
    """How long the first token takes, of a stream that pauses after it."""
    return _turns(programs, raw(body("paced")), calls, pause, until=_FIRST_TOKEN)


def _turns(
    programs: Mapping[str, Program], request: bytes, calls: int, pause: float, until: bytes | None
) -> dict[str, Times]:
    lines = {name: Line(program.port) for name, program in programs.items()}
    try:
        for line in lines.values():
            for _ in range(10 if pause else calls // 10):
                line.call(request, until)
        taken: dict[str, list[float]] = {name: [] for name in lines}
        for _ in range(calls):
            for name, line in lines.items():
                taken[name].append(line.call(request, until))
            time.sleep(pause)
        return {name: _times(seconds) for name, seconds in taken.items()}
    finally:
        for line in lines.values():
            line.close()


def _times(seconds: Sequence[float]) -> Times:
    return Times(statistics.median(seconds) * 1000, statistics.quantiles(seconds, n=100)[98] * 1000)


class Line:
    """One kept connection."""

    def __init__(self, port: int) -> None:
        self._socket = connected(port)

    def call(self, request: bytes, until: bytes | None = None) -> float:
        """The seconds until the whole reply is there, or until those bytes are."""
        started = time.perf_counter()
        self._socket.sendall(request)
        seen: float | None = None
        reply = b""
        while not is_whole(reply):
            piece = self._socket.recv(65536)
            if not piece:
                raise ConnectionError("the server closed within a reply")
            reply += piece
            if seen is None and until and until in reply:
                seen = time.perf_counter() - started
        taken = time.perf_counter() - started
        if not reply.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"the call was refused: {reply[:300]!r}")
        return taken if seen is None else seen

    def close(self) -> None:
        self._socket.close()


def is_whole(reply: bytes) -> bool:
    """Whether a reply of either framing is complete."""
    head, found, rest = reply.partition(b"\r\n\r\n")
    if not found:
        return False
    head = head.lower()
    if b"transfer-encoding: chunked" in head:
        return rest.endswith(b"0\r\n\r\n")
    return len(rest) >= int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])


def connected(port: int, start_seconds: float = _START_SECONDS) -> socket.socket:
    """A connection to the port, as soon as something listens there."""
    give_up = time.monotonic() + start_seconds
    while True:
        try:
            line = socket.create_connection(("127.0.0.1", port), timeout=_READ_SECONDS)
        except ConnectionRefusedError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.02)
        else:
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return line

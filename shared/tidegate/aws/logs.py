"""Log lines as JSON with the keys of Powertools' logger, so that its dashboards and queries work.

Powertools itself would add 14 ms to a cold start, and needs 32 µs for a line; the line of a call takes 3 here (2026).
Source: https://docs.aws.amazon.com/powertools/python/latest/core/logger/
"""

import asyncio
import io
import logging
import os
import select
import sys
import traceback
from collections.abc import Mapping
from functools import lru_cache
from typing import TextIO, cast

import msgspec
from msgspec.structs import asdict

from tidegate.call_line import LEVEL_NAMES, LOCATION, CallFields, CallHandler, CallLine
from tidegate.domain.call_event import TO_WHOLE
from tidegate.domain.record import iso_time
from tidegate.errors import StoreUnavailable
from tidegate.lazy import load

CALL_EVENTS = frozenset({"call.settled", "meter.failed"})
"""The lines of which each call has exactly one, when it has ended."""

_VERBOSE_LIBRARIES = ("pyreqwest", "httpx", "httpcore")
"""Libraries that log requests, headers and bodies below WARNING, which we never allow."""

_MOST_GATHERED_BYTES: int = getattr(select, "PIPE_BUF", 4_096)
"""How many bytes of lines are written at once: as many as a pipe takes as a whole, which other processes write to, too.
"""

_STACK = "Traceback (most recent call last):"
_STANDARD_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def configure(level: str, metrics_namespace: str | None = None, *, gathers: bool = False) -> None:
    """Log our events from `level` on to standard output, which Lambda collects. May be called more than once.

    With a namespace, the line of a call has its metrics for CloudWatch. `gathers`: see `LineHandler`.
    """
    root = logging.getLogger()
    if not any(isinstance(handler.formatter, JsonLines) for handler in root.handlers):
        root.addHandler(LineHandler(sys.stdout, metrics_namespace, gathers=gathers))
    logging.getLogger("tidegate").setLevel(level)
    silence_libraries()


def silence_libraries() -> None:
    """Keep the requests, headers and bodies that libraries log out of the log."""
    for name in _VERBOSE_LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)


def has_call_metrics(line: Mapping[str, object]) -> bool:
    """True if a log line is the one of a call that is not a line of a batch."""
    return line["message"] in CALL_EVENTS and "batch_id" not in line


def stack_of(error: BaseException | None) -> str:
    """Return where the exception and its causes were raised, the first cause first, without their messages.

    A message can repeat what it is about, such as a text that is not a number. Those of the system and of the stores
    have no content of calls, and are kept.
    """
    parts, known = list[str](), set[int]()
    while error is not None and id(error) not in known:
        known.add(id(error))
        frames, name = "".join(traceback.format_tb(error.__traceback__)), type(error).__qualname__
        message = f": {error}" if isinstance(error, OSError | StoreUnavailable) else ""
        group = cast("BaseExceptionGroup[BaseException]", error) if isinstance(error, BaseExceptionGroup) else None
        parts.append(
            "\n".join([f"{_STACK}\n{frames}{name}{message}", *map(stack_of, group.exceptions if group else ())])
        )
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n\n".join(reversed(parts))


def _extra(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD_ATTRIBUTES}


class JsonLines(logging.Formatter):
    """Formats the event and its `extra` values that are not None."""

    encode = msgspec.json.Encoder(enc_hook=str).encode

    def __init__(self, metrics_namespace: str | None = None) -> None:
        super().__init__()
        self._metrics_namespace = metrics_namespace

    def format(self, record: logging.LogRecord) -> str:
        extra = asdict(record.fields) if isinstance(record, CallLine) else _extra(record)
        location, event = f"{record.funcName}:{record.lineno}", record.getMessage()
        line = self.line(record.levelname, location, event, extra, record.created)
        if record.exc_info and record.exc_info[0]:
            line["exception"] = stack_of(record.exc_info[1])
            line["exception_name"] = record.exc_info[0].__name__
        return self.encode(line).decode()

    def line(
        self, level: str, location: str, event: str, extra: Mapping[str, object], created: float
    ) -> dict[str, object]:
        """Return the line of an event that was logged at `created` UTC seconds."""
        line: dict[str, object] = {
            "level": level,
            "location": location,
            "message": event,
            "timestamp": f"{iso_time(created)[:-1]}+00:00",
        }
        for name, value in extra.items():
            if value is not None:
                # A comprehension makes a dictionary that is then copied.
                line[name] = value  # noqa: PERF403
        if self._metrics_namespace and has_call_metrics(line):
            load("tidegate.aws.emf", "add_metrics")(line, created, self._metrics_namespace)
        return line

    def call_line(self, level: int, event: str, fields: CallFields, created: float) -> bytes:
        """Return the line of a call, encoded: the same as that of a log record with these fields."""
        if self._metrics_namespace:
            return self.encode(self.line(LEVEL_NAMES[level], LOCATION, event, asdict(fields), created)) + b"\n"
        second = int(created)
        # As `iso_time` does: rounded to microseconds, which may be those of the next second, and cut to milliseconds.
        milliseconds = int((created - second) * 1e6 + TO_WHOLE - TO_WHOLE) // 1000
        begin = _line_begin(level, event, second + milliseconds // 1000)
        return b"".join((begin, _text_of_milliseconds(milliseconds % 1000), self.encode(fields)[1:], b"\n"))


@lru_cache(8)
def _line_begin(level: int, event: str, second: int) -> bytes:
    """Return the beginning of a call's line, up to the second: the same for all lines of an event in that second."""
    begin = {"level": LEVEL_NAMES[level], "location": LOCATION, "message": event}
    line = f'{JsonLines.encode(begin).decode().removesuffix("}")},"timestamp":"{iso_time(second)}'
    return line.removesuffix(".000Z").encode()


_text_of_milliseconds = lru_cache(1000)(b'.%03d+00:00",'.__mod__)
"""Return the rest of a line's time, up to the first field of its call."""


class LineHandler(CallHandler):
    """Writes lines as JSON: those of calls past the stream's buffers, into its file, if it has one.

    `gathers`: calls that end in one turn of the event loop share a write, which the next turn begins with. Only a
    process that is killed in between loses their lines. Not for Lambda, which may freeze the process.
    """

    def __init__(self, stream: TextIO, metrics_namespace: str | None = None, *, gathers: bool = False) -> None:
        super().__init__(stream)
        self._lines = JsonLines(metrics_namespace)
        self.setFormatter(self._lines)
        self._first_stream, self._buffer = stream, _buffer_of(stream)
        self._gathers = gathers
        self._gathered, self._gathered_bytes = list[bytes](), 0

    def write_call(self, level: int, event: str, fields: CallFields, created: float) -> None:
        """See `CallHandler.write_call`."""
        try:
            line = self._lines.call_line(level, event, fields, created)
            lock, gathered, size = self.lock, self._gathered, len(line)
            # Every handler has one.
            assert lock is not None  # noqa: S101
            lock.acquire()  # `with` takes three times as long
            try:
                if gathered and self._gathered_bytes + size > _MOST_GATHERED_BYTES:
                    self._write_gathered()
                gathered.append(line)
                self._gathered_bytes += size
                if len(gathered) == 1 and not self._write_soon():
                    self._write_gathered()
            finally:
                lock.release()
        # As in `emit`: a line that cannot be written must not fail its call.
        except Exception:
            self.handleError(CallLine(__name__, level, event, fields, created))

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line of another event, behind those of the calls before it."""
        self._flush_gathered()
        super().emit(record)

    def flush(self) -> None:
        """Write all lines. Python's own end of a process calls this, too."""
        self._flush_gathered()
        super().flush()

    def _write_soon(self) -> bool:
        """Let the next turn of the event loop write what is gathered. Return False if it must not wait."""
        if not self._gathers:
            return False
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return False
        loop.call_soon(self._flush_gathered)
        return True

    def _flush_gathered(self) -> None:
        """Write what is gathered. Raises nothing, like `emit`."""
        lock = self.lock
        # Every handler has one.
        assert lock is not None  # noqa: S101
        with lock:
            if self._gathered:
                try:
                    self._write_gathered()
                # As in `emit`: the event loop must go on.
                except Exception:
                    self.handleError(CallLine(__name__, logging.ERROR, "log.failed", CallFields(""), 0.0))

    def _write_gathered(self) -> None:
        """Write what is gathered, which is lost if that fails. The handler's lock is held."""
        lines, stream, buffer = b"".join(self._gathered), self.stream, self._buffer
        self._gathered.clear()
        self._gathered_bytes = 0
        if buffer is None or stream is not self._first_stream:
            stream.write(lines.decode())
            stream.flush()
            return
        stream.flush()  # what others have written comes first
        written = buffer.raw.write(lines)
        if written != len(lines):
            buffer.write(lines[written or 0 :])
            buffer.flush()


def _buffer_of(stream: TextIO) -> io.BufferedWriter | None:
    """Return the buffer of the stream's file; None if it has no file, or writes other bytes than UTF-8 with "\n"."""
    match stream:
        case io.TextIOWrapper(encoding="utf-8", buffer=io.BufferedWriter() as buffer) if os.linesep == "\n":
            return buffer
        case _:
            return None

"""Shows on standard error how far an upload or a batch is: a bar in a terminal, else a line now and then."""

import shutil
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from typing import Protocol

from msgspec import Struct

from tidegate.cli.batch_client import BatchClient
from tidegate.cli.server_client import RequestFailed
from tidegate.json import Json, JsonObject

TERMINAL_STATUSES = frozenset({"failed", "completed", "expired", "cancelled"})

POLL_SECONDS, LINE_SECONDS = 1.0, 10.0
RATE_SECONDS = 20.0
"""The rate is that of the last seconds: a batch that waits for its budget has none."""

SILENT_SECONDS = 600.0
"""How long the server may be away while a batch runs there, for instance to be started again."""

_BAR_CELLS = 24
_SHOWN_BYTES = 1_000_000
"""The uploads of smaller files are not shown."""


class Stream(Protocol):
    """A text stream, as `sys.stderr` is."""

    def write(self, text: str, /) -> int: ...
    def flush(self) -> None: ...
    def isatty(self) -> bool: ...


class Display:
    """Writes one line that changes in a terminal, and elsewhere a new line every `LINE_SECONDS`."""

    def __init__(
        self, stream: Stream | None = None, *, quiet: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream or sys.stderr
        self._quiet = quiet
        self._clock = clock
        self._is_terminal = self._stream.isatty()
        self._next_line_at = 0.0
        self._width = 0

    def show(self, text: str) -> None:
        """Show the state of what is going on; it is replaced by the next one."""
        if self._quiet or not text:
            return
        if self._is_terminal:
            text = text[: shutil.get_terminal_size().columns - 1]  # a line that wraps cannot be replaced
            self._write("\r" + text.ljust(self._width))
            self._width = len(text)
        elif self._clock() >= self._next_line_at:
            self._next_line_at = self._clock() + LINE_SECONDS
            self._write(text + "\n")

    def say(self, text: str) -> None:
        """Write a line that remains."""
        if self._quiet:
            return
        if self._width:
            self._write("\r" + " " * self._width + "\r")
            self._width = 0
        self._next_line_at = 0.0
        self._write(text + "\n")

    def end_line(self) -> None:
        """Leave what is shown where it is."""
        if self._width:
            self._width = 0
            self._write("\n")

    def show_upload(self, sent: int, size: int) -> None:
        if size >= _SHOWN_BYTES and (self._is_terminal or sent == size):
            self.show(f"{_bar(sent, size)} {_megabytes(sent)} of {_megabytes(size)} MB uploaded")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


class Progress(Struct, frozen=True):
    """How far a batch is. `cost_usd` is None before the first cost is known."""

    status: str
    total: int
    completed: int
    failed: int
    tokens: int
    cost_usd: Decimal | None
    pause: str | None

    @property
    def answered(self) -> int:
        return self.completed + self.failed

    def text(self, rate: float | None) -> str:
        """One line for people; `rate` are the lines answered in a second."""
        if self.total == 0:
            return f"{self.status.replace('_', ' ')} …"
        parts = [f"{_bar(self.answered, self.total)} {self.answered:,}/{self.total:,} lines"]
        parts += [f"{self.failed:,} failed"] if self.failed else []
        parts += [f"{self.tokens:,} tokens"] if self.tokens else []
        parts += [f"${self.cost_usd:.4f}"] if self.cost_usd is not None else []
        if self.pause is not None:
            parts.append(f"paused ({self.pause})")
        elif self.status != "in_progress":
            parts.append(self.status)
        elif rate:
            parts += [f"{rate:,.1f}/s", f"{_duration((self.total - self.answered) / rate)} left"]
        return " · ".join(parts)


def parse_progress(batch: JsonObject) -> Progress:
    """Read the progress in a batch of the API."""
    counts, usage, own = (_object(batch.get(name)) for name in ("request_counts", "usage", "tidegate"))
    cost = None
    with suppress(InvalidOperation):
        cost = Decimal(str(own["cost_usd"])) if own.get("cost_usd") is not None else None
    pause = own.get("pause")
    return Progress(
        str(batch.get("status")),
        _integer(counts.get("total")),
        _integer(counts.get("completed")),
        _integer(counts.get("failed")),
        _integer(usage.get("total_tokens")),
        cost,
        str(pause) if pause else None,
    )


class Watch:
    """Follows a batch until it has ended; `sleep` and `clock` are those of the process."""

    def __init__(
        self,
        client: BatchClient,
        display: Display,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client, self._display, self._sleep, self._clock = client, display, sleep, clock
        self._samples: list[tuple[float, int]] = []

    def until_ended(self, batch_id: str) -> JsonObject:
        """Return the batch once it has ended. Raises `RequestFailed` if the server stays away."""
        last_seen, pause = self._clock(), None
        while True:
            try:
                batch = self._client.batch(batch_id)
            except RequestFailed as error:
                if not error.may_pass or self._clock() - last_seen > SILENT_SECONDS:
                    raise
                self._display.show("The server does not answer; the batch goes on when it runs again …")
            else:
                last_seen, progress = self._clock(), parse_progress(batch)
                if progress.pause != pause and progress.pause is not None:
                    self._display.say(_pause_advice(progress.pause, batch_id))
                pause = progress.pause
                self._display.show(progress.text(self._rate(progress.answered)))
                if progress.status in TERMINAL_STATUSES:
                    return batch
            self._sleep(POLL_SECONDS)

    def _rate(self, answered: int) -> float | None:
        now = self._clock()
        self._samples = [sample for sample in self._samples if sample[0] > now - RATE_SECONDS]
        self._samples.append((now, answered))
        begin, before = self._samples[0]
        return (answered - before) / (now - begin) if now > begin and answered > before else None


def _pause_advice(pause: str, batch_id: str) -> str:
    reasons = {
        "budget": "the budget has no room for its next lines. It goes on by itself when the budget has room again",
        "workspace": "its workspace is suspended. It goes on when the workspace is active again",
        "key": "its key was revoked or has expired. It goes on when the key is valid again",
    }
    reason = reasons.get(pause)
    return (
        f"{batch_id} is paused: {reason}." if reason else f"{batch_id} is paused: `tidegate batch resume {batch_id}`."
    )


def _bar(done: int, total: int) -> str:
    cells = _BAR_CELLS * min(done, total) // total if total else 0
    return "[" + "#" * cells + "." * (_BAR_CELLS - cells) + "]"


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000:,.1f}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _object(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _integer(value: Json) -> int:
    return value if isinstance(value, int) else 0

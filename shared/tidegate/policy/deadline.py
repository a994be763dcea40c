"""The deadline of a call: the earliest one that the caller, the workspace, the gateway or the process sets."""

import asyncio
import math
from asyncio import current_task, get_running_loop
from collections.abc import Callable, Iterable
from datetime import datetime
from types import TracebackType

from tidegate.errors import DeadlinePassed, GatewayTimeout, InvalidRequest, TidegateError
from tidegate.lazy import late_pattern
from tidegate.timer import LOOP_TIMERS, LoopTimer

HEADER = "x-request-deadline"

SLACK_SECONDS = 0.1
"""Cancel a block this long after its deadline: until then, the transport's own timeout can raise a clearer error."""

_UNIX = late_pattern(r"[0-9]{1,11}(\.[0-9]{1,9})?")


def parse_deadline(header: str | None) -> float | None:
    """Return the deadline of the `x-request-deadline` header in UTC seconds, None without the header.

    Takes Unix seconds, or an ISO 8601 date and time with its offset from UTC. Raises `InvalidRequest` for anything
    else, also for milliseconds: they have more digits than seconds.
    """
    if header is None:
        return None
    if _UNIX.fullmatch(header):
        return float(header)
    try:
        moment = datetime.fromisoformat(header)
        if moment.utcoffset() is not None:
            return moment.timestamp()
    except (ValueError, OverflowError):
        pass
    message = f"The {HEADER} header must be Unix seconds, or ISO 8601 with a UTC offset, such as 2026-11-21T17:00:00Z."
    raise InvalidRequest(message, param=HEADER)


def earliest_deadline(now: float, timeouts_seconds: Iterable[float | None], deadlines: Iterable[float | None]) -> float:
    """Return the earliest deadline (UTC seconds) of timeouts that start `now` and of `deadlines`; None is skipped."""
    moments = [now + timeout_seconds for timeout_seconds in timeouts_seconds if timeout_seconds is not None]
    return min([*moments, *(moment for moment in deadlines if moment is not None)])


def next_deadline(now: float, deadlines: Iterable[float | None]) -> float | None:
    """Return the earliest deadline after `now`, None if there is no such deadline."""
    return min((moment for moment in deadlines if moment is not None and moment > now), default=None)


class DeadlineScope:
    """Cancels the block if it still runs `SLACK_SECONDS` after `deadline` (UTC seconds); never if that is None.

    Raises `DeadlinePassed` if the deadline has passed on entry. A cancelled block raises the error that `on_timeout`
    returns for a `GatewayTimeout` and the time. `asyncio.timeout` takes five times as long.

        with DeadlineScope(call.deadline, clock):
            await ...
    """

    # No struct, whose attributes take four times as long to set: each call enters one.
    __slots__ = (
        *("_clock", "_deadline", "_ends_at", "_has_expired", "_on_timeout", "_other_cancellations", "_task", "_timer"),
    )

    def __init__(
        self,
        deadline: float | None,
        clock: Callable[[], float],
        on_timeout: Callable[[GatewayTimeout, float], TidegateError] | None = None,
    ) -> None:
        self._deadline = deadline
        self._clock = clock
        self._on_timeout = on_timeout
        self._task: asyncio.Task[object] | None = None
        self._timer: LoopTimer | None = None
        self._ends_at = math.inf
        self._other_cancellations = 0
        self._has_expired = False

    def __enter__(self) -> None:
        if self._deadline is None:
            return
        seconds_left = self._deadline - self._clock()
        if seconds_left <= 0:
            raise DeadlinePassed("The call's deadline passed before the call began.")
        loop = get_running_loop()
        self._task = task = current_task(loop)
        if task is not None:
            self._other_cancellations = task.cancelling()
        self._timer = timer = LOOP_TIMERS[loop]
        self._ends_at = ends_at = timer.time() + seconds_left + SLACK_SECONDS
        timer.watched.add(self)
        if ends_at < timer.fires_at:
            timer.fire_at(ends_at)

    def check_time(self, now: float) -> float:
        """See `timer.Watched`: cancel the block, once, if its time is over."""
        if self._has_expired:
            return math.inf
        if now < self._ends_at:
            return self._ends_at
        self._has_expired = True
        if self._task is not None:
            self._task.cancel()
        return math.inf

    def __exit__(
        self, kind: type[BaseException] | None, exception: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.watched.discard(self)
        if not self._has_expired or self._task is None:
            return
        # Any cancellation counts: pyreqwest raises its own in place of the task's.
        is_own = self._task.uncancel() <= self._other_cancellations
        if is_own and kind is not None and issubclass(kind, asyncio.CancelledError):
            error = GatewayTimeout("The call timed out before an answer arrived.")
            raise (error if self._on_timeout is None else self._on_timeout(error, self._clock())) from None

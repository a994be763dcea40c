"""When a call is over: what its caller asks for, within what everybody else gives it."""

import asyncio
import re
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import datetime
from types import TracebackType

from tidegate.errors import DeadlinePassed, GatewayTimeout, InvalidRequest, TidegateError

HEADER = "x-request-deadline"

SLACK_SECONDS = 0.1
"""A provider that is waited for has a timeout of its own at the deadline, and says more: it shall be the first."""

_UNIX = re.compile(r"[0-9]{1,11}(\.[0-9]{1,9})?")


def parse_deadline(header: str | None) -> float | None:
    """The moment, in UTC seconds, that `x-request-deadline` names; None where there is none. Raises `InvalidRequest`.

    Unix seconds, or a date and time of ISO 8601 with its offset from UTC. Milliseconds would be a date after 5000: they
    are refused, instead of being a deadline that never comes.
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
    raise InvalidRequest(
        f"The {HEADER} header must be Unix seconds, or ISO 8601 with its offset, such as 2026-11-21T17:00:00Z.",
        param=HEADER,
    )


def earliest_deadline(now: float, timeouts_seconds: Iterable[float | None], deadlines: Iterable[float | None]) -> float:
    """The first of the deadlines: `seconds` are from `now`, `moments` are UTC seconds; None says nothing."""
    ends = [now + timeout_seconds for timeout_seconds in timeouts_seconds if timeout_seconds is not None]
    return min([*ends, *(moment for moment in deadlines if moment is not None)])


def next_deadline(now: float, deadlines: Iterable[float | None]) -> float | None:
    """The first of the moments that has not passed, None where there is none."""
    return min((moment for moment in deadlines if moment is not None and moment > now), default=None)


def deadline_scope(
    deadline: float | None,
    clock: Callable[[], float],
    on_timeout: Callable[[GatewayTimeout, float], TidegateError] = lambda error, _: error,
) -> AbstractAsyncContextManager[None]:
    """Ends the block soon after the deadline, if nothing in it has noticed. None never ends it.

    Raises `DeadlinePassed` where it has passed before, and what `late` makes of the `GatewayTimeout`, and of the time.
    """
    return nullcontext() if deadline is None else _DeadlineScope(deadline, clock, on_timeout)


class _DeadlineScope:
    """Written out, for every call goes through it: a generator would cost twice as much."""

    __slots__ = ("_clock", "_deadline", "_late", "_limit")

    def __init__(
        self, deadline: float, clock: Callable[[], float], on_timeout: Callable[[GatewayTimeout, float], TidegateError]
    ) -> None:
        self._deadline = deadline
        self._clock = clock
        self._late = on_timeout

    async def __aenter__(self) -> None:
        left = self._deadline - self._clock()
        if left <= 0:
            raise DeadlinePassed("The call's deadline had passed before it began.")
        # Not anyio's: pyreqwest raises a cancellation of its own, which anyio's scopes do not know for theirs.
        self._limit = asyncio.timeout(left + SLACK_SECONDS)
        await self._limit.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            await self._limit.__aexit__(kind, error, traceback)
        except TimeoutError:
            overdue = GatewayTimeout("The call's time was over before it had an answer.")
            raise self._late(overdue, self._clock()) from None

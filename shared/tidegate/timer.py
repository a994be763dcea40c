"""One timer for all time limits of an event loop.

Nearly every call and response ends long before its limit, and a timer for each would cost 1.2 to 2 µs of every call:
made and cancelled in vain (uvloop on Python 3.13, 2026-11).
"""

import asyncio
import math
from typing import Protocol

_EARLY_SECONDS = 0.001
"""uvloop counts milliseconds, so its timers may fire that much early."""

_PAUSE_SECONDS = 0.05
"""The least time between two checks: when many time limits pass one after the other, they are ended in groups."""


class Watched(Protocol):
    """Something with a time limit."""

    def check_time(self, now: float) -> float:
        """End it if its time is over `now`. Return when to check again, `math.inf` for never."""
        ...


class LoopTimer:
    """Checks all that is `watched` in one event loop. Times are those of the loop.

    It `fires_at` the earliest moment that it has heard of, even if what had that limit has ended since. A limit takes
    effect up to 1 ms early, and at most 50 ms late. Nearly every use needs no function of the timer:

        timer = LOOP_TIMERS[asyncio.get_running_loop()]
        timer.watched.add(response)
        if limit < timer.fires_at:
            timer.fire_at(limit)
        ...
        timer.watched.discard(response)
    """

    __slots__ = ("_handle", "_loop", "fires_at", "time", "watched")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._handle: asyncio.TimerHandle | None = None
        self.fires_at = math.inf
        self.time = loop.time
        self.watched = set[Watched]()

    def fire_at(self, moment: float) -> None:
        """Check all at this moment, unless that happens earlier."""
        if moment < self.fires_at:
            if self._handle is not None:
                self._handle.cancel()
            self.fires_at = moment
            self._handle = self._loop.call_at(moment, self._fire)

    def stop_if_idle(self) -> None:
        """Fire no more if nothing is watched: a closed transport leaves no timer in the event loop."""
        if self._handle is not None and not self.watched:
            self._handle.cancel()
            self._handle, self.fires_at = None, math.inf

    def _fire(self) -> None:
        self._handle, self.fires_at = None, math.inf
        now = self.time() + _EARLY_SECONDS
        next_check = math.inf
        for watched in tuple(self.watched):
            if watched in self.watched:  # another's end may have removed it
                next_check = min(next_check, watched.check_time(now))
        self.fire_at(max(next_check, now + _PAUSE_SECONDS))


class _LoopTimers(dict[asyncio.AbstractEventLoop, LoopTimer]):
    """The timer of each event loop, made when it is first asked for. Making one forgets those of closed loops."""

    def __missing__(self, loop: asyncio.AbstractEventLoop) -> LoopTimer:
        for other in tuple(self):
            if other.is_closed():
                self.pop(other, None)
        timer = self[loop] = LoopTimer(loop)
        return timer


LOOP_TIMERS = _LoopTimers()

"""A bounded cache whose entries age by two clocks, for values that a process may serve for a while without a read."""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from msgspec import Struct

from tidegate.domain.redacted import Redacted

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class Moment(NamedTuple):
    """One instant on both clocks, in seconds."""

    monotonic: float
    wall: float


class TimedEntry(Redacted, Struct, Generic[_Value], frozen=True):
    """A cached value, and when it was read."""

    value: _Value
    read_at: Moment


class TimedCache(Generic[_Key, _Value]):
    """Up to `max_entries` values; the least recently used one makes room for a new one.

        read_at = cache.now()  # before the read: its duration counts as age
        cache.put("ws_one", await vault.read("ws_one"), read_at)
        entry = cache.find("ws_one", max_age_seconds=60.0)  # None after a minute

    An entry is as old as the clock says that moved further. `monotonic` stands still while Lambda freezes the process,
    and `wall` may be set: one that was set back makes entries older, so that none is served for longer.
    """

    def __init__(
        self,
        max_entries: int,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._max_entries = max_entries
        self._monotonic = monotonic
        self._wall = wall
        self._entries: OrderedDict[_Key, TimedEntry[_Value]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def now(self) -> Moment:
        return Moment(self._monotonic(), self._wall())

    def find(self, key: _Key, max_age_seconds: float) -> TimedEntry[_Value] | None:
        """The entry, if it is younger than `max_age_seconds`. An older one stays, for callers that accept it."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        # As by `age_seconds`: this runs for each call.
        monotonic, wall = entry.read_at
        if self._monotonic() - monotonic < max_age_seconds and -max_age_seconds < self._wall() - wall < max_age_seconds:
            self._entries.move_to_end(key)
            return entry
        return None

    def put(self, key: _Key, value: _Value, read_at: Moment | None = None) -> None:
        """Store the value as read at `read_at`, or now."""
        self._entries[key] = TimedEntry(value, read_at or self.now())
        self._entries.move_to_end(key)
        if len(self._entries) > self._max_entries:
            self._entries.popitem(last=False)

    def remove(self, key: _Key) -> None:
        """Remove the entry, if there is one."""
        self._entries.pop(key, None)

    def age_seconds(self, moment: Moment) -> float:
        """Seconds since `moment`, by the clock that moved further."""
        return max(self._monotonic() - moment.monotonic, abs(self._wall() - moment.wall))

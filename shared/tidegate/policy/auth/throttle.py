"""Guesses at keys and tokens, slowed for each address that they come from.

What is counted is this process's: many processes allow as much each. The outer wall is API Gateway's throttling, and a
web ACL where there is one.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from ipaddress import IPv6Address

from msgspec import Struct, field

from tidegate.domain.restrictions import parse_address
from tidegate.errors import TooManyFailures

FREE_FAILURES = 30
"""Failures in a minute that cost an address nothing."""

DELAYED_FAILURES = 10
"""Failures beyond those that are slowed; the next are refused unheard until some time has passed."""

FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS = 0.1, 2.0
MAX_ADDRESSES = 10_000

_SECONDS_PER_FAILURE = 60.0 / FREE_FAILURES


class GuessThrottle(Struct):
    """A bucket for each address, which holds `ALLOWED` failures and loses one in two seconds.

    Beyond `max_addresses`, the one that failed the longest ago is forgotten.
    """

    clock: Callable[[], float] = time.time
    max_addresses: int = MAX_ADDRESSES
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    _levels: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict[str, tuple[float, float]])

    async def delay_or_refuse(self, address: str | None) -> None:
        """Wait as long as that address has to. Raises `TooManyFailures`."""
        seconds = self.delay_seconds(address)
        if seconds:
            await self.sleep(seconds)
            self.delay_seconds(address)  # others may have failed meanwhile

    def delay_seconds(self, address: str | None) -> float:
        """Seconds to wait before that address is heard. Raises `TooManyFailures`, which says when to come back."""
        over = self._level(_address_group(address)) - FREE_FAILURES
        if over < 0:
            return 0.0
        if over > DELAYED_FAILURES - 1:
            seconds = (over - DELAYED_FAILURES + 1) * _SECONDS_PER_FAILURE
            message = "Too many requests from your address had no valid key; try again in a moment."
            raise TooManyFailures(message, retry_after_seconds=seconds)
        return min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2**over)

    def record_failure(self, address: str | None) -> None:
        """One more has failed."""
        group = _address_group(address)
        self._levels[group] = min(self._level(group) + 1, FREE_FAILURES + DELAYED_FAILURES), self.clock()
        self._levels.move_to_end(group)
        if len(self._levels) > self.max_addresses:
            self._levels.popitem(last=False)

    def _level(self, group: str) -> float:
        level, updated_at = self._levels.get(group, (0.0, 0.0))
        return max(0.0, level - max(0.0, self.clock() - updated_at) / _SECONDS_PER_FAILURE)


def _address_group(address: str | None) -> str:
    """Who is taken for one: an address, or the 64 bits that a network gives to each of its hosts in IPv6."""
    parsed = parse_address(address)
    if isinstance(parsed, IPv6Address):
        return f"{int(parsed) >> 64:x}/64"
    return str(parsed)

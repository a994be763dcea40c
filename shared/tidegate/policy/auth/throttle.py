"""Delays and refuses addresses that guess keys or access tokens.

Failures are counted in each process alone, so n processes allow n times as many. The outer limit is API Gateway's
throttling, and a web ACL if there is one.
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
"""Failures of one address in a minute that have no effect."""

DELAYED_FAILURES = 10
"""Further failures, after each of which the next request is delayed; after the last one it is refused."""

FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS = 0.1, 2.0
MAX_ADDRESSES = 10_000

_SECONDS_PER_FAILURE = 60.0 / FREE_FAILURES


class GuessThrottle(Struct):
    """A leaky bucket of failures for each address: it loses one failure every two seconds.

    With more than `max_addresses`, the address that failed the longest ago is forgotten.
    """

    clock: Callable[[], float] = time.time
    max_addresses: int = MAX_ADDRESSES
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    _levels: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict[str, tuple[float, float]])

    async def delay_or_refuse(self, address: str | None) -> None:
        """Sleep for the delay of the address. Raises `TooManyFailures`."""
        seconds = self.delay_seconds(address)
        if seconds:
            await self.sleep(seconds)
            self.delay_seconds(address)  # other requests of the address may have failed meanwhile

    def delay_seconds(self, address: str | None) -> float:
        """Return the delay of the address. Raises `TooManyFailures` with `retry_after_seconds`."""
        excess = self._level(_address_group(address)) - FREE_FAILURES
        if excess < 0:
            return 0.0
        if excess > DELAYED_FAILURES - 1:
            seconds = (excess - DELAYED_FAILURES + 1) * _SECONDS_PER_FAILURE
            message = "Too many requests from your address had no valid key; try again in a moment."
            raise TooManyFailures(message, retry_after_seconds=seconds)
        return min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2**excess)

    def record_failure(self, address: str | None) -> None:
        """Count one failed authentication of the address."""
        group = _address_group(address)
        self._levels[group] = min(self._level(group) + 1, FREE_FAILURES + DELAYED_FAILURES), self.clock()
        self._levels.move_to_end(group)
        if len(self._levels) > self.max_addresses:
            self._levels.popitem(last=False)

    def _level(self, group: str) -> float:
        level, updated_at = self._levels.get(group, (0.0, 0.0))
        return max(0.0, level - max(0.0, self.clock() - updated_at) / _SECONDS_PER_FAILURE)


def _address_group(address: str | None) -> str:
    """Return the name that failures are counted under: the address, or its /64 network, which one IPv6 host owns."""
    parsed = parse_address(address)
    if isinstance(parsed, IPv6Address):
        return f"{int(parsed) >> 64:x}/64"
    return str(parsed)

"""Refusals of wrong keys and access tokens: they are logged, remembered, and counted for each address.

A valid key is never slowed or refused: keys are looked up first, and only wrong ones come here. So an address that
many callers share, such as an office's or a proxy's, locks nobody out. Nothing sleeps here: on Lambda, a request that
waits occupies a whole environment, so delays would help whoever sends many.

Each process counts alone. The outer limit is API Gateway's throttling, and a web ACL if there is one.
"""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address

from msgspec import Struct, field

from tidegate.domain.restrictions import parse_address
from tidegate.domain.timed_cache import TimedCache
from tidegate.errors import ExpiredToken, InvalidKey, TidegateError, TooManyFailures

FREE_FAILURES = 30
"""Failures of one address in a minute that are answered with their own error."""

WRONG_KEY_SECONDS = 10.0
"""How long a wrong key is refused without a read. A key that becomes valid again, such as one whose expiry was moved,
works after that time at the latest.
"""

MAX_ADDRESSES = 10_000
MAX_WRONG_KEYS = 10_000

_SECONDS_PER_FAILURE = 60.0 / FREE_FAILURES

log = logging.getLogger(__name__)


class GuessThrottle(Struct):
    """A leaky bucket of failures for each address, which loses one failure every two seconds; and recent wrong keys.

    With more than `max_addresses`, the address that failed the longest ago is forgotten.
    """

    clock: Callable[[], float] = time.time
    max_addresses: int = MAX_ADDRESSES
    _levels: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict[str, tuple[float, float]])
    _wrong_keys: TimedCache[str, str] | None = None

    def check_known_wrong(self, key_hash: str) -> None:
        """Raise the `InvalidKey` that the key got within `WRONG_KEY_SECONDS`, so that it costs no read."""
        entry = self._wrong_keys.find(key_hash, WRONG_KEY_SECONDS) if self._wrong_keys else None
        if entry is not None:
            raise InvalidKey(entry.value)

    def refusal(self, address: str | None, key_hash: str, error: TidegateError) -> TidegateError:
        """Log and count a wrong credential. Returns the error to raise: `error`, or `TooManyFailures` after many.

        An expired token stays `ExpiredToken`, which tells its client to fetch a new one, and is not counted.
        """
        log.warning("auth.refused", extra={"address": address, "error": error.code})
        if isinstance(error, InvalidKey):
            self._remember(key_hash, error.message)
        return error if isinstance(error, ExpiredToken) else self._count(address) or error

    def _remember(self, key_hash: str, message: str) -> None:
        if self._wrong_keys is None:
            self._wrong_keys = TimedCache(MAX_WRONG_KEYS, monotonic=self.clock, wall=self.clock)
        if self._wrong_keys.find(key_hash, WRONG_KEY_SECONDS) is None:
            self._wrong_keys.put(key_hash, message)

    def _count(self, address: str | None) -> TooManyFailures | None:
        group = _address_group(address)
        level = self._level(group) + 1
        self._levels[group] = min(level, FREE_FAILURES), self.clock()
        self._levels.move_to_end(group)
        if len(self._levels) > self.max_addresses:
            self._levels.popitem(last=False)
        if level <= FREE_FAILURES:
            return None
        message = "This key is not valid, and neither were many others from your address; try again in a moment."
        return TooManyFailures(message, retry_after_seconds=(level - FREE_FAILURES) * _SECONDS_PER_FAILURE)

    def _level(self, group: str) -> float:
        level, updated_at = self._levels.get(group, (0.0, 0.0))
        return max(0.0, level - max(0.0, self.clock() - updated_at) / _SECONDS_PER_FAILURE)


def _address_group(address: str | None) -> str:
    """Return the name that failures are counted under: the address, or its /64 network, which one IPv6 host owns."""
    parsed = parse_address(address)
    if isinstance(parsed, IPv6Address):
        return f"{int(parsed) >> 64:x}/64"
    return str(parsed)

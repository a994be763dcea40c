"""When origins were last heard of: it tells a connection that died meanwhile from a provider that drops its callers.

An environment that thaws, and a process that had nothing to do, hold connections that the other side closed long ago:
no failure of the provider's, and none to tell a caller of. Neither library says whether a connection was a used one.
"""

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar
from urllib.parse import urlsplit

IDLE_SECONDS = 2.0
"""Servers keep connections open for longer than that."""


_R = TypeVar("_R")
_E = TypeVar("_E", bound=Exception)


def origin_of(url: str) -> str:
    """Scheme, host and port, and nothing that might name an account. Raises `ValueError` for what is no URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


class StaleConnections:
    """Of one transport. The clock is the wall's: the monotonic one may stand still while an environment is frozen."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._last_contacts: dict[str, float] = {}

    async def send_with_reconnect(
        self, origin: str, send: Callable[[bool], Awaitable[_R]], failure: type[_E], is_dropped: Callable[[_E], bool]
    ) -> _R:
        """What `send(False)` gives, and where it was a connection that died while the origin was idle, `send(True)`:
        on a new one. Raises what they raise, of which `failure` is what is heard of the origin.
        """
        is_idle = self.is_idle(origin)
        try:
            response = await send(False)
        except failure as error:
            self.record_failure(origin)
            if not is_idle or not is_dropped(error):
                raise
            response = await send(True)
        self.record_response(origin)
        return response

    def is_idle(self, origin: str) -> bool:
        """Whether it has answered before, and was not heard of for a while."""
        last_contact_at = self._last_contacts.get(origin)
        return last_contact_at is not None and self._clock() - last_contact_at > IDLE_SECONDS

    def record_response(self, origin: str) -> None:
        self._last_contacts[origin] = self._clock()

    def record_failure(self, origin: str) -> None:
        """It was heard of, if not well: what fails after this is the provider."""
        if origin in self._last_contacts:
            self._last_contacts[origin] = self._clock()

"""Sends a request again when its pooled connection turns out to have been closed while it was idle.

After an idle time, or after Lambda froze the process, pooled connections may have been closed by the server. That is
not the provider's fault. No library says whether it used a pooled connection: the last contact with an origin decides.
"""

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tidegate.transport.base import IDLE_SECONDS

_Response = TypeVar("_Response")
_Error = TypeVar("_Error", bound=Exception)


class StaleConnections:
    """The last contacts of one transport. `clock` gives wall time: Lambda may stop the monotonic clock."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._last_contacts: dict[str, float] = {}

    async def send_with_reconnect(
        self,
        origin: str,
        send: Callable[[bool], Awaitable[_Response]],
        failure: type[_Error],
        is_dropped: Callable[[_Error], bool],
    ) -> _Response:
        """Return `await send(False)`; if a pooled connection had gone stale, `await send(True)`, on a new connection.

        Raises what they raise; an error of the class `failure` counts as contact with the origin.
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
        """True if the last contact with the origin is more than `IDLE_SECONDS` ago."""
        last_contact_at = self._last_contacts.get(origin)
        return last_contact_at is not None and self._clock() - last_contact_at > IDLE_SECONDS

    def record_response(self, origin: str) -> None:
        self._last_contacts[origin] = self._clock()

    def record_failure(self, origin: str) -> None:
        """Renew the last contact of a known origin: the next failure is the provider's, not a stale connection."""
        if origin in self._last_contacts:
            self._last_contacts[origin] = self._clock()

"""How long a connection may wait, and how much it may hold, before anybody knows whose it is.

The application checks the key as soon as a request's head is complete, and reads the body of admitted callers only.
The limits are for the rest: heads that do not end, bodies that stay away, and connections that wait.
"""

import math
from typing import Literal, TypeAlias

from msgspec import Struct

Phase: TypeAlias = Literal["head", "body", "busy", "idle", "linger", ""]
"""A connection waits for the rest of a head or of a body, for the application, for a further request, or until the
client has read an error. Empty for a new deadline.
"""


class ConnectionLimits(Struct, frozen=True, kw_only=True):
    """Limits of each connection; `max_waiting` and `max_unsettled` are limits of the whole server."""

    head_seconds: float = 10.0
    """From the connection, or the first byte of a further request, to the end of the head."""

    body_seconds: float = 120.0
    """From the end of the head to the end of the body, while the application reads it."""

    idle_seconds: float = 75.0
    """From a reply to the next request. Clients that keep connections longer than the server does lose requests: the
    pools of common clients end after 5 to 60 seconds, those of load balancers after 60.
    """

    linger_seconds: float = 5.0
    """How long the rest of a request is discarded after the reply, so that its sender can read the reply."""

    stall_seconds: float = 120.0
    """How long a client may take nothing of what is written. One that reads slowly has no limit."""

    tick_seconds: float = 1.0
    """The time between two looks at all deadlines: they pass up to so much later."""

    max_head_bytes: int = 64 * 1024
    """Bytes of a head, of a chunk's extensions, or of trailers."""

    max_headers: int = 128

    max_buffered_bytes: int = 64 * 1024
    """Bytes of a body that wait for the application. Beyond them, the connection is not read."""

    max_pipelined: int = 8
    """Requests of a connection that may wait for the one before them."""

    max_waiting: int = 500
    """Connections without a request in progress. With more, those that have waited the longest are closed: when one is
    opened, and with each tick.
    """

    max_unsettled: int = 32
    """Requests that are answered, but not ended by the application, which still records them. With more, new requests
    wait. The embedded table takes about 40 writes a second: if more records waited, they would time out and be lost.
    """

    def seconds_by_phase(self) -> dict[Phase, float]:
        """How long a connection may be in each phase."""
        return {
            "head": self.head_seconds,
            "body": self.body_seconds,
            "busy": math.inf,
            "idle": self.idle_seconds,
            "linger": self.linger_seconds,
        }

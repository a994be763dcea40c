"""Limits of time, memory and number for connections of strangers, which uvicorn lacks.

The gateway checks the key as soon as a request's head is complete, and reads the body of admitted callers only. This
protocol limits the rest: heads that do not end, bodies that stay away, and connections that wait.
"""

import asyncio
from operator import itemgetter
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 64 * 1024
"""Bytes that a head, a chunk's extensions or trailers may have."""

MAX_WAITING = 500
"""Connections without a request in progress. With more, the one that has waited the longest is closed."""

MAX_PIPELINED = 8
"""Requests of a connection that may wait for the one before them."""

_TIMEOUT = "408 Request Timeout", "request_timeout", "The request did not arrive in time."
_HEAD_TOO_LARGE = "431 Request Header Fields Too Large", "headers_too_large", "The headers are too large."

_ERROR = (
    "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
)
_ERROR_BODY = '{{"error":{{"message":"{message}","type":"invalid_request_error","param":null,"code":"{code}"}}}}'


class ConnectionGuard(HttpToolsProtocol):
    """uvicorn's HTTP protocol with limits. A connection that exceeds one gets an error, unless a reply has begun."""

    head_seconds: ClassVar[float] = 10.0
    """From the connection, or the first byte of a further request, to the end of the head."""

    body_seconds: ClassVar[float] = 120.0
    """From the end of the head to the end of the body, while the application reads it."""

    linger_seconds: ClassVar[float] = 5.0
    """How long the rest of a body is discarded after the reply, so that its sender can read the reply."""

    _waiting_since: float | None = None
    _timer: asyncio.TimerHandle | None = None
    _expects_body = False
    _progressed = False
    _unparsed_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._limit_time(self.head_seconds)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._limit_time(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._progressed = False
        super().data_received(data)
        self._unparsed_bytes = 0 if self._progressed else self._unparsed_bytes + len(data)
        if self._unparsed_bytes > MAX_HEAD_BYTES:
            self._refuse(_HEAD_TOO_LARGE)
        elif self._timer is None and self._expects_head:
            self._limit_time(self.head_seconds)

    def on_headers_complete(self) -> None:
        if len(self.pipeline) >= MAX_PIPELINED:
            raise ValueError("Too many pipelined requests.")  # the parser's error, which uvicorn answers with 400
        self._progressed = self._expects_body = True
        self._waiting_since = None
        self._limit_time(self.body_seconds)
        super().on_headers_complete()

    def on_chunk_header(self) -> None:
        self._progressed = True

    def on_body(self, body: bytes) -> None:
        self._progressed = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._progressed, self._expects_body = True, False
        self._limit_time(None)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            if self._expects_body:
                self._limit_time(self.linger_seconds)
            self._wait()

    @property
    def _expects_head(self) -> bool:
        return not self._expects_body and (not self.cycle or self.cycle.response_complete)

    def _wait(self) -> None:
        """Count the connection as waiting, and close the one that has waited the longest if there are too many."""
        self._waiting_since = self.loop.time()
        if len(self.connections) <= MAX_WAITING:
            return
        connections = (each for each in self.connections if isinstance(each, ConnectionGuard))
        waiting = [(each._waiting_since, each) for each in connections if each._waiting_since is not None]
        if len(waiting) > MAX_WAITING:
            _, oldest = min(waiting, key=itemgetter(0))
            oldest._waiting_since = None
            oldest.transport.close()

    def _limit_time(self, seconds: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self.loop.call_later(seconds, self._time_out)

    def _time_out(self) -> None:
        self._timer = None
        if self.flow.read_paused:  # the application has not read what has arrived
            self._limit_time(self.body_seconds)
        else:
            self._refuse(_TIMEOUT)

    def _refuse(self, error: tuple[str, str, str]) -> None:
        if self._expects_head or (self._expects_body and not self.cycle.response_started):
            status, code, message = error
            body = _ERROR_BODY.format(message=message, code=code)
            self.transport.write(_ERROR.format(status=status, length=len(body), body=body).encode())
        self.transport.close()

"""One connection to a server, which sends a request after the other: an asyncio protocol."""

import asyncio
from typing import Protocol, cast

from tidegate.transport.exchange import Exchange, ExchangeError
from tidegate.transport.response_parser import ResponseParser

_PIECE_BYTES = 64 * 1024
"""A larger body is written in pieces of this size, as the connection takes them: other calls need the event loop."""


class Owner(Protocol):
    """Who keeps a connection between two requests. `connection_pool.ConnectionPool` implements it."""

    def give_back(self, connection: "Connection") -> None: ...

    def forget(self, connection: "Connection") -> None: ...


class Connection(ResponseParser[Exchange], asyncio.Protocol):
    """A connection of an `owner`. Its `response` is the exchange that runs. `idle_since` and `may_be_stale` are the
    owner's.
    """

    __slots__ = ("_is_writing_paused", "_owner", "_time", "_transport", "_unsent", "idle_since", "may_be_stale")

    def __init__(self, owner: Owner) -> None:
        super().__init__()
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._unsent: memoryview | None = None
        self._is_writing_paused = False
        self._time = asyncio.get_running_loop().time
        self.idle_since = 0.0
        self.may_be_stale = False

    def start(self, exchange: Exchange) -> bool:
        """Send the request of an exchange. The last exchange of this connection has ended. False if it is closed."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        self.begin(exchange)
        exchange.wire = self
        head, body = exchange.request_head, exchange.body
        size = len(body)
        if not size and head.startswith((b"GET ", b"HEAD ")):
            transport.write(head + b"\r\n")
        elif size <= _PIECE_BYTES:
            transport.write(b"%bcontent-length: %d\r\n\r\n%b" % (head, size, body))
        else:
            self._unsent = memoryview(body)
            transport.write(b"%bcontent-length: %d\r\n\r\n" % (head, size))
            self._write_unsent()
        return True

    def abort(self) -> None:
        """Close the connection at once."""
        self.response = self._unsent = None
        self.release()
        if self._transport is not None:
            self._transport.abort()

    def end(self) -> None:
        """Close the connection at once, and fail its exchange, because the client is closed."""
        if self.response is not None:
            self.response.fail(ExchangeError("the client was closed"))
        self.abort()

    def pause_reading(self) -> None:
        """Let the server wait."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on, after `pause_reading`."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # asyncio's types promise less than all event loops give.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        exchange = self.response
        if exchange is None:  # nobody has asked for anything
            self.abort()
            return
        refusal = self.feed(exchange, data)
        if refusal is not None:
            exchange.fail(ExchangeError(refusal))
            return
        if exchange.is_complete:
            self._finish(exchange)
        elif exchange.times_arrivals:
            exchange.silent_since = self._time()
        exchange.deliver()

    def connection_lost(self, exc: Exception | None) -> None:
        exchange, self._unsent, self._transport = self.response, None, None
        self.release()
        self._owner.forget(self)
        if exchange is None:
            return
        exchange.wire = None
        if exc is None and self.end_of_connection():
            exchange.deliver()
        else:
            reason = "the server closed the connection" if exc is None else describe(exc)
            exchange.fail(ExchangeError(reason, was_dropped=self.is_unanswered))
        self.response = None

    def pause_writing(self) -> None:
        self._is_writing_paused = True

    def resume_writing(self) -> None:
        self._is_writing_paused = False
        self._write_unsent()

    def _write_unsent(self) -> None:
        while self._unsent is not None and self._transport is not None and not self._is_writing_paused:
            piece, self._unsent = self._unsent[:_PIECE_BYTES], self._unsent[_PIECE_BYTES:] or None
            self._transport.write(piece)

    def _finish(self, exchange: Exchange) -> None:
        """Part from an exchange whose response is complete. A request that was not sent whole ends the connection."""
        if exchange.is_paused:
            exchange.resume()
        self.response = exchange.wire = None
        transport = self._transport
        is_sent = self._unsent is None and transport is not None and not transport.get_write_buffer_size()
        if is_sent and self.is_reusable:  # `start` finds out if the connection is closed
            self._owner.give_back(self)
        else:
            self.abort()


def describe(error: BaseException) -> str:
    """Say what happened to a connection, without words of the request and the response."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or "the connection broke"

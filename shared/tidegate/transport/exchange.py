"""One request and its response on a connection: awaited whole, read in chunks, or pushed to a function.

It has no task and no timer: who opens an exchange limits its time, by `fail`.
"""

from asyncio import Future
from collections.abc import Callable
from typing import Protocol

from tidegate.errors import ProviderMalformed
from tidegate.transport.response_parser import Response

MAX_BUFFERED_BYTES = 256 * 1024
"""Content that nobody has read, beyond which no more is taken from the connection."""

_HEAD, _CHUNK, _END = range(3)


class ExchangeError(Exception):
    """A response that did not come, or not whole. `reason` is for the operator.

    `was_sent` is False if there was no connection to send the request on; `was_dropped` is True if the connection
    ended before a byte of the response arrived.
    """

    def __init__(
        self, reason: str, *, was_sent: bool = True, was_dropped: bool = False, timed_out: bool = False
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.was_sent = was_sent
        self.was_dropped = was_dropped
        self.timed_out = timed_out


class Wire(Protocol):
    """The connection of an exchange, as far as the exchange uses it. `connection.Connection` implements it."""

    def abort(self) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Exchange(Response):
    """One request and its response. `ConnectionPool.send` sends it.

    `request_head` is the request's head without the field `content-length` and without the empty line at its end:
    `ConnectionPool.encode_head` makes it. With `max_bytes`, `send` returns when the whole response has arrived and its
    content is `take()`; without, when its head has.

    `silent_since` is a time of the event loop: with `times_arrivals`, it is renewed whenever something arrives.

        exchange = Exchange(pool.encode_head("POST", "/v1/x", {}), b"{}")
        try:
            await pool.send(exchange, DialLimits(5.0))
            print(exchange.status, await exchange.read(1_000_000))
        finally:
            exchange.close()
    """

    __slots__ = (
        *("_goal", "_receiver", "_size_limit", "_waiter"),
        *("body", "failure", "is_paused", "request_head", "silent_since", "times_arrivals", "wire"),
    )

    def __init__(self, head: bytes, body: bytes, max_bytes: int | None = None) -> None:
        super().__init__()
        self.request_head = head
        self.body = body
        if not body and head[:5] == b"HEAD ":
            self.expects_body = False
        self.wire: Wire | None = None
        self.failure: ExchangeError | ProviderMalformed | None = None
        self.is_paused = False
        self.times_arrivals = True
        self.silent_since = 0.0
        self._goal, self._size_limit = _HEAD, MAX_BUFFERED_BYTES
        if max_bytes is not None:
            self._goal, self._size_limit = _END, max_bytes
        self._receiver: Callable[[bytes], bool] | None = None
        self._waiter: Future[None] | None = None

    def restart(self) -> None:
        """Forget the response and the failure, to send the request once more."""
        super().__init__(expects_body=self.expects_body)
        self.failure = None

    def wait(self) -> Future[None]:
        """A future that is done when the exchange fails or has its goal. Only for one that has not failed or ended."""
        waiter: Future[None] = Future()
        self._waiter = waiter
        return waiter

    @property
    def was_dropped(self) -> bool:
        """True if the connection ended before a byte of the response arrived."""
        return isinstance(self.failure, ExchangeError) and self.failure.was_dropped

    def check(self) -> None:
        """Raise the failure, unless the head has arrived and the content is read later: reading raises it then."""
        if self.failure is not None and (not self.status or self._goal == _END):
            raise self.failure

    async def read(self, limit: int) -> bytes:
        """The rest of the content. Raises `ExchangeError`, and `ProviderMalformed` beyond `limit` bytes."""
        self._goal, self._size_limit = _END, limit
        if self.is_paused:
            self.resume()
        if self.size > limit:
            self._limit_size()
        if not self.is_complete and self.failure is None:
            await self.wait()
        if self.failure is not None:
            raise self.failure
        return self.take()

    async def read_chunk(self) -> bytes:
        """The content that has arrived since the last read; empty at the end. Raises `ExchangeError`, after it."""
        if not self.pieces and not self.is_complete and self.failure is None:
            self._goal = _CHUNK
            await self.wait()
        if self.pieces:
            return self.take()
        if self.failure is not None:
            raise self.failure
        return b""

    def take(self) -> bytes:
        """The content that has arrived and was not taken."""
        content = b"".join(self.pieces)  # a single piece is not copied
        self.pieces.clear()
        self.size = 0
        if self.is_paused:
            self.resume()
        return content

    def start_pushing(self, receive: Callable[[bytes], bool]) -> Future[None]:
        """Call `receive` with the content as it arrives, until it returns False, or until the end.

        Await the future that is returned, which raises what `receive` raises. Then, in any case, `stop_pushing`.
        """
        self._goal, self._receiver = _CHUNK, receive
        waiter = self.wait()
        if self.is_paused:
            self.resume()
        self.deliver()
        return waiter

    def stop_pushing(self) -> bool:
        """Let what arrives from now on wait. True if the receiver returned False, which ended the pushing."""
        wants_no_more, self._receiver = self._receiver is None, None
        return wants_no_more

    def resume(self) -> None:
        """Take content from the connection again, which waited for a slow reader."""
        self.is_paused = False
        if self.wire is not None:
            self.wire.resume_reading()

    def fail(self, failure: ExchangeError | ProviderMalformed) -> None:
        """End the exchange with an error, unless it has ended, and close the connection."""
        if self.is_complete or self.failure is not None:
            return
        self.failure = failure
        self._disconnect()
        self.deliver()

    def close(self) -> None:
        """Close the connection, unless the whole response has arrived. Call it at the end of each exchange."""
        self._disconnect()

    def deliver(self) -> None:
        """Push, or wake who waits: the connection calls it when something has arrived."""
        receive = self._receiver
        if receive is None:
            if self.size > self._size_limit:
                self._limit_size()
            if not self.is_complete and not self._is_reached():
                return
        else:
            wants_more = True
            if self.pieces:
                content = b"".join(self.pieces)  # as `take` does
                self.pieces.clear()
                self.size = 0
                try:
                    wants_more = receive(content)
                except BaseException as error:  # for who awaits the future, not for the event loop
                    self._receiver = None
                    if self._waiter is not None and not self._waiter.done():
                        self._waiter.set_exception(error)
                    return
            if not wants_more:
                self._receiver = None
            elif not self.is_complete and self.failure is None:
                return
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _is_reached(self) -> bool:
        if self.failure is not None:
            return True
        return bool(self.status if self._goal == _HEAD else self._goal == _CHUNK and self.pieces)

    def _limit_size(self) -> None:
        """Let the server wait for the reader; refuse a response that is read whole."""
        if self._goal != _END:
            if self.wire is not None and not self.is_paused:
                self.is_paused = True
                self.wire.pause_reading()
        elif self.failure is None:
            message = f"The response of the provider is larger than {self._size_limit} bytes."
            self.failure = ProviderMalformed(message)
            self._disconnect()

    def _disconnect(self) -> None:
        wire, self.wire = self.wire, None
        if wire is not None:
            wire.abort()

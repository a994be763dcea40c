"""One connection: its requests, answered in their order, and its deadlines.

Sources: RFC 9112 (sections 9.3 and 9.6: persistence, closing; 9.3.2: pipelining), RFC 9110 (sections 7.8: Upgrade,
which a server may ignore; 10.1.1: Expect).
"""

import asyncio
import math
from collections import deque
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from tidegate.runtime.asgi import Headers
from tidegate.server.exchange import Exchange
from tidegate.server.flow import Flow
from tidegate.server.limits import Phase
from tidegate.server.refusal import BAD_REQUEST, HEAD_TOO_LARGE, TIMED_OUT, TOO_MANY_PIPELINED, Refusal
from tidegate.server.request import Head, NotServed, Peer
from tidegate.server.state import ServerState

_HAS_REQUEST = frozenset[Phase](("body", "busy"))

_BLANK_HEAD = b"POST / HTTP/1.1\r\n%b\r\n"
"""Makes a parser expect the body of a request whose head another one has read."""


class Connection(asyncio.Protocol):
    """An asyncio protocol, which is the protocol of its parser too."""

    __slots__ = (
        "_deadline",
        "_exchange",
        "_flow",
        "_has_begun",
        "_headers",
        "_incoming",
        "_is_deaf",
        "_loop",
        "_parser",
        "_peer",
        "_phase",
        "_queue",
        "_refusal",
        "_server",
        "_target",
        "_transport",
        "_unparsed_bytes",
        "_unsent_bytes",
        "_upgrade",
        "_write_deadline",
    )

    def __init__(self, server: ServerState) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._parser = HttpRequestParser(self)
        self._headers: Headers = []
        self._target = b""
        self._exchange: Exchange | None = None
        """The request whose reply is being made."""
        self._queue: deque[Exchange] = deque()
        """The requests that wait for it."""
        self._incoming: Exchange | None = None
        """The request whose body is arriving."""
        self._refusal: Refusal | None = None
        """The last reply, once the exchanges before it have theirs."""
        self._is_deaf = self._has_begun = False
        self._upgrade: bytes | None = None
        """The framing of a body behind a head at which the parser stops."""
        self._unparsed_bytes = self._unsent_bytes = 0
        self._phase: Phase = ""
        self._deadline = self._write_deadline = math.inf

    # The event loop's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._flow = Flow(self._transport)
        self._peer = _peer_of(self._transport, self._server)
        self._server.connections.add(self)
        self._enter("head")

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)
        self._server.remove_waiting(self)
        self._is_deaf = True
        self._flow.resume_writing()
        exchange, self._exchange, self._incoming = self._exchange, None, None
        if exchange is not None:
            exchange.lose_client()
        self._queue.clear()
        del self._parser  # it refers to this connection

    def data_received(self, data: bytes) -> None:
        if self._is_deaf:
            return
        self._unparsed_bytes += len(data)
        self._parse(data)
        if self._unparsed_bytes > self._server.limits.max_head_bytes and not self._is_deaf:
            self._refuse(HEAD_TOO_LARGE)
        if self._exchange is None and self._queue:
            self._start_next(at_once=True)
        self._update_phase()

    def pause_writing(self) -> None:
        self._flow.pause_writing()
        self._watch_progress()

    def resume_writing(self) -> None:
        self._flow.resume_writing()
        if not self._transport.is_closing():
            self._write_deadline = math.inf

    # The parser's callbacks

    def on_message_begin(self) -> None:
        self._headers, self._target, self._has_begun = [], b"", True

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        self._has_begun = False
        headers, self._headers = self._headers, []  # trailers are not headers
        if self._upgrade is not None:
            self._unparsed_bytes = 0
            return
        fields = dict(headers)
        method, version = self._parser.get_method().decode("ascii"), self._parser.get_http_version()
        head = Head(method, version, self._target, headers, fields)
        try:
            self._check_limits(head)
            head.check()
            scope = head.scope(self._peer, self._server.lifespan)
        except NotServed as error:
            self._refusal = error.refusal
            raise  # through the parser, which then raises an error of its own
        self._unparsed_bytes = 0
        self._phase = ""
        self._upgrade = head.framing() if self._parser.should_upgrade() else None
        self._incoming = Exchange(
            self._server,
            self._flow,
            scope,
            keeps_alive=version == "1.1" and self._parser.should_keep_alive(),
            awaits_continue=version == "1.1" and fields.get(b"expect", b"").lower() == b"100-continue",
            on_reply_end=self._end_exchange,
        )
        self._queue.append(self._incoming)

    def on_chunk_header(self) -> None:
        self._unparsed_bytes = 0

    def on_body(self, body: bytes) -> None:
        self._unparsed_bytes = 0
        if self._incoming is not None:
            self._incoming.add_body(body)
            if self._incoming.buffered_bytes > self._server.limits.max_buffered_bytes:
                self._flow.pause_reading()

    def on_message_complete(self) -> None:
        self._unparsed_bytes = 0
        if self._incoming is not None and self._upgrade is None:
            self._incoming.end_body()
            self._is_deaf = not self._incoming.keeps_alive
            self._incoming = None

    # The server's calls

    def look_at_deadlines(self, now: float) -> None:
        """End what has taken too long at `now`, a time of the event loop."""
        if now >= self._deadline:
            self._time_out(now)
        if now >= self._write_deadline:
            unsent_bytes = self._transport.get_write_buffer_size()
            if 0 < unsent_bytes < self._unsent_bytes:
                self._watch_progress()
            else:
                self._transport.abort()

    def end_soon(self) -> None:
        """Close the connection, or close it once the running request has its reply."""
        if self._exchange is None:
            self.close()

    def close(self) -> None:
        """Close the connection once all that was written is sent."""
        self._is_deaf = True
        if not self._transport.is_closing():
            self._transport.close()
            self._watch_progress()

    # Its own steps

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            self._parse_without_upgrade(data[cast("int", upgrade.args[0]) :])
        except HttpParserError:
            if not self._is_deaf:  # after the last request, anything may come
                self._refuse(self._refusal or BAD_REQUEST)

    def _parse_without_upgrade(self, rest: bytes) -> None:
        """Go on with the body as HTTP/1.1: the parser stops at each upgrade, also of clients that only offer HTTP/2."""
        framing = self._upgrade or b""
        self._parser = HttpRequestParser(self)
        self._parser.feed_data(_BLANK_HEAD % framing)
        self._upgrade = None
        if not framing:
            self.on_message_complete()
        if rest and not self._is_deaf:
            self._parse(rest)

    def _check_limits(self, head: Head) -> None:
        limits = self._server.limits
        if len(head.headers) > limits.max_headers:
            raise NotServed(HEAD_TOO_LARGE)
        if self._unparsed_bytes > limits.max_head_bytes and head.size > limits.max_head_bytes:
            raise NotServed(HEAD_TOO_LARGE)
        if len(self._queue) + (self._exchange is not None) > limits.max_pipelined:
            raise NotServed(TOO_MANY_PIPELINED)

    def _start_next(self, *, at_once: bool) -> None:
        self._exchange = self._queue.popleft()
        self._exchange.start(at_once=at_once)

    def _end_exchange(self, exchange: Exchange) -> None:
        """Go on after a reply: with the next request, or with an error that waited for its turn."""
        if exchange is not self._exchange:
            return
        self._exchange = None
        if not exchange.keeps_alive or self._server.is_stopping:
            self._close_gently()
        elif self._queue:
            self._flow.resume_reading()
            self._start_next(at_once=False)
        elif self._refusal is not None:
            self._answer(self._refusal)
        else:
            self._flow.resume_reading()
        self._update_phase()

    def _refuse(self, refusal: Refusal) -> None:
        """Read no more, and answer with the error, after the replies to the requests before the broken one."""
        self._is_deaf = True
        broken, self._incoming, self._refusal = self._incoming, None, refusal
        if broken is not None and broken is self._exchange:
            broken.refuse(refusal)
            return
        if broken is not None and self._queue and broken is self._queue[-1]:
            self._queue.pop()
        elif broken is not None:  # it has its reply
            self.close()
        if self._exchange is None and not self._queue:
            self._answer(refusal)

    def _answer(self, refusal: Refusal) -> None:
        self._flow.write([refusal.encode()])
        self._close_gently(is_read=False)

    def _close_gently(self, *, is_read: bool = True) -> None:
        """Close the connection, but let a client that still sends read the reply first."""
        is_read = is_read and self._incoming is None
        self._is_deaf = True
        self._incoming = None
        self._queue.clear()
        if is_read or self._transport.is_closing() or not self._transport.can_write_eof():
            self.close()
        else:
            self._flow.resume_reading()
            self._transport.write_eof()

    def _update_phase(self) -> None:
        if self._incoming is not None:
            phase: Phase = "linger" if self._incoming.is_over else "body"
        elif self._exchange is not None or self._queue:
            phase = "busy"
        elif self._is_deaf:
            phase = "linger"
        else:
            phase = "head" if self._has_begun or self._unparsed_bytes else "idle"
        if phase != self._phase:
            self._enter(phase)

    def _enter(self, phase: Phase) -> None:
        self._phase = phase
        self._deadline = self._loop.time() + self._server.limits.seconds_of(phase)
        if phase in _HAS_REQUEST:
            self._server.remove_waiting(self)
        elif not self._transport.is_closing():
            self._server.add_waiting(self)

    def _time_out(self, now: float) -> None:
        if self._phase == "head":
            self._refuse(TIMED_OUT)
            self._update_phase()
        elif self._phase != "body":
            self.close()
        elif self._flow.is_reading_paused or self._incoming is not self._exchange:
            self._deadline = now + self._server.limits.body_seconds  # the application has not read what has arrived
        else:
            self._refuse(TIMED_OUT)
            self._update_phase()

    def _watch_progress(self) -> None:
        """Give the client a time in which it must take something of what is written."""
        self._unsent_bytes = self._transport.get_write_buffer_size()
        self._write_deadline = self._loop.time() + self._server.limits.stall_seconds


def _peer_of(transport: asyncio.Transport, server: ServerState) -> Peer:
    client = _address(transport.get_extra_info("peername"))
    own = _address(transport.get_extra_info("sockname"))
    is_proxy = client is not None and server.proxies.trust(client[0])
    return Peer(client, own, server.proxies if is_proxy else None)


def _address(name: object) -> tuple[str, int] | None:
    """Return host and port of an address; None for one of a Unix socket."""
    if not isinstance(name, tuple):
        return None
    host, port, *_ = cast("tuple[str, int]", name)
    return host, port

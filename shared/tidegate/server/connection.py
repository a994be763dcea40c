"""One connection: its requests, answered in their order, and its deadlines.

Sources: RFC 9112 (sections 9.3 and 9.6: persistence, closing; 9.3.2: pipelining), RFC 9110 (sections 7.8: Upgrade,
which a server may ignore; 10.1.1: Expect).
"""

import asyncio
import math
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from tidegate.runtime.asgi import Headers
from tidegate.server.exchange import Exchange
from tidegate.server.flow import Flow
from tidegate.server.header_names import LOWER_NAMES
from tidegate.server.limits import Phase
from tidegate.server.refusal import BAD_REQUEST, HEAD_TOO_LARGE, TIMED_OUT, TOO_MANY_PIPELINED, Refusal
from tidegate.server.request import Head, NotServed, Peer, RepeatedHead, Target, Terms
from tidegate.server.state import ServerState

_HAS_REQUEST = frozenset[Phase](("body", "busy"))
_MOST_HEADS_KEPT = 8
"""The most heads of a connection that are kept, each for the requests after it: some clients send none twice."""

_BLANKS = frozenset((b" ", b"\t"))

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
        "_heads_to_keep",
        "_incoming",
        "_is_deaf",
        "_last_target",
        "_loop",
        "_parser",
        "_peer",
        "_phase",
        "_queue",
        "_refusal",
        "_repeated_head",
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
        self._parser: HttpRequestParser | None = None
        """Reads the request that arrives. None between requests, because it takes a kilobyte."""
        self._headers: Headers = []
        self._target = b""
        self._last_target: Target | None = None
        """The target of the request before, remembered: most clients ask for the same one again."""
        self._repeated_head: RepeatedHead | None = None
        """A head that came in an earlier request, and may come again."""
        self._heads_to_keep = _MOST_HEADS_KEPT
        self._exchange: Exchange | None = None
        """The request whose reply is being made, or is made next."""
        self._queue: list[Exchange] = []
        """The requests that wait for it."""
        self._incoming: Exchange | None = None
        """The request whose body is arriving."""
        self._refusal: Refusal | None = None
        """The last reply, once the exchanges before it have theirs."""
        self._is_deaf = False
        self._has_begun = True
        """True while a head arrives. The first one has its time from the connection on."""
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
        self._update_phase()
        self._server.close_oldest()

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)
        self._server.waiting.pop(self, None)
        self._is_deaf = True
        self._flow.resume_writing()
        exchange, self._exchange, self._incoming = self._exchange, None, None
        if exchange is not None:
            exchange.lose_client()
        self._queue.clear()
        self._parser = None  # it refers to this connection

    def data_received(self, data: bytes) -> None:
        if self._is_deaf:
            return
        is_alone = self._phase == "idle"  # nothing before it is unanswered, or parsed in part
        if is_alone and self._repeated_head is not None and self._begin_repeated(self._repeated_head, data):
            return
        self._parse(data)
        exchange = self._exchange
        if exchange is not None and not exchange.is_started:
            if is_alone and self._heads_to_keep:
                self._heads_to_keep -= 1
                self._repeated_head = exchange.repeatable_head(data)
            exchange.start_at_once(self._loop)
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
        if value[-1:] in _BLANKS:
            value = value.rstrip(b" \t")
        self._headers.append((LOWER_NAMES[name], value))

    def on_headers_complete(self) -> None:
        self._has_begun = False
        headers, self._headers = self._headers, []  # trailers are not headers
        if self._upgrade is not None:
            self._unparsed_bytes = 0
            return
        parser, fields = self._parser, dict(headers)
        # The parser calls this.
        assert parser is not None  # noqa: S101
        version = parser.get_http_version()
        head = Head(parser.get_method().decode("ascii"), version, headers, fields)
        try:
            self._check_limits(head)
            head.check()
            if self._last_target is None or self._last_target.raw != self._target:
                self._last_target = Target.parse(self._target)
            scope = head.scope(self._last_target, self._peer, self._server.lifespan)
        except NotServed as error:
            self._refusal = error.refusal
            raise  # through the parser, which then raises an error of its own
        self._unparsed_bytes = 0
        self._phase = ""
        self._upgrade = head.framing() if parser.should_upgrade() else None
        keeps_alive = version == "1.1" and parser.should_keep_alive()
        terms = Terms(head.method, version, keeps_alive, b"expect" in fields and head.awaits_continue())
        server = self._server
        self._incoming = exchange = Exchange(server, self._flow, server.app, scope, terms, self._end_exchange)
        if self._exchange is None:
            self._exchange = exchange
        else:
            self._queue.append(exchange)

    def on_chunk_header(self) -> None:
        self._unparsed_bytes = 0

    def on_body(self, body: bytes) -> None:
        self._unparsed_bytes = 0
        if self._incoming is not None:
            self._incoming.add_body(body)

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
        """Read requests, or parts of them."""
        self._unparsed_bytes += len(data)
        parser = self._parser
        if parser is None:
            parser = self._parser = HttpRequestParser(self)
        try:
            parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            self._parse_without_upgrade(data[cast("int", upgrade.args[0]) :])
        except HttpParserError:
            if not self._is_deaf:  # after the last request, anything may come
                self._refuse(self._refusal or BAD_REQUEST)
        if self._unparsed_bytes > self._server.limits.max_head_bytes and not self._is_deaf:
            self._refuse(HEAD_TOO_LARGE)
        if self._incoming is None and not self._has_begun:
            self._parser = None

    def _begin_repeated(self, head: RepeatedHead, data: bytes) -> bool:
        """Begin the request in `data` without a parser. Return False if that is not one whole request with the head."""
        server, flow = self._server, self._flow
        request = head.read(data, server.lifespan)
        if request is None:
            return False
        scope, body = request
        self._exchange = exchange = Exchange(server, flow, head.app, scope, head.terms, self._end_exchange, body)
        if len(body) > server.limits.max_buffered_bytes:
            flow.pause_reading()
        self._phase, self._deadline = "busy", math.inf
        server.waiting.pop(self, None)
        exchange.start_at_once(self._loop)
        return True

    def _parse_without_upgrade(self, rest: bytes) -> None:
        """Go on with the body as HTTP/1.1: the parser stops at each upgrade, also of clients that only offer HTTP/2."""
        framing = self._upgrade or b""
        self._parser = parser = HttpRequestParser(self)
        parser.feed_data(_BLANK_HEAD % framing)
        self._upgrade = None
        if not framing:
            self.on_message_complete()
        if rest:
            self.data_received(rest)

    def _check_limits(self, head: Head) -> None:
        limits = self._server.limits
        if len(head.headers) > limits.max_headers:
            raise NotServed(HEAD_TOO_LARGE)
        if self._unparsed_bytes > limits.max_head_bytes and len(self._target) + head.size > limits.max_head_bytes:
            raise NotServed(HEAD_TOO_LARGE)
        if self._queue and len(self._queue) + 1 > limits.max_pipelined:
            raise NotServed(TOO_MANY_PIPELINED)

    def _end_exchange(self, exchange: Exchange) -> None:
        """Go on after a reply: with the next request, or with an error that waited for its turn."""
        if exchange is not self._exchange:
            return
        self._exchange = None
        if not exchange.keeps_alive or self._server.is_stopping:
            self._close_gently()
        elif self._queue:
            self._flow.resume_reading()
            self._exchange = self._queue.pop(0)
            self._exchange.start(self._loop)
        elif self._refusal is not None:
            self._answer(self._refusal)
        elif self._flow.is_reading_paused:
            self._flow.resume_reading()
        self._update_phase()

    def _refuse(self, refusal: Refusal) -> None:
        """Read no more, and answer with the error, after the replies to the requests before the broken one."""
        self._is_deaf = True
        broken, self._incoming, self._refusal = self._incoming, None, refusal
        if broken is not None and broken is self._exchange:
            if broken.is_started:
                broken.refuse(refusal)
                return
            self._exchange = None
        elif broken is not None and self._queue and broken is self._queue[-1]:
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
        elif self._exchange is not None:
            phase = "busy"
        elif self._is_deaf:
            phase = "linger"
        else:
            phase = "head" if self._has_begun or self._unparsed_bytes else "idle"
        if phase == self._phase:
            return
        server = self._server
        self._phase = phase
        self._deadline = math.inf if phase == "busy" else self._loop.time() + server.seconds[phase]
        if phase not in _HAS_REQUEST:
            if not self._transport.is_closing():
                server.waiting[self] = None
        elif self in server.waiting:
            del server.waiting[self]

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

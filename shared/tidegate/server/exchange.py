"""One request and its reply, as the application's `receive` and `send`, and as the connection of its client.

Source: https://asgi.readthedocs.io/en/latest/specs/www.html. A reply is begun with its first body message: until then,
an application that fails still gets its caller a 500.
"""

import asyncio
import logging
import sys
from collections.abc import Callable, Iterable
from typing import cast

from tidegate.runtime.asgi import App, Headers, Message, Scope
from tidegate.server.digits import CHUNK_STARTS
from tidegate.server.flow import Flow
from tidegate.server.refusal import CRASHED, SHUTTING_DOWN, Refusal
from tidegate.server.request import RepeatedHead, Terms
from tidegate.server.response import WHOLE, Framing, encode_begin, encode_body, encode_head, encode_whole, join
from tidegate.server.state import ServerState

log = logging.getLogger(__name__)

_OUT_OF_TURN = "The application sent a reply out of turn."
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Exchange:
    """Runs the application for one request. `on_reply_end` is called when nothing more will be written.

    It is the `tidegate.client` of its scope: see `api.disconnect.ClientConnection`.
    """

    __slots__ = (
        "_app",
        "_awaits_continue",
        "_body",
        "_callback",
        "_chunks_to",
        "_flow",
        "_head",
        "_is_body_complete",
        "_is_delivered",
        "_on_reply_end",
        "_reply",
        "_scope",
        "_server",
        "_terms",
        "_waiters",
        "is_gone",
        "is_over",
        "keeps_alive",
        "task",
    )

    def __init__(
        self,
        server: ServerState,
        flow: Flow,
        app: App,
        scope: Scope,
        terms: Terms,
        on_reply_end: "Callable[[Exchange], None]",
        body: bytes | None = None,
    ) -> None:
        """`body` is the whole body, if it came with the head."""
        self._server = server
        self._flow = flow
        self._app = app
        self._scope: Scope | None = scope
        """None once the application has the request."""
        self._terms = terms
        self._on_reply_end = on_reply_end
        self._body: bytes | bytearray = body or b""
        self._is_body_complete = body is not None
        self._is_delivered = self.is_gone = False
        self.is_over = False
        """True once nothing of the request or the reply is wanted any more: its reply is complete, or `is_gone`."""
        self.keeps_alive = terms.keeps_alive
        self._awaits_continue = terms.awaits_continue
        self.task: asyncio.Task[None] | None = None
        self._waiters: list[asyncio.Future[None]] | None = None
        self._callback: Callable[[], object] | None = None
        self._head: bytes | None = None
        self._reply: Framing | None = None
        self._chunks_to: asyncio.Transport | None = None
        """Set while `write` has nothing to do but to write chunks."""
        scope["extensions"] = {"tidegate.client": self}

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run the application in a task."""
        scope, self._scope = self._scope, None  # the scope refers to this exchange
        if scope is not None:
            self.task = loop.create_task(self._run(scope))

    def start_at_once(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run the application in a task: from Python 3.12 on, now and up to where it waits for the first time."""
        if sys.version_info < (3, 12):
            self.start(loop)
            return
        scope, self._scope = self._scope, None
        if scope is not None:
            self.task = asyncio.Task(self._run(scope), loop=loop, eager_start=True)

    def repeatable_head(self, data: bytes) -> RepeatedHead | None:
        """Return the head of this request, which is not started yet, if `data` is all of it and it may come again."""
        if self._scope is None or not self._is_body_complete or self._awaits_continue or not self.keeps_alive:
            return None
        return RepeatedHead.find(data[: len(data) - len(self._body)], self._scope, self._terms, self._app)

    @property
    def buffered_bytes(self) -> int:
        """Bytes of the body that wait for the application."""
        return len(self._body)

    @property
    def is_started(self) -> bool:
        """True once the application has the request."""
        return self._scope is None

    @property
    def has_reply_begun(self) -> bool:
        """True once something of the reply is written."""
        return self._reply is not None and self._head is None

    def add_body(self, data: bytes) -> None:
        """Take a piece of the body, unless nobody will read it. Reading stops while much of it waits."""
        if self.is_over:
            return
        if not self._body:
            self._body = data
        else:
            if isinstance(self._body, bytes):
                self._body = bytearray(self._body)
            self._body += data
        if len(self._body) > self._server.limits.max_buffered_bytes:
            self._flow.pause_reading()
        if self._waiters:
            self._wake()

    def end_body(self) -> None:
        """Take note that the body is complete."""
        self._is_body_complete = True
        if self._waiters:
            self._wake()

    def lose_client(self) -> None:
        """Tell the application that the client has gone. Nothing is sent any more."""
        if self.is_over:
            return
        self.is_gone = self.is_over = True
        self._body, self._chunks_to = b"", None
        self._wake()
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()

    def watch(self, callback: Callable[[], object]) -> None:
        """Call `callback` once if the client goes before its reply is complete; at once if it has gone already."""
        if self.is_gone:
            callback()
        elif not self.is_over:
            self._callback = callback

    def unwatch(self) -> None:
        """Call nothing when the client goes."""
        self._callback = None

    def take_body(self) -> bytes | None:
        """Take what is left of the body, if it is complete; None if it is not, or if the client has gone."""
        if not self._is_body_complete or self._is_delivered or self.is_over:
            return None
        self._is_delivered = True
        body, self._body = bytes(self._body), b""
        if self._flow.is_reading_paused:
            self._flow.resume_reading()
        return body

    async def receive(self) -> Message:
        """The next piece of the body; after the last one, `http.disconnect` once the client has gone or its reply."""
        if self._awaits_continue and not self.has_reply_begun:
            self._awaits_continue = False
            if not self._is_body_complete and not self._body:
                self._flow.write([_CONTINUE])
        while not (self.is_over or self._body or (self._is_body_complete and not self._is_delivered)):
            self._flow.resume_reading()
            waiter = asyncio.get_running_loop().create_future()
            self._waiters = [*(self._waiters or ()), waiter]
            await waiter
        if self.is_over:
            return {"type": "http.disconnect"}
        body, self._body = bytes(self._body), b""
        self._is_delivered = self._is_body_complete
        if self._flow.is_reading_paused:
            self._flow.resume_reading()
        return {"type": "http.request", "body": body, "more_body": not self._is_body_complete}

    async def send(self, message: Message) -> None:
        """Take one message of the reply. Waits while the client has not taken what was written before."""
        if self._flow.is_writing_paused:
            await self._flow.drain()
        if self.is_gone:
            return
        kind = message["type"]
        if self._reply is None and kind == "http.response.start":
            headers = list(cast("Iterable[tuple[bytes, bytes]]", message.get("headers", ())))
            self._head, self._reply = self._encode_head(cast("int", message["status"]), headers)
        elif self._reply is not None and kind == "http.response.body" and not self.is_over:
            body = cast("bytes", message.get("body", b""))
            self._write(self._reply, body, more=bool(message.get("more_body", False)))
        else:
            raise RuntimeError(f"The application sent {kind!r} out of turn.")

    async def send_reply(self, status: int, body: bytes, headers: Headers) -> None:
        """Write a whole reply. Waits while the client has not taken what was written before."""
        if self._flow.is_writing_paused:
            await self._flow.drain()
        if self.is_gone:
            return
        if self._reply is not None:
            raise RuntimeError(_OUT_OF_TURN)
        head, self._reply = self._encode_head(status, headers, len(body))
        self._flow.write(join([head, body]) if self._reply.has_body else [head])
        self._end_reply(self._reply.keeps_alive)

    def write_reply(self, status: int, body: bytes, lines: bytes) -> bool:
        """Write a whole reply at once, with these lines of headers: see `api.reply.HeaderLines`.

        Return False if the client is slow: it must be sent with `send_reply`.
        """
        if self._flow.is_writing_paused:
            return False
        if self.is_gone:
            return True
        if self._reply is not None:
            raise RuntimeError(_OUT_OF_TURN)
        keeps_alive, method = self._keeps_alive(), self._terms.method
        parts = encode_whole(status, lines, body, self._server.stamp, method, keeps_alive)
        self._reply = WHOLE
        self._flow.write(parts)
        self._end_reply(keeps_alive)
        return True

    def begin_reply(self, status: int, lines: bytes) -> bool:
        """Begin a reply of unknown length, with these lines of headers: see `api.reply.HeaderLines`.

        Return False if the client is slow: the start must be sent with `send`.
        """
        if self._flow.is_writing_paused:
            return False
        if self.is_gone:
            return True
        if self._reply is not None:
            raise RuntimeError(_OUT_OF_TURN)
        terms = self._terms
        stamp, keeps_alive = self._server.stamp, self._keeps_alive()
        self._head, self._reply = encode_begin(status, lines, stamp, terms.method, terms.version, keeps_alive)
        return True

    def write(self, data: bytes) -> bool:
        """Write more of a reply that has begun and not ended. Return False if the client is slow: `send` then waits."""
        transport = self._chunks_to
        if transport is not None:
            if data and not transport.is_closing():
                transport.write(b"".join((CHUNK_STARTS[len(data)], data, b"\r\n")))
        elif self._reply is None or self.is_over:
            return True
        else:
            self._write(self._reply, data, more=True)
        return not self._flow.is_writing_paused

    def refuse(self, refusal: Refusal) -> None:
        """Answer with an error if the reply has not begun, and end the exchange and its connection in any case."""
        if not self.has_reply_begun:
            self._flow.write([refusal.encode(has_body=self._terms.method != "HEAD")])
        self.keeps_alive = False
        self.lose_client()
        self._on_reply_end(self)

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters or (), None
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _encode_head(self, status: int, headers: Headers, length: int | None = None) -> tuple[bytes, Framing]:
        return encode_head(
            status,
            headers,
            stamp=self._server.stamp,
            method=self._terms.method,
            version=self._terms.version,
            keeps_alive=self._keeps_alive(),
            length=length,
        )

    def _keeps_alive(self) -> bool:
        # A body that is withheld until "100 Continue" comes may never come: the next request could not be told from it.
        if self._awaits_continue and not self._is_body_complete:
            return False
        return self.keeps_alive and not self._server.is_stopping

    def _write(self, framing: Framing, body: bytes, *, more: bool) -> None:
        parts = encode_body(framing, body, more=more)
        if self._head is not None:
            parts.insert(0, self._head)
            self._head, self._chunks_to = None, self._flow.transport if framing.is_chunked else None
        if parts:
            self._flow.write(join(parts))
        if not more:
            self._end_reply(framing.keeps_alive)

    def _end_reply(self, keeps_alive: bool) -> None:
        self.keeps_alive = keeps_alive
        self.is_over = True
        self._server.unsettled += 1
        self._callback, self._body, self._chunks_to = None, b"", None
        if self._waiters:
            self._wake()
        self._on_reply_end(self)

    async def _run(self, scope: Scope) -> None:
        """Call the application, and end the reply that it leaves open."""
        server = self._server
        server.exchanges.add(self)
        try:
            if server.unsettled >= server.limits.max_unsettled:
                await server.wait_for_settlement()
            reply = self._app(scope, self.receive, self.send)
            del scope  # an open stream keeps nothing that it does not need
            await reply
            if not self.is_over and not server.is_stopping:
                log.error("reply.incomplete")
        # The edge of the server: whatever the application raises, the connections of others go on.
        except Exception as error:
            log.error("application.crashed", exc_info=error)
        finally:
            server.exchanges.discard(self)
            if not self.is_over:
                self.refuse(SHUTTING_DOWN if server.is_stopping else CRASHED)
            elif not self.is_gone:
                server.unsettled -= 1
                if server.one_settled is not None:
                    server.one_settled.set()
                    server.one_settled = None

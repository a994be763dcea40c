"""The transport on pyreqwest: a fifth of httpx's latency, in a thread of its own.

pyreqwest 0.15.1 detaches a request that is cancelled before its response headers arrive: it goes on unseen.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import Generic, TypeVar
from urllib.parse import urlsplit

import anyio
from pyreqwest.bytes import Bytes
from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import (
    ConnectError,
    ConnectTimeoutError,
    DetailedPyreqwestError,
    PyreqwestError,
    RequestTimeoutError,
)
from pyreqwest.request import StreamRequest
from pyreqwest.response import Response

from tidegate.errors import UpstreamError
from tidegate.transport.base import (
    DEFAULT_CONNECT_SECONDS,
    HttpRequest,
    HttpResponse,
    StreamedResponse,
    Timeouts,
    connection_failure,
)
from tidegate.transport.stale_connections import StaleConnections

# hyper's messages for a connection that ended after the request was written and before the response began.
_DROPPED = ("connection closed before message completed", "Connection reset by peer", "Broken pipe")

_T = TypeVar("_T")

_MAX_JOINED_CHUNKS = 64
"""Chunks that are joined before they are yielded, however fast the provider is: other calls need the event loop."""


class ReqwestTransport:
    """Connection pools for the life of the process: one for each connect timeout, because pyreqwest sets it per client.

    Most requests use the pool of the default timeout; creating another one takes 10 ms.
    """

    def __init__(
        self,
        *,
        connect_seconds: float = DEFAULT_CONNECT_SECONDS,
        root_certificate_pem: bytes | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._default_connect_seconds = connect_seconds
        self._root_certificate_pem = root_certificate_pem
        self._pooled_clients = {connect_seconds: self._client_builder(connect_seconds).build()}
        self._unpooled_clients: dict[float, Client] = {}
        self._stale_connections = StaleConnections(clock)

    def _client_builder(self, connect_seconds: float) -> ClientBuilder:
        connect = timedelta(seconds=connect_seconds)
        builder = ClientBuilder().follow_redirects(False).connect_timeout(connect).user_agent("tidegate")
        return builder.add_root_certificate_pem(self._root_certificate_pem) if self._root_certificate_pem else builder

    @asynccontextmanager
    async def open(self, request: HttpRequest, timeouts: Timeouts) -> AsyncGenerator[HttpResponse]:
        """See `Transport.open`. A stale pooled connection is replaced, once; callers retry all other failures."""
        origin = "/".join(request.url.split("/", 3)[:3])
        if request.address is not None:
            async with self._open_pinned(request, timeouts) as response:
                yield response
            return
        deadline = asyncio.get_running_loop().time() + timeouts.total
        send = partial(self._send, request, self._connect_seconds(timeouts), deadline)
        try:
            stream, response = await self._stale_connections.send_with_reconnect(
                origin, send, PyreqwestError, _is_dropped
            )
        except PyreqwestError as error:
            raise _translate(error, request) from None
        try:
            yield _ReqwestResponse(response, request)
        finally:
            await stream.__aexit__(None, None, None)

    async def _send(
        self, request: HttpRequest, connect_seconds: float, deadline: float, on_new_connection: bool
    ) -> tuple[StreamRequest, Response]:
        client = self._unpooled_client(connect_seconds) if on_new_connection else self._pooled_client(connect_seconds)
        stream = self._build_stream(client, request, deadline - asyncio.get_running_loop().time())
        return stream, await enter_stream(stream)

    @asynccontextmanager
    async def _open_pinned(self, request: HttpRequest, timeouts: Timeouts) -> AsyncGenerator[HttpResponse]:
        parts = urlsplit(request.url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        builder = self._client_builder(self._connect_seconds(timeouts)).no_proxy()
        client = builder.resolve(parts.hostname or "", request.address or "", port).build()
        stream = self._build_stream(client, request, timeouts.total)
        try:
            response = await enter_stream(stream)
            try:
                yield _ReqwestResponse(response, request)
            finally:
                await stream.__aexit__(None, None, None)
        except PyreqwestError as error:
            raise _translate(error, request) from None
        finally:
            with anyio.CancelScope(shield=True):
                await client.close()

    def _connect_seconds(self, timeouts: Timeouts) -> float:
        """The connect timeout to use; one that is not below the total has no effect, and needs no pool of its own."""
        if timeouts.connect is None or timeouts.connect >= timeouts.total:
            return self._default_connect_seconds
        return timeouts.connect

    def _pooled_client(self, connect_seconds: float) -> Client:
        client = self._pooled_clients.get(connect_seconds)
        if client is None:
            client = self._pooled_clients[connect_seconds] = self._client_builder(connect_seconds).build()
        return client

    def _unpooled_client(self, connect_seconds: float) -> Client:
        client = self._unpooled_clients.get(connect_seconds)
        if client is None:
            builder = self._client_builder(connect_seconds).pool_max_idle_per_host(0)
            client = self._unpooled_clients[connect_seconds] = builder.build()
        return client

    def _build_stream(self, client: Client, request: HttpRequest, seconds: float) -> StreamRequest:
        try:
            return (
                client.request(request.method, request.url)
                .headers(dict(request.headers))
                .body_bytes(request.body)
                .timeout(timedelta(seconds=max(seconds, 0.001)))
                .streamed_read_buffer_limit(0)  # otherwise the headers wait for the first megabyte
                .build_streamed()
            )
        except ValueError:  # the base of BuilderError, and of the error for an invalid URL
            raise connection_failure(request, "the URL or a header is not valid", connecting=True) from None

    async def close(self) -> None:
        for client in (*self._pooled_clients.values(), *self._unpooled_clients.values()):
            await client.close()
        # pyreqwest's thread releases Python objects a moment after `close` returns; an interpreter that is finalizing
        # by then aborts (seen with pyreqwest 0.15.1: 11 of 25 processes that ended right after a response).
        await asyncio.sleep(0.1)


class _ReqwestResponse(StreamedResponse):
    def __init__(self, response: Response, request: HttpRequest) -> None:
        super().__init__(response.status, response.headers.items())
        self._response = response
        self._request = request

    async def chunks(self) -> AsyncGenerator[bytes]:
        """See `HttpResponse.chunks`. Joins all that has arrived: a chunk of ten events costs as much as one event."""
        reader = self._response.body_reader
        collected: list[bytes] = []
        failure: PyreqwestError | None = None
        try:
            while True:
                reading = reader.read_chunk()
                try:
                    waits_for: object = reading.send(None)
                except StopIteration as ready:
                    chunk: Bytes | None = ready.value
                else:
                    if collected:
                        yield b"".join(collected)
                        collected = []
                    chunk = await _PendingWork(reading, waits_for)
                if chunk is None:
                    break
                collected.append(bytes(chunk))
                if len(collected) == _MAX_JOINED_CHUNKS:
                    yield b"".join(collected)
                    collected = []
        except PyreqwestError as error:
            failure = error
        if collected:
            yield b"".join(collected)
        if failure is not None:
            raise _translate(failure, self._request) from None


async def enter_stream(stream: StreamRequest) -> Response:
    """The response, once its headers have arrived. Closes one that arrives in the moment of a cancellation."""
    try:
        return await _await_uncancelled(stream.__aenter__())
    except asyncio.CancelledError:
        with anyio.CancelScope(shield=True), suppress(RuntimeError):  # raised if it was never entered
            await stream.__aexit__(None, None, None)
        raise


async def _await_uncancelled(work: Coroutine[object, object, _T]) -> _T:
    """Await a coroutine of pyreqwest; a cancellation raises the caller's own `CancelledError`, not pyreqwest's."""
    try:
        waits_for = work.send(None)
    except StopIteration as ready:
        return ready.value
    return await _PendingWork(work, waits_for)


class _PendingWork(Generic[_T]):
    """A coroutine that was started with `send` and is not finished: awaiting this object awaits the rest of it."""

    def __init__(self, work: Coroutine[object, object, _T], waits_for: object) -> None:
        self._work = work
        self._waits_for = waits_for

    def __await__(self) -> Generator[object, object, _T]:
        waits_for = self._waits_for
        cancelled: BaseException | None = None
        while True:
            try:
                yield waits_for
            except BaseException as error:
                cancelled = error
                # A new error: pyreqwest may keep it, and the original one references the frames that await here.
                resume = partial(self._work.throw, asyncio.CancelledError())
            else:
                resume = partial(self._work.send, None)
            try:
                waits_for = resume()
            except StopIteration as ready:
                # pyreqwest 0.15 may return the chunk of the same moment, and forget the cancellation.
                if cancelled is not None:
                    raise cancelled from None
                return ready.value
            except asyncio.CancelledError:
                # pyreqwest's CancelledError is another object, which anyio's scopes do not recognise.
                if cancelled is not None:
                    raise cancelled from None
                raise


def _causes(error: PyreqwestError) -> list[str]:
    if not isinstance(error, DetailedPyreqwestError):
        return []
    return [cause["message"] for cause in error.details["causes"] or ()]


def _is_dropped(error: PyreqwestError) -> bool:
    causes = _causes(error)
    is_sending = any("SendRequest" in cause for cause in causes)
    return is_sending and any(word in cause for cause in causes for word in _DROPPED)


def _translate(error: PyreqwestError, request: HttpRequest) -> UpstreamError:
    causes = _causes(error)
    # Not only "Connect": "Connection reset by peer" may come after the request, which is charged then.
    is_connecting = any("(Connect)" in cause for cause in causes)
    connecting = isinstance(error, ConnectError | ConnectTimeoutError) and is_connecting
    timed_out = isinstance(error, RequestTimeoutError | TimeoutError)
    reason = causes[-1] if causes else str(error.message)
    return connection_failure(request, reason, connecting=connecting, timed_out=timed_out)

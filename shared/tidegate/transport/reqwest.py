"""The default transport: pyreqwest, five times lower in latency than httpx and cheap to import.

A request that is cancelled before its answer's head goes on unseen: pyreqwest 0.15.1 detaches it.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import Generic, TypeVar
from urllib.parse import urlsplit

import anyio
from pyreqwest.bytes import Bytes
from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import (
    ConnectTimeoutError,
    DetailedPyreqwestError,
    PyreqwestError,
    RequestTimeoutError,
)
from pyreqwest.request import StreamRequest
from pyreqwest.response import Response

from tidegate.errors import ProviderTimeout, ProviderUnreachable, UpstreamError
from tidegate.transport.base import DEFAULT_CONNECT_SECONDS, HttpRequest, HttpResponse, Timeouts, read_all
from tidegate.transport.stale_connections import StaleConnections, origin_of

# hyper's words for a connection that ended after the request was written and before the first byte of the answer.
_DROPPED = ("connection closed before message completed", "Connection reset by peer", "Broken pipe")

_T = TypeVar("_T")

_MAX_JOINED_CHUNKS = 64
"""Pieces handed on at once, however fast the provider is: other calls want their turn."""


class ReqwestTransport:
    """Pools of connections for the life of the process: one for each time to connect, which the library wants so.

    Most have the first of them; another costs its first call 10 ms.
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
        """See `Transport.open`. A connection that has died while its origin was idle is replaced, once.

        All other failures are the caller's to try again: `routing/retry.py` for providers, `Backoff` for DynamoDB.
        """
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
            raise _translate(error, request.url) from None
        try:
            yield _ReqwestResponse(response, request.url)
        finally:
            await stream.__aexit__(None, None, None)

    async def _send(
        self, request: HttpRequest, connect: float, deadline: float, is_fresh: bool
    ) -> tuple[StreamRequest, Response]:
        client = self._unpooled_client(connect) if is_fresh else self._pooled_client(connect)
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
                yield _ReqwestResponse(response, request.url)
            finally:
                await stream.__aexit__(None, None, None)
        except PyreqwestError as error:
            raise _translate(error, request.url) from None
        finally:
            with anyio.CancelScope(shield=True):
                await client.close()

    def _connect_seconds(self, timeouts: Timeouts) -> float:
        """What of the time to connect is not in the total already."""
        return (
            self._default_connect_seconds
            if timeouts.connect is None or timeouts.connect >= timeouts.total
            else timeouts.connect
        )

    def _pooled_client(self, connect: float) -> Client:
        client = self._pooled_clients.get(connect)
        if client is None:
            client = self._pooled_clients[connect] = self._client_builder(connect).build()
        return client

    def _unpooled_client(self, connect: float) -> Client:
        client = self._unpooled_clients.get(connect)
        if client is None:
            client = self._unpooled_clients[connect] = self._client_builder(connect).pool_max_idle_per_host(0).build()
        return client

    def _build_stream(self, client: Client, request: HttpRequest, seconds: float) -> StreamRequest:
        try:
            return (
                client.request(request.method, request.url)
                .headers(dict(request.headers))
                .body_bytes(request.body)
                .timeout(timedelta(seconds=max(seconds, 0.001)))
                .streamed_read_buffer_limit(0)  # or the head waits for the first megabyte
                .build_streamed()
            )
        except ValueError:  # BuilderError is one, and so is what an unreadable URL raises
            raise ProviderUnreachable(f"The provider's URL is not valid: {origin_of(request.url)!r}.") from None

    async def close(self) -> None:
        for client in (*self._pooled_clients.values(), *self._unpooled_clients.values()):
            await client.close()
        # The library's thread lets go of Python objects a moment after `close` returns; an interpreter that is already
        # finalizing then aborts (seen with pyreqwest 0.15.1: 11 of 25 processes that ended right after an answer).
        await asyncio.sleep(0.1)


class _ReqwestResponse:
    def __init__(self, response: Response, url: str) -> None:
        self._response = response
        self._url = url
        self.status: int = response.status
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}

    async def read(self, limit: int) -> bytes:
        return await read_all(self.chunks(), limit)

    async def chunks(self) -> AsyncGenerator[bytes]:
        """All that has come since, as one piece: a hop through the gateway costs the same for one event as for ten."""
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
            raise _translate(failure, self._url) from None


async def enter_stream(stream: StreamRequest) -> Response:
    """The answer's head. One that comes in the moment of a cancellation is closed, or its connection would stay."""
    try:
        return await _await_uncancelled(stream.__aenter__())
    except asyncio.CancelledError:
        with anyio.CancelScope(shield=True), suppress(RuntimeError):  # it is one to leave what was not entered
            await stream.__aexit__(None, None, None)
        raise


async def _await_uncancelled(work: Coroutine[object, object, _T]) -> _T:
    """What one of the library's coroutines gives; when it is cancelled, by the cancellation that its caller raised."""
    try:
        waits_for = work.send(None)
    except StopIteration as ready:
        return ready.value
    return await _PendingWork(work, waits_for)


class _PendingWork(Generic[_T]):
    """Work that was begun and is not ready yet: what is left of awaiting it."""

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
                # A new one: the library may keep it, and ours leads back to what is awaited here.
                resume = partial(self._work.throw, asyncio.CancelledError())
            else:
                resume = partial(self._work.send, None)
            try:
                waits_for = resume()
            except StopIteration as ready:
                # pyreqwest 0.15 answers a cancellation with the piece that came in the same moment, and forgets it.
                if cancelled is not None:
                    raise cancelled from None
                return ready.value
            except asyncio.CancelledError:
                # Its own is another one, which anyio's scopes do not know for theirs.
                if cancelled is not None:
                    raise cancelled from None
                raise


def _causes(error: PyreqwestError) -> list[str]:
    if not isinstance(error, DetailedPyreqwestError):
        return []
    return [cause["message"] for cause in error.details["causes"] or ()]


def _is_dropped(error: PyreqwestError) -> bool:
    causes = _causes(error)
    return any("SendRequest" in cause for cause in causes) and any(
        word in cause for cause in causes for word in _DROPPED
    )


def _translate(error: PyreqwestError, url: str) -> UpstreamError:
    """Facts for the caller; the URL is cut to its origin, whose path might name an account."""
    origin = origin_of(url)
    causes = _causes(error)
    if isinstance(error, RequestTimeoutError | TimeoutError):
        connecting = isinstance(error, ConnectTimeoutError) and any("Connect" in cause for cause in causes)
        step = "could not be reached" if connecting else "did not answer"
        return ProviderTimeout(f"The provider at {origin} {step} in time.")
    reason = causes[-1] if causes else str(error.message)
    return ProviderUnreachable(f"The connection to the provider at {origin} failed: {reason}.")

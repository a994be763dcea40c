"""The HTTP seam: every request to a provider, to DynamoDB or to Secrets Manager goes through a `Transport`.

Four implementations: `transport/httptools.py` (our own client, the default: it loads fastest and takes the least
processor time), `transport/reqwest.py`, `transport/aiohttp.py`, and `transport/httpx.py` (tests replace its network).
"""

from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol
from urllib.parse import urlsplit

from msgspec import Struct

from tidegate.domain.redacted import Redacted
from tidegate.errors import ProviderMalformed, ProviderTimeout, ProviderUnreachable, UpstreamError

DEFAULT_CONNECT_SECONDS = 5.0

IDLE_SECONDS = 2.0
"""A connection, or an origin, without contact for longer is idle. Servers keep idle connections open for longer."""


def origin_of(url: str) -> str:
    """Scheme, host and port: no path or user, which might name an account. Raises `ValueError` for an invalid URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


class Timeouts(Struct, frozen=True):
    """Limits in seconds. `total` covers everything from connecting to the last byte of the body; `connect` covers a
    new connection, None for `DEFAULT_CONNECT_SECONDS`.

    The other two are enforced by `silence.open_with_timeouts`: `first_byte` ends with the first byte of the body,
    `between` covers the wait from one byte of it to the next. None means no limit.
    """

    total: float
    connect: float | None = None
    first_byte: float | None = None
    between: float | None = None


class RememberedHead:
    """The encoded `head` of requests that differ in nothing but their body, and the transport's `pool` for them.

    The transport sets both with the first request. `pool` is an object of the transport's own.
    """

    __slots__ = ("head", "pool")

    def __init__(self) -> None:
        self.pool: object = None
        self.head = b""


class HttpRequest(Redacted, Struct, frozen=True):
    """A request. `address` is an IP address to connect to instead of resolving the URL's host, on a new connection.

    `peer` names the receiver in messages for callers. Requests with one `remembered_head` differ in their body only.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    address: str | None = None
    peer: str = "The provider"
    remembered_head: RememberedHead | None = None


class HttpResponse(Protocol):
    """A response whose body has not been read yet. Header names are in lower case."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    async def read(self, limit: int) -> bytes:
        """The whole body. Raises `ProviderMalformed` beyond `limit` bytes, and the errors of `Transport.open`."""
        ...

    def chunks(self) -> AsyncGenerator[bytes]:
        """The body as it arrives. Raises `ProviderUnreachable` when the connection breaks.

        If you stop early, `aclose()` this generator: a pending read blocks leaving `open`.
        """
        ...


class Transport(Protocol):
    """An HTTP client.

    Example:
        async with transport.open(HttpRequest("GET", url, {}, b""), Timeouts(total=10.0)) as response:
            body = await response.read(limit=1_000_000)
    """

    def open(self, request: HttpRequest, timeouts: Timeouts) -> AbstractAsyncContextManager[HttpResponse]:
        """Send the request; the context gives the response once its headers have arrived.

        Leaving the context closes the connection if the body was not read to its end. Redirects are not followed: the
        URL is the operator's, and they would carry the key elsewhere. Raises `ProviderTimeout`, `ProviderUnreachable`.
        """
        ...

    async def close(self) -> None: ...


class StreamedResponse:
    """Base of the implementations of `HttpResponse`: they define `chunks`, and get `read`."""

    def __init__(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        self.status = status
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in headers}

    def chunks(self) -> AsyncGenerator[bytes]:
        raise NotImplementedError

    async def read(self, limit: int) -> bytes:
        return await read_chunks(self.chunks(), limit)


async def read_chunks(chunks: AsyncGenerator[bytes], limit: int) -> bytes:
    """Read a response to its end. Raises `ProviderMalformed` beyond `limit` bytes."""
    collected: list[bytes] = []
    size = 0
    try:
        async for chunk in chunks:
            size += len(chunk)
            if size > limit:
                raise ProviderMalformed(f"The response of the provider is larger than {limit} bytes.")
            collected.append(chunk)
    finally:
        await chunks.aclose()
    return collected[0] if len(collected) == 1 else b"".join(collected)


def connection_failure(
    request: HttpRequest, reason: str, *, connecting: bool, timed_out: bool = False
) -> ProviderTimeout | ProviderUnreachable:
    """Return the error of a request without a complete response. `connecting`: the request has not been sent.

    The message is for callers, who must not learn internal addresses: it names the peer only. The error's note, for
    the operator's log, has the URL's origin and the reason; the path might name an account.
    """
    failure: ProviderTimeout | ProviderUnreachable
    if timed_out:
        step = "could not be reached" if connecting else "did not answer"
        failure = ProviderTimeout(f"{request.peer} {step} in time.")
    elif connecting:
        failure = ProviderUnreachable(f"{request.peer} could not be reached.")
    else:
        failure = ProviderUnreachable(f"{request.peer} broke off the connection.")
    failure.was_sent = not connecting
    try:
        failure.add_note(f"{origin_of(request.url)}: {reason}")
    except ValueError:
        failure.add_note(reason)
    return failure


def take_notes(error: UpstreamError) -> str | None:
    """Return the notes of `connection_failure`, and remove them, so that they are logged once."""
    return "; ".join(vars(error).pop("__notes__", ())) or None

"""The HTTP seam: everything that goes to a provider, to DynamoDB or to Secrets Manager goes through a `Transport`.

Three implementations: `transport/reqwest.py` (pyreqwest, the default: it loads fast), `transport/aiohttp.py` (what the
server uses: it takes back what is cancelled), and `transport/httpx.py` (whose network tests replace).
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Protocol

from msgspec import Struct

from tidegate.errors import ProviderMalformed

DEFAULT_CONNECT_SECONDS = 5.0


class Timeouts(Struct, frozen=True):
    """Seconds. `total` covers everything from connecting to the last byte of the body; `connect` a new connection,
    None for as long as usual.

    What `waiting.py` sees to, and no transport: `first_byte` ends with the first byte of the body, `between` is from
    one byte of it to the next. None bounds nothing.
    """

    total: float
    connect: float | None = None
    first_byte: float | None = None
    between: float | None = None


class HttpRequest(Struct, frozen=True):
    """`address` is an IP address to connect to instead of resolving the URL's host, on a connection of its own."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    address: str | None = None


class HttpResponse(Protocol):
    """An answer whose body has not been read. Names of `headers` are in lower case."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    async def read(self, limit: int) -> bytes:
        """The whole body. Raises `ProviderMalformed` beyond `limit` bytes, and what `open` raises."""
        ...

    def chunks(self) -> AsyncGenerator[bytes]:
        """The body as it comes, each piece at once. Raises `ProviderUnreachable` when the connection breaks.

        Who does not read to the end closes it: a read under way would keep `open` from being left.
        """
        ...


class Transport(Protocol):
    def open(self, request: HttpRequest, timeouts: Timeouts) -> AbstractAsyncContextManager[HttpResponse]:
        """The answer's head. Leaving the context closes the connection if the body was not read to its end.

        Raises `ProviderTimeout` and `ProviderUnreachable`. Redirects are not followed: the base URL is the
        operator's, and a redirect would carry the key elsewhere.
        """
        ...

    async def close(self) -> None: ...


async def read_all(chunks: AsyncGenerator[bytes], limit: int) -> bytes:
    """A whole body, whose pieces are closed afterwards. Raises `ProviderMalformed` beyond `limit` bytes."""
    collected: list[bytes] = []
    size = 0
    async with aclosing(chunks):
        async for chunk in chunks:
            size += len(chunk)
            if size > limit:
                raise ProviderMalformed(f"The provider's answer is larger than {limit} bytes.")
            collected.append(chunk)
    return b"".join(collected)

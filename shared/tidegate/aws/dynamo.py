"""aiodynamo over our transport: one seam, short timeouts, few retries."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from aiodynamo.client import Client
from aiodynamo.credentials import Credentials, TooManyRetries
from aiodynamo.errors import AIODynamoError
from aiodynamo.http.types import Request, RequestFailed, Response
from aiodynamo.models import RetryConfig, RetryTimeout
from yarl import URL

from tidegate.errors import ProviderTimeout, UpstreamError
from tidegate.upstream.transport import HttpRequest, Timeouts, Transport

MAX_BODY_BYTES = 32 * 1024 * 1024
"""A page is 1 MB, a batch 16 MB."""

ONE_TRY = Timeouts(total=2.0, connect=2.0)
"""Short, so that a dead connection leaves time for another try."""

FAILURES: tuple[type[Exception], ...] = (
    AIODynamoError,
    RequestFailed,
    RetryTimeout,
    TooManyRetries,
    TimeoutError,
    UpstreamError,
    ValueError,
    KeyError,
)
"""What aiodynamo raises when AWS or its credentials' endpoint fails; the last two are answers that are not theirs."""


@dataclass(frozen=True, slots=True)
class DynamoHttp:
    """What aiodynamo sends its requests with."""

    transport: Transport
    timeouts: Timeouts = ONE_TRY

    async def __call__(self, request: Request) -> Response:
        http = HttpRequest(request.method, request.url, request.headers or {}, request.body or b"")
        try:
            async with self.transport.open(http, self.timeouts) as response:
                return Response(response.status, await response.read(MAX_BODY_BYTES))
        except ProviderTimeout as error:
            raise TimeoutError(error.message) from None
        except UpstreamError as error:
            raise RequestFailed(error) from None


@dataclass(frozen=True)
class Backoff(RetryConfig):
    """Full jitter, doubling from `first_seconds` to `longest_seconds`; `tries` in all."""

    tries: int = 4
    first_seconds: float = 0.05
    longest_seconds: float = 1.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    def delays(self) -> Iterator[float]:
        for retry in range(self.tries - 1):
            yield random.uniform(0, min(self.longest_seconds, self.first_seconds * 2**retry))  # noqa: S311

    async def attempts(self) -> AsyncIterator[None]:
        """Yields once for each try, and raises `RetryTimeout` after the last; aiodynamo then raises the last error."""
        for delay in self.delays():
            yield
            await self.sleep(delay)
        yield
        raise RetryTimeout


def connect(
    transport: Transport,
    credentials: Credentials,
    region: str,
    endpoint: str | None = None,
    backoff: RetryConfig | None = None,
) -> Client:
    """A client of DynamoDB at `endpoint`, or else at the region's own. Opens nothing; the caller owns `transport`."""
    return Client(
        DynamoHttp(transport),
        credentials,
        region,
        endpoint=URL(endpoint) if endpoint else None,
        numeric_type=Decimal,
        throttle_config=backoff or Backoff(),
    )

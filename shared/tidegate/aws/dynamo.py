"""A client of DynamoDB over our transport: signed JSON, short timeouts, few retries.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.LowLevelAPI.html
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import cast

from msgspec import Struct

from tidegate.aws.expressions import Payload
from tidegate.aws.signed_post import post
from tidegate.errors import StoreUnavailable, UpstreamError
from tidegate.json import decode, encode
from tidegate.transport.aws_credentials import Credentials, SigningKeys
from tidegate.transport.base import Timeouts, Transport
from tidegate.transport.sigv4 import AwsKeys, SigningScope

MAX_BODY_BYTES = 32 * 1024 * 1024
"""A page is 1 MB, a batch 16 MB."""

REQUEST_TIMEOUTS = Timeouts(total=2.0)
"""Short, so that a dead connection leaves time for another try."""

_RETRYABLE_CODES = frozenset(
    {
        "InternalServerError",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "ThrottlingException",
    }
)


class DynamoError(Exception):
    """What DynamoDB answers when it refuses. `kind` is its name for that ("ConditionalCheckFailedException"); `reasons`
    has a code for each item of a transaction ("None" for those that would have been written).
    """

    def __init__(self, code: str, message: str = "", cancellation_codes: tuple[str, ...] = ()) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.cancellation_codes = cancellation_codes


REQUEST_FAILURES: tuple[type[Exception], ...] = (
    DynamoError,
    StoreUnavailable,
    TimeoutError,
    UpstreamError,
    ValueError,
    KeyError,
)
"""What is raised when AWS or its credentials' endpoint fails; the last two are answers that are not theirs."""


class Backoff(Struct, frozen=True):
    """Full jitter, doubling from `first_seconds` to `longest_seconds`; `tries` in all."""

    tries: int = 4
    first_seconds: float = 0.05
    longest_seconds: float = 1.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    def delays(self) -> Iterator[float | None]:
        """Seconds to wait after each try that failed; None after the last."""
        for retry in range(self.tries - 1):
            yield random.uniform(0, min(self.longest_seconds, self.first_seconds * 2**retry))  # noqa: S311
        yield None


class DynamoClient(Struct, frozen=True):
    """DynamoDB in one region, or at `endpoint`. Opens nothing by itself."""

    transport: Transport
    aws_keys: AwsKeys
    region: str
    endpoint: str | None = None
    backoff: Backoff = Backoff()  # it is frozen
    timeouts: Timeouts = REQUEST_TIMEOUTS
    clock: Callable[[], float] = time.time

    async def call(self, action: str, payload: Payload) -> Payload:
        """The answer to one action ("BatchGetItem"), tried again where the trouble may pass.

        Raises `DynamoError`, `UpstreamError` and `StoreUnavailable`; `ValueError` for an answer that is no JSON object.
        """
        body = encode(payload)
        for delay in self.backoff.delays():
            try:
                return await self._send(action, body)
            except DynamoError as error:
                if error.code not in _RETRYABLE_CODES or delay is None:
                    raise
            except (UpstreamError, TimeoutError):
                if delay is None:
                    raise
            await self.backoff.sleep(delay)
        raise AssertionError("the last try ends in its answer or its error")

    async def _send(self, action: str, body: bytes) -> Payload:
        status, answer = await post(
            self.transport,
            self.aws_keys,
            SigningScope("dynamodb", self.region),
            f"DynamoDB_20120810.{action}",
            body,
            at=self.clock(),
            timeouts=self.timeouts,
            endpoint=self.endpoint,
            version="1.0",
            max_bytes=MAX_BODY_BYTES,
        )
        if status != 200:
            raise _error_from(status, answer)
        return _parse_object(answer)


def create_dynamo_client(
    transport: Transport,
    credentials: Credentials,
    region: str,
    endpoint: str | None = None,
    backoff: Backoff | None = None,
) -> DynamoClient:
    """A client of DynamoDB at `endpoint`, or else at the region's own. Opens nothing; the caller owns `transport`."""
    return DynamoClient(transport, SigningKeys(credentials, transport), region, endpoint, backoff or Backoff())


def _error_from(status: int, answer: bytes) -> DynamoError:
    if status >= 500:
        return DynamoError("ServiceUnavailable", f"status {status}")
    try:
        fields = _parse_object(answer)
    except ValueError:
        return DynamoError("Unknown", f"status {status}")
    kind = str(fields.get("__type")).rpartition("#")[2]
    reasons = cast("list[dict[str, object]]", fields.get("CancellationReasons") or [])
    return DynamoError(kind, str(fields.get("message")), tuple(str(reason.get("Code")) for reason in reasons))


def _parse_object(answer: bytes) -> Payload:
    match decode(answer):
        case dict() as fields:
            return cast(Payload, fields)
        case _:
            raise ValueError("DynamoDB answered with no JSON object.")

"""A DynamoDB client over our transport, with short timeouts and few retries.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.LowLevelAPI.html
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from typing import Protocol, cast

from msgspec import Struct

from tidegate.aws.expressions import Payload
from tidegate.errors import StoreUnavailable, UpstreamError
from tidegate.json import decode, encode
from tidegate.transport.aws_credentials import Credentials, SigningKeys
from tidegate.transport.aws_service import AwsService
from tidegate.transport.base import Timeouts, Transport

MAX_BODY_BYTES = 32 * 1024 * 1024
"""A page of results is up to 1 MB, a batch up to 16 MB."""

REQUEST_TIMEOUTS = Timeouts(total=2.0)
"""Short, so that a dead connection leaves time for another try."""

_REFUSALS = frozenset({"ProvisionedThroughputExceededException", "RequestLimitExceeded", "ThrottlingException"})
"""Temporary refusals, after which nothing was executed."""

_RETRYABLE_CODES = _REFUSALS | {"InternalServerError", "ServiceUnavailable"}


class DynamoError(Exception):
    """DynamoDB refused a request. `code` is its error code, e.g. "ConditionalCheckFailedException".

    `cancellation_codes` has a code for each item of a transaction, "None" for items that were not the reason.
    """

    def __init__(self, code: str, message: str = "", cancellation_codes: tuple[str, ...] = ()) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.cancellation_codes = cancellation_codes


REQUEST_FAILURES = (DynamoError, StoreUnavailable, TimeoutError, UpstreamError, ValueError, KeyError)
"""Errors raised when AWS or the credentials' endpoint fails; the last two come from answers in an unknown format."""


class Backoff(Struct, frozen=True):
    """Exponential backoff with full jitter, doubling from `first_seconds` to `longest_seconds`; `tries` in total."""

    tries: int = 4
    first_seconds: float = 0.05
    longest_seconds: float = 1.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    def delays(self) -> Iterator[float | None]:
        """Seconds to wait after each failed try; None after the last one."""
        for retry in range(self.tries - 1):
            # Jitter is no secret.
            yield random.uniform(0, min(self.longest_seconds, self.first_seconds * 2**retry))  # noqa: S311
        yield None


class TableClient(Protocol):
    """Executes DynamoDB's actions on a table: DynamoDB does, and so does `sqlite.client`."""

    @property
    def backoff(self) -> Backoff: ...

    @property
    def prefers_transactions(self) -> bool:
        """True if a transaction is cheaper than its writes one by one. DynamoDB charges twice for it."""
        ...

    async def call(self, action: str, payload: Payload, *, repeats: bool = True) -> Payload:
        """See `DynamoClient.call`."""
        ...


class DynamoClient(Struct, frozen=True):
    """A DynamoDB client that retries what may be temporary."""

    service: AwsService
    backoff: Backoff = Backoff()  # it is frozen
    timeouts: Timeouts = REQUEST_TIMEOUTS
    prefers_transactions: bool = False

    async def call(self, action: str, payload: Payload, *, repeats: bool = True) -> Payload:
        """The answer to one action, e.g. "BatchGetItem"; temporary failures are retried.

        Without `repeats`, an action that may have been executed is not sent again. Raises `DynamoError`,
        `UpstreamError` and `StoreUnavailable`; `ValueError` if the answer is not a JSON object.
        """
        body = encode(payload)
        for delay in self.backoff.delays():
            try:
                return await self._send(action, body)
            except DynamoError as error:
                retryable = _RETRYABLE_CODES if repeats else _REFUSALS
                if error.code not in retryable or delay is None:
                    raise
            except (UpstreamError, TimeoutError):
                if delay is None or not repeats:
                    raise
            await self.backoff.sleep(delay)
        raise AssertionError("unreachable: the last try returns or raises")

    async def _send(self, action: str, body: bytes) -> Payload:
        status, answer = await self.service.post(
            f"DynamoDB_20120810.{action}", body, self.timeouts, json_version="1.0", max_bytes=MAX_BODY_BYTES
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
    """A client of DynamoDB at `endpoint`, or else in `region`. Opens nothing; the caller owns `transport`."""
    service = AwsService(transport, SigningKeys(credentials, transport), region, "dynamodb", endpoint)
    return DynamoClient(service, backoff or Backoff())


def _error_from(status: int, answer: bytes) -> DynamoError:
    if status >= 500:
        return DynamoError("ServiceUnavailable", f"status {status}")
    try:
        fields = _parse_object(answer)
    except ValueError:
        return DynamoError("Unknown", f"status {status}")
    code = str(fields.get("__type")).rpartition("#")[2]
    reasons = cast("list[dict[str, object]]", fields.get("CancellationReasons") or [])
    return DynamoError(code, str(fields.get("message")), tuple(str(reason.get("Code")) for reason in reasons))


def _parse_object(answer: bytes) -> Payload:
    match decode(answer):
        case dict() as fields:
            return cast(Payload, fields)
        case _:
            raise ValueError("DynamoDB returned something other than a JSON object.")

"""An AWS that answers what a test tells it to, and remembers what it was asked."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel

from tests.store_worlds import CREDENTIALS, REGION, Clock
from tidegate.aws.dynamo import Backoff, create_dynamo_client
from tidegate.aws.store import Store
from tidegate.transport.base import HttpRequest, HttpResponse, Timeouts

Answer = tuple[int, object] | tuple[int, object, Mapping[str, str]] | Exception | None
"""A status, a JSON body or bytes, and headers; an error of the transport, or None for no answer at all."""


class Response:
    def __init__(self, status: int, body: object, headers: Mapping[str, str] | None = None) -> None:
        self.status = status
        self.headers = headers or {}
        self._body = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def read(self, limit: int) -> bytes:
        return self._body

    async def chunks(self) -> AsyncGenerator[bytes]:
        yield self._body


class ScriptedTransport:
    """Gives its answers in their order, and the last one for ever."""

    def __init__(self, answers: Iterable[Answer]) -> None:
        self.answers = list(answers)
        self.requests: list[HttpRequest] = []

    @asynccontextmanager
    async def open(self, request: HttpRequest, timeouts: Timeouts) -> AsyncIterator[HttpResponse]:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            await anyio.sleep_forever()
        if isinstance(answer, Exception):
            raise answer
        assert answer is not None
        yield Response(*answer)

    async def close(self) -> None:
        pass

    @property
    def actions(self) -> list[str]:
        return [request.headers["x-amz-target"].partition(".")[2] for request in self.requests]

    @property
    def bodies(self) -> list[dict[str, object]]:
        return [json.loads(request.body) for request in self.requests]


async def instantly(seconds: float) -> None:
    """A pause that takes no time, and still lets others run."""
    await anyio.lowlevel.checkpoint()


def scripted_store(transport: ScriptedTransport, clock: Clock | None = None, **settings: object) -> Store:
    client = create_dynamo_client(transport, CREDENTIALS, REGION, "http://dynamodb.invalid", Backoff(sleep=instantly))
    return Store(client, "t", clock or Clock(), **{"conflict_backoff": Backoff(tries=5, sleep=instantly), **settings})


def fault(name: str, **more: object) -> tuple[int, object]:
    """What DynamoDB answers when it refuses."""
    return 400, {"__type": f"com.amazonaws.dynamodb.v20120810#{name}", "message": "a message", **more}


def cancelled(*codes: str) -> tuple[int, object]:
    """A transaction that was cancelled, with a reason for each of its items."""
    reasons = [{"Code": code} if code == "None" else {"Code": code, "Message": "why"} for code in codes]
    return fault("TransactionCanceledException", CancellationReasons=reasons)

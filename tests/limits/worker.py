"""`python -m tests.limits.worker`: a process of its own that makes calls through the whole gateway, at a table.

It takes jobs (`crowd.Job`) as lines of JSON, says "ready" once the gateway is composed, begins at the line "go", and
says what became of its calls: how many ended with which status or error code. The provider is played in the process.
"""

import asyncio
import json
import logging
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
from msgspec.structs import replace

from tests.aws.script import Response, cancelled, fault
from tests.limits.crowd import Job
from tests.limits.place import composed_over
from tests.store_worlds import SQLITE, Clock, sqlite_store, world_of
from tests.world import Exchange, Trickle, completion, delta, event_stream, sse
from tidegate.api.app import build_app
from tidegate.aws.dynamo import DynamoClient, create_dynamo_client
from tidegate.aws.gateway import open_aws_gateway
from tidegate.aws.ledger import DynamoLedger
from tidegate.aws.meter import DynamoMeter
from tidegate.aws.store import Store
from tidegate.compose import Overrides
from tidegate.domain.server_options import ServerOptions
from tidegate.errors import ProviderTimeout
from tidegate.gateway import Gateway
from tidegate.settings import Settings
from tidegate.transport.aws_credentials import StaticCredentials
from tidegate.transport.base import HttpRequest, HttpResponse, Timeouts, Transport
from tidegate.transport.httpx import HttpxTransport
from tidegate.transport.reqwest import ReqwestTransport
from tidegate.transport.sigv4 import AwsKey

REGION = "eu-central-1"
PATIENCE_SECONDS = 60.0
"""For an emulator that shares two busy cores with its callers, and takes one request at a time."""


class Troubled:
    """DynamoDB on a bad day: throttled, in conflict, or an answer that is lost on the way, after the work was done.

    It has pity after the third time with the same request: four in a row are a DynamoDB that is down.
    """

    def __init__(self, inner: Transport, share: float) -> None:
        self._inner = inner
        self._share = share
        self._dice = random.Random(7)
        self._harmed: Counter[bytes] = Counter()

    @asynccontextmanager
    async def open(self, request: HttpRequest, timeouts: Timeouts) -> AsyncIterator[HttpResponse]:
        fate = self._dice.random() / self._share if self._share and self._harmed[request.body] < 3 else 1.0
        self._harmed[request.body] += fate < 1
        if fate < 2 / 3:
            conflict = _conflict(request.headers["x-amz-target"].partition(".")[2])
            yield Response(*(fault("ThrottlingException") if fate < 1 / 3 else conflict))
            return
        async with self._inner.open(request, timeouts) as response:
            if fate < 1:
                await response.read(1 << 24)
                raise ProviderTimeout("lost on the way")
            yield response

    async def close(self) -> None:
        await self._inner.close()


def _conflict(action: str) -> tuple[int, object]:
    match action:
        case "TransactWriteItems":
            return cancelled("None", "TransactionConflict")
        case "UpdateItem":
            return fault("TransactionConflictException")
        case _:
            return fault("ProvisionedThroughputExceededException")


def provider(job: Job) -> Callable[[httpx.Request], Awaitable[httpx.Response]]:
    """Who answers: at once, with a stream that never ends, or never."""
    usage = {
        "prompt_tokens": job.prompt_tokens,
        "completion_tokens": job.completion_tokens,
        "total_tokens": job.prompt_tokens + job.completion_tokens,
    }

    async def answer(request: httpx.Request) -> httpx.Response:
        match job.provider:
            case "answers":
                return httpx.Response(200, json=completion(usage=usage))
            case "streams":
                endless = Trickle()
                endless.pieces.put_nowait(sse(delta("Create ")))
                return event_stream(endless)
            case "waits":
                print("waiting", flush=True)
                await asyncio.sleep(3600)
        raise AssertionError

    return answer


@asynccontextmanager
async def composed_in_sqlite(job: Job) -> AsyncIterator[Gateway]:
    def clock() -> float:
        return job.at

    async with sqlite_store(job.endpoint, job.table, clock) as store:
        async with composed_over(world_of(store, Clock(job.at)), provider(job)) as gateway:
            yield gateway


@asynccontextmanager
async def composed(job: Job) -> AsyncIterator[Gateway]:
    """As on AWS, but for the provider, the clock, and the patience with the emulator."""
    env = {
        "TIDEGATE_TABLE": job.table,
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL_DYNAMODB": job.endpoint,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "OPENAI_API_KEY": "provider-secret",
    }

    def clock() -> float:
        return job.at

    table = Troubled(ReqwestTransport(), job.troubles)
    overrides = Overrides(wrap=lambda _: HttpxTransport(httpx.MockTransport(provider(job))))
    async with open_aws_gateway(Settings.from_env(env), overrides) as gateway:
        client: DynamoClient = create_dynamo_client(
            table, StaticCredentials(AwsKey("testing", "testing")), REGION, job.endpoint
        )
        client = replace(client, timeouts=Timeouts(PATIENCE_SECONDS, PATIENCE_SECONDS))
        store = Store(client, job.table, clock, PATIENCE_SECONDS)
        yield replace(gateway, clock=clock, meter=DynamoMeter(store), ledger=DynamoLedger(store))
        await table.close()


async def call(app: Any, job: Job) -> str:
    exchange = Exchange(app, {**job.body, "stream": job.provider == "streams"}, "/v1/chat/completions")
    calling = asyncio.create_task(exchange.run())
    if job.provider == "streams":
        reading = asyncio.create_task(exchange.until(lambda body: b"Create" in body))
        await asyncio.wait({calling, reading}, return_when=asyncio.FIRST_COMPLETED)
        reading.cancel()
        exchange.hang_up()
    await calling
    reply = exchange.reply()
    return "ok" if reply.status == 200 else str(reply.json["error"]["code"])


async def work(job: Job) -> Counter[str]:
    is_sqlite = job.endpoint.startswith(SQLITE)
    gateway: AbstractAsyncContextManager[Gateway] = composed_in_sqlite(job) if is_sqlite else composed(job)
    app = build_app(lambda: gateway, ServerOptions())
    async with app.lifespan() as state:
        app.lifespan_state = state
        print("ready", flush=True)
        assert await asyncio.to_thread(sys.stdin.readline) == "go\n"
        if job.one_by_one:
            return Counter([await call(app, job) for _ in range(job.calls)])
        return Counter(await asyncio.gather(*(call(app, job) for _ in range(job.calls))))


def main() -> None:
    logging.basicConfig(level=logging.WARNING)
    for line in sys.stdin:
        print(json.dumps(asyncio.run(work(Job(**json.loads(line))))), flush=True)


if __name__ == "__main__":
    main()

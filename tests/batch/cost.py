"""What a million lines cost on AWS, beside the provider's price: `python -m tests.batch.cost` prints the table.

Two batches run in simulated time, over the real clients of DynamoDB, S3, SQS and EventBridge and an AWS in this process
(moto). Each request is counted and takes as long as on AWS, each call takes ten seconds on average, and each step is
billed from its begin to its end, as Lambda does. The difference of the two batches is what parts cost, and the rest is
what a batch costs. The processor's work takes no time in the simulation: it is measured by itself, and added.
"""

import asyncio
import random
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import httpx
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from msgspec.structs import replace
from werkzeug.test import Client

from tests.batch import aws_prices
from tests.batch.aws_prices import Price
from tests.batch.proof import store_batch
from tests.batch.proof_worker import sqs_call
from tests.batch.world import Clock, jsonl, requests
from tests.jumping import JumpingLoop
from tests.limits.units import Counting
from tests.store_worlds import REGION
from tests.world import KEY, WORKSPACE, completion
from tidegate.api.app import ENDPOINTS
from tidegate.aws import s3_client
from tidegate.aws.batches import create_aws_batches
from tidegate.aws.gateway import create_aws_gateway
from tidegate.aws.table import create_table
from tidegate.aws.tenants import DynamoKeys, DynamoTenants
from tidegate.aws.world import AwsWorld
from tidegate.batch.engine import Engine
from tidegate.batch.messages import Message, Sweep, Validate
from tidegate.batch.ports import TryLater
from tidegate.compose import Overrides
from tidegate.domain.limits import Limits
from tidegate.local.embedded import embedded_aws
from tidegate.memory.batch_queue import MemoryBatchQueue
from tidegate.settings import Settings
from tidegate.transport.base import HttpRequest, HttpResponse, Timeouts
from tidegate.transport.httpx import HttpxTransport

MILLION = 1_000_000
BATCH_LINES = 50_000
PART_LINES = 200
CALL_SECONDS = (5.0, 15.0)
"""The shortest and the longest call; all between are equally frequent."""

SIMULATED_PARTS = (4, 12)
WORKERS = 16
FUNCTION_GB = 0.5
VCPUS = 512 / 1769
"""The share of a processor that Lambda gives a function of 512 MB.
https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html (read 2026-11)
"""

SECONDS = {"dynamodb": 0.01, "s3": 0.03, "sqs": 0.01, "events": 0.02}
"""What a request to each service takes, rounded up from usual figures in the same region."""

LINE_CPU_SECONDS = 0.0012
"""The processor's time for a line: three times the 0.4 ms that `make bench BENCH_ARGS="--only batch"` measures, without
limits, guardrails and TLS, on a faster processor.
"""

POLLS_PER_MINUTE = 15
"""Receives of Lambda's five pollers on an empty queue, twenty seconds each; one batch after the other, while it runs.
https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html (read 2026-11)
"""

LIVE_UNITS = 8
"""Write units of a live call with limits of the workspace and of the key: docs/LIMITS.md."""

LIMITS = Limits(usd_per_month=Decimal(10**6), tokens_per_month=10**12)


class Amount(NamedTuple):
    """What is billed by that price."""

    name: str
    price: Price
    count: float

    @property
    def usd(self) -> float:
        return self.count * self.price.usd / self.price.per


@dataclass
class CountedAws:
    """The transport to the AWS of this process. All requests are counted by what they cost."""

    counts: Counter[str] = field(default_factory=Counter[str])

    def __post_init__(self) -> None:
        self._client = Client(DomainDispatcherApplication(create_backend_app))
        self._inner = HttpxTransport(httpx.MockTransport(self._answer))
        self.dynamo = Counting(self._inner, "http://127.0.0.1")

    @asynccontextmanager
    async def open(self, request: HttpRequest, timeouts: Timeouts) -> AsyncIterator[HttpResponse]:
        service = request.headers["authorization"].partition("Credential=")[2].split("/")[3]
        await asyncio.sleep(SECONDS[service])
        self._count(service, request)
        async with (self.dynamo if service == "dynamodb" else self._inner).open(request, timeouts) as response:
            yield response

    async def close(self) -> None:
        await self._inner.close()

    def _count(self, service: str, request: HttpRequest) -> None:
        if service == "sqs":
            assert len(request.body) <= 64 * 1024
            self.counts["sqs"] += 1
        elif service == "events":
            self.counts["events"] += 1
        elif service == "s3":
            query = parse_qs(urlsplit(request.url).query, keep_blank_values=True)
            is_deletion = request.method == "DELETE" or "delete" in query
            is_read = request.method in ("GET", "HEAD") and "list-type" not in query
            self.counts["s3 reads" if is_read else "s3 deletions" if is_deletion else "s3 writes"] += 1

    def _answer(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        response = self._client.open(
            url.raw_path.decode(),
            base_url=f"{url.scheme}://{url.host}",
            method=request.method,
            headers=list(request.headers.items()),
            data=request.content,
        )
        return httpx.Response(response.status_code, headers=list(response.headers), content=response.data)

    def taken(self) -> Counter[str]:
        """The counts, with the units of DynamoDB."""
        written = sum(charge.written for charge in self.dynamo.charges)
        read = sum(charge.read for charge in self.dynamo.charges)
        return self.counts + Counter({"write units": written, "read units": read})


class CountedQueue(MemoryBatchQueue):
    """Sends each message to SQS, so that it is counted, and delivers it by the simulated clock.

    `left` is the number of messages that are not handled yet, without sweeps.
    """

    def __init__(self, clock: Clock, sqs: Any) -> None:
        super().__init__(clock)
        self._sqs, self.left = sqs, 0

    async def send(self, message: Message, delay_seconds: float = 0.0) -> None:
        self.left += not isinstance(message, Sweep)
        await self._sqs.send(message, delay_seconds)
        await super().send(message, delay_seconds)


@dataclass
class Function:
    """Lambda: does the steps of messages, and is billed for their time."""

    engine: Engine
    queue: CountedQueue
    clock: Clock
    invocations: int = 0
    seconds: float = 0.0

    async def work(self) -> None:
        while True:
            message = await self.queue.receive()
            began = self.clock()
            try:
                await self.engine.handle(message, began + 880.0)
            except TryLater as later:
                await self.queue.send(message, later.seconds)
            self.queue.left -= not isinstance(message, Sweep)
            self.invocations += 1
            self.seconds += self.clock() - began


async def simulate(lines: int) -> Mapping[str, float]:
    """What one batch takes, by the names of `million_lines`, and its seconds."""
    aws, draws = CountedAws(), random.Random(lines)

    async def answer(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(draws.uniform(*CALL_SECONDS))
        return httpx.Response(200, json=completion("An answer of some words. " * 20))

    clock, name = Clock(), f"cost-{uuid.uuid4()}"
    env = {"AWS_REGION": REGION, "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    env |= {"AWS_ENDPOINT_URL": "http://127.0.0.1", "OPENAI_API_KEY": "not-a-key", "TIDEGATE_TABLE": name}
    queue_url = f"http://127.0.0.1/123456789012/{name}"
    env |= {"TIDEGATE_BATCH_BUCKET": name, "TIDEGATE_EVENT_BUS": "default", "TIDEGATE_BATCH_QUEUE": queue_url}
    async with AwsWorld(Settings.from_env(env), http=aws, clock=clock) as world:
        overrides = Overrides(wrap=lambda _: HttpxTransport(httpx.MockTransport(answer)))
        gateway = replace(await create_aws_gateway(world, overrides), clock=clock)
        components: Any = create_aws_batches(world, gateway, ENDPOINTS)
        client: Any = world.store.client
        await create_table(client, name)
        await components.objects.client.bucket.create()
        await DynamoTenants(world.store).put_workspace(replace(WORKSPACE, limits=LIMITS))
        await DynamoKeys(world.store).put_key(replace(KEY, limits=LIMITS))
        await sqs_call(components.queue.queue, "CreateQueue", QueueName=name)
        queue = CountedQueue(clock, components.queue)
        components = replace(components, queue=queue)
        function = Function(Engine(components), queue, clock)
        aws.counts.clear()
        aws.dynamo.charges.clear()
        began = clock()
        batch = await store_batch(components, jsonl(requests(lines)), clock())
        await queue.send(Validate(batch.workspace_id, batch.id))
        await queue.send(Sweep())
        workers = [asyncio.create_task(function.work()) for _ in range(WORKERS)]
        while queue.left:
            await asyncio.sleep(1.0)
            for worker in workers:
                assert not worker.done(), worker.exception()
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        counts, seconds = aws.taken(), clock() - began
        ended = await components.table.find_batch(batch.workspace_id, batch.id)
        assert (ended.status, ended.usage.completed) == ("completed", lines)
    received = 2 * function.invocations + POLLS_PER_MINUTE * seconds / 60
    times = {"invocations": function.invocations, "seconds": function.seconds, "sqs": counts["sqs"] + received}
    return {**counts, **times}


async def million_lines() -> tuple[list[Amount], list[Amount]]:
    """What a million lines take in batches, and as live calls."""
    small, large = SIMULATED_PARTS
    first, second = [await simulate(parts * PART_LINES) for parts in (small, large)]
    names = sorted({*first, *second})
    per_part = {name: (second.get(name, 0) - first.get(name, 0)) / (large - small) for name in names}
    parts, batches = MILLION / PART_LINES, MILLION / BATCH_LINES
    taken = {
        name: parts * per_part[name] + batches * max(0.0, first.get(name, 0) - small * per_part[name]) for name in names
    }
    return batch_amounts(taken), live_amounts()


def batch_amounts(taken: Mapping[str, float]) -> list[Amount]:
    return [
        Amount("DynamoDB, write units", aws_prices.WRITE_UNITS, taken["write units"]),
        Amount("DynamoDB, read units", aws_prices.READ_UNITS, taken["read units"]),
        Amount("S3, writes and lists", aws_prices.S3_WRITES, taken["s3 writes"]),
        Amount("S3, reads", aws_prices.S3_READS, taken["s3 reads"]),
        Amount("SQS, requests", aws_prices.SQS_REQUESTS, taken["sqs"]),
        Amount("EventBridge, events", aws_prices.EVENTS, taken["events"]),
        Amount("Lambda, invocations", aws_prices.INVOCATIONS, taken["invocations"]),
        Amount("Lambda, GB-seconds of steps", aws_prices.ARM64_GB_SECONDS, FUNCTION_GB * taken["seconds"]),
        Amount(
            "Lambda, GB-seconds of the processor",
            aws_prices.ARM64_GB_SECONDS,
            FUNCTION_GB * MILLION * LINE_CPU_SECONDS / VCPUS,
        ),
    ]


def live_amounts() -> list[Amount]:
    seconds = MILLION * sum(CALL_SECONDS) / 2
    return [
        Amount("DynamoDB, write units", aws_prices.WRITE_UNITS, MILLION * LIVE_UNITS),
        Amount("API Gateway, requests", aws_prices.REST_API_REQUESTS, MILLION),
        Amount("Lambda, invocations", aws_prices.INVOCATIONS, MILLION),
        Amount("Lambda, GB-seconds", aws_prices.ARM64_GB_SECONDS, FUNCTION_GB * seconds),
    ]


def table(amounts: list[Amount]) -> str:
    """Rows of Markdown, with the sum at the end."""
    rows = [f"| {each.name} | {each.count:,.0f} | {each.usd:.2f} |" for each in amounts]
    total = sum(each.usd for each in amounts)
    return "\n".join(["| what | number | USD |", "|---|---|---|", *rows, f"| **together** | | **{total:.2f}** |"])


def run(work: Any) -> Any:
    """The result of a coroutine, in simulated time, in which nothing may be left to a thread."""
    offload = s3_client.offload
    try:
        # An assignment would be an error of types: the module is not made to be changed.
        setattr(s3_client, "offload", _do_at_once)  # noqa: B010
        with embedded_aws(0), asyncio.Runner(loop_factory=JumpingLoop) as runner:  # it mends moto for this process
            return runner.run(work)
    finally:
        # See above.
        setattr(s3_client, "offload", offload)  # noqa: B010


async def _do_at_once(size: int, work: Callable[[], Any]) -> Any:
    return work()


if __name__ == "__main__":
    for title, amounts in zip(("In batches", "As live calls"), run(million_lines()), strict=True):
        print(f"{title}:\n\n{table(amounts)}\n")

"""`python -m tests.batch.proof_worker JOB`: a process that does the steps of messages from SQS, until it is killed.

It stands for a function on Lambda, with the same engine over DynamoDB, S3 and SQS. Each message is delivered twice at
least: the first delivery makes the message visible again at once or soon, while its step goes on, and never deletes it.
"""

import asyncio
import json
import os
import random
import sys
import time
from contextlib import suppress
from typing import Any

import httpx
from msgspec import Struct
from msgspec.structs import replace

from tests.batch.proof import watch_record
from tidegate.api.app import ENDPOINTS
from tidegate.aws.batch_queue import SqsBatchQueue, SqsQueue
from tidegate.aws.batches import create_aws_batches
from tidegate.aws.gateway import create_aws_gateway
from tidegate.aws.world import AwsWorld
from tidegate.batch.engine import Engine
from tidegate.batch.messages import decode_message
from tidegate.batch.ports import TryLater
from tidegate.errors import StoreUnavailable, UpstreamError
from tidegate.json import decode, encode
from tidegate.settings import Settings
from tidegate.transport.base import Timeouts

STEPS = 3
"""Steps at once in one process, each of which is a function of its own on Lambda."""

VISIBILITY_SECONDS = 8
WORKER_SECONDS = 800.0


class FastClock(Struct, frozen=True):
    """UTC seconds that begin at `begin` when time.time() is `started_at`, and go `speed` times as fast.

    Leases of dead workers, which last two minutes, are over in a few seconds.
    """

    begin: float
    started_at: float
    speed: float

    def __call__(self) -> float:
        return self.begin + (time.time() - self.started_at) * self.speed


async def sqs_call(queue: SqsQueue, action: str, **payload: Any) -> Any:
    """The answer of SQS to a request about the queue."""
    body = encode({"QueueUrl": queue.url, **payload})
    status, answer = await queue.service.post(f"AmazonSQS.{action}", body, Timeouts(total=30), json_version="1.0")
    if status != 200:
        raise StoreUnavailable(f"{action}: {answer!r}")
    return decode(answer or b"{}")


class Worker:
    """Takes messages, one after the other, `STEPS` times at once."""

    def __init__(self, engine: Engine, queue: SqsQueue, clock: FastClock) -> None:
        self._engine, self._queue, self._clock = engine, queue, clock

    async def work(self) -> None:
        options = {"WaitTimeSeconds": 1, "VisibilityTimeout": VISIBILITY_SECONDS, "MaxNumberOfMessages": 1}
        attributes = ["ApproximateReceiveCount"]
        while True:
            try:
                found = await sqs_call(self._queue, "ReceiveMessage", **options, AttributeNames=attributes)
            except (StoreUnavailable, UpstreamError, TimeoutError):  # a busy machine
                await asyncio.sleep(0.5)
                continue
            for message in found.get("Messages", []):
                await self._deliver(message)

    async def _deliver(self, message: Any) -> None:
        receipt, is_first = message["ReceiptHandle"], message["Attributes"]["ApproximateReceiveCount"] == "1"
        if is_first:
            with suppress(StoreUnavailable):
                await self._queue.change_visibility(receipt, random.uniform(-1.0, 2.0))
        try:
            await self._engine.handle(decode_message(message["Body"]), self._clock() + WORKER_SECONDS)
        except TryLater as later:
            seconds = later.seconds / self._clock.speed
        except StoreUnavailable:
            seconds = 1.0
        else:
            seconds = None
        if is_first:
            return
        with suppress(StoreUnavailable, UpstreamError, TimeoutError):  # it may have become visible again
            if seconds is None:
                await sqs_call(self._queue, "DeleteMessage", ReceiptHandle=receipt)
            else:
                await self._queue.change_visibility(receipt, seconds)


async def main(clock: FastClock, provider: str) -> None:
    """Work until the process is killed."""
    async with AwsWorld(Settings.from_env(os.environ), clock=clock) as world, httpx.AsyncClient(timeout=60) as client:
        gateway = replace(await create_aws_gateway(world), clock=clock)
        components = create_aws_batches(world, gateway, ENDPOINTS)
        assert components is not None and isinstance(components.queue, SqsBatchQueue)
        told: asyncio.Queue[Any] = asyncio.Queue()
        table, objects = watch_record(components.table, components.objects, told.put_nowait)

        async def tell() -> None:
            while True:
                await client.post(f"{provider}/on-record", json=await told.get())

        engine = Engine(replace(components, table=table, objects=objects))
        worker = Worker(engine, components.queue.queue, clock)
        async with asyncio.TaskGroup() as group:
            group.create_task(tell())
            for _ in range(STEPS):
                group.create_task(worker.work())


if __name__ == "__main__":
    job = json.loads(sys.argv[1])
    asyncio.run(main(FastClock(**job["clock"]), job["provider"]))

"""The batch engine as on AWS, for the proof: ministack's DynamoDB, S3 and SQS, and worker processes that are killed."""

import asyncio
import json
import random
import sys
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from tests.batch.proof import BROKEN, LIMITS, Ended, FaultyProvider, line_number, lines, store_batch
from tests.batch.proof_worker import STEPS, FastClock, sqs_call
from tests.batch.world import NOON
from tests.emulators.process import ROOT, function_env
from tests.emulators.wire import Head, listening, read_body, write_reply
from tests.world import KEY, WORKSPACE
from tidegate.api.app import ENDPOINTS
from tidegate.aws.batch_queue import SqsQueue
from tidegate.aws.batches import create_aws_batches
from tidegate.aws.dynamo import DynamoClient
from tidegate.aws.gateway import create_aws_gateway
from tidegate.aws.table import create_table
from tidegate.aws.tenants import DynamoKeys, DynamoTenants, DynamoUsageReader
from tidegate.aws.world import AwsWorld
from tidegate.batch.components import BatchComponents
from tidegate.batch.messages import Sweep, Validate
from tidegate.domain.batch import Batch
from tidegate.settings import Settings
from tidegate.transport.aws_service import AwsService

SPEED = 20.0
PROCESSES = 3
PARALLEL_CALLS = 16
ANSWER_SECONDS = 0.05
SWEEP_SECONDS = 3.0
DEATH_SECONDS, LINES_PER_DEATH = 1.5, 50
"""The mean time between deaths, and how many there are at most."""

OPTIONS = {"part_lines": 50, "parallel_calls": PARALLEL_CALLS, "flush_seconds": 0.5, "batch_window": 12}


@dataclass
class Stack:
    """The components of this process, and worker processes, `deaths` of which were killed."""

    world: AwsWorld
    components: BatchComponents
    provider: FaultyProvider
    env: dict[str, str]
    job: str
    workers: list[asyncio.subprocess.Process] = field(default_factory=list[asyncio.subprocess.Process])
    deaths: int = 0

    async def prove(self, count: int, *, seed: int) -> str:
        """Answer `count` lines while workers are killed, and check everything. Return the figures in a line."""
        began = time.monotonic()
        batch = await store_batch(self.components, lines(count), self.world.store.clock())
        await self.components.queue.send(Validate(WORKSPACE.id, batch.id))
        for _ in range(PROCESSES):
            await self._start_worker()
        async with asyncio.TaskGroup() as group:
            others = [group.create_task(self._sweep())]
            others.append(group.create_task(self._kill(random.Random(seed), count // LINES_PER_DEATH)))
            while not batch.is_terminal:
                await asyncio.sleep(0.3)
                batch = await self._stored(batch)
            for task in others:
                task.cancel()
        await self.stop()
        ended = Ended(
            batch,
            await self._lines_of(batch.output_file_id),
            await self._lines_of(batch.error_file_id),
            DynamoUsageReader(self.world.store),
            self.components.gateway.ledger,
            self.world.store.clock(),
            self.deaths * STEPS,
            PARALLEL_CALLS,
        )
        seconds = time.monotonic() - began
        return f"{await ended.prove(self.provider)}, {self.deaths} processes killed, {seconds:.0f} s"

    async def stop(self) -> None:
        """Kill all workers that are left."""
        for process in self.workers:
            if process.returncode is None:
                process.kill()
                await process.wait()
        self.workers.clear()

    async def _stored(self, batch: Batch) -> Batch:
        stored = await self.components.table.find_batch(WORKSPACE.id, batch.id)
        assert stored is not None
        return stored

    async def _start_worker(self) -> None:
        command = (sys.executable, "-m", "tests.batch.proof_worker", self.job)
        self.workers.append(await asyncio.create_subprocess_exec(*command, env=self.env, cwd=ROOT))

    async def _kill(self, draws: random.Random, count: int) -> None:
        """Kill so many workers, now and then, and start others."""
        for _ in range(count):
            await asyncio.sleep(DEATH_SECONDS * draws.uniform(0.5, 1.5))
            process = self.workers.pop(draws.randrange(len(self.workers)))
            assert process.returncode is None, "A worker has ended by itself."
            process.kill()
            await process.wait()
            self.deaths += 1
            await self._start_worker()

    async def _sweep(self) -> None:
        """Do what the schedule does."""
        while True:
            await self.components.queue.send(Sweep())
            await asyncio.sleep(SWEEP_SECONDS)

    async def _lines_of(self, file_id: str | None) -> list[Any]:
        if file_id is None:
            return []
        file = await self.components.table.find_file(WORKSPACE.id, file_id)
        assert file is not None
        data = await self.components.objects.read(file.key)
        assert data is not None and len(data) == file.bytes
        return [json.loads(line) for line in data.splitlines()]


@asynccontextmanager
async def stack(endpoint: str) -> AsyncIterator[Stack]:
    """The engine over new tables, buckets and queues of ministack at `endpoint`, with a provider in this process."""
    provider = FaultyProvider()
    clock = FastClock(NOON, time.time(), SPEED)
    async with listening(_serve(provider)) as port:
        base = f"http://127.0.0.1:{port}"
        name = f"proof-{uuid.uuid4()}"
        keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true"}
        env = function_env(**keys, AWS_REGION="us-east-1", AWS_ENDPOINT_URL=endpoint, TIDEGATE_TABLE=name)
        env |= {"OPENAI_API_KEY": "not-a-key", "OPENAI_BASE_URL": f"{base}/v1", "TIDEGATE_BATCH_BUCKET": name}
        env |= {"TIDEGATE_BATCH_OPTIONS": json.dumps(OPTIONS), "PYTHONPATH": f"{ROOT}:{ROOT / 'shared'}"}
        env["TIDEGATE_BATCH_QUEUE"] = await _new_queue(Settings.from_env({**env, "TIDEGATE_BATCH_QUEUE": "-"}), name)
        job = {"clock": {"begin": clock.begin, "started_at": clock.started_at, "speed": SPEED}, "provider": base}
        async with AwsWorld(Settings.from_env(env), clock=clock) as world:
            gateway = replace(await create_aws_gateway(world), clock=clock)
            components: Any = create_aws_batches(world, gateway, ENDPOINTS)
            client: Any = world.store.client
            await create_table(client, name)
            await components.objects.client.bucket.create()
            await DynamoTenants(world.store).put_workspace(replace(WORKSPACE, limits=LIMITS))
            await DynamoKeys(world.store).put_key(replace(KEY, limits=LIMITS))
            made = Stack(world, components, provider, env, json.dumps(job))
            try:
                yield made
            finally:
                await made.stop()


async def _new_queue(settings: Settings, name: str) -> str:
    async with AwsWorld(settings) as world:
        client: Any = world.store.client
        assert isinstance(client, DynamoClient)
        service = AwsService(world.http, client.service.keys, settings.aws.region, "sqs", settings.aws.sqs_endpoint)
        return (await sqs_call(SqsQueue(service, ""), "CreateQueue", QueueName=name))["QueueUrl"]


def _serve(provider: FaultyProvider) -> Any:
    """The provider over HTTP, which workers also tell which lines are on record."""

    async def serve(head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = await read_body(head, reader)
        if head.target == "/on-record":
            provider.on_record.update(json.loads(body))
            write_reply(writer, 200)
            return
        number = line_number(body)
        await asyncio.sleep(ANSWER_SECONDS * (30 if provider.ask(number).slow else 1))
        status, headers, answer = provider.answer(number)
        if status == BROKEN:
            writer.transport.abort()
            return
        pairs = [("content-type", "application/json"), *headers.items()]
        write_reply(writer, status, json.dumps(answer).encode(), pairs)

    return serve

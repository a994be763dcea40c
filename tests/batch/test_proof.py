"""The proof of the batch engine: thousands of lines, a provider with faults, workers that die, doubled messages.

In memory and over a data folder, workers die in this process: none of their accesses is done any more. Beside ministack
they are processes, and are killed. `TIDEGATE_PROOF_LINES=10000` makes that proof as long as the others.
"""

import asyncio
import os
import random
import selectors
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from tests.batch.proof import BROKEN, LIMITS, Ended, FaultyProvider, ShuffledQueue, line_number, lines, watch_record
from tests.batch.proof_stack import stack
from tests.batch.world import BatchWorld, Clock, Deaths, RecordedEvents, batch_world
from tests.clients.mocks import ministack
from tests.world import KEY, WORKSPACE
from tidegate.api.app import ENDPOINTS
from tidegate.aws.gateway import create_aws_gateway
from tidegate.aws.tenants import DynamoKeys, DynamoTenants, DynamoUsageReader
from tidegate.batch.components import BatchComponents
from tidegate.batch.messages import RunPart
from tidegate.compose import Overrides
from tidegate.domain.batch import Batch
from tidegate.policy.routing.retry import Retries
from tidegate.ports import UsageReader
from tidegate.settings import Settings
from tidegate.sqlite.batches import create_folder_batches
from tidegate.sqlite.folder import DataFolder
from tidegate.sqlite.world import SqliteWorld
from tidegate.transport.httpx import HttpxTransport

LINES = 10_000
AWS_LINES = int(os.environ.get("TIDEGATE_PROOF_LINES", "2000"))
GRACE_SECONDS, JUMP_SECONDS = 0.005, 1.0
"""How long the impatient loop waits for threads, and how far it jumps then."""


OWNED = {"workspace": replace(WORKSPACE, limits=LIMITS), "key": replace(KEY, limits=LIMITS)}


class Played:
    """The faulty provider in this process: most answers take `seconds`, slow ones thirty times as long."""

    def __init__(self, seconds: float) -> None:
        self.provider, self._seconds = FaultyProvider(), seconds

    async def __call__(self, asked: httpx.Request) -> httpx.Response:
        number = line_number(asked.content)
        line = self.provider.ask(number)
        await asyncio.sleep(self._seconds * (30 if line.slow else 1))
        status, headers, body = self.provider.answer(number)
        if status == BROKEN:
            raise httpx.ReadError("The connection is closed.")
        return httpx.Response(status, headers=dict(headers), json=body)


def harden(world: BatchWorld, provider: FaultyProvider, seed: int) -> None:
    """Deliver messages twice and in any order, and watch what is asked again."""
    queue = ShuffledQueue(world.clock)
    queue.late = random.Random(seed)
    table, objects = watch_record(world.components.table, world.components.objects, provider.on_record.update)
    world.queue, world.copies = queue, 2
    world.components = replace(world.components, queue=queue, table=table, objects=objects)


def deaths(seed: int, share: float) -> list[int]:
    """The accesses at which their worker dies."""
    draws = random.Random(seed)
    return [number for number in range(200_000) if draws.random() < share]


async def prove(world: BatchWorld, played: Played, usages: UsageReader) -> str:
    batch: Batch = await world.submit(lines(LINES))
    await world.run_until_idle(workers=8)
    batch = await world.batch(batch.id)
    components = world.components
    ended = Ended(
        batch,
        await world.output(batch),
        await world.errors(batch),
        usages,
        components.gateway.ledger,
        world.clock(),
        world.deaths.killed,
        components.options.parallel_calls,
    )
    assert world.deaths.killed >= 20
    delivered = Counter(message for message in world.handled if isinstance(message, RunPart))
    assert len(delivered) == batch.parts
    assert min(delivered.values()) >= 2
    return await ended.prove(played.provider)


@pytest.mark.jumping_clock
async def test_ten_thousand_lines_in_memory() -> None:
    played = Played(1.0)
    provider: Any = played
    async with batch_world(provider, kill_at=deaths(13, 0.02), **OWNED) as world:
        harden(world, played.provider, 13)
        print(await prove(world, played, world.memory.meter))


# A worker that dies leaves its open file to the garbage collector, as a process leaves it to the system.
@pytest.mark.timeout(400)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_ten_thousand_lines_over_a_data_folder(tmp_path: Path) -> None:
    async def run() -> None:
        played = Played(0.005)
        async with folder_world(tmp_path / "data", played, deaths(14, 0.02)) as (world, usages):
            harden(world, played.provider, 14)
            print(await prove(world, played, usages))

    with asyncio.Runner(loop_factory=ImpatientLoop) as runner:
        runner.run(run())


class ImpatientLoop(asyncio.SelectorEventLoop):
    """A loop that waits for threads and short timers, and jumps over longer waits, a second at a time."""

    def __init__(self) -> None:
        self._impatient = _ImpatientSelector()
        super().__init__(self._impatient)

    def time(self) -> float:
        return time.monotonic() + self._impatient.jumped


class _ImpatientSelector(selectors.DefaultSelector):
    jumped = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= GRACE_SECONDS:
            return super().select(timeout)
        began = time.monotonic()
        ready = super().select(GRACE_SECONDS)
        if not ready:
            self.jumped += max(0.0, min(timeout, JUMP_SECONDS) - (time.monotonic() - began))
        return ready


@pytest.mark.slow
@pytest.mark.timeout(300 + AWS_LINES // 10)
async def test_lines_on_aws_with_killed_processes() -> None:
    with ministack("dynamodb,s3,sqs") as endpoint:
        async with stack(endpoint) as aws:
            print(await aws.prove(AWS_LINES, seed=15))
        assert aws.deaths >= 3


@asynccontextmanager
async def folder_world(path: Path, played: Played, kill_at: list[int]) -> AsyncIterator[tuple[BatchWorld, UsageReader]]:
    """The engine over a data folder, in the world of the tests."""
    clock, events, provider = Clock(), RecordedEvents(), HttpxTransport(httpx.MockTransport(played))
    env = {"TIDEGATE_TABLE": "t", "AWS_REGION": "us-east-1", "OPENAI_API_KEY": "provider-secret"}
    async with SqliteWorld(DataFolder(path), Settings.from_env(env), clock=clock) as store:
        await DynamoTenants(store.store).put_workspace(OWNED["workspace"])
        await DynamoKeys(store.store).put_key(OWNED["key"])
        overrides = Overrides(wrap=lambda _: provider, retries=Retries(lambda: 1.0, _no_sleep))
        gateway = replace(await create_aws_gateway(store, overrides), clock=clock)
        queue = ShuffledQueue(clock)
        components: BatchComponents = create_folder_batches(store, gateway, ENDPOINTS, queue)
        none: Any = None
        world = BatchWorld(
            replace(components, events=events), clock, queue, events, none, none, Deaths(frozenset(kill_at))
        )
        yield world, DynamoUsageReader(store.store)


async def _no_sleep(seconds: float) -> None:
    pass

"""Batches with an idempotency key: one batch for all requests with it, whatever happens in between."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from tests.batch.world import NOON, PATH, BatchWorld, Deaths, Killed, Worker, batch_world
from tests.world import KEY, WORKSPACE
from tidegate.batch.components import BatchComponents
from tidegate.batch.fields import Fields
from tidegate.batch.idempotent_creation import CLAIM_SECONDS, create_batch_once
from tidegate.batch.messages import Sweep, Validate
from tidegate.batch.ports import Page
from tidegate.domain.batch import Batch, StoredFile
from tidegate.errors import IdempotencyInFlight, IdempotencyKeyReused, NotFound, StoreUnavailable
from tidegate.memory.reply_store import MemoryReplyStore
from tidegate.pipeline.lazy_reuse import ReuseLoader
from tidegate.pipeline.reuse.idempotency import REPLAY_SECONDS


class Port:
    """A port of a process that may die, or that a test stops at a method."""

    def __init__(self, port: Any, worker: Worker, gates: dict[str, asyncio.Event]) -> None:
        self._port, self._worker, self._gates = port, worker, gates

    def __getattr__(self, name: str) -> Any:
        async def access(*args: Any) -> Any:
            if name in self._gates:
                await self._gates[name].wait()
            return await self._worker.access(getattr(self._port, name), *args)

        return access


def process(world: BatchWorld, replies: MemoryReplyStore, deaths: Deaths | None = None, **gates: asyncio.Event) -> Any:
    """The components of one process. It waits for the events in `gates` before it calls the methods of their names."""
    worker = Worker(deaths or Deaths())
    claims = Port(replies, worker, gates)
    gateway = replace(world.components.gateway, reuse=ReuseLoader(lambda: (replies, claims)))
    return replace(world.components, table=Port(world.components.table, worker, gates), gateway=gateway)


async def upload(world: BatchWorld, workspace_id: str = WORKSPACE.id) -> None:
    known: dict[str, Any] = {"filename": "in.jsonl", "purpose": "batch", "bytes": 1, "key": "k", "created_at": NOON}
    assert await world.components.table.save(StoredFile(id="file-1", workspace_id=workspace_id, **known))


async def create(
    components: BatchComponents, *, key: str = "job-7", workspace_id: str = WORKSPACE.id, **changes: Any
) -> tuple[Batch, bool]:
    fields = {"input_file_id": "file-1", "endpoint": PATH, "completion_window": "24h", **changes}
    return await create_batch_once(components, workspace_id, KEY.id, Fields(fields), key)


async def batches(world: BatchWorld) -> list[Batch]:
    return list(await world.components.table.list_batches(WORKSPACE.id, Page(100)))


async def test_a_repetition_finds_the_batch_even_if_its_file_is_gone() -> None:
    async with batch_world() as world:
        await upload(world)
        batch, is_repetition = await create(world.components)
        assert (is_repetition, world.queue.sent) == (False, [Validate(WORKSPACE.id, batch.id), Sweep()])
        file = await world.components.table.find_file(WORKSPACE.id, "file-1")
        assert file is not None and await world.components.table.delete_file(file)
        world.clock.move(REPLAY_SECONDS - 1)
        changed = replace(batch, status="completed")
        assert await world.components.table.save(changed)
        repeated, is_repetition = await create(world.components)
        assert (repeated.id, repeated.status, is_repetition) == (batch.id, "completed", True)
        assert (len(await batches(world)), len(world.queue.sent)) == (1, 2)


async def test_a_key_is_used_again_after_a_day_and_by_other_workspaces() -> None:
    async with batch_world() as world:
        await upload(world)
        await upload(world, "ws_other")
        batch, _ = await create(world.components)
        other, is_repetition = await create(world.components, workspace_id="ws_other")
        assert (other.id != batch.id, is_repetition) == (True, False)
        world.clock.move(REPLAY_SECONDS + 1)
        later, is_repetition = await create(world.components)
        assert (later.id != batch.id, is_repetition) == (True, False)


async def test_another_body_under_the_key_is_refused() -> None:
    async with batch_world() as world:
        await upload(world)
        batch, _ = await create(world.components)
        with pytest.raises(IdempotencyKeyReused):
            await create(world.components, completion_window="2h")
        assert (await create(world.components))[0] == batch
        assert (await create(world.components, key="job-8"))[1] is False


async def test_a_refused_request_leaves_the_key_free() -> None:
    async with batch_world() as world:
        with pytest.raises(NotFound):
            await create(world.components)
        await upload(world)
        assert (await create(world.components, completion_window="2h"))[1] is False


async def test_a_request_that_is_given_up_leaves_the_key_free() -> None:
    async with batch_world() as world:
        await upload(world)
        components = process(world, MemoryReplyStore(world.clock), open_batches=asyncio.Event())
        request = asyncio.create_task(create(components))
        await asyncio.sleep(0)
        with pytest.raises(IdempotencyInFlight):
            await create(components)
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        components.table._gates.clear()
        assert (await create(components))[1] is False


async def test_of_two_requests_at_once_one_creates_the_batch() -> None:
    async with batch_world() as world:
        await upload(world)
        slow, replies = asyncio.Event(), MemoryReplyStore(world.clock)
        first = asyncio.create_task(create(process(world, replies, open_batches=slow)))
        await asyncio.sleep(0)
        with pytest.raises(IdempotencyInFlight):
            await create(process(world, replies))
        world.clock.move(CLAIM_SECONDS + 1)
        second, is_repetition = await create(process(world, replies))
        slow.set()
        with pytest.raises(IdempotencyInFlight):  # it was too slow, and must not create another one
            await first
        assert (is_repetition, [batch.id for batch in await batches(world)]) == (False, [second.id])


async def test_a_request_that_overtakes_another_at_its_end_finds_the_same_batch() -> None:
    async with batch_world() as world:
        await upload(world)
        slow, replies = asyncio.Event(), MemoryReplyStore(world.clock)
        first = asyncio.create_task(create(process(world, replies, save=slow)))
        for _ in range(10):
            await asyncio.sleep(0)
        second, _ = await create(process(world, replies))
        slow.set()
        found, is_repetition = await first
        assert (found, is_repetition, await batches(world)) == (second, True, [second])


@pytest.mark.parametrize("accesses", [0, 1])  # which decides whether the last access is made
@pytest.mark.parametrize("number", range(1, 6))
async def test_there_is_one_batch_wherever_the_process_dies(number: int, accesses: int) -> None:
    async with batch_world() as world:
        await upload(world)
        deaths = Deaths(frozenset({accesses + number}), accesses=accesses)
        replies = MemoryReplyStore(world.clock)
        with pytest.raises(Killed):
            await create(process(world, replies, deaths))
        world.clock.move(CLAIM_SECONDS + 1)
        batch, _ = await create(process(world, replies))
        assert await batches(world) == [batch]


@pytest.mark.parametrize("fails_at", range(1, 6))
async def test_there_is_one_batch_whichever_access_fails(fails_at: int) -> None:
    async with batch_world() as world:
        await upload(world)
        replies = MemoryReplyStore(world.clock)
        with pytest.raises(StoreUnavailable):
            await create(process(world, replies, Deaths(fails_at=frozenset({fails_at}))))
        assert await batches(world) == []
        batch, _ = await create(process(world, replies))
        assert await batches(world) == [batch]

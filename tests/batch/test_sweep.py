"""The sweep: what messages and workers have left undone is found, and nothing waits for longer than it should."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from tests.batch.scripted import answered_part
from tests.batch.world import NOON, BatchWorld, batch_world, requests
from tests.world import KEY, WORKSPACE
from tidegate.batch.messages import Compose, Message, PollJobs, RunPart, Sweep, Validate
from tidegate.batch.ports import TryLater
from tidegate.batch.sweep import HANDBACK_SECONDS, QUEUED_SECONDS, sweep_batches
from tidegate.batch.validation import validate_batch
from tidegate.domain.account import AccountScope, Hold, Reservation
from tidegate.domain.batch import Batch, BatchUsage, Part, ProviderJob
from tidegate.domain.batch_options import BatchOptions
from tidegate.domain.limits import Amounts, Limits
from tidegate.domain.workspace import VirtualKey, Workspace
from tidegate.errors import StoreUnavailable
from tidegate.memory.batch_table import MemoryBatchTable

OPTIONS = BatchOptions(part_lines=2, batch_window=2)


async def in_progress(world: BatchWorld, lines: int = 20, **fields: Any) -> Batch:
    """A batch whose first two parts are with workers."""
    submitted = await world.submit(requests(lines))
    await validate_batch(world.components, submitted.workspace_id, submitted.id, world.clock() + 800.0)
    batch = await world.batch(submitted.id)
    if fields:
        assert await world.components.table.save(replace(batch, **fields))
    world.queue.sent.clear()
    world.queue.due.clear()
    world.events.emitted.clear()
    return await world.batch(batch.id)


async def sweep(world: BatchWorld, seconds: float = 60.0) -> list[Message]:
    """Move the clock, sweep, and return the messages that were sent beside the sweep's own."""
    world.clock.move(seconds)
    world.queue.sent.clear()
    await sweep_batches(world.components, world.clock() + 100.0)
    return [message for message in world.queue.sent if message != Sweep()]


async def change_part(world: BatchWorld, batch: Batch, number: int, **fields: Any) -> Part:
    part = (await world.components.table.find_parts(batch, [number]))[number]
    assert await world.components.table.save(replace(part, **fields))
    return (await world.components.table.find_parts(batch, [number]))[number]


async def test_a_sweep_comes_again_while_batches_are_open(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "tidegate")
    async with batch_world(options=OPTIONS) as world:
        await sweep_batches(world.components, world.clock() + 100.0)
        assert world.queue.due == []
        batch = await in_progress(world)
        await sweep(world)
        assert world.queue.sent == [Sweep()]
        [swept] = [record for record in caplog.records if record.msg == "batches.swept"]
        fields = {name: vars(swept)[name] for name in ("batches", "lines", "oldest_seconds")}
        assert fields == {
            "batches": 1,
            "lines": batch.total,
            "oldest_seconds": pytest.approx(world.clock() - batch.created_at, abs=0.1),
        }
        assert world.queue.due[0][0] - world.clock() == pytest.approx(60.0, abs=1.0)


async def test_sweeps_that_come_together_are_one() -> None:
    async with batch_world(options=OPTIONS) as world:
        await in_progress(world)
        for _ in range(12):
            await sweep(world, 10.0)
        assert [message for _, _, message in world.queue.due] == [Sweep()] * 3  # one in 50 seconds


async def test_a_sweep_of_a_store_that_fails_comes_again() -> None:
    class Failing(MemoryBatchTable):
        async def claim_once(self, claim: str, seconds: float) -> bool:
            raise StoreUnavailable("down")

    async with batch_world() as world:
        with pytest.raises(TryLater):
            await sweep_batches(replace(world.components, table=Failing(world.clock)), world.clock() + 100.0)


async def test_a_batch_that_cannot_be_looked_after_keeps_none_from_it() -> None:
    async with batch_world(options=OPTIONS) as world:
        broken, other = await in_progress(world), await in_progress(world)
        table = world.components.table

        class Failing(MemoryBatchTable):
            def __getattribute__(self, name: str) -> Any:
                return object.__getattribute__(self, name) if name == "find_parts" else getattr(table, name)

            async def find_parts(self, batch: Batch, numbers: Any) -> Any:
                if batch.id == broken.id:
                    raise StoreUnavailable("down")
                return await table.find_parts(batch, numbers)

        world.components = replace(world.components, table=Failing(world.clock))
        assert await sweep(world, QUEUED_SECONDS) == [RunPart("ws_test", other.id, number) for number in (0, 1)]


async def test_a_sweep_out_of_time_leaves_the_rest() -> None:
    async with batch_world(options=OPTIONS) as world:
        await in_progress(world)
        world.clock.move(QUEUED_SECONDS)
        await sweep_batches(world.components, world.clock())
        assert world.queue.sent == [Sweep()]


@pytest.mark.parametrize(
    ("status", "message"), [("validating", Validate("ws_test", "x")), ("finalizing", Compose("ws_test", "x"))]
)
async def test_a_step_that_nobody_does_is_sent_again(status: str, message: Message) -> None:
    async with batch_world(options=OPTIONS) as world:
        batch = await world.submit(requests(4))
        again = [type(message)("ws_test", batch.id)]
        assert await world.components.table.save(replace(batch, status=status, finalizing_at=world.clock()))
        assert await sweep(world) == []
        assert await sweep(world) == again
        assert await sweep(world) == []
        assert await sweep(world) == again
        stored = await world.batch(batch.id)
        assert await world.components.table.save(replace(stored, step_lease_until=world.clock() + 400.0))
        assert [await sweep(world, 100.0) for _ in range(5)] == [[]] * 5
        assert await sweep(world, 100.0) == again


async def test_parts_whose_message_is_lost_are_queued_again() -> None:
    async with batch_world(options=OPTIONS) as world:
        batch = await in_progress(world)
        assert await sweep(world) == []
        assert await sweep(world) == [RunPart("ws_test", batch.id, number) for number in (0, 1)]
        assert await sweep(world) == []
        assert len(await sweep(world)) == 2


async def test_a_part_of_a_dead_worker_is_queued_again_with_its_past() -> None:
    async with batch_world(options=OPTIONS) as world:
        batch = await in_progress(world)
        lease = {"status": "running", "lease": "w", "journal_objects": (3,), "asked_to": 2, "slice_id": "s"}
        alive = await change_part(world, batch, 1, **lease, lease_until=world.clock() + 500.0)
        dead = await change_part(world, batch, 0, **lease, lease_until=world.clock() + 50.0)
        assert await sweep(world) == [RunPart("ws_test", batch.id, 0)]
        parts = await world.components.table.find_parts(batch, [0, 1])
        assert parts[1] == alive
        queued = {"status": "queued", "lease": None, "lease_until": 0.0, "queued_at": parts[0].queued_at}
        assert parts[0] == replace(dead, **queued, version=dead.version + 1)
        assert not await world.components.table.save(dead)  # should it be alive, it can write nothing


@pytest.mark.parametrize("fields", [{"status": "cancelling"}, {}])
async def test_parts_that_are_not_handed_back_are_taken(fields: dict[str, Any]) -> None:
    async with batch_world(options=OPTIONS) as world:
        batch = await in_progress(world, **fields)
        ended = {"cancelling_at": world.clock()} if fields else {"expires_at": world.clock()}
        assert await world.components.table.save(replace(batch, **ended))
        lease = {"status": "running", "lease": "w", "lease_until": world.clock() + 10_000.0}
        for number in (0, 1):
            await change_part(world, batch, number, **lease)
        assert await sweep(world, HANDBACK_SECONDS - 10.0) == []
        assert await sweep(world) == [RunPart("ws_test", batch.id, number) for number in (0, 1)]


async def test_an_expired_batch_ends_when_its_parts_are_back() -> None:
    async with batch_world(options=OPTIONS) as world:
        batch = await in_progress(world, pause="budget", paused_at=NOON, paused_needs=Amounts(usd=Decimal(1)))
        assert await world.components.table.save(replace(batch, expires_at=world.clock() + 30.0, running=(1,)))
        assert await sweep(world) == []
        assert (await world.batch(batch.id)).status == "in_progress"
        stored = await world.batch(batch.id)
        assert await world.components.table.save(replace(stored, running=(), returned=(1,)))
        assert await sweep(world) == [Compose("ws_test", batch.id)]
        ended = await world.batch(batch.id)
        assert (ended.status, ended.ending, ended.pause) == ("finalizing", "expired", None)


async def test_a_batch_that_nobody_feeds_is_fed() -> None:
    async with batch_world(options=OPTIONS) as world:
        batch = await in_progress(world, running=(), fed=2)
        assert await sweep(world) == [RunPart("ws_test", batch.id, number) for number in (2, 3)]


async def hold(world: BatchWorld, scope: AccountScope, usd: str, call_id: str = "call") -> None:
    """Book an amount in an account."""
    now = world.clock()
    booked = Hold(call_id, WORKSPACE.id, KEY.id, "m", Amounts(usd=Decimal(usd)), 0, now, now + 600.0, (scope.kind,))
    await world.memory.ledger.reserve(Reservation(booked, (scope,)))


@pytest.mark.parametrize("kind", ["workspace", "key"])
async def test_a_batch_that_waits_for_its_budget_goes_on_when_there_is_room(kind: str) -> None:
    limits = Limits(usd_per_month=Decimal(10))
    key = replace(KEY, limits=limits) if kind == "key" else KEY
    workspace = WORKSPACE if kind == "key" else replace(WORKSPACE, limits=limits)
    async with batch_world(options=OPTIONS, key=key, workspace=workspace) as world:
        paused = {"pause": "budget", "paused_at": NOON, "paused_needs": Amounts(usd=Decimal(4)), "running": ()}
        batch = await in_progress(world, returned=(0, 1), **paused)
        scope = AccountScope(kind, KEY.id if kind == "key" else WORKSPACE.id, limits)
        await hold(world, scope, "6.5")
        assert await sweep(world) == []
        assert (await world.batch(batch.id)).pause == "budget"
        raised = replace(limits, usd_per_month=Decimal("10.5"))
        if kind == "key":
            change_key(world, replace(key, limits=raised))
        else:
            change_workspace(world, replace(workspace, limits=raised))
        assert await sweep(world) == [RunPart("ws_test", batch.id, number) for number in (0, 1)]
        resumed = await world.batch(batch.id)
        assert (resumed.pause, resumed.paused_at, resumed.paused_needs) == (None, None, None)
        assert [(kind, told.pause) for kind, told in world.events.emitted] == [("BatchProgress", None)]


async def test_a_new_month_has_room() -> None:
    limits = Limits(usd_per_month=Decimal(10))
    async with batch_world(options=OPTIONS, limits=limits) as world:
        batch = await in_progress(
            world, pause="budget", paused_at=NOON, paused_needs=Amounts(usd=Decimal(4)), expires_at=NOON + 1e7
        )
        await hold(world, AccountScope("workspace", WORKSPACE.id, limits), "9")
        await sweep(world)
        assert (await world.batch(batch.id)).pause == "budget"
        await sweep(world, 11 * 86_400.0)
        assert (await world.batch(batch.id)).pause is None


def change_workspace(world: BatchWorld, workspace: Workspace) -> None:
    world.memory.tenants.workspaces[workspace.id] = workspace


def change_key(world: BatchWorld, key: VirtualKey) -> None:
    world.memory.tenants.keys[key.hash] = key


@pytest.mark.parametrize("reason", ["workspace", "key"])
async def test_a_batch_goes_on_when_its_caller_is_valid_again(reason: str) -> None:
    async with batch_world(options=OPTIONS) as world:
        batch = await in_progress(world, pause=reason, paused_at=NOON, running=(), returned=(0, 1))
        if reason == "workspace":
            change_workspace(world, replace(WORKSPACE, status="suspended"))
        else:
            change_key(world, replace(KEY, status="revoked"))
        assert await sweep(world) == []
        assert (await world.batch(batch.id)).pause == reason
        change_workspace(world, WORKSPACE)
        change_key(world, KEY)
        assert len(await sweep(world)) == 2


async def test_progress_is_told_when_there_is_some() -> None:
    async with batch_world(options=OPTIONS) as world:
        batch = await in_progress(world)
        await sweep(world)
        assert world.events.emitted == []
        stored = await world.batch(batch.id)
        assert await world.components.table.save(replace(stored, usage=BatchUsage(completed=3, failed=1)))
        await sweep(world)
        await sweep(world)
        assert [(kind, told.announced_lines) for kind, told in world.events.emitted] == [("BatchProgress", 4)]


async def test_jobs_at_providers_are_looked_after() -> None:
    async with batch_world(options=OPTIONS) as world:
        batch = await in_progress(world, mode="provider_batch", running=(), fed=10)
        assert PollJobs("ws_test", batch.id) in await sweep(world)
        job = ProviderJob(provider="openai", deployment="openai/gpt-4o", reference="r")
        other = await in_progress(world, jobs=(job,), running=(), fed=10)
        assert PollJobs("ws_test", other.id) in await sweep(world)


async def test_answers_on_record_survive_a_worker_whose_part_was_taken() -> None:
    async with batch_world(options=OPTIONS) as world:
        batch = await in_progress(world, 4)
        known = await answered_part(world.components, batch, 0, 1)
        lease = {"status": "running", "lease": "w", "lease_until": world.clock() + 10.0}
        await change_part(world, batch, 0, journal_objects=known.journal_objects, usage=known.usage, **lease)
        assert await sweep(world) == [RunPart("ws_test", batch.id, 0)]
        part = (await world.components.table.find_parts(batch, [0]))[0]
        assert (part.journal_objects, part.usage) == (known.journal_objects, known.usage)

"""The worker of the local server: what it does with messages, with failures, and when the server stops."""

import asyncio
import logging
import time
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from tests.batch.world import batch_world, requests
from tidegate.batch.messages import Compose, Message, RunPart, Sweep, Validate
from tidegate.batch.ports import TryLater
from tidegate.domain.batch import Part
from tidegate.errors import StoreUnavailable
from tidegate.local.background_batches import (
    MAX_FAILURES,
    STEP_SECONDS,
    STOP_SECONDS,
    LocalBatches,
    open_batches,
    resume_open_batches,
    run_batches,
)
from tidegate.memory.batch_queue import MemoryBatchQueue

NOW = 1_795_262_400.0


class ScriptedEngine:
    """Handles messages as `act` says, which may raise."""

    def __init__(self, act: Callable[[Message, int], float]) -> None:
        self._act = act
        self.handled: list[tuple[Message, float]] = []
        self.now = self.most = 0
        self.stopped: list[Message] = []
        self.began = asyncio.Event()

    async def handle(self, message: Message, deadline: float) -> None:
        self.handled.append((message, deadline))
        if isinstance(message, RunPart):
            self.began.set()
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(self._act(message, self.count(message)))
        except asyncio.CancelledError:
            self.stopped.append(message)
            raise
        finally:
            self.now -= 1

    def count(self, message: Message) -> int:
        return sum(each == message for each, _ in self.handled)


def clock() -> float:
    return NOW + asyncio.get_running_loop().time()


def part(number: int) -> RunPart:
    return RunPart("ws_one", "batch_1", number)


@pytest.mark.jumping_clock
async def test_steps_run_a_few_at_once_and_have_a_deadline() -> None:
    engine, queue = ScriptedEngine(lambda *_: 10.0), MemoryBatchQueue(clock)
    for number in range(8):
        await queue.send(part(number))
    async with run_batches(engine, queue, steps=3, clock=clock):
        await asyncio.sleep(55.0)
    assert engine.most == 3
    assert [message for message, _ in engine.handled] == [*(part(number) for number in range(8)), Sweep()]
    assert engine.handled[0][1] == pytest.approx(NOW + STEP_SECONDS)
    assert engine.handled[3][1] == pytest.approx(NOW + 10.0 + STEP_SECONDS)


@pytest.mark.jumping_clock
async def test_a_sweep_comes_at_once_and_every_minute() -> None:
    engine, queue = ScriptedEngine(lambda *_: 0.0), MemoryBatchQueue(clock)
    async with run_batches(engine, queue, clock=clock):
        await asyncio.sleep(1.0)
        assert engine.count(Sweep()) == 1
        await asyncio.sleep(120.0)
        assert engine.count(Sweep()) == 3


@pytest.mark.jumping_clock
async def test_a_step_that_is_too_early_comes_later_and_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    def act(message: Message, number: int) -> float:
        if message == part(0) and number < 20:
            raise TryLater(30.0)
        return 0.0

    engine, queue = ScriptedEngine(act), MemoryBatchQueue(clock)
    await queue.send(part(0))
    with caplog.at_level(logging.WARNING):
        async with run_batches(engine, queue, clock=clock):
            await asyncio.sleep(19 * 30.0 + 1)
    assert (engine.count(part(0)), caplog.records) == (20, [])


@pytest.mark.jumping_clock
@pytest.mark.parametrize("error", [StoreUnavailable("down"), ZeroDivisionError()])
async def test_a_failed_step_comes_again_later_and_later(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    times: list[float] = []

    def act(message: Message, number: int) -> float:
        if message == part(0):
            times.append(clock() - NOW)
            if number <= 4:
                raise error
        return 0.0

    engine, queue = ScriptedEngine(act), MemoryBatchQueue(clock)
    await queue.send(part(0))
    await queue.send(part(1))
    with caplog.at_level(logging.WARNING):
        async with run_batches(engine, queue, clock=clock):
            await asyncio.sleep(100.0)
    assert [round(time) for time in times] == [0, 1, 3, 7, 15]
    assert engine.count(part(1)) == 1
    assert [record.message for record in caplog.records].count("batch_step.failed") == 4


@pytest.mark.jumping_clock
async def test_a_step_that_never_succeeds_is_left_to_the_sweep() -> None:
    def act(message: Message, number: int) -> float:
        if message == part(0):
            raise StoreUnavailable("down")
        return 0.0

    engine, queue = ScriptedEngine(act), MemoryBatchQueue(clock)
    await queue.send(part(0))
    async with run_batches(engine, queue, clock=clock):
        await asyncio.sleep(3600.0)
        assert engine.count(part(0)) == MAX_FAILURES
        await queue.send(part(0))
        await asyncio.sleep(3600.0)
        assert engine.count(part(0)) == 2 * MAX_FAILURES


@pytest.mark.jumping_clock
async def test_running_steps_end_with_the_server_and_no_other_begins() -> None:
    engine, queue = ScriptedEngine(lambda message, _: 0.0 if message == Sweep() else 4.0), MemoryBatchQueue(clock)
    stopping = asyncio.Event()
    for number in range(3):
        await queue.send(part(number))
    async with run_batches(engine, queue, steps=2, stopping=stopping, clock=clock):
        await engine.began.wait()
        assert not stopping.is_set()
    assert stopping.is_set()
    assert [message for message, _ in engine.handled] == [part(0), part(1)]
    assert engine.stopped == []


@pytest.mark.jumping_clock
async def test_steps_that_do_not_end_are_cancelled() -> None:
    engine, queue = ScriptedEngine(lambda message, _: 0.0 if message == Sweep() else 3600.0), MemoryBatchQueue(clock)
    await queue.send(part(0))
    async with asyncio.timeout(STOP_SECONDS + 1.0), run_batches(engine, queue, clock=clock):
        await engine.began.wait()
    assert engine.stopped == [part(0)]


async def test_what_an_earlier_process_had_leased_goes_on_at_once() -> None:
    async with batch_world() as world:
        one = await world.submit(requests(1))
        two = await world.submit(requests(1), status="in_progress", parts=2, fed=2, running=(0, 1))
        three = await world.submit(requests(1), status="finalizing", step_lease_until=NOW + 900.0)
        four = await world.submit(requests(1), status="completed")
        table = world.components.table
        lease = {"status": "running", "lease": "a", "lease_until": NOW + 900.0}
        place = {"first_line": 0, "first_byte": 0, "length": 1, "lines": 1}
        leased = Part(batch_id=two.id, workspace_id="ws_test", number=0, **place, **lease)
        assert await table.save(leased, replace(leased, number=1, status="queued", lease_until=0.0))
        while world.queue.take_due():
            pass

        await resume_open_batches(world.components)

        assert {world.queue.take_due() for _ in range(5)} == {
            Validate("ws_test", one.id),
            RunPart("ws_test", two.id, 0),
            RunPart("ws_test", two.id, 1),
            Compose("ws_test", three.id),
            None,
        }
        parts = await table.find_parts(two, (0, 1))
        assert [(each.status, each.lease, each.lease_until) for each in parts.values()] == 2 * [("queued", None, 0.0)]
        assert (await world.batch(three.id)).step_lease_until == 0.0
        assert await world.batch(four.id) == four


async def test_a_store_without_batches_and_one_whose_steps_others_do_run_no_engine() -> None:
    async with batch_world() as world:
        async with open_batches(None) as components:
            assert components is None
        batch = await world.submit(requests(1))
        tasks = asyncio.all_tasks()
        async with open_batches(LocalBatches(world.components)) as components:
            assert components is world.components
            assert asyncio.all_tasks() == tasks
        assert await world.batch(batch.id) == batch


async def test_a_kept_store_goes_on_where_the_earlier_process_ended() -> None:
    async with batch_world() as world:
        batch = await world.submit(requests(1))
        queue = MemoryBatchQueue()
        components = replace(world.components, queue=queue)
        async with open_batches(LocalBatches(components, queue, is_kept=True)):
            assert queue.take_due(time.time()) == [Validate("ws_test", batch.id)]


async def test_parts_that_an_earlier_process_has_handed_back_go_on_at_once() -> None:
    async with batch_world() as world:
        batch = await world.submit(requests(1), status="in_progress", total=1, parts=1, fed=1, returned=(0,))
        place = {"first_line": 0, "first_byte": 0, "length": 1, "lines": 1}
        part = Part(batch_id=batch.id, workspace_id="ws_test", number=0, **place, status="returned")
        assert await world.components.table.save(part)
        while world.queue.take_due():
            pass
        await resume_open_batches(world.components)
        assert [world.queue.take_due(), world.queue.take_due()] == [RunPart("ws_test", batch.id, 0), None]
        assert (await world.batch(batch.id)).running == (0,)

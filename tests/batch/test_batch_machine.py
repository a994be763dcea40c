"""A batch between workers that die, messages that come late, twice or never, and a caller who cancels and resumes.

Whatever happens, it ends, and each line is once in one of the files, in order; an answer on record is never lost.
"""

import asyncio
import json
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace

from tests.batch import scripted
from tests.batch.journals import recorded_results
from tests.batch.world import Killed, Worker, batch_world, numbers, request
from tidegate.batch.batches import cancel_batch, resume_batch
from tidegate.batch.engine import Engine
from tidegate.batch.keys import batch_prefix
from tidegate.batch.messages import Message, Notify, RunPart, Sweep
from tidegate.batch.ports import TryLater
from tidegate.batch.transitions import change_batch
from tidegate.domain.batch import Batch
from tidegate.domain.batch_options import BatchOptions
from tidegate.errors import InvalidRequest, StoreUnavailable

OPTIONS = BatchOptions(part_lines=3, batch_window=2, max_line_bytes=400)
MAX_DEATHS = 8
"""Fewer than after which an input is given up."""


class BatchMachine(RuleBasedStateMachine):
    """One batch and the messages about it."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.context = batch_world(options=OPTIONS)
        self.world = self.runner.run(self.context.__aenter__())
        self.on_record = set[int]()
        self.deaths = 0
        self.delivered = 0
        self.ends_after = 0
        self.total = 0

    @initialize(blanks=st.lists(st.booleans(), min_size=5, max_size=14), ends_after=st.sampled_from([2, 8, 16, 1_000]))
    def submit(self, blanks: list[bool], ends_after: int) -> None:
        self.ends_after = ends_after
        lines = [json.dumps(request(number)).encode() + b"\r\n" * blank for number, blank in enumerate(blanks)]
        self.total = len(lines)
        batch = self.runner.run(self.world.submit(b"\n".join(lines), window_seconds=86_400.0))
        self.batch_id = batch.id

    @property
    def batch(self) -> Batch:
        return self.runner.run(self.world.batch(self.batch_id))

    @property
    def may_end(self) -> bool:
        """True if the batch may be cancelled or expire now: not always early."""
        return self.delivered >= self.ends_after

    @rule(index=st.integers(0, 5), stops_after=st.sampled_from([2, 1_000]), fate=st.sampled_from(["once", "twice"]))
    def deliver_to_a_living_worker(self, index: int, stops_after: int, fate: str) -> None:
        self.deliver(index, None, 800.0, stops_after, fate)

    @rule(
        index=st.integers(0, 5),
        death=st.none() | st.integers(1, 25),
        seconds=st.sampled_from([0.0, 800.0]),
        stops_after=st.sampled_from([0, 2, 1_000]),
        fate=st.sampled_from(["once", "once", "twice", "lost"]),
    )
    def deliver(self, index: int, death: int | None, seconds: float, stops_after: int, fate: str) -> None:
        """Give one of the messages to a worker, which perhaps dies; then the message comes again, or is lost."""
        if not self.world.queue.due:
            return
        self.delivered += 1
        entry = self.world.queue.due.pop(index % len(self.world.queue.due))
        if fate == "twice":
            self.world.queue.due.append(entry)
        if death is not None and self.deaths >= MAX_DEATHS:
            death = None
        died = self.runner.run(self.handle(entry[2], death, seconds, stops_after))
        if died:
            self.deaths += 1
            if fate != "lost":
                self.world.queue.due.append(entry)

    async def handle(self, message: Message, death: int | None, seconds: float, stops_after: int = 1_000) -> bool:
        """Do the message's step; True if the worker died."""
        world = self.world
        world.deaths.kill_at = frozenset() if death is None else frozenset({world.deaths.accesses + death})
        worker = Worker(world.deaths)
        components = worker.components(world.components)
        step: Any = None
        match message:
            case RunPart():
                step = scripted.run_part(components, message, stops_after)
            case Notify():
                return False
            case _:
                step = Engine(components).handle(message, world.clock() + seconds)
        try:
            await step
        except Killed:
            return True
        except TryLater as later:
            world.queue.put(message, later.seconds)
        except StoreUnavailable:
            world.queue.put(message, 1.0)
        return worker.is_dead

    @rule(seconds=st.sampled_from([1.0, 61.0, 130.0, 840.0]))
    def wait(self, seconds: float) -> None:
        self.world.clock.move(seconds)

    @rule()
    def sweep(self) -> None:
        self.runner.run(self.world.queue.send(Sweep()))

    @rule()
    @precondition(lambda self: self.may_end and self.batch.status in ("validating", "in_progress"))
    def expire(self) -> None:
        self.runner.run(self.move_to(self.batch.expires_at))

    async def move_to(self, moment: float) -> None:
        self.world.clock.move(moment - self.world.clock())

    @rule()
    @precondition(lambda self: self.may_end and self.batch.status in ("validating", "in_progress"))
    def cancel(self) -> None:
        self.runner.run(cancel_batch(self.world.components, "ws_test", self.batch_id))

    @rule()
    @precondition(lambda self: self.batch.takes_parts)
    def pause(self) -> None:
        def pause(batch: Batch) -> Batch:
            return replace(batch, pause="workspace", paused_at=self.world.clock())

        self.runner.run(change_batch(self.world.components, "ws_test", self.batch_id, pause))

    @rule()
    @precondition(lambda self: self.batch.pause is not None)
    def resume(self) -> None:
        try:
            self.runner.run(resume_batch(self.world.components, "ws_test", self.batch_id))
        except InvalidRequest:
            assert self.batch.status not in ("validating", "in_progress")

    @invariant()
    def parts_are_in_one_place(self) -> None:
        if not self.total or self.batch.is_terminal:
            return
        batch = self.batch
        assert len(batch.running) <= OPTIONS.batch_window
        assert len({*batch.running, *batch.returned}) == len(batch.running) + len(batch.returned)
        assert all(number < batch.fed <= batch.parts for number in (*batch.running, *batch.returned))
        parts = self.runner.run(self.world.components.table.find_parts(batch, range(batch.fed)))
        assert len(parts) == batch.fed
        for number, part in parts.items():
            if part.status in ("queued", "running"):
                assert number in batch.running
            assert (part.status == "returned") == (number in batch.returned)
            results = self.runner.run(recorded_results(self.world.components.objects, part))
            self.on_record.update(result.line for result in results)

    def teardown(self) -> None:
        try:
            if self.total:
                self.runner.run(self.drain())
        finally:
            self.runner.run(self.context.__aexit__(None, None, None))
            self.runner.close()

    async def drain(self) -> None:
        """Let workers live and messages arrive, until the batch has ended; then check its files."""
        world = self.world
        for _ in range(300):
            batch = await world.batch(self.batch_id)
            if batch.is_terminal and not world.queue.due:
                break
            if batch.pause is not None and batch.status == "in_progress":
                await resume_batch(world.components, "ws_test", self.batch_id)
            if not batch.is_terminal:
                world.clock.move(61.0)
                world.queue.put(Sweep())
            while (message := world.queue.take_due()) is not None:
                await self.handle(message, None, 800.0)
            if batch.is_terminal:
                world.clock.move(61.0)
        await self.check(await world.batch(self.batch_id))

    async def check(self, batch: Batch) -> None:
        assert batch.status in ("completed", "expired", "cancelled")
        output, errors = await self.world.output(batch), await self.world.errors(batch)
        assert numbers(output) == sorted(numbers(output))
        assert numbers(errors) == sorted(numbers(errors))
        assert sorted(numbers([*output, *errors])) == list(range(batch.total))
        assert batch.total == self.total or (batch.status == "cancelled" and batch.in_progress_at is None)
        answered = {*numbers(output), *numbers([line for line in errors if line["response"]])}
        assert self.on_record <= answered
        assert (batch.usage.completed, batch.usage.failed) == (len(output), len(errors))
        assert batch.usage.output_tokens == len(output)
        if batch.status == "completed":
            assert len(answered) == self.total
        kinds = self.world.events.types(batch.id)
        assert "BatchCompleted" in kinds and "BatchFailed" not in kinds
        assert await self.world.components.objects.list_keys(f"{batch_prefix('ws_test', batch.id)}composed/") == []


TestBatch = BatchMachine.TestCase
TestBatch.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)

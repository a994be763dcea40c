"""Workers and their parts under everything that may happen in any order.

Messages come twice, late, or for parts that others have; workers die, or are suspended and come back; the batch is
paused, resumed and cancelled; its budget grows, and live calls take some of it.
"""

import asyncio
import json
from collections import Counter
from contextlib import AsyncExitStack
from decimal import Decimal
from typing import Any

import httpx
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from msgspec.structs import replace

from tests.batch.journals import recorded_results
from tests.batch.parts import Mortal, PartWorld, part_world
from tests.batch.world import NOON, Provider
from tests.jumping import JumpingLoop
from tests.world import KEY, completion
from tidegate.batch.feeder import feed_parts
from tidegate.domain.account import AccountScope, Hold, Reservation
from tidegate.domain.batch import BatchUsage
from tidegate.domain.batch_options import BatchOptions
from tidegate.domain.ids import ulid
from tidegate.domain.limits import Amounts, Limits, booking_name, period_at
from tidegate.errors import LimitReached

BOOKED = booking_name("tokens", period_at("month", NOON).name)
PARTS, LINES = 3, 24
FIRST_BUDGET = 500
"""Tokens: a line needs 152 while it is open, and uses 26, so that about three are open at a time."""


def answer(prompt: str, number: int) -> httpx.Response:
    """Some prompts fail once, some are refused for the rate, and one fails always."""
    line = int(prompt.removeprefix("Line ").removesuffix("."))
    if line == 7 or (line % 5 == 0 and number == 1):
        return httpx.Response(500, json={"error": {"message": "No."}})
    if line % 6 == 1 and number <= 2:
        return httpx.Response(429, json={"error": {"message": "Slow down."}})
    return httpx.Response(200, json=completion())


class PartMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=JumpingLoop)
        self.workers: list[tuple[Mortal, asyncio.Task[None]]] = []
        self.live: list[Hold] = []
        self.used_live = self.budget = 0
        self.is_cancelled = False
        self.run(self.begin())

    async def begin(self) -> None:
        self.context = AsyncExitStack()
        options = BatchOptions(parallel_calls=4, flush_seconds=0.5)
        world = part_world(Provider(answer, 0.7), lines=LINES, parts=PARTS, limits=Limits(), options=options)
        self.parts: PartWorld = await self.context.enter_async_context(world)
        self.set_budget(FIRST_BUDGET)

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    def set_budget(self, tokens: int) -> None:
        workspaces = self.parts.world.memory.tenants.workspaces
        self.budget = tokens
        workspaces["ws_test"] = replace(workspaces["ws_test"], limits=Limits(tokens_per_month=tokens))

    @property
    def scope(self) -> AccountScope:
        return AccountScope("workspace", "ws_test", Limits(tokens_per_month=self.budget))

    @rule(number=st.integers(0, PARTS - 1), seconds=st.sampled_from([45.0, 100.0, 800.0]))
    def deliver(self, number: int, seconds: float) -> None:
        self.start(number, Mortal(self.parts.deaths, seconds=0.05), seconds)

    @rule(number=st.integers(0, PARTS - 1), access=st.integers(1, 60), is_done=st.booleans(), freezes=st.booleans())
    def deliver_to_a_worker_that_fails(self, number: int, access: int, is_done: bool, freezes: bool) -> None:
        self.start(number, Mortal(self.parts.deaths, (access, is_done), freezes=freezes), 800.0)
        self.run(asyncio.sleep(20))

    def start(self, number: int, worker: Mortal, seconds: float) -> None:
        async def start() -> None:
            self.workers.append((worker, asyncio.create_task(self.parts.run(worker, number, seconds))))
            await asyncio.sleep(0.1)

        self.run(start())

    @rule(seconds=st.sampled_from([0.05, 0.1, 0.3, 1.0, 5.0, 30.0]))
    def wait(self, seconds: float) -> None:
        self.run(asyncio.sleep(seconds))

    @rule()
    def let_leases_end(self) -> None:
        self.parts.world.clock.move(130)

    @precondition(lambda self: self.workers)
    @rule(data=st.data())
    def kill(self, data: st.DataObject) -> None:
        worker, _ = data.draw(st.sampled_from(self.workers))
        if not worker.is_frozen.is_set() and not worker.is_dead:
            worker.kill()
            self.run(asyncio.sleep(0))

    @precondition(lambda self: self.workers)
    @rule(data=st.data())
    def suspend(self, data: st.DataObject) -> None:
        worker, _ = data.draw(st.sampled_from(self.workers))
        if not worker.is_dead:
            worker.freeze()

    @rule()
    def continue_all(self) -> None:
        for worker, _ in self.workers:
            worker.thaw()
        self.run(asyncio.sleep(0.1))

    @rule(is_paused=st.booleans())
    def pause_or_resume(self, is_paused: bool) -> None:
        async def change() -> None:
            batch = await self.parts.batch()
            if batch.status == "in_progress":
                pause = "workspace" if is_paused else None
                await self.parts.components.table.save(replace(batch, pause=pause, paused_at=None, paused_needs=None))
                await self.feed()

        self.run(change())

    @rule()
    def cancel(self) -> None:
        async def change() -> None:
            batch = await self.parts.batch()
            if batch.status == "in_progress":
                await self.parts.components.table.save(replace(batch, status="cancelling"))
                self.is_cancelled = True

        self.run(change())

    @rule(tokens=st.sampled_from([60, 200]))
    def raise_budget(self, tokens: int) -> None:
        self.set_budget(self.budget + tokens)

    @rule(tokens=st.sampled_from([20, 150, 300]))
    def begin_live_call(self, tokens: int) -> None:
        async def begin() -> None:
            now = self.parts.world.clock()
            hold = Hold(ulid(now), "ws_test", KEY.id, "m", Amounts(tokens), 0, now, now + 600)
            try:
                await self.parts.components.gateway.ledger.reserve(Reservation(hold, (self.scope,)))
            except LimitReached:
                return
            self.live.append(hold)

        self.run(begin())

    @rule()
    def end_live_calls(self) -> None:
        self.run(self.settle_live_calls())

    async def settle_live_calls(self) -> None:
        for hold in self.live:
            self.parts.world.memory.ledger.settle_call(hold, Amounts(10))
            self.used_live += 10
        self.live.clear()

    async def feed(self) -> None:
        await feed_parts(self.parts.components, "ws_test", self.parts.batch_id)

    @invariant()
    def used_and_held_are_within_the_budget(self) -> None:
        account = self.run(self.parts.account())
        assert account.booked.get(BOOKED, 0) <= self.budget

    @invariant()
    def no_answer_is_on_record_twice(self) -> None:
        async def check() -> None:
            batch = await self.parts.batch()
            for number in range(PARTS):
                part = await self.parts.part(number)
                lines = await self.lines_on_record(number)
                assert set(lines.values()) <= {1}
                assert part.usage.completed + part.usage.failed == len(lines) <= part.lines
                assert (part.status in ("queued", "running")) == (number in batch.running)
                assert (part.status == "returned") == (number in batch.returned)

        self.run(check())

    async def lines_on_record(self, number: int) -> Counter[int]:
        results = await recorded_results(self.parts.components.objects, await self.parts.part(number))
        return Counter(result.line for result in results)

    def teardown(self) -> None:
        try:
            self.run(self.end())
        finally:
            self.run(self.context.aclose())
            self.runner.close()

    async def end(self) -> None:
        """All workers end; then the batch goes on until it is done, or handed back if it was cancelled."""
        await self.settle_live_calls()
        self.set_budget(1_000_000)
        for worker, _ in self.workers:
            worker.thaw()
        await asyncio.gather(*(task for _, task in self.workers))
        batch = await self.parts.batch()
        if batch.pause is not None:
            await self.parts.components.table.save(replace(batch, pause=None, paused_at=None, paused_needs=None))
        for _ in range(5):
            await self.feed()
            self.parts.world.clock.move(200)
            for number in range(PARTS):
                await self.parts.deliver(number)
        await self.check()

    async def check(self) -> None:
        batch, account, counters = await self.parts.batch(), await self.parts.account(), await self.parts.counters()
        parts = [await self.parts.part(number) for number in range(PARTS)]
        usage = sum((part.usage for part in parts), BatchUsage())
        assert (batch.running, account.holds) == ((), {})
        assert account.booked.get(BOOKED, 0) == usage.amounts.tokens + self.used_live
        assert (counters.get("calls", 0), Decimal(str(counters.get("cost_usd", 0)))) == (
            usage.completed + usage.failed,
            usage.cost_usd,
        )
        if not self.is_cancelled:
            assert {part.status for part in parts} == {"done"}
            assert (batch.usage, usage.completed, usage.failed) == (usage, LINES - 1, 1)
            output, errors = await self.parts.results()
            assert [line["custom_id"] for line in errors] == ["line-7"]
            assert len({json.dumps(line) for line in output}) == LINES - 1
        answers = Counter(prompt for prompt, number in self.parts.world.provider.counts.items())
        assert len(answers) <= LINES


QUICK = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=True)


def test_parts_keep_their_promises_in_any_order() -> None:
    run_state_machine_as_test(PartMachine, settings=settings(QUICK, max_examples=60, stateful_step_count=25))

"""Parts of a batch and workers that die: what a worker leaves after any access, and what the next one makes of it.

async with part_world(lines=6) as parts:
    await parts.deliver(0, kill=(7, True))     # the worker dies after its seventh access
    await parts.finish()                       # time passes, and its message comes again
    await parts.check()                        # all lines once, in order; charged once; nothing held
"""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import httpx
from msgspec.structs import replace

from tests.batch.world import (
    NOON,
    BatchWorld,
    Deaths,
    Provider,
    Worker,
    batch_world,
    jsonl,
    numbers,
    requests,
)
from tests.store_worlds import sqlite_store
from tests.world import KEY
from tidegate.aws.ledger import DynamoLedger
from tidegate.aws.meter import DynamoMeter
from tidegate.aws.tenants import DynamoUsageReader
from tidegate.batch.components import BatchComponents
from tidegate.batch.engine import Engine
from tidegate.batch.keys import part_errors_key, part_output_key
from tidegate.batch.messages import RunPart
from tidegate.batch.ports import TryLater
from tidegate.domain.account import Account, AccountScope, used_amount
from tidegate.domain.batch import Batch, Part
from tidegate.domain.batch_options import BatchOptions
from tidegate.domain.limits import Limits, period_at
from tidegate.domain.workspace import VirtualKey
from tidegate.errors import StoreUnavailable
from tidegate.ports import UsageReader

WHOLE = AccountScope("workspace", "ws_test", Limits())
OF_KEY = AccountScope("key", KEY.id, Limits())
PLENTY = Limits(usd_per_month=Decimal(100), tokens_per_day=10_000_000, parallel_calls=1, requests_per_minute=1)

_worker = ContextVar["Mortal | None"]("worker", default=None)


class Mortal(Worker):
    """A worker that dies at its access with number `kill[0]`, after it if `kill[1]`, else before it.

    With `freezes`, it does not die, but makes no more accesses until it is `thawed`, as a process that is suspended.
    With `fails`, it does not die either, but gets no answer to that access. Each access takes `seconds` before it is
    made, and as long after it.
    """

    def __init__(
        self,
        deaths: Deaths,
        kill: tuple[int, bool] | None = None,
        *,
        freezes: bool = False,
        fails: bool = False,
        seconds: float = 0.0,
    ) -> None:
        super().__init__(deaths)
        self.seconds, self.fails, self.has_failed = seconds, fails, False
        self.kill_at, self.accesses = kill, 0
        self.freezes, self.is_frozen, self.thawed = freezes, asyncio.Event(), asyncio.Event()

    async def access(self, method: Callable[..., Awaitable[Any]], *args: Any, **named: Any) -> Any:
        await self._wait()
        self.check()
        self.accesses += 1
        dies = self.kill_at is not None and self.accesses == self.kill_at[0]
        if dies and not (self.kill_at and self.kill_at[1]):
            await self._end()
        result = await method(*args, **named)
        if dies and self.kill_at and self.kill_at[1]:
            await self._end()
        await self._wait()
        self.check()
        return result

    def freeze(self) -> None:
        """Make no more accesses, as a process that is suspended."""
        self.thawed.clear()
        self.is_frozen.set()

    def thaw(self) -> None:
        self.is_frozen.clear()
        self.thawed.set()

    async def _end(self) -> None:
        if self.fails:
            self.has_failed = True
            raise StoreUnavailable("down")
        if self.freezes:
            self.is_frozen.set()
            await self._wait()
        else:
            self.kill()
            self.check()

    async def _wait(self) -> None:
        if self.seconds:
            await asyncio.sleep(self.seconds)
        if self.is_frozen.is_set():
            await self.thawed.wait()


@dataclass
class PartWorld:
    """A batch whose parts all wait for workers, over either ledger."""

    world: BatchWorld
    components: BatchComponents
    usages: UsageReader
    batch_id: str
    parts: int
    lines: int
    deaths: Deaths = field(default_factory=Deaths)

    async def batch(self) -> Batch:
        return await self.world.batch(self.batch_id)

    async def part(self, number: int = 0) -> Part:
        return (await self.components.table.find_parts(await self.batch(), [number]))[number]

    async def deliver(
        self, number: int = 0, kill: tuple[int, bool] | None = None, *, worker_seconds: float = 800.0
    ) -> Mortal:
        """Deliver the part's message to a new worker, and wait until it has ended, whether it dies or not."""
        worker = Mortal(self.deaths, kill)
        await self.run(worker, number, worker_seconds)
        return worker

    async def run(self, worker: Mortal, number: int, worker_seconds: float = 800.0) -> None:
        engine = Engine(worker.components(self.components))
        message = RunPart("ws_test", self.batch_id, number)
        _worker.set(worker)
        step = asyncio.create_task(engine.handle(message, self.world.clock() + worker_seconds))
        death = asyncio.create_task(worker.died.wait())
        try:
            await asyncio.wait({step, death}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            death.cancel()
            if worker.is_dead:
                step.cancel()
            (result,) = await asyncio.gather(step, return_exceptions=True)
        is_told = isinstance(result, TryLater) or (worker.has_failed and isinstance(result, StoreUnavailable))
        if isinstance(result, BaseException) and not worker.is_dead and not is_told:
            raise result

    async def finish(self, rounds: int = 20) -> None:
        """Let time pass and messages come again until all parts are done."""
        for _ in range(rounds):
            if all([(await self.part(number)).status == "done" for number in range(self.parts)]):
                return
            self.world.clock.move(200)
            for number in range(self.parts):
                await self.deliver(number)
        raise AssertionError([await self.part(number) for number in range(self.parts)])

    async def results(self) -> tuple[list[Any], list[Any]]:
        """The lines of output and errors of all parts, in order."""
        found: tuple[list[Any], list[Any]] = ([], [])
        for number in range(self.parts):
            place = ("ws_test", self.batch_id, number)
            for lines, key in zip(found, (part_output_key(*place), part_errors_key(*place)), strict=True):
                data = await self.components.objects.read(key)
                lines += [json.loads(line) for line in (data or b"").splitlines()]
        return found

    async def account(self, scope: AccountScope = WHOLE) -> Account:
        return await self.components.gateway.ledger.account(scope)

    async def counters(self) -> dict[str, int | str]:
        counters = await self.usages.counters("ws_test", f"M#{_month(self.world.clock())}")
        return counters or {}

    async def check(self, *, asked: Sequence[str] | None = None) -> None:
        """All lines are there once, in order; charged is what the output costs; nothing is held; `lost` is told."""
        output, errors = await self.results()
        assert numbers(output) == sorted(numbers(output)) and numbers(errors) == sorted(numbers(errors))
        assert sorted(numbers(output) + numbers(errors)) == list(range(self.lines))
        batch, counters, account = await self.batch(), await self.counters(), await self.account()
        cost = sum((Decimal(str(line["response"]["body"]["usage"]["cost"])) for line in output), Decimal(0))
        tokens = sum(line["response"]["body"]["usage"]["total_tokens"] for line in output)
        assert account.holds == {} and (await self.account(OF_KEY)).holds == {}
        assert Decimal(str(counters["cost_usd"])) == batch.usage.cost_usd == cost, (counters, batch.usage)
        assert (counters["calls"], counters["calls_ok"]) == (self.lines, len(output))
        assert (batch.usage.completed, batch.usage.failed) == (len(output), len(errors))
        assert batch.usage.amounts.tokens == tokens
        if account.booked:
            assert used_amount(account, "usd", "month", self.world.clock()) == cost
            assert used_amount(account, "tokens", "month", self.world.clock()) == tokens
        prompts = self.world.provider.prompts if asked is None else asked
        assert len(prompts) - self.lines <= batch.usage.lost
        assert set(prompts) == {f"Line {number}." for number in range(self.lines)}


@asynccontextmanager
async def part_world(
    provider: Provider | None = None,
    *,
    lines: int | Sequence[Any] = 6,
    parts: int = 1,
    limits: Limits | None = PLENTY,
    key: VirtualKey = KEY,
    options: BatchOptions | None = None,
    sqlite: str | None = None,
    window_seconds: float = 86_400.0,
) -> AsyncIterator[PartWorld]:
    """A batch in progress in `parts` of equal length, over the ledger in memory, or over that of AWS in SQLite."""
    options = options or BatchOptions(parallel_calls=3, flush_seconds=0.5)
    provider = Provider(provider.answer, provider.seconds) if provider else Provider(seconds=0.2)
    provider.answer = _mortal(provider.answer)
    async with batch_world(provider, options=options, limits=limits, key=key) as world:
        if sqlite is None:
            yield await _begin(world, world.components, world.memory.meter, lines, parts, window_seconds)
            return
        async with sqlite_store(sqlite, f"tidegate-{uuid.uuid4()}", world.clock) as store:
            ledger, gateway = DynamoLedger(store), world.components.gateway
            components = replace(
                world.components, gateway=replace(gateway, ledger=ledger), settlements=DynamoMeter(store)
            )
            yield await _begin(world, components, DynamoUsageReader(store), lines, parts, window_seconds)


async def _begin(
    world: BatchWorld,
    components: BatchComponents,
    usages: UsageReader,
    lines: int | Sequence[Any],
    parts: int,
    window_seconds: float,
) -> PartWorld:
    requested = requests(lines) if isinstance(lines, int) else lines
    size = len(requested) // parts
    assert size * parts == len(requested)
    batch = Batch(
        id="batch_01",
        workspace_id="ws_test",
        key_id=KEY.id,
        endpoint="/v1/chat/completions",
        input_file_id="file-01",
        input_key="in",
        input_bytes=len(jsonl(requested)),
        completion_window="24h",
        created_at=NOON,
        expires_at=NOON + window_seconds,
        status="in_progress",
        model="openai/gpt-4.1-mini",
        providers=("openai",),
        total=len(requested),
        parts=parts,
        fed=parts,
        running=tuple(range(parts)),
    )
    first_byte, stored = 0, list[Part]()
    for number in range(parts):
        data = jsonl(requested[number * size : (number + 1) * size])
        stored.append(
            Part(
                batch_id=batch.id,
                workspace_id="ws_test",
                number=number,
                first_line=number * size,
                first_byte=first_byte,
                length=len(data),
                lines=size,
                queued_at=NOON,
            )
        )
        first_byte += len(data)
    await components.objects.put("in", jsonl(requested))
    assert await components.table.save(batch, *stored)
    return PartWorld(world, components, usages, batch.id, parts, len(requested))


def _mortal(answer: Any) -> Any:
    """Let the worker that asks die before or after the provider's answer, as with all its accesses."""

    async def reply(prompt: str, number: int) -> httpx.Response:
        response = answer(prompt, number)
        return response if isinstance(response, httpx.Response) else await response

    async def access(prompt: str, number: int) -> httpx.Response:
        worker = _worker.get()
        return await reply(prompt, number) if worker is None else await worker.access(reply, prompt, number)

    return access


def _month(at: float) -> str:
    return period_at("month", at).name[2:9]

"""The batch engine in memory: a provider that the test plays, a queue whose clock the test moves, workers that die.

    async with batch_world() as world:
        batch = await world.submit(requests(500))
        await world.run_until_idle()
        assert (await world.batch(batch.id)).status == "completed"

A new message is delivered `copies` times. `kill_at` are the numbers of the engine's accesses to stores and queues,
counted over all workers, at which the worker dies that makes the access: it sees no result of it, and none of its later
accesses is made. An access with an even number is made, one with an odd number is not. A deadline of `worker_seconds`
makes the engine hand back parts as on Lambda.
"""

import asyncio
import heapq
import itertools
import json
import re
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from msgspec.structs import replace

from tests.world import KEY, WORKSPACE, completion
from tidegate.batch.components import BatchComponents
from tidegate.batch.engine import Engine
from tidegate.batch.keys import file_key
from tidegate.batch.messages import Message, Sweep, Validate
from tidegate.batch.ports import BatchEventType, TryLater
from tidegate.chat.operation import CHAT
from tidegate.compose import Overrides
from tidegate.domain.batch import Batch, StoredFile
from tidegate.domain.batch_options import BatchOptions
from tidegate.domain.ids import ulid
from tidegate.domain.limits import Limits
from tidegate.domain.workspace import VirtualKey, Workspace
from tidegate.errors import StoreUnavailable
from tidegate.gateway import Gateway
from tidegate.memory.batch_callers import MemoryCallers
from tidegate.memory.batch_objects import MemoryBatchObjects
from tidegate.memory.batch_table import MemoryBatchTable
from tidegate.memory.meter import MemoryMeter
from tidegate.memory.reply_store import MemoryReplyStore
from tidegate.memory.world import MemoryWorld, create_memory_gateway
from tidegate.pipeline.lazy_reuse import ReuseLoader
from tidegate.policy.routing.retry import Retries
from tidegate.settings import Settings
from tidegate.surfaces.openai import OPENAI
from tidegate.transport.httpx import HttpxTransport

NOON = 1_795_262_400.0
"""2026-11-21T12:00:00Z"""

PATH = "/v1/chat/completions"
MODEL = "openai/gpt-4.1-mini"

Answer = Callable[[str, int], httpx.Response | Awaitable[httpx.Response]]
"""Answers a prompt that is asked for the n-th time, counted from 1."""


@dataclass
class Clock:
    """UTC seconds: the loop's time, moved on by the test. On a jumping loop, waits take no time either."""

    begin: float = NOON
    moved: float = 0.0

    def __post_init__(self) -> None:
        self._started = asyncio.get_running_loop().time()

    def __call__(self) -> float:
        return self.begin + self.moved + asyncio.get_running_loop().time() - self._started

    def move(self, seconds: float) -> None:
        self.moved += max(seconds, 0.0)


@dataclass
class VirtualQueue:
    """The port BatchQueue. Messages come when they are due by the clock, in the order of their times."""

    clock: Clock
    due: list[tuple[float, int, Message]] = field(default_factory=list[tuple[float, int, Message]])
    known: set[int] = field(default_factory=set[int])
    sent: list[Message] = field(default_factory=list[Message])
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    _numbers: Iterable[int] = field(default_factory=itertools.count)

    async def send(self, message: Message, delay_seconds: float = 0.0) -> None:
        self.sent.append(message)
        self.put(message, delay_seconds)

    def put(self, message: Message, delay_seconds: float = 0.0, *, is_new: bool = True) -> None:
        number = next(iter(self._numbers))
        heapq.heappush(self.due, (self.clock() + delay_seconds, number, message))
        if not is_new:
            self.known.add(number)
        self.changed.set()

    def take_due(self) -> Message | None:
        delivery = self.take_delivery()
        return delivery[0] if delivery else None

    def take_delivery(self) -> tuple[Message, bool] | None:
        """A message that is due, and whether it has never been delivered."""
        if not self.due or self.due[0][0] > self.clock():
            return None
        _, number, message = heapq.heappop(self.due)
        return message, number not in self.known


@dataclass
class RecordedEvents:
    """The port BatchEvents."""

    emitted: list[tuple[BatchEventType, Batch]] = field(default_factory=list[tuple[BatchEventType, Batch]])

    async def emit(self, event_type: BatchEventType, batch: Batch) -> None:
        self.emitted.append((event_type, batch))

    def types(self, batch_id: str) -> list[BatchEventType]:
        return [kind for kind, batch in self.emitted if batch.id == batch_id and kind != "BatchProgress"]


class Killed(BaseException):
    """The worker is dead. It is no `Exception`, so that nothing in the engine can catch it and go on."""


@dataclass
class Deaths:
    """Counts the accesses of all workers, and says which worker dies. `fails_at` are accesses that fail instead."""

    kill_at: frozenset[int] = frozenset()
    fails_at: frozenset[int] = frozenset()
    accesses: int = 0
    killed: int = 0


class Worker:
    """A worker's accesses to its ports, of which none is made any more once it is dead."""

    def __init__(self, deaths: Deaths) -> None:
        self.deaths = deaths
        self.is_dead = False
        self.died = asyncio.Event()

    def kill(self) -> None:
        self.is_dead = True
        self.deaths.killed += 1
        self.died.set()

    def check(self) -> None:
        if self.is_dead:
            raise Killed

    async def access(self, method: Callable[..., Awaitable[Any]], *args: Any, **named: Any) -> Any:
        """Make one access. The worker may die before it or after it: an even number is done, an odd one is not."""
        self.check()
        self.deaths.accesses += 1
        number = self.deaths.accesses
        if number in self.deaths.fails_at:
            raise StoreUnavailable("down")
        if number in self.deaths.kill_at and number % 2:
            self.kill()
            raise Killed
        result = await method(*args, **named)
        if number in self.deaths.kill_at:
            self.kill()
        self.check()
        return result

    def port(self, port: Any) -> Any:
        """The port as this worker has it."""
        return _Port(self, port)

    def components(self, components: BatchComponents) -> BatchComponents:
        gateway = components.gateway
        ports = ("table", "objects", "queue", "callers", "events", "settlements")
        changes = {name: self.port(getattr(components, name)) for name in ports}
        own = replace(gateway, ledger=self.port(gateway.ledger), meter=self.port(gateway.meter))
        return replace(components, gateway=own, **changes)


class _Port:
    def __init__(self, worker: Worker, inner: Any) -> None:
        self._worker, self._inner = worker, inner

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        worker = self._worker
        if name == "chunks":

            async def chunks(*args: Any, **named: Any) -> AsyncGenerator[bytes]:
                worker.check()
                async for chunk in value(*args, **named):
                    yield chunk
                    worker.check()

            return chunks
        if name == "writer":
            return lambda *args, **named: _Writer(worker, value(*args, **named))
        if not callable(value):
            return value
        return lambda *args, **named: worker.access(value, *args, **named)


class _Writer(_Port):
    """An object that is written by a worker; it is never complete if the worker dies before."""

    async def __aenter__(self) -> "_Writer":
        self._worker.check()
        await self._inner.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        died = (Killed, Killed(), None) if self._worker.is_dead else error
        await self._inner.__aexit__(*died)
        self._worker.check()


@dataclass
class Provider:
    """Answers all models. `prompts` are the last messages of the requests that it got, in order."""

    answer: Answer = lambda prompt, _: httpx.Response(200, json=completion(f"Re: {prompt}"))
    seconds: float = 0.0
    prompts: list[str] = field(default_factory=list[str])
    counts: Counter[str] = field(default_factory=Counter[str])
    now: int = 0
    most: int = 0

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        prompt = str(json.loads(request.content)["messages"][-1]["content"])
        self.prompts.append(prompt)
        self.counts[prompt] += 1
        number = self.counts[prompt]
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(self.seconds)
            response = self.answer(prompt, number)
            return response if isinstance(response, httpx.Response) else await response
        finally:
            self.now -= 1


@dataclass
class BatchWorld:
    """The engine and all that is behind it."""

    components: BatchComponents
    clock: Clock
    queue: VirtualQueue
    events: RecordedEvents
    provider: Provider
    memory: MemoryWorld
    deaths: Deaths
    copies: int = 1
    worker_seconds: float = 800.0
    handled: list[Message] = field(default_factory=list[Message])

    async def submit(
        self, lines: Sequence[Any] | bytes, *, window_seconds: float = 86_400, path: str = PATH, **fields: Any
    ) -> Batch:
        """Store a file and a batch, and send the first messages; `fields` are the batch's."""
        now = self.clock()
        data = lines if isinstance(lines, bytes) else jsonl(lines)
        workspace_id = fields.pop("workspace_id", WORKSPACE.id)
        file_id, batch_id = f"file-{ulid(now)}", f"batch_{ulid(now)}"
        key = file_key(workspace_id, file_id)
        await self.components.objects.put(key, data)
        file = StoredFile(
            id=file_id,
            workspace_id=workspace_id,
            filename="in.jsonl",
            purpose="batch",
            bytes=len(data),
            key=key,
            created_at=now,
        )
        known = {"input_file_id": file_id, "input_key": key, "input_bytes": len(data), "completion_window": "24h"}
        times = {"created_at": now, "expires_at": now + window_seconds}
        batch = Batch(
            id=batch_id, workspace_id=workspace_id, endpoint=path, **{"key_id": KEY.id, **known, **times, **fields}
        )
        assert await self.components.table.save(file, batch)
        self.queue.put(Validate(workspace_id, batch_id))
        self.queue.put(Sweep())
        return await self.batch(batch_id, workspace_id)

    async def batch(self, batch_id: str, workspace_id: str = WORKSPACE.id) -> Batch:
        """The batch as stored."""
        batch = await self.components.table.find_batch(workspace_id, batch_id)
        assert batch is not None
        return batch

    async def run_until_idle(
        self, *, workers: int = 4, seconds: float = 7 * 86_400.0, until: Callable[[], bool] = lambda: False
    ) -> None:
        """Deliver messages to workers until there are none, `until()` is true, or the clock has moved on by `seconds`.

        When all workers are idle, the clock moves to the time of the next message. Raises what a worker has raised.
        """
        end, running = self.clock() + seconds, set[asyncio.Task[None]]()
        while not until():
            while len(running) < workers and (delivery := self.queue.take_delivery()) is not None:
                message, is_new = delivery
                for _ in range(self.copies if is_new else 1):
                    running.add(asyncio.create_task(self._deliver(message)))
            next_due = self.queue.due[0][0] if self.queue.due else end
            if running:
                self.queue.changed.clear()
                waiter = asyncio.create_task(self.queue.changed.wait())
                left = next_due - self.clock() if len(running) < workers else None
                done, _ = await asyncio.wait({waiter, *running}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                waiter.cancel()
                running -= done
                for task in done - {waiter}:
                    task.result()
            elif not self.queue.due or next_due > end:
                return
            else:
                self.clock.move(next_due - self.clock())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _deliver(self, message: Message) -> None:
        """Deliver one message as SQS does: one that failed, or whose worker has died, comes again."""
        worker = Worker(self.deaths)
        engine = Engine(worker.components(self.components))
        step = asyncio.create_task(_step(engine, message, self.clock() + self.worker_seconds))
        death = asyncio.create_task(worker.died.wait())
        try:
            await asyncio.wait({step, death}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            death.cancel()
            if not step.done():
                step.cancel()
            (result,) = await asyncio.gather(step, return_exceptions=True)
        self.handled.append(message)
        match result:
            case _ if worker.is_dead:
                self.queue.put(message, 60.0, is_new=False)
            case TryLater():
                self.queue.put(message, result.seconds, is_new=False)
            case StoreUnavailable():
                self.queue.put(message, 1.0, is_new=False)
            case BaseException():
                raise result
            case _:
                pass

    async def output(self, batch: Batch) -> list[Any]:
        """The lines of the output file."""
        return await self._lines(batch.workspace_id, batch.output_file_id)

    async def errors(self, batch: Batch) -> list[Any]:
        """The lines of the error file."""
        return await self._lines(batch.workspace_id, batch.error_file_id)

    async def _lines(self, workspace_id: str, file_id: str | None) -> list[Any]:
        if file_id is None:
            return []
        file = await self.components.table.find_file(workspace_id, file_id)
        assert file is not None
        data = await self.components.objects.read(file.key)
        assert data is not None and len(data) == file.bytes
        return [json.loads(line) for line in data.splitlines()]

    def held(self) -> list[Any]:
        """The holds that are not settled, of all accounts."""
        return [hold for account in self.memory.ledger.accounts.values() for hold in account.holds.values()]

    async def records(self, workspace_id: str = WORKSPACE.id) -> Sequence[dict[str, Any]]:
        """The records of calls and of parts, the newest first."""
        return await self.memory.meter.calls(workspace_id, 10_000)


async def _step(engine: Engine, message: Message, deadline: float) -> None:
    try:
        await engine.handle(message, deadline)
    except BaseExceptionGroup as group:
        if group.subgroup(Killed) is not None:
            raise Killed from None
        raise


@asynccontextmanager
async def batch_world(
    provider: Provider | None = None,
    *,
    options: BatchOptions | None = None,
    workspace: Workspace = WORKSPACE,
    key: VirtualKey = KEY,
    limits: Limits | None = None,
    kill_at: Iterable[int] = (),
    fails_at: Iterable[int] = (),
    copies: int = 1,
    worker_seconds: float = 800.0,
    **env: str,
) -> AsyncIterator[BatchWorld]:
    """The engine over a gateway in memory with the workspace ws_test, its key, and keys of openai and mistral."""
    clock, deaths = Clock(), Deaths(frozenset(kill_at), frozenset(fails_at))
    provider = provider or Provider()
    fake = HttpxTransport(httpx.MockTransport(provider))
    keys = {"OPENAI_API_KEY": "provider-secret-1", "MISTRAL_API_KEY": "provider-secret-2"}
    settings = Settings.from_env({"TIDEGATE_TABLE": "t", "AWS_REGION": "us-east-1", **keys, **env})
    async with MemoryWorld(settings) as memory:
        memory.ledger.clock = memory.tenants.clock = clock
        memory.meter = MemoryMeter(clock=clock, ledger=memory.ledger)
        await memory.tenants.put_workspace(workspace if limits is None else replace(workspace, limits=limits))
        await memory.tenants.put_workspace(Workspace("ws_other", "Other"))
        await memory.tenants.put_key(key)
        overrides = Overrides(wrap=lambda _: fake, retries=Retries(lambda: 1.0, _no_sleep))
        replies = MemoryReplyStore(clock)
        reuse = ReuseLoader(lambda: (replies, replies))
        gateway: Gateway = replace(await create_memory_gateway(memory, overrides), clock=clock, reuse=reuse)
        queue, events = VirtualQueue(clock), RecordedEvents()
        components = BatchComponents(
            table=MemoryBatchTable(clock),
            objects=MemoryBatchObjects(),
            queue=queue,
            callers=MemoryCallers(memory.tenants),
            events=events,
            settlements=memory.meter,
            gateway=gateway,
            endpoints={PATH: (OPENAI, CHAT)},
            options=options or BatchOptions(),
            clock=clock,
        )
        yield BatchWorld(components, clock, queue, events, provider, memory, deaths, copies, worker_seconds)


async def _no_sleep(seconds: float) -> None:
    pass


def request(number: int, content: str | None = None, model: str = MODEL, **body: Any) -> dict[str, Any]:
    """One line of an input file."""
    messages = [{"role": "user", "content": content or f"Line {number}."}]
    return {
        "custom_id": f"line-{number}",
        "method": "POST",
        "url": PATH,
        "body": {"model": model, "max_tokens": 20, "messages": messages, **body},
    }


def requests(count: int, **fields: Any) -> list[dict[str, Any]]:
    """Lines of an input file, whose custom ids and prompts have their numbers from 0."""
    return [request(number, **fields) for number in range(count)]


def jsonl(lines: Iterable[Any]) -> bytes:
    """A file of these lines, which are values or bytes."""
    return b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines)


def numbers(results: Iterable[Any]) -> list[int]:
    """The numbers of the lines whose results these are, in order."""
    return [int(match[1]) for result in results if (match := re.fullmatch(r"line-(\d+)", result["custom_id"]))]

"""What the proof of the batch engine shares: a provider with faults, and what must be true at the end.

Of a hundred lines, five meet faults that pass, one meets a fault that lasts, and two are answered slowly. The number
of a line decides, so that every process knows what becomes of it. The provider counts what it is asked and what it
answers, and learns which answers are on record: these lines must never be asked again.
"""

import json
import random
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from tests.batch.journals import journal_results
from tests.batch.world import PATH, VirtualQueue, numbers, request
from tests.world import KEY, WORKSPACE, completion
from tidegate.batch.components import BatchStores
from tidegate.batch.keys import file_key
from tidegate.batch.messages import Message
from tidegate.batch.part_answers import journal_keys
from tidegate.domain.account import AccountScope, used_amount
from tidegate.domain.batch import Batch, Part, StoredFile
from tidegate.domain.ids import ulid
from tidegate.domain.limits import Limits
from tidegate.domain.record import counter_periods
from tidegate.ports import Ledger, UsageReader

LIMITS = Limits(usd_per_month=Decimal(1000), tokens_per_month=10**9)
"""Those of the workspace and of the key, so that all is held and booked in two accounts."""

SCOPES = (AccountScope("workspace", WORKSPACE.id, LIMITS), AccountScope("key", KEY.id, LIMITS))

INPUT_USD, OUTPUT_USD = Decimal("0.0000004"), Decimal("0.0000016")
"""A token of gpt-4.1-mini, as in the catalog: https://developers.openai.com/api/docs/pricing (checked 2026-11-21)."""

BROKEN = 0
"""The status of an answer that never comes: the connection ends."""


class Fate(NamedTuple):
    """What becomes of a line: so many faults with that status, or no end of them, or an answer that is `slow`."""

    status: int = 200
    faults: int = 0
    lasts: bool = False
    slow: bool = False


def fate(number: int) -> Fate:
    draw = zlib.crc32(b"%d" % number)
    share, kind = draw % 100, draw // 100
    if share < 1:
        return Fate((400, 500)[kind % 2], lasts=True)
    if share < 6:
        status = (429, 500, 503, BROKEN)[kind % 4]
        # A broken connection costs an estimate, which the line tells if the same call has got an answer after it.
        return Fate(status, faults=1 if status == BROKEN else 1 + kind // 4 % 3)
    return Fate(slow=share < 8)


class Reply(NamedTuple):
    """An answer: its status, `BROKEN` if there is none, its headers and its body."""

    status: int
    headers: Mapping[str, str]
    body: Any


@dataclass
class FaultyProvider:
    """Answers lines by their fates. `lines_again` are those that were asked although their answer was on record."""

    asks: Counter[int] = field(default_factory=Counter[int])
    answers: Counter[int] = field(default_factory=Counter[int])
    on_record: set[int] = field(default_factory=set[int])
    lines_again: list[int] = field(default_factory=list[int])

    def ask(self, number: int) -> Fate:
        """Count a request; the fate says how long the answer takes."""
        self.asks[number] += 1
        if number in self.on_record:
            self.lines_again.append(number)
        return fate(number)

    def answer(self, number: int) -> Reply:
        """The answer to a request that was counted."""
        line = fate(number)
        if line.lasts or self.asks[number] <= line.faults:
            headers = {"retry-after": "1"} if line.status == 429 else {}
            return Reply(line.status, headers, {"error": {"message": "This is a fault.", "type": "fault"}})
        self.answers[number] += 1
        return Reply(200, {}, completion(f"Re: {number}", usage(number)))


def usage(number: int) -> dict[str, int]:
    prompt, answer = 10 + number % 7, 5 + number % 11
    return {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer}


def line_number(body: bytes) -> int:
    """The number of the line whose request this is."""
    return int(json.loads(body)["messages"][-1]["content"].removeprefix("Line ").removesuffix("."))


def lines(count: int) -> bytes:
    """An input file."""
    return b"".join(json.dumps(request(number)).encode() + b"\n" for number in range(count))


async def store_batch(stores: BatchStores, data: bytes, now: float) -> Batch:
    """Store a file of the workspace, and a batch of it. Nobody is told."""
    file_id, batch_id = f"file-{ulid(now)}", f"batch_{ulid(now)}"
    key = file_key(WORKSPACE.id, file_id)
    await stores.objects.put(key, data)
    file = StoredFile(
        id=file_id,
        workspace_id=WORKSPACE.id,
        filename="in.jsonl",
        purpose="batch",
        bytes=len(data),
        key=key,
        created_at=now,
    )
    batch = Batch(
        id=batch_id,
        workspace_id=WORKSPACE.id,
        key_id=KEY.id,
        endpoint=PATH,
        input_file_id=file_id,
        input_key=key,
        input_bytes=len(data),
        completion_window="24h",
        created_at=now,
        expires_at=now + 86_400,
    )
    assert await stores.table.save(file, batch)
    return batch


class ShuffledQueue(VirtualQueue):
    """Delivers messages up to three seconds late, so that they overtake each other."""

    late: random.Random

    def put(self, message: Message, delay_seconds: float = 0.0, **known: bool) -> None:
        super().put(message, delay_seconds + self.late.uniform(0.0, 3.0), **known)


class Watched:
    """A port, of which one method is another."""

    def __init__(self, port: Any, **methods: Callable[..., Any]) -> None:
        self._port, self._methods = port, methods

    def __getattr__(self, name: str) -> Any:
        return self._methods.get(name) or getattr(self._port, name)


def watch_record(table: Any, objects: Any, on_record: Callable[[Sequence[int]], None]) -> tuple[Any, Any]:
    """The two ports, which tell which lines are answered on record, as soon as they are."""
    written: dict[str, list[int]] = {}

    async def put(key: str, data: bytes) -> None:
        await objects.put(key, data)
        if "/journal/" in key:
            written[key] = [result.line for result in journal_results(data)]

    async def save(*values: Any) -> bool:
        is_saved = await table.save(*values)
        if is_saved:
            keys = [key for value in values if isinstance(value, Part) for key in journal_keys(value)]
            if found := [line for key in keys for line in written.pop(key, [])]:
                on_record(found)
        return is_saved

    return Watched(table, save=save), Watched(objects, put=put)


@dataclass(frozen=True)
class Ended:
    """A batch that has ended, its files, and what the stores say. `deaths` are those of workers that had a part."""

    batch: Batch
    output: Sequence[Any]
    errors: Sequence[Any]
    usages: UsageReader
    ledger: Ledger
    now: float
    deaths: int
    parallel_calls: int

    async def prove(self, provider: FaultyProvider) -> str:
        """Check everything, and return the figures in a line."""
        self._check_lines()
        again = self._check_asks(provider)
        await self._check_charges()
        asked = provider.asks.total()
        told = f"{self.batch.total:,} lines, {self.batch.parts} parts, {asked:,} requests, {self.deaths} deaths"
        return f"{told}, {self.batch.usage.lost} lost, {again} answered twice"

    def _check_lines(self) -> None:
        total = self.batch.total
        failing = [number for number in range(total) if fate(number).lasts]
        assert self.batch.status == "completed"
        assert numbers(self.errors) == failing
        assert numbers(self.output) == sorted(set(range(total)) - set(failing))
        assert (len(self.output), len(self.errors)) == (total - len(failing), len(failing))
        for line, number in zip(self.output, numbers(self.output), strict=True):
            body = line["response"]["body"]
            assert body["choices"][0]["message"]["content"] == f"Re: {number}"
            is_told = {name: body["usage"][name] for name in usage(number)} == usage(number)
            assert is_told or fate(number).status == BROKEN
        for line, number in zip(self.errors, failing, strict=True):
            status, fault = line["response"]["status_code"], fate(number).status
            assert status == fault if fault == 400 else status >= 500, line
        assert (self.batch.usage.completed, self.batch.usage.failed) == (total - len(failing), len(failing))

    def _check_asks(self, provider: FaultyProvider) -> int:
        """No line is asked again whose answer is on record; what else was answered twice is told, and little."""
        assert provider.lines_again == []
        assert set(provider.asks) == set(range(self.batch.total))
        assert max(provider.answers.values()) <= 1 + self.deaths
        again = sum(count - 1 for count in provider.answers.values())
        # A worker has lines in the air, and as many answers that are not on record yet.
        assert again <= self.batch.usage.lost <= self.deaths * 2 * self.parallel_calls
        return again

    async def _check_charges(self) -> None:
        used = [line["response"]["body"]["usage"] for line in self.output]
        tokens_in, tokens_out = (sum(each[name] for each in used) for name in ("prompt_tokens", "completion_tokens"))
        cost = tokens_in * INPUT_USD + tokens_out * OUTPUT_USD
        total, told = self.batch.total, self.batch.usage
        assert (told.input_tokens, told.output_tokens, told.cost_usd) == (tokens_in, tokens_out, cost)
        records = [each for each in await self.usages.calls(WORKSPACE.id, 10_000) if each["status"] == "batch"]
        assert sum(int(str(each["lines"])) for each in records) == total
        assert sum((Decimal(str(each["cost_usd"])) for each in records), Decimal(0)) == cost
        counters = await self.usages.counters(WORKSPACE.id, counter_periods(self.now)[0])
        assert counters is not None
        assert (counters["calls"], Decimal(str(counters["cost_usd"]))) == (total, cost)
        assert (counters["input_tokens"], counters["output_tokens"]) == (tokens_in, tokens_out)
        for scope in SCOPES:
            account = await self.ledger.account(scope)
            assert account.holds == {}
            assert used_amount(account, "usd", "month", self.now) == cost
            assert used_amount(account, "tokens", "month", self.now) == tokens_in + tokens_out

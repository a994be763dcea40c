"""Validation: from the bytes of an input to the parts of a batch, or to the list of its faults."""

import json
import time
import tracemalloc
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.batch.world import MODEL, PATH, BatchWorld, batch_world, jsonl, request, requests
from tests.work import counted
from tidegate.batch.batches import cancel_batch
from tidegate.batch.digests import CustomIds
from tidegate.batch.keys import RANGES_PER_OBJECT, batch_prefix
from tidegate.batch.lines import BYTE_ORDER_MARK
from tidegate.batch.messages import Notify, RunPart, Validate
from tidegate.batch.ports import PIECE_BYTES
from tidegate.batch.ranges import read_ranges
from tidegate.batch.validation import MAX_DEATHS, validate_batch
from tidegate.domain.batch import Batch, BatchFault, PartRange
from tidegate.domain.batch_options import BatchOptions
from tidegate.errors import NotFound, StoreUnavailable
from tidegate.memory.batch_objects import MemoryBatchObjects

SMALL = BatchOptions(part_lines=3, part_bytes=2_000, max_line_bytes=1_000, max_lines=50)


class SmallPieces(MemoryBatchObjects, frozen=True):
    """Objects that are read in pieces of 100 bytes, so that a deadline can fall anywhere."""

    async def chunks(self, key: str, first: int = 0, length: int | None = None) -> AsyncGenerator[bytes]:
        async for chunk in super().chunks(key, first, length):
            for start in range(0, len(chunk), 100):
                yield chunk[start : start + 100]


async def validate(world: BatchWorld, batch: Batch, seconds: float = 800.0) -> Batch:
    """Validate to the end, one piece after the other."""
    for _ in range(10_000):
        await validate_batch(world.components, batch.workspace_id, batch.id, world.clock() + seconds)
        stored = await world.batch(batch.id, batch.workspace_id)
        if stored.status != "validating":
            return stored
    raise AssertionError("The validation does not end.")


async def ranges_of(world: BatchWorld, batch: Batch) -> list[PartRange]:
    return list((await read_ranges(world.components.objects, batch, range(batch.parts))).values())


async def faults_of(data: bytes, options: BatchOptions = SMALL, **fields: Any) -> tuple[BatchFault, ...]:
    """The faults of an input, after which nothing of the batch is left but itself."""
    async with batch_world(options=options) as world:
        batch = await validate(world, await world.submit(data, **fields))
        assert (batch.status, batch.failed_at is not None) == ("failed", True)
        assert (batch.total, batch.parts, batch.cursor, batch.step_lease_until) == (0, 0, {}, 0.0)
        assert await world.components.objects.list_keys(batch_prefix(batch.workspace_id, batch.id)) == []
        assert world.events.emitted == [("BatchFailed", batch)]
        assert [message.event for message in world.queue.sent if isinstance(message, Notify)] == ["batch.failed"]
        return batch.errors


def codes(faults: tuple[BatchFault, ...]) -> list[tuple[str, int | None]]:
    return [(fault.code, fault.line) for fault in faults]


async def test_an_input_is_divided_into_parts() -> None:
    lines = [json.dumps(line).encode() for line in requests(8)]
    data = BYTE_ORDER_MARK + lines[0] + b"\r\n\n" + b"\n".join(lines[1:4]) + b"\n \t\r\n" + b"\n".join(lines[4:])
    async with batch_world(options=SMALL) as world:
        batch = await validate(world, await world.submit(data))
        assert (batch.status, batch.total, batch.parts, batch.model) == ("in_progress", 8, 3, MODEL)
        assert (batch.providers, batch.errors, batch.cursor) == (("openai",), (), {})
        assert batch.in_progress_at is not None and batch.step_lease_until == 0.0
        ranges = await ranges_of(world, batch)
        assert [(part.number, part.first_line, part.lines) for part in ranges] == [(0, 0, 3), (1, 3, 3), (2, 6, 2)]
        texts = [data[part.first_byte : part.first_byte + part.length].split() for part in ranges]
        assert [b"".join(text) for text in texts] == [
            b"".join(b"".join(lines[first : first + 3]).split()) for first in (0, 3, 6)
        ]
        assert batch.running == (0, 1, 2)
        assert world.queue.sent == [RunPart(batch.workspace_id, batch.id, number) for number in range(3)]
        assert [kind for kind, _ in world.events.emitted] == ["BatchValidated"]


async def test_a_part_has_no_more_bytes_than_it_may_but_at_least_one_line() -> None:
    options = replace(SMALL, part_bytes=500)
    lines = [request(0, "a"), request(1, "b"), request(2, "c" * 700), request(3, "d"), request(4, "e")]
    async with batch_world(options=options) as world:
        batch = await validate(world, await world.submit(lines))
        parts = await ranges_of(world, batch)
        assert [part.lines for part in parts] == [2, 1, 2]
        assert [part.length <= 500 for part in parts] == [True, False, True]


async def test_a_large_gap_between_lines_ends_a_part() -> None:
    data = jsonl([request(0)]) + b"\n" * 5_000 + jsonl([request(1)])
    async with batch_world(options=SMALL) as world:
        batch = await validate(world, await world.submit(data))
        assert [part.length < 300 for part in await ranges_of(world, batch)] == [True, True]


async def test_lines_may_name_several_models() -> None:
    lines = [request(0, model="mistral/mistral-small-latest"), request(1), request(2, model="no-such-model")]
    async with batch_world(options=SMALL) as world:
        batch = await validate(world, await world.submit(lines))
        assert (batch.status, batch.model, batch.providers) == ("in_progress", None, ("mistral", "openai"))


async def test_a_model_with_a_very_long_name_is_not_kept() -> None:
    async with batch_world(options=replace(SMALL, max_line_bytes=10_000)) as world:
        batch = await validate(world, await world.submit([request(0, model="m" * 5_000)]))
        assert batch.model == "m" * 200
        many = [request(number, model=f"openai/{number}" + "m" * 300) for number in range(45)]
        assert (await validate(world, await world.submit(many))).model is None


EMPTY = BatchFault("empty_file", "The input file is empty. Please ensure that the batch contains at least one request.")


@pytest.mark.parametrize("data", [b"", b"\n", b" \r\n\t\n\n", BYTE_ORDER_MARK, BYTE_ORDER_MARK + b"\r\n"])
async def test_an_input_without_requests_is_told(data: bytes) -> None:
    assert await faults_of(data) == (EMPTY,)


async def test_faults_have_the_numbers_of_their_lines_in_the_file() -> None:
    lines = [b"", b"hello", request(0), b"\xff\xfe", {**request(1), "method": "PUT"}, request(2, "x" * 1_000), b"[]"]
    assert codes(await faults_of(jsonl(lines))) == [
        ("invalid_json_line", 2),
        ("invalid_json_line", 4),
        ("invalid_value", 5),
        ("line_too_long", 6),
        ("invalid_json_line", 7),
    ]
    assert codes(await faults_of(b"\n\nnot json")) == [("invalid_json_line", 3)]


async def test_a_line_of_the_longest_length_is_accepted_and_a_longer_one_told() -> None:
    missing = 1_000 - len(json.dumps(request(0, "x")))
    async with batch_world(options=SMALL) as world:
        batch = await validate(world, await world.submit([request(0, "x" * (1 + missing))]))
        assert batch.status == "in_progress"
    expected = (BatchFault("line_too_long", "This line is longer than 1,000 bytes.", 1),)
    assert await faults_of(jsonl([request(0, "x" * (2 + missing))])) == expected
    assert codes(await faults_of(b"x" * 50_000)) == [("line_too_long", 1)]


async def test_repeated_custom_ids_are_told_beside_other_faults() -> None:
    twin = json.dumps(request(0)).replace("line-0", "\\u006cine-0").encode()
    message = "The custom ID for this request is a duplicate of the custom ID in another request."
    faults = await faults_of(jsonl([request(0), request(1), twin, b"{}", request(0), request(2)]))
    assert faults[0] == BatchFault("duplicate_custom_id", message, 3, "custom_id")
    assert codes(faults) == [
        ("duplicate_custom_id", 3),
        ("missing_required_parameter", 4),
        ("duplicate_custom_id", 5),
    ]


async def test_a_hundred_faults_are_listed_and_reading_stops() -> None:
    options = replace(SMALL, max_lines=500)
    assert codes(await faults_of(b"x\n" * 300, options)) == [("invalid_json_line", n) for n in range(1, 101)]
    copies = codes(await faults_of(jsonl([request(0)] * 300), options))
    assert copies == [("duplicate_custom_id", n) for n in range(2, 102)]


async def test_lines_behind_the_last_listed_fault_are_not_looked_at() -> None:
    async with batch_world() as world:
        batch = await world.submit(b"x\n" * 50_000)
        with counted() as work:
            failed = await validate(world, batch)
    assert (len(failed.errors), work.lines < 100_000) == (100, True)


async def test_one_request_too_many_is_told_and_reading_stops() -> None:
    async with batch_world(options=SMALL) as world:
        assert (await validate(world, await world.submit(requests(50)))).total == 50
    faults = await faults_of(jsonl([*requests(50), b"\n", request(50), b"not read any more"]))
    message = "The number of requests in the input file exceeds the maximum of 50."
    assert faults == (BatchFault("too_many_tasks", message),)
    mixed = await faults_of(jsonl([*requests(49), request(0), request(50)]))
    assert codes(mixed) == [("duplicate_custom_id", 50), ("too_many_tasks", None)]
    objects = replace(SMALL, max_object_lines=60)
    async with batch_world(options=objects) as world:
        assert (await validate(world, await world.submit(requests(60), source="object"))).total == 60


async def test_the_limits_of_a_batch_are_openais() -> None:
    options = BatchOptions()
    assert (options.max_lines, options.max_input_bytes) == (50_000, 200 * 1024 * 1024)


async def test_one_byte_too_many_is_told_unread() -> None:
    data = jsonl(requests(3))
    async with batch_world(options=replace(SMALL, max_input_bytes=len(data))) as world:
        assert (await validate(world, await world.submit(data))).status == "in_progress"
    small = replace(SMALL, max_input_bytes=len(data) - 1)
    message = f"The input file is {len(data)} bytes large, which exceeds the maximum of {len(data) - 1} bytes."
    assert await faults_of(data, small) == (BatchFault("file_too_large", message),)
    async with batch_world(options=small) as world:
        assert (await validate(world, await world.submit(data, source="object"))).status == "in_progress"


async def test_an_input_that_is_gone_or_another_one_is_told() -> None:
    async with batch_world(options=SMALL) as world:
        batch = await world.submit(requests(3))
        await world.components.objects.delete([batch.input_key])
        assert codes((await validate(world, batch)).errors) == [("file_not_found", None)]
        batch = await world.submit(requests(3))
        await world.components.objects.put(batch.input_key, jsonl(requests(4)))
        assert codes((await validate(world, batch)).errors) == [("input_modified", None)]


@pytest.mark.parametrize("later", [None, jsonl(requests(3))])
async def test_an_input_that_goes_while_it_is_read_is_told(later: bytes | None) -> None:
    class Vanishing(SmallPieces, frozen=True):
        async def chunks(self, key: str, first: int = 0, length: int | None = None) -> AsyncGenerator[bytes]:
            yield (self.objects.get(key) or b"")[first : first + 100]
            if later is None:
                self.objects.pop(key)
                raise NotFound("The object does not exist.")
            self.objects[key] = later
            yield later[first + 100 :]

    async with batch_world(options=SMALL) as world:
        batch = await world.submit(requests(20))
        objects = Vanishing(world.components.objects.objects)
        world.components = replace(world.components, objects=objects)
        expected = "file_not_found" if later is None else "input_modified"
        assert codes((await validate(world, batch)).errors) == [(expected, None)]


async def test_out_of_time_another_process_goes_on_there() -> None:
    async with batch_world(options=SMALL) as world:
        world.components = replace(world.components, objects=SmallPieces())
        batch = await world.submit(requests(10))
        await validate_batch(world.components, batch.workspace_id, batch.id, world.clock())
        stored = await world.batch(batch.id)
        assert (stored.status, stored.step_lease_until) == ("validating", 0.0)
        assert 0 < int(stored.cursor["byte"]) < batch.input_bytes
        assert world.queue.sent == [Validate(batch.workspace_id, batch.id)]
        ended = await validate(world, batch, seconds=0.0)
        assert (ended.status, ended.total, ended.parts) == ("in_progress", 10, 4)


@settings(max_examples=25)
@given(st.data())
async def test_pieces_find_what_one_reading_finds(data: st.DataObject) -> None:
    kinds = st.sampled_from([*(jsonl([request(n)]) for n in range(6)), b"\n", b"x\n", b"y" * 1_500 + b"\n", b"{}\n"])
    lines = [jsonl([request(n)]) for n in range(10, 20)] + data.draw(st.lists(kinds, max_size=12))
    text = b"".join(data.draw(st.permutations(lines)))
    found: list[tuple[Any, ...]] = []
    for objects, seconds in ((MemoryBatchObjects(), 800.0), (SmallPieces(), 0.0)):
        async with batch_world(options=SMALL) as world:
            world.components = replace(world.components, objects=objects)
            batch = await validate(world, await world.submit(text), seconds)
            ranges = await ranges_of(world, batch) if batch.parts else []
            found.append((batch.status, batch.errors, batch.total, batch.parts, batch.model, ranges))
    assert found[0] == found[1]


async def test_more_parts_than_an_object_of_ranges_has() -> None:
    options = BatchOptions(part_lines=1, max_lines=3_000)
    async with batch_world(options=options) as world:
        world.components = replace(world.components, objects=SmallPieces())
        batch = await validate(world, await world.submit(requests(2 * RANGES_PER_OBJECT + 5)))
        assert [part.first_line for part in await ranges_of(world, batch)] == list(range(2_005))


@pytest.mark.parametrize("kill_at", range(1, 32))
@pytest.mark.parametrize("kind", ["good", "bad"])
async def test_a_process_may_die_anywhere(kind: str, kill_at: int) -> None:
    lines = [*requests(9), *([b"x"] if kind == "bad" else [])]
    async with batch_world(options=SMALL, kill_at=[kill_at, kill_at + 7]) as world:
        world.components = replace(world.components, objects=SmallPieces())
        world.worker_seconds = 0.0
        batch = await world.submit(lines)

        def is_over() -> bool:
            kinds = {kind for kind, _ in world.events.emitted}
            return bool(kinds) and not any(isinstance(message, Validate) for _, _, message in world.queue.due)

        world.queue.due = [entry for entry in world.queue.due if isinstance(entry[2], Validate)]
        await world.run_until_idle(workers=1, until=is_over)
        batch = await world.batch(batch.id)
        if kind == "bad":
            assert (batch.status, codes(batch.errors)) == ("failed", [("invalid_json_line", 10)])
        else:
            assert (batch.status, batch.total, batch.parts) == ("in_progress", 9, 3)
            assert [part.lines for part in await ranges_of(world, batch)] == [3, 3, 3]
        assert world.deaths.killed <= 2


async def test_one_process_at_a_time_validates() -> None:
    async with batch_world(options=SMALL) as world:
        batch = await world.submit(requests(5))
        assert await world.components.table.save(replace(batch, step_lease_until=world.clock() + 100.0))
        await validate_batch(world.components, batch.workspace_id, batch.id, world.clock() + 800.0)
        assert (await world.batch(batch.id)).status == "validating"
        world.clock.move(101.0)
        assert (await validate(world, batch)).status == "in_progress"


async def test_a_store_that_fails_gives_the_step_back() -> None:
    class Failing(MemoryBatchObjects, frozen=True):
        async def size(self, key: str) -> int | None:
            raise StoreUnavailable("down")

    async with batch_world(options=SMALL) as world:
        batch = await world.submit(requests(5))
        broken = replace(world.components, objects=Failing())
        for _ in range(2 * MAX_DEATHS):
            with pytest.raises(StoreUnavailable):
                await validate_batch(broken, batch.workspace_id, batch.id, world.clock() + 800.0)
        assert (await validate(world, batch)).status == "in_progress"


async def test_an_input_of_which_processes_die_is_given_up() -> None:
    class Deadly(MemoryBatchObjects, frozen=True):
        async def size(self, key: str) -> int | None:
            raise MemoryError

    async with batch_world(options=SMALL) as world:
        batch = await world.submit(requests(5))
        deadly = replace(world.components, objects=Deadly())
        for _ in range(MAX_DEATHS):
            with pytest.raises(MemoryError):
                await validate_batch(deadly, batch.workspace_id, batch.id, world.clock() + 800.0)
            world.clock.move(831.0)
        failed = await validate(world, batch)
        assert (failed.status, codes(failed.errors)) == ("failed", [("validation_failed", None)])


async def test_a_batch_that_is_cancelled_meanwhile_stays_cancelled() -> None:
    class Cancelling(MemoryBatchObjects, frozen=True):
        async def chunks(self, key: str, first: int = 0, length: int | None = None) -> AsyncGenerator[bytes]:
            await cancel_batch(world.components, batch.workspace_id, batch.id)
            async for chunk in super().chunks(key, first, length):
                yield chunk

    async with batch_world(options=SMALL) as world:
        batch = await world.submit(requests(5))
        objects = Cancelling(world.components.objects.objects)
        await validate_batch(
            replace(world.components, objects=objects), batch.workspace_id, batch.id, world.clock() + 800.0
        )
        stored = await world.batch(batch.id)
        assert (stored.status, stored.ending, stored.total) == ("finalizing", "cancelled", 0)


async def test_an_unknown_batch_is_left_alone() -> None:
    async with batch_world() as world:
        await validate_batch(world.components, "ws_test", "batch_x", world.clock())
        assert world.queue.sent == []


@given(st.lists(st.integers(0, 30)), st.integers(1, 50))
async def test_stored_custom_ids_find_what_all_at_once_find(ids: list[int], size: int) -> None:
    whole, first, second = CustomIds(), CustomIds(), CustomIds()
    for number, id in enumerate(ids, 1):
        whole.add(str(id), number)
        if number <= size:
            first.add(str(id), number)
    stored = b"".join(first.pieces())

    async def chunks() -> AsyncGenerator[bytes]:
        for start in range(0, len(stored), size):
            yield stored[start : start + size]

    await second.load(first.sizes, chunks())
    for number, id in enumerate(ids[size:], size + 1):
        second.add(str(id), number)
    expected = [number for number, id in enumerate(ids, 1) if id in ids[: number - 1]]
    assert await whole.repeated(5) == await second.repeated(5) == expected[:5]


class Synthetic(MemoryBatchObjects, frozen=True, kw_only=True):
    """An input that is made while it is read: lines of 1,024 bytes, of which it has `lines`."""

    lines: int
    key: str = ""

    def line(self, number: int) -> bytes:
        head = b'{"custom_id":"line-%09d","method":"POST","url":"%b",' % (number, PATH.encode())
        head += b'"body":{"model":"%b","messages":[{"role":"user","content":"' % MODEL.encode()
        return head + b"x" * (1024 - 6 - len(head)) + b'"}]}}\n'

    async def size(self, key: str) -> int | None:
        return self.lines * 1024 if key.startswith("files/") else await super().size(key)

    async def chunks(self, key: str, first: int = 0, length: int | None = None) -> AsyncGenerator[bytes]:
        if not key.startswith("files/"):
            async for chunk in super().chunks(key, first, length):
                yield chunk
            return
        while first < self.lines * 1024:
            number, end = first // 1024, min(self.lines, first // 1024 + PIECE_BYTES // 1024)
            piece = b"".join(map(self.line, range(number, end)))[first % 1024 :]
            first += len(piece)
            yield piece


async def test_a_large_input_takes_little_memory() -> None:
    """200 MiB, two hundred thousand lines. What grows with the number of lines are 16 bytes for each."""
    lines = 200 * 1024
    async with batch_world(options=BatchOptions(max_lines=lines, max_input_bytes=lines * 1024)) as world:
        batch = await world.submit(b"")
        batch = replace(batch, input_bytes=lines * 1024)
        assert await world.components.table.save(batch)
        world.components = replace(world.components, objects=Synthetic(lines=lines))
        tracemalloc.start()
        try:
            ended = await validate(world, batch)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert (ended.status, ended.total, ended.parts) == ("in_progress", lines, lines // 200)
        assert peak < 48 * 1024 * 1024


if __name__ == "__main__":
    import asyncio

    async def measure() -> None:
        lines = 1024 * 1024
        async with batch_world(options=BatchOptions(max_lines=lines, max_input_bytes=lines * 1024)) as world:
            batch = replace(await world.submit(b""), input_bytes=lines * 1024)
            await world.components.table.save(batch)
            objects = Synthetic(lines=lines)
            began = time.perf_counter()
            async for _ in objects.chunks("files/x"):
                pass
            making = time.perf_counter() - began
            world.components = replace(world.components, objects=objects)
            began = time.perf_counter()
            await validate(world, batch)
            print(lines / 1024 / (time.perf_counter() - began - making), "MiB/s; making", making)

    asyncio.run(measure())

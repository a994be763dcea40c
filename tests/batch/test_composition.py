"""Composition: every line of the input is once in one of the files, in order, whatever became of its part."""

from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest
from msgspec import field
from msgspec.structs import replace

from tests.batch.scripted import answered_part, done_part
from tests.batch.world import BatchWorld, batch_world, numbers, requests
from tidegate.batch.composition import compose_results
from tidegate.batch.keys import batch_prefix, part_errors_key, part_output_key
from tidegate.batch.messages import Compose, Notify
from tidegate.batch.ports import ObjectWriter
from tidegate.batch.results import request_id
from tidegate.batch.validation import validate_batch
from tidegate.domain.batch import Batch, BatchUsage, Part, StoredFile
from tidegate.domain.batch_options import BatchOptions
from tidegate.errors import StoreUnavailable
from tidegate.memory.batch_objects import MemoryBatchObjects

OPTIONS = BatchOptions(part_lines=4)


async def finalizing(world: BatchWorld, lines: int, states: Sequence[int | None], **fields: Any) -> Batch:
    """A batch that is to be composed. A state is the number of a part's answers on record, or None if it is done.

    Parts without a state were never fed.
    """
    submitted = await world.submit(requests(lines), **fields)
    await validate_batch(world.components, submitted.workspace_id, submitted.id, world.clock() + 800.0)
    batch, components = await world.batch(submitted.id), world.components
    stored = await components.table.find_parts(batch, batch.running)
    parts: list[Part] = []
    usage = BatchUsage()
    for number, count in enumerate(states):
        if count is None:
            part = await done_part(components, batch, number)
            usage += part.usage
        else:
            part = replace(await answered_part(components, batch, number, count), status="returned")
        parts.append(replace(part, version=stored[number].version if number in stored else 0))
    ended = {"status": "finalizing", "finalizing_at": world.clock(), "usage": usage, "fed": len(states)}
    returned = tuple(part.number for part in parts if part.status == "returned")
    for part in parts:
        assert await components.table.save(part)
    world.queue.sent.clear()
    world.events.emitted.clear()
    assert await components.table.save(replace(batch, running=(), returned=returned, **{**ended, **fields}))
    return await world.batch(batch.id)


async def compose(world: BatchWorld, batch: Batch, seconds: float = 800.0) -> Batch:
    """Compose to the end, one piece after the other."""
    for _ in range(1_000):
        await compose_results(world.components, batch.workspace_id, batch.id, world.clock() + seconds)
        stored = await world.batch(batch.id)
        if stored.is_terminal:
            return stored
    raise AssertionError("The composition does not end.")


async def check(world: BatchWorld, batch: Batch, errors: dict[int, str | None]) -> None:
    """Check the files: `errors` are the lines of the error file, with the code of those that nobody answered."""
    output, error_lines = await world.output(batch), await world.errors(batch)
    assert numbers(output) == [number for number in range(batch.total) if number not in errors]
    assert [line["response"]["body"] for line in output] == [{"line": number} for number in numbers(output)]
    assert {int(line["id"][-7:]): line["error"] and line["error"]["code"] for line in error_lines} == errors
    assert [line["id"] for line in error_lines] == [request_id(batch.id, number) for number in sorted(errors)]
    assert (batch.usage.completed, batch.usage.failed) == (len(output), len(errors))
    assert await world.components.objects.list_keys(batch_prefix(batch.workspace_id, batch.id)) == []


async def test_the_results_of_all_parts_are_joined_in_order() -> None:
    async with batch_world(options=OPTIONS) as world:
        batch = await compose(world, await finalizing(world, 11, [None] * 3))
        assert (batch.status, batch.cursor, batch.step_lease_until) == ("completed", {}, 0.0)
        assert batch.completed_at is not None and batch.expired_at is None and batch.cancelled_at is None
        await check(world, batch, {4: None, 9: None})
        file = await world.components.table.find_file("ws_test", batch.output_file_id or "")
        assert file is not None
        expected = StoredFile(
            id=file.id,
            workspace_id="ws_test",
            filename=f"{batch.id}_output.jsonl",
            purpose="batch_output",
            bytes=file.bytes,
            key=f"files/ws_test/{file.id}",
            created_at=batch.completed_at,
            version=1,
        )
        assert file == expected
        assert world.events.emitted == [("BatchCompleted", batch)]
        assert [message.event for message in world.queue.sent if isinstance(message, Notify)] == ["batch.completed"]


@pytest.mark.parametrize("ending", ["expired", "cancelled"])
async def test_lines_that_nobody_answered_are_errors(ending: str) -> None:
    code = f"batch_{ending}"
    async with batch_world(options=OPTIONS) as world:
        batch = await compose(world, await finalizing(world, 22, [None, 3, 0, None, 4], ending=ending))
        assert (batch.status, getattr(batch, f"{ending}_at") is not None) == (ending, True)
        unanswered = dict.fromkeys((7, 8, 9, 10, 11, 20, 21), code)
        await check(world, batch, {4: None, 14: None, 19: None, **unanswered})
        assert numbers(await world.errors(batch)) == [4, 7, 8, 9, 10, 11, 14, 19, 20, 21]
        assert [kind for kind, _ in world.events.emitted] == ["BatchCompleted"]


async def test_a_batch_that_was_cancelled_before_it_began_has_no_files() -> None:
    async with batch_world(options=OPTIONS) as world:
        batch = replace(await world.submit(requests(3)), status="finalizing", ending="cancelled")
        assert await world.components.table.save(batch)
        ended = await compose(world, batch)
        assert (ended.status, ended.output_file_id, ended.error_file_id) == ("cancelled", None, None)


async def test_a_file_without_lines_does_not_exist() -> None:
    async with batch_world(options=OPTIONS) as world:
        batch = await compose(world, await finalizing(world, 4, [None]))
        assert (batch.output_file_id is None, batch.error_file_id) == (False, None)
        batch = await compose(world, await finalizing(world, 4, [], ending="expired"))
        assert (batch.output_file_id, batch.error_file_id is None) == (None, False)
        keys = await world.components.objects.list_keys("files/")
        assert len(keys) == 4  # two inputs, an output, errors


async def test_lines_of_an_input_that_is_gone_are_errors_without_a_custom_id() -> None:
    async with batch_world(options=OPTIONS) as world:
        batch = await finalizing(world, 6, [2], ending="expired")
        await world.components.objects.delete([batch.input_key])
        batch = await compose(world, batch)
        await check(world, batch, dict.fromkeys(range(2, 6), "batch_expired"))
        assert [line["custom_id"] for line in await world.errors(batch)] == [None] * 4


async def test_results_of_a_part_that_somebody_deleted_come_from_its_journal() -> None:
    async with batch_world(options=OPTIONS) as world:
        batch = await finalizing(world, 8, [None, None])
        await world.components.objects.delete([part_output_key("ws_test", batch.id, 1)])
        await world.components.objects.put(part_errors_key("ws_test", batch.id, 1), b"")
        await check(world, await compose(world, batch), {4: None})


async def test_large_results_are_copied_inside_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.batch.part_results.PIECE_BYTES", 500)
    async with batch_world(options=OPTIONS) as world:
        batch = await finalizing(world, 11, [None] * 3)
        await check(world, await compose(world, batch), {4: None, 9: None})
        batch = await finalizing(world, 8, [None, None])
        await world.components.objects.delete([part_output_key("ws_test", batch.id, 0)])
        await check(world, await compose(world, batch), {4: None})


async def test_results_of_a_dropped_object_have_its_names() -> None:
    async with batch_world(options=OPTIONS) as world:
        prefix = "workspaces/ws_test/out/job.jsonl/"
        batch = await finalizing(world, 8, [None, 0], ending="expired", output_prefix=prefix, output_seconds=3_600.0)
        batch = await compose(world, batch)
        await check(world, batch, dict.fromkeys(range(4, 8), "batch_expired"))
        for name, id in (("output", batch.output_file_id), ("errors", batch.error_file_id)):
            file = await world.components.table.find_file("ws_test", id or "")
            assert file is not None
            assert (file.key, file.expires_at) == (f"{prefix}{name}.jsonl", (batch.expired_at or 0) + 3_600.0)


async def test_out_of_time_another_process_goes_on_there() -> None:
    async with batch_world(options=OPTIONS) as world:
        batch = await finalizing(world, 150, [None, 2, None, 0, None], ending="cancelled")
        await compose_results(world.components, "ws_test", batch.id, world.clock())
        left = await world.batch(batch.id)
        assert (left.status, left.step_lease_until, left.cursor["part"]) == ("finalizing", 0.0, 1)
        assert world.queue.sent == [Compose("ws_test", batch.id)]
        ended = await compose(world, batch, seconds=0.0)
        answered = [*range(4), 4, 5, *range(8, 12), *range(16, 20)]
        errors = {number: None if number in answered else "batch_cancelled" for number in range(150)}
        for number in answered:
            if number % 5 != 4:
                del errors[number]
        await check(world, ended, errors)


@pytest.mark.parametrize("seconds", [800.0, 0.0])
@pytest.mark.parametrize("kill_at", range(1, 40))
async def test_a_process_may_die_anywhere(kill_at: int, seconds: float) -> None:
    async with batch_world(options=OPTIONS) as world:
        batch = await finalizing(world, 18, [None, 2, None], ending="expired")
        world.deaths.accesses, world.deaths.kill_at = 0, frozenset({kill_at, kill_at + 5})
        world.worker_seconds = seconds
        world.queue.due.clear()
        world.queue.put(Compose("ws_test", batch.id))
        await world.run_until_idle(workers=1)
        batch = await world.batch(batch.id)
        if not batch.is_terminal:  # the message is gone, and the sweep sends another one
            world.clock.move(900.0)
            await compose(world, batch, seconds)
            batch = await world.batch(batch.id)
        answered = {4: None, 9: None}
        await check(world, batch, {**answered, **dict.fromkeys((6, 7, *range(12, 18)), "batch_expired")})
        assert world.events.types(batch.id)[:1] == ["BatchCompleted"]


class Late(MemoryBatchObjects, frozen=True, kw_only=True):
    """Objects of a process that is stopped at one of its accesses, while another one composes the files."""

    world: BatchWorld
    batch: Batch
    stops_at: int
    accesses: list[str] = field(default_factory=list[str])

    async def count(self, key: str) -> None:
        self.accesses.append(key)
        if len(self.accesses) == self.stops_at:
            self.world.clock.move(900.0)
            await compose(self.world, self.batch)

    async def read(self, key: str, first: int = 0, length: int | None = None) -> bytes | None:
        await self.count(key)
        return await super().read(key, first, length)

    def writer(self, key: str, *, content_type: str = "application/jsonl") -> ObjectWriter:
        inner, count = super().writer(key), self.count

        class Writer(type(inner)):
            async def __aexit__(self, *error: object) -> None:
                await count(key)
                await super().__aexit__(*error)

        inner.__class__ = Writer
        return inner


@pytest.mark.parametrize("prefix", [None, "workspaces/ws_test/out/job/"])
@pytest.mark.parametrize("stops_at", range(1, 12))
async def test_a_process_that_comes_too_late_changes_nothing(stops_at: int, prefix: str | None) -> None:
    async with batch_world(options=OPTIONS) as world:
        batch = await finalizing(world, 8, [None, None], output_prefix=prefix)
        objects = Late(world.components.objects.objects, world=world, batch=batch, stops_at=stops_at)
        late = replace(world.components, objects=objects)
        await compose_results(late, "ws_test", batch.id, world.clock() + 800.0)
        ended = await world.batch(batch.id)
        await compose_results(world.components, "ws_test", batch.id, world.clock() + 800.0)
        await check(world, ended, {4: None})
        assert [kind for kind, _ in world.events.emitted] == ["BatchCompleted"]
        files = [key for key in await world.components.objects.list_keys("") if not key.startswith("batches/")]
        assert len(files) == 3


async def test_a_process_that_comes_too_late_does_not_end_the_work_of_another() -> None:
    class Interrupted(MemoryBatchObjects, frozen=True):
        async def read(self, key: str, first: int = 0, length: int | None = None) -> bytes | None:
            if not (await world.batch(batch.id)).cursor.get("part"):
                world.clock.move(900.0)
                await compose_results(world.components, "ws_test", batch.id, world.clock())
            return await super().read(key, first, length)

    async with batch_world(options=OPTIONS) as world:
        batch = await finalizing(world, 16, [2, 2, 2, 2], ending="expired")
        late = replace(world.components, objects=Interrupted(world.components.objects.objects))
        await compose_results(late, "ws_test", batch.id, world.clock() + 800.0)
        left = await world.batch(batch.id)
        assert (left.status, left.cursor["part"], left.usage.failed) == ("finalizing", 1, 2)
        answered = {number for part in range(4) for number in (part * 4, part * 4 + 1)}
        errors = {number: "batch_expired" for number in range(16) if number not in answered}
        await check(world, await compose(world, batch), {**errors, 4: None, 9: None})


async def test_what_is_composed_and_was_deleted_is_composed_again() -> None:
    async with batch_world(options=OPTIONS) as world:
        batch = await finalizing(world, 160, [None] * 40)
        await compose_results(world.components, "ws_test", batch.id, world.clock())
        composed = await world.components.objects.list_keys(f"{batch_prefix('ws_test', batch.id)}composed/")
        assert len(composed) == 2
        await world.components.objects.delete(composed)
        await check(world, await compose(world, batch), dict.fromkeys(range(4, 160, 5)))


async def test_a_store_that_fails_gives_the_step_back() -> None:
    class Failing(MemoryBatchObjects, frozen=True):
        async def read(self, key: str, first: int = 0, length: int | None = None) -> bytes | None:
            raise StoreUnavailable("down")

    async with batch_world(options=OPTIONS) as world:
        batch = await finalizing(world, 8, [None, None])
        broken = replace(world.components, objects=Failing())
        with pytest.raises(StoreUnavailable):
            await compose_results(broken, "ws_test", batch.id, world.clock() + 800.0)
        await check(world, await compose(world, batch), {4: None})


async def test_results_are_never_all_in_memory() -> None:
    """Fifty parts of a MiB each: what is read and not written yet is never more than a few of them."""

    class Counting(MemoryBatchObjects, frozen=True, kw_only=True):
        sizes: list[int] = field(default_factory=list[int])

        async def read(self, key: str, first: int = 0, length: int | None = None) -> bytes | None:
            self.sizes.append(length or 0)
            return b"x" * (length or 0)

        async def chunks(self, key: str, first: int = 0, length: int | None = None) -> AsyncGenerator[bytes]:
            raise AssertionError
            yield b""

    class Sink:
        size = 0

        async def write(self, data: bytes) -> None:
            self.size += len(data)
            counting.sizes.append(-len(data))

    from tidegate.batch.part_results import PartResults

    counting = Counting()
    async with batch_world(options=BatchOptions(part_lines=1)) as world:
        batch = await finalizing(world, 50, [None] * 50)
        for number, part in (await world.components.table.find_parts(batch, range(50))).items():
            assert await world.components.table.save(replace(part, output_bytes=1024**2, error_bytes=number))
        results = PartResults(replace(world.components, objects=counting), batch)
        output, errors, next_part = Sink(), Sink(), 0
        while next_part < 50:
            next_part = await results.append(next_part, output, errors)
        assert (output.size, errors.size) == (50 * 1024**2, sum(range(50)))
        held = [sum(counting.sizes[:end]) for end in range(len(counting.sizes) + 1)]
        assert max(held) <= 8 * 1024**2

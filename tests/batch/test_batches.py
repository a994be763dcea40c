"""What callers do with batches: what is refused at once, and what cancelling and resuming start."""

from typing import Any

import pytest
from msgspec.structs import replace
from openai.types import Batch as OpenAIBatch

from tests.batch.world import NOON, PATH, BatchWorld, batch_world, requests
from tests.world import KEY, WORKSPACE
from tidegate.batch import batches
from tidegate.batch.fields import Fields
from tidegate.batch.messages import Compose, PollJobs, RunPart, Sweep, Validate
from tidegate.batch.ports import Page
from tidegate.batch.views import batch_json
from tidegate.domain.batch import Batch, BatchFault, BatchUsage, Part, ProviderJob
from tidegate.domain.batch_options import BatchOptions
from tidegate.domain.limits import Amounts
from tidegate.errors import Conflict, InvalidRequest, NotFound, RateLimited, StoreUnavailable


async def create(world: BatchWorld, **fields: Any) -> Batch:
    return await batches.create_batch(world.components, WORKSPACE.id, KEY.id, Fields(fields))


async def input_file(world: BatchWorld, **changes: Any) -> str:
    """The id of a stored file, which no batch has."""
    batch = await world.submit(requests(3))
    file = await world.components.table.find_file(WORKSPACE.id, batch.input_file_id)
    assert file is not None
    file = replace(file, id=f"{file.id}X", version=0, **changes)
    assert await world.components.table.save(file, replace(batch, status="failed"))
    world.queue.sent.clear()
    return file.id


def known(file_id: str, **fields: Any) -> dict[str, Any]:
    return {"input_file_id": file_id, "endpoint": PATH, "completion_window": "24h", **fields}


async def test_a_batch_is_created_and_started() -> None:
    async with batch_world() as world:
        file_id = await input_file(world)
        policy = {"anchor": "created_at", "seconds": 3600}
        batch = await create(world, **known(file_id, metadata={"job": "night"}, output_expires_after=policy))
        assert await batches.find_batch(world.components, WORKSPACE.id, batch.id) == batch
        assert (batch.key_id, batch.output_seconds, batch.mode) == (KEY.id, 3600.0, "calls")
        assert world.queue.sent == [Validate(WORKSPACE.id, batch.id), Sweep()]
        document = batch_json(batch)
        assert document == {
            "object": "batch",
            "id": batch.id,
            "endpoint": PATH,
            "model": None,
            "errors": None,
            "input_file_id": file_id,
            "completion_window": "24h",
            "status": "validating",
            "output_file_id": None,
            "error_file_id": None,
            "created_at": int(NOON),
            "in_progress_at": None,
            "expires_at": int(NOON) + 86_400,
            "finalizing_at": None,
            "completed_at": None,
            "failed_at": None,
            "expired_at": None,
            "cancelling_at": None,
            "cancelled_at": None,
            "request_counts": {"total": 0, "completed": 0, "failed": 0},
            "usage": {
                "input_tokens": 0,
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens": 0,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": 0,
            },
            "metadata": {"job": "night"},
            "tidegate": {
                "mode": "calls",
                "mode_reason": None,
                "source": "api",
                "pause": None,
                "paused_at": None,
                "parts": 0,
                "running_parts": 0,
                "lost": 0,
                "cost_usd": 0.0,
                "words_used": 0,
            },
        }
        # Every field that OpenAI's own type has is there.
        assert OpenAIBatch.model_fields.keys() <= document.keys()


async def test_a_batch_whose_message_is_lost_is_created_and_left_to_the_sweep() -> None:
    async with batch_world() as world:
        file_id = await input_file(world)

        class DownQueue:
            async def send(self, message: Any, delay_seconds: float = 0.0) -> None:
                raise StoreUnavailable("down")

        down = replace(world.components, queue=DownQueue())
        batch = await batches.create_batch(down, WORKSPACE.id, KEY.id, Fields(known(file_id)))
        assert (await world.batch(batch.id)).status == "validating"


@pytest.mark.parametrize(
    ("changes", "param", "code"),
    [
        ({"input_file_id": None}, "input_file_id", "missing_required_parameter"),
        ({"input_file_id": 7}, "input_file_id", "invalid_type"),
        ({"endpoint": None}, "endpoint", "missing_required_parameter"),
        ({"endpoint": "/v1/embeddings"}, "endpoint", "invalid_value"),
        ({"completion_window": None}, "completion_window", "missing_required_parameter"),
        ({"completion_window": "30m"}, "completion_window", "invalid_value"),
        ({"completion_window": "0h"}, "completion_window", "invalid_value"),
        ({"completion_window": "169h"}, "completion_window", "invalid_value"),
        ({"completion_window": "8d"}, "completion_window", "invalid_value"),
        ({"completion_window": "24H"}, "completion_window", "invalid_value"),
        ({"metadata": []}, "metadata", "invalid_type"),
        ({"metadata": {str(n): "" for n in range(17)}}, "metadata", "object_above_max_properties"),
        ({"metadata": {"n" * 65: "v"}}, "metadata", "string_above_max_length"),
        ({"metadata": {"n": "v" * 513}}, "metadata.n", "string_above_max_length"),
        ({"metadata": {"n": 5}}, "metadata.n", "invalid_type"),
        ({"metadata": {"tidegate_mode": "fast"}}, "metadata.tidegate_mode", "invalid_value"),
        (
            {"output_expires_after": {"anchor": "created_at"}},
            "output_expires_after.seconds",
            "missing_required_parameter",
        ),
        (
            {"output_expires_after": {"anchor": "created_at", "seconds": 60}},
            "output_expires_after.seconds",
            "integer_below_min_value",
        ),
    ],
)
async def test_wrong_fields_are_refused_at_once(changes: Any, param: str, code: str) -> None:
    async with batch_world() as world:
        file_id = await input_file(world)
        with pytest.raises(InvalidRequest) as raised:
            await create(world, **known(file_id) | changes)
        assert (raised.value.param, raised.value.code, world.queue.sent) == (param, code, [])


async def test_bounds_are_included() -> None:
    metadata = {"n" * 64: "v" * 512, **{str(n): "" for n in range(14)}, "tidegate_mode": "provider_batch"}
    async with batch_world() as world:
        file_id = await input_file(world)
        batch = await create(world, **known(file_id, metadata=metadata, completion_window="7d"))
        assert (batch.mode, batch.metadata, batch.expires_at) == (
            "provider_batch",
            metadata,
            batch.created_at + 7 * 86_400,
        )
        assert (await create(world, **known(file_id, completion_window="1h"))).completion_window == "1h"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"purpose": "user_data"}, "has the purpose 'user_data': upload it with the purpose 'batch'"),
        ({"status": "error"}, "is not JSONL"),
        ({"status": "pending"}, "has not been uploaded completely"),
    ],
)
async def test_a_file_that_is_no_input_is_refused(changes: Any, message: str) -> None:
    async with batch_world() as world:
        file_id = await input_file(world, **changes)
        if changes.get("status") == "pending":
            await world.components.objects.delete(await world.components.objects.list_keys(""))
        with pytest.raises(InvalidRequest, match=message):
            await create(world, **known(file_id))


async def test_the_file_of_another_workspace_is_like_an_unknown_one() -> None:
    async with batch_world() as world:
        foreign = (await world.submit(requests(1), workspace_id="ws_other")).input_file_id
        for file_id in (foreign, "file-unknown"):
            with pytest.raises(NotFound, match=f"^No such File object: {file_id}$") as raised:
                await create(world, **known(file_id))
            assert raised.value.param == "input_file_id"


async def test_a_workspace_has_a_bounded_number_of_open_batches() -> None:
    async with batch_world(options=BatchOptions(max_open_batches=1)) as world:
        await world.submit(requests(1), workspace_id="ws_other")
        file_id = await input_file(world)
        first = await create(world, **known(file_id))
        with pytest.raises(RateLimited, match="1 open batches") as raised:
            await create(world, **known(file_id))
        assert raised.value.should_retry is False
        assert await world.components.table.save(replace(first, status="completed"))
        await create(world, **known(file_id))


async def test_batches_are_listed_in_pages_the_newest_first() -> None:
    async with batch_world() as world:
        made: list[str] = []
        for _ in range(3):
            world.clock.move(1.0)
            made.append((await world.submit(requests(1))).id)
        await world.submit(requests(1), workspace_id="ws_other")
        page, has_more = await batches.list_batches(world.components, WORKSPACE.id, Page(2))
        assert ([batch.id for batch in page], has_more) == (made[:0:-1], True)
        page, has_more = await batches.list_batches(world.components, WORKSPACE.id, Page(2, after=made[1]))
        assert ([batch.id for batch in page], has_more) == (made[:1], False)


async def test_a_foreign_batch_can_neither_be_seen_nor_changed() -> None:
    async with batch_world() as world:
        foreign = await world.submit(requests(1), workspace_id="ws_other")
        for batch_id in (foreign.id, "batch_unknown"):
            for use in (batches.find_batch, batches.cancel_batch, batches.resume_batch):
                with pytest.raises(NotFound, match=f"^No batch found with id '{batch_id}'.$") as raised:
                    await use(world.components, WORKSPACE.id, batch_id)
                assert (raised.value.param, raised.value.code) == (None, None)
        assert await world.batch(foreign.id, "ws_other") == foreign


async def test_a_cancelled_batch_waits_for_its_parts_and_is_cancelling_until_its_end() -> None:
    async with batch_world() as world:
        batch = await world.submit(requests(3), status="in_progress", total=3, parts=1, fed=1, running=(0,))
        cancelled = await batches.cancel_batch(world.components, WORKSPACE.id, batch.id)
        assert (cancelled.status, world.queue.sent) == ("cancelling", [])
        assert await world.components.table.save(replace(cancelled, running=(), returned=(0,)))
        again = await batches.cancel_batch(world.components, WORKSPACE.id, batch.id)
        assert (again.status, again.ending, again.cancelling_at) == ("finalizing", "cancelled", cancelled.cancelling_at)
        assert batch_json(again)["status"] == "cancelling"
        assert world.queue.sent == [Compose(WORKSPACE.id, batch.id)]


async def test_cancelling_a_batch_of_a_provider_cancels_its_jobs() -> None:
    async with batch_world() as world:
        job = ProviderJob(provider="openai", deployment="a", reference="b", job_id="c", status="in_progress")
        fields = {"mode": "provider_batch", "parts": 1, "running": (0,), "jobs": (job,)}
        batch = await world.submit(requests(3), status="in_progress", **fields)
        await batches.cancel_batch(world.components, WORKSPACE.id, batch.id)
        assert world.queue.sent == [PollJobs(WORKSPACE.id, batch.id)]


@pytest.mark.parametrize("status", ["completed", "failed", "expired", "cancelled", "finalizing"])
async def test_a_batch_that_has_ended_is_neither_cancelled_nor_resumed(status: Any) -> None:
    async with batch_world() as world:
        batch = await world.submit(requests(1), status=status, cancelling_at=1.0 if status == "cancelled" else None)
        with pytest.raises(Conflict, match=f"^Cannot cancel a batch with status '{status}'.$") as raised:
            await batches.cancel_batch(world.components, WORKSPACE.id, batch.id)
        assert (raised.value.status, raised.value.type, raised.value.code) == (409, "invalid_request_error", None)
        with pytest.raises(Conflict, match=f"^Cannot resume a batch with status '{status}'.$"):
            await batches.resume_batch(world.components, WORKSPACE.id, batch.id)
        assert await world.batch(batch.id) == batch


async def test_a_paused_batch_is_resumed_and_another_one_stays_as_it_is() -> None:
    async with batch_world() as world:
        paused = {"pause": "budget", "paused_at": 1.0, "paused_needs": Amounts(tokens=5)}
        batch = await world.submit(requests(3), status="in_progress", total=3, parts=1, fed=1, returned=(0,), **paused)
        part = Part(
            batch_id=batch.id, workspace_id=WORKSPACE.id, number=0, first_line=0, first_byte=0, length=9, lines=3
        )
        assert await world.components.table.save(replace(part, status="returned"))
        resumed = await batches.resume_batch(world.components, WORKSPACE.id, batch.id)
        assert (resumed.pause, resumed.paused_at, resumed.paused_needs, resumed.running) == (None, None, None, (0,))
        assert world.queue.sent == [RunPart(WORKSPACE.id, batch.id, 0)]
        assert await batches.resume_batch(world.components, WORKSPACE.id, batch.id) == resumed


async def test_a_batch_shows_what_is_on_record_of_parts_that_are_not_done() -> None:
    usage = BatchUsage(completed=2, failed=1, input_tokens=10, cached_tokens=4, output_tokens=6, reasoning_tokens=3)
    async with batch_world() as world:
        lists = {"running": (1,), "returned": (0,), "usage": usage}
        batch = await world.submit(requests(9), status="in_progress", total=9, parts=3, fed=3, **lists)
        for number in range(3):
            part = Part(
                batch_id=batch.id,
                workspace_id=WORKSPACE.id,
                number=number,
                first_line=0,
                first_byte=0,
                length=9,
                lines=3,
                usage=replace(usage, completed=10**number),
            )
            assert await world.components.table.save(part)
        (document,) = await batches.describe_batches(world.components, [batch])
        assert document["request_counts"] == {"total": 9, "completed": 13, "failed": 3}
        assert document["usage"] == {
            "input_tokens": 30,
            "input_tokens_details": {"cached_tokens": 12},
            "output_tokens": 18,
            "output_tokens_details": {"reasoning_tokens": 9},
            "total_tokens": 48,
        }
        (ended,) = await batches.describe_batches(world.components, [replace(batch, status="completed")])
        assert ended["request_counts"] == {"total": 9, "completed": 2, "failed": 1}


async def test_faults_and_unpriced_lines_are_shown() -> None:
    async with batch_world() as world:
        faults = (BatchFault("invalid_json_line", "This line is wrong.", 7), BatchFault("empty_file", "It is empty."))
        batch = await world.submit(requests(1), status="failed", errors=faults, usage=BatchUsage(unpriced=1))
        document: Any = batch_json(batch)
        assert document["errors"] == {
            "object": "list",
            "data": [
                {"code": "invalid_json_line", "message": "This line is wrong.", "line": 7, "param": None},
                {"code": "empty_file", "message": "It is empty.", "line": None, "param": None},
            ],
        }
        assert document["tidegate"]["cost_usd"] is None

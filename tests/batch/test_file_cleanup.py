"""Contents of expired files are deleted once a day; those of kept files and of open batches are not."""

from msgspec.structs import replace

from tests.batch.world import BatchWorld, batch_world, jsonl, requests
from tests.world import WORKSPACE
from tidegate.batch.file_cleanup import delete_expired_contents
from tidegate.batch.keys import file_key, upload_part_key
from tidegate.batch.messages import Sweep
from tidegate.domain.batch import StoredFile
from tidegate.domain.ids import ulid

DAY = 86_400.0


async def store(world: BatchWorld, *, seconds: float | None = None, listed: bool = True) -> str:
    """The key of a new file that expires after `seconds`, or of a content without an entry."""
    now = world.clock()
    file_id = f"file-{ulid(now)}"
    key = file_key(WORKSPACE.id, file_id)
    await world.components.objects.put(key, b"{}\n")
    if listed:
        file = StoredFile(
            id=file_id,
            workspace_id=WORKSPACE.id,
            filename="a",
            purpose="user_data",
            bytes=3,
            key=key,
            created_at=now,
            expires_at=None if seconds is None else now + seconds,
        )
        assert await world.components.table.save(file)
    return key


async def keys(world: BatchWorld) -> set[str]:
    return {*await world.components.objects.list_keys("files/"), *await world.components.objects.list_keys("uploads/")}


async def test_only_what_nobody_can_reach_is_deleted() -> None:
    async with batch_world() as world:
        forever = await store(world)
        kept = {forever, await store(world, seconds=3 * DAY)}
        expired = {await store(world, seconds=3600), await store(world, listed=False)}
        forgotten = upload_part_key(WORKSPACE.id, f"upload_{ulid(world.clock())}", "part_1")
        await world.components.objects.put(forgotten, b"1")
        batch = await world.submit(requests(1), status="in_progress", pause="budget")
        file = await world.components.table.find_file(WORKSPACE.id, batch.input_file_id)
        assert file is not None
        await world.components.table.delete_file(file)
        world.clock.move(2 * DAY)
        new = {await store(world, listed=False)}
        await delete_expired_contents(world.components, world.clock() + 100)
        assert await keys(world) == kept | new | {batch.input_key, forgotten}
        assert expired.isdisjoint(await keys(world))
        world.clock.move(3 * DAY)
        await delete_expired_contents(world.components, world.clock() + 100)
        assert await keys(world) == {forever, batch.input_key}


async def test_it_is_done_once_a_day_and_begins_anew_after_the_deadline() -> None:
    async with batch_world() as world:
        for _ in range(3):
            await store(world, listed=False)
        world.clock.move(2 * DAY)
        await delete_expired_contents(world.components, world.clock() - 1)
        assert len(await keys(world)) == 3
        await delete_expired_contents(world.components, world.clock() + 100)
        assert len(await keys(world)) == 3
        world.clock.move(DAY)
        await delete_expired_contents(world.components, world.clock() + 100)
        assert await keys(world) == set()


async def test_the_sweep_does_it() -> None:
    async with batch_world() as world:
        await store(world, seconds=3600)
        world.clock.move(2 * DAY)
        world.queue.put(Sweep())
        await world.run_until_idle(seconds=60)
        assert await keys(world) == set()


async def test_results_of_a_batch_are_files_like_others() -> None:
    async with batch_world() as world:
        batch = await world.submit(jsonl(requests(3)), output_seconds=3600.0)
        await world.run_until_idle(seconds=3000)
        ended = await world.batch(batch.id)
        assert ended.status == "completed" and ended.output_file_id is not None
        output = file_key(WORKSPACE.id, ended.output_file_id)
        assert output in await keys(world)
        world.clock.move(2 * DAY)
        await delete_expired_contents(world.components, world.clock() + 100)
        assert await keys(world) == {replace(ended).input_key}

"""What a workspace stores: a sum over its files and uploads, which its limits hold against."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace

from tests.batch.world import BatchWorld, batch_world, requests
from tests.world import WORKSPACE
from tidegate.batch import files, uploads
from tidegate.batch.components import BatchComponents
from tidegate.batch.fields import Fields
from tidegate.batch.files import FileReceiver, NewFile
from tidegate.batch.keys import file_key, results_prefix
from tidegate.batch.ports import Page
from tidegate.batch.storage import Storage, find_storage
from tidegate.domain.batch import StoredFile, Upload
from tidegate.domain.batch_options import BatchOptions
from tidegate.domain.ids import ulid
from tidegate.errors import RateLimited, RequestTooLarge, StoreUnavailable
from tidegate.memory.batch_objects import MemoryBatchObjects
from tidegate.memory.batch_table import MemoryBatchTable

OPTIONS = BatchOptions(max_stored_bytes=1_000, max_stored_files=5, max_open_uploads=3)
NEW_FILE = NewFile("a.txt", "user_data", None)
FULL = r"^This workspace stores [\d,]+ files with [\d,]+ bytes.* may store 5 with 1,000 bytes.* delete files first"


class PresignedObjects(MemoryBatchObjects, frozen=True):
    async def presigned_put(self, key: str, seconds: float, size: int) -> str | None:
        return f"https://bucket.example/{key}"


async def content(size: int, piece: int = 100) -> AsyncIterator[bytes]:
    for first in range(0, size, piece):
        await asyncio.sleep(0)
        yield bytes(min(piece, size - first))


async def create(components: BatchComponents, size: int, workspace_id: str = WORKSPACE.id, **fields: Any) -> StoredFile:
    receiver = FileReceiver(components, workspace_id)
    try:
        await receiver.receive(content(size), "user_data")
        return await receiver.save(replace(NEW_FILE, **fields))
    except BaseException:
        await receiver.discard()
        raise


async def begin(components: BatchComponents, size: int) -> Upload:
    fields = Fields({"filename": "a.txt", "purpose": "user_data", "mime_type": "text/plain", "bytes": size})
    return await uploads.create_upload(components, WORKSPACE.id, fields)


async def add(components: BatchComponents, upload: Upload, size: int) -> str:
    pending = await uploads.find_pending(components, WORKSPACE.id, upload.id)
    return await uploads.add_part(components, pending, content(size))


async def complete(components: BatchComponents, upload: Upload, *part_ids: str) -> StoredFile:
    fields = Fields({"part_ids": [*part_ids]})
    _, file = await uploads.complete_upload(components, WORKSPACE.id, upload.id, fields)
    assert file is not None
    return file


async def stored(components: BatchComponents) -> tuple[int, int]:
    """The files and bytes that are counted."""
    storage = await find_storage(components, WORKSPACE.id)
    return storage.files, storage.bytes


async def test_files_and_bytes_are_limited_until_files_are_deleted_or_have_expired() -> None:
    async with batch_world(options=OPTIONS) as world:
        first, _ = await create(world.components, 600), await create(world.components, 300, seconds=3600.0)
        with pytest.raises(RequestTooLarge, match=FULL) as raised:
            await create(world.components, 101)
        assert (raised.value.status, raised.value.code, raised.value.param) == (413, "storage_limit_exceeded", "file")
        assert "stores 2 files with 900 bytes" in raised.value.message
        await create(world.components, 101, workspace_id="ws_other")
        for _ in range(3):
            await create(world.components, 1)
        with pytest.raises(RequestTooLarge, match="stores 5 files with 903 bytes"):
            await create(world.components, 1)
        await files.delete_file(world.components, WORKSPACE.id, first.id)
        assert (await create(world.components, 697)).bytes == 697
        world.clock.move(3600)
        assert (await create(world.components, 300)).bytes == 300
        assert await stored(world.components) == (5, 1_000)


async def test_a_stream_stops_as_soon_as_the_limit_is_passed_and_leaves_nothing() -> None:
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 100
            yield bytes(100)

    async with batch_world(options=OPTIONS) as world:
        kept = await create(world.components, 700)
        with pytest.raises(RequestTooLarge, match=FULL):
            await FileReceiver(world.components, WORKSPACE.id).receive(endless(), None)
        assert taken == 400
        await create(world.components, 300)
        with pytest.raises(RequestTooLarge, match=FULL):
            await FileReceiver(world.components, WORKSPACE.id).receive(endless(), None)
        assert taken == 400
        assert await stored(world.components) == (2, 1_000)
        keys = await world.components.objects.list_keys("")
        assert kept.key in keys and len(keys) == 2


async def test_files_that_arrive_at_once_do_not_pass_the_limit() -> None:
    async with batch_world(options=OPTIONS) as world:
        results = await asyncio.gather(*(create(world.components, 400) for _ in range(4)), return_exceptions=True)
        assert {type(each) for each in results} <= {StoredFile, RequestTooLarge}
        kept = [each for each in results if isinstance(each, StoredFile)]
        assert len(kept) <= 2
        assert sorted(await world.components.objects.list_keys("")) == sorted(file.key for file in kept)
        assert await stored(world.components) == (len(kept), 400 * len(kept))
        # What was refused has taken no room.
        while await stored(world.components) < (2, 800):
            await create(world.components, 400)


async def create_pending(components: BatchComponents, size: int) -> StoredFile:
    file, _ = await files.create_pending_file(components, WORKSPACE.id, NEW_FILE, size)
    return file


@pytest.mark.parametrize("create_one", [create, begin, create_pending])
async def test_what_another_one_has_overtaken_is_refused_and_takes_no_room(create_one: Any) -> None:
    class Crowded(MemoryBatchTable):
        """Another process stores a file just before the first entry is written."""

        is_crowded = False

        async def save(self, *values: Any) -> bool:
            if not self.is_crowded:
                self.is_crowded = True
                await super().save(other)
            return await super().save(*values)

    async with batch_world(options=OPTIONS) as world:
        other = replace(await create(world.components, 900), version=0)
        components = replace(world.components, table=Crowded(world.clock), objects=PresignedObjects())
        with pytest.raises(RequestTooLarge, match="stores 2 files with 1,400 bytes"):
            await create_one(components, 500)
        assert await stored(components) == (1, 900)
        assert await components.objects.list_keys("") == []


async def test_a_file_whose_last_check_fails_is_not_stored() -> None:
    class Failing(MemoryBatchTable):
        async def list_uploads(self, workspace_id: str, page: Page) -> Any:
            if await self.list_files(workspace_id, page):
                raise StoreUnavailable("down")
            return await super().list_uploads(workspace_id, page)

    async with batch_world(options=OPTIONS) as world:
        components = replace(world.components, table=Failing(world.clock))
        with pytest.raises(StoreUnavailable):
            await create(components, 500)
        assert await components.table.list_files(WORKSPACE.id, Page(9)) == []
        assert await components.objects.list_keys("") == []


async def test_a_pending_file_counts_until_it_is_forgotten_or_wrong() -> None:
    async with batch_world(options=OPTIONS) as world:
        components = replace(world.components, objects=PresignedObjects())
        file = await create_pending(components, 600)
        for creating in (create_pending(components, 401), create(components, 401), begin(components, 401)):
            with pytest.raises(RequestTooLarge, match="stores 1 files with 600 bytes"):
                await creating
        await components.objects.put(file.key, bytes(600))
        assert (await files.find_file(components, WORKSPACE.id, file.id)).status == "processed"
        assert await stored(components) == (1, 600)
        wrong = await create_pending(components, 400)
        await components.objects.put(wrong.key, bytes(399))
        assert (await files.find_file(components, WORKSPACE.id, wrong.id)).status == "error"
        assert await stored(components) == (2, 600)  # without the content, which is deleted
        await create_pending(components, 400)
        world.clock.move(2 * 86_400)
        assert await stored(components) == (2, 600)


async def test_an_upload_counts_with_its_whole_file_and_once() -> None:
    async with batch_world(options=OPTIONS) as world:
        upload, other = await begin(world.components, 600), await begin(world.components, 400)
        assert await stored(world.components) == (2, 1_000)
        for creating in (begin(world.components, 1), create(world.components, 1)):
            with pytest.raises(RequestTooLarge, match="stores 2 files with 1,000 bytes"):
                await creating
        part_id = await add(world.components, upload, 600)
        assert (await complete(world.components, upload, part_id)).bytes == 600
        assert await stored(world.components) == (2, 1_000)
        await uploads.cancel_upload(world.components, WORKSPACE.id, other.id)
        assert await stored(world.components) == (1, 600)
        await create(world.components, 400)


async def test_an_expired_upload_counts_with_what_has_arrived_while_its_parts_may_exist() -> None:
    async with batch_world(options=OPTIONS) as world:
        upload = await begin(world.components, 600)
        await add(world.components, upload, 250)
        await begin(world.components, 400)
        world.clock.move(3_600)
        assert await find_storage(world.components, WORKSPACE.id) == Storage(
            options=OPTIONS, files=0, bytes=250, uploads=2, open_uploads=0
        )
        with pytest.raises(RequestTooLarge):
            await create(world.components, 751)
        await create(world.components, 750)
        world.clock.move(86_400)
        assert await stored(world.components) == (1, 750)


async def test_an_upload_is_not_completed_while_results_have_taken_its_room() -> None:
    async with batch_world(options=OPTIONS) as world:
        upload = await begin(world.components, 600)
        part_id = await add(world.components, upload, 600)
        result = await save_result(world, 500)
        with pytest.raises(RequestTooLarge, match="stores 2 files with 1,100 bytes"):
            await complete(world.components, upload, part_id)
        assert await world.components.objects.list_keys("files/") == []
        await files.delete_file(world.components, WORKSPACE.id, result.id)
        assert (await complete(world.components, upload, part_id)).bytes == 600


async def save_result(world: BatchWorld, size: int, prefix: str = "") -> StoredFile:
    id = f"file-{ulid(world.clock())}"
    key = f"{prefix}{id}" if prefix else file_key(WORKSPACE.id, id)
    file = StoredFile(
        id=id,
        workspace_id=WORKSPACE.id,
        filename="output.jsonl",
        purpose="batch_output",
        bytes=size,
        key=key,
        created_at=world.clock(),
    )
    assert await world.components.table.save(file)
    return file


async def test_results_of_batches_are_never_refused_and_count() -> None:
    async with batch_world(options=OPTIONS) as world:
        batch = await world.submit(requests(9))
        await world.run_until_idle()
        ended = await world.batch(batch.id)
        assert ended.status == "completed" and len(await world.output(ended)) == 9
        output = await world.components.table.find_file(WORKSPACE.id, ended.output_file_id or "")
        assert output is not None and output.bytes + ended.input_bytes > OPTIONS.max_stored_bytes
        assert await stored(world.components) == (2, ended.input_bytes + output.bytes)
        with pytest.raises(RequestTooLarge, match=FULL):
            await create(world.components, 1)


async def test_results_of_dropped_objects_are_their_owners_and_do_not_count() -> None:
    async with batch_world(options=OPTIONS) as world:
        for _ in range(9):
            await save_result(world, 5_000, results_prefix(WORKSPACE.id))
        assert await stored(world.components) == (0, 0)
        await create(world.components, 1_000)


async def test_files_on_all_pages_count() -> None:
    async with batch_world() as world:
        for _ in range(2_001):
            await save_result(world, 3)
        assert await stored(world.components) == (2_001, 6_003)


async def test_open_uploads_are_limited() -> None:
    async with batch_world(options=OPTIONS) as world:
        first, *_ = [await begin(world.components, 1) for _ in range(3)]
        with pytest.raises(RateLimited, match="has 3 open uploads, and may have 3: complete or cancel one") as raised:
            await begin(world.components, 1)
        assert (raised.value.status, raised.value.should_retry) == (429, False)
        await uploads.cancel_upload(world.components, WORKSPACE.id, first.id)
        await begin(world.components, 1)
        world.clock.move(3_600)
        await begin(world.components, 1)


async def test_uploads_of_a_day_are_limited_because_their_entries_are_kept_as_long() -> None:
    async with batch_world(options=OPTIONS) as world:
        for _ in range(5):
            upload = await begin(world.components, 1)
            await uploads.cancel_upload(world.components, WORKSPACE.id, upload.id)
        with pytest.raises(RateLimited, match="has begun 5 uploads within a day, and may have 5"):
            await begin(world.components, 1)
        world.clock.move(3_600 + 86_400)
        await begin(world.components, 1)


async def test_uploads_that_begin_at_once_do_not_pass_the_limit() -> None:
    async with batch_world(options=OPTIONS) as world:
        begun = await asyncio.gather(*(begin(world.components, 1) for _ in range(9)), return_exceptions=True)
        assert {type(each) for each in begun} <= {Upload, RateLimited}
        assert (await find_storage(world.components, WORKSPACE.id)).open_uploads <= 3

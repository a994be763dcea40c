"""The limits of what a workspace stores hold on every implementation of `BatchTable`, for requests at once as well."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from tests.batch.world import batch_world
from tests.store_worlds import World
from tidegate.aws.batch_table import DynamoBatchTable
from tidegate.batch import uploads
from tidegate.batch.components import BatchComponents
from tidegate.batch.fields import Fields
from tidegate.batch.files import FileReceiver, NewFile
from tidegate.batch.storage import find_storage
from tidegate.domain.batch_options import BatchOptions
from tidegate.errors import RateLimited, RequestTooLarge
from tidegate.memory.batch_table import MemoryBatchTable

OPTIONS = BatchOptions(max_stored_bytes=1_000, max_stored_files=20, max_open_uploads=2)
UPLOAD = {"filename": "a", "purpose": "user_data", "mime_type": "text/plain"}


@pytest.fixture
async def components(world: World) -> AsyncIterator[BatchComponents]:
    table = DynamoBatchTable(world.store) if world.store else MemoryBatchTable(world.clock)
    async with batch_world(options=OPTIONS) as memory:
        yield replace(memory.components, table=table, clock=world.clock)


async def content(size: int) -> AsyncIterator[bytes]:
    await asyncio.sleep(0)
    yield bytes(size)


async def create_file(components: BatchComponents, size: int) -> None:
    receiver = FileReceiver(components, "ws_one")
    try:
        await receiver.receive(content(size), None)
        await receiver.save(NewFile("a", "user_data", None))
    except BaseException:
        await receiver.discard()
        raise


async def test_files_at_once_stay_below_the_limit(components: BatchComponents) -> None:
    tries = await asyncio.gather(*(create_file(components, 300) for _ in range(8)), return_exceptions=True)
    assert {type(each) for each in tries} <= {type(None), RequestTooLarge}
    storage = await find_storage(components, "ws_one")
    assert (storage.files, storage.bytes) == (tries.count(None), 300 * tries.count(None))
    assert storage.bytes <= 1_000
    assert len(await components.objects.list_keys("")) == storage.files


async def test_uploads_at_once_stay_below_the_limits(components: BatchComponents) -> None:
    begun = (uploads.create_upload(components, "ws_one", Fields({**UPLOAD, "bytes": 300})) for _ in range(6))
    tries = await asyncio.gather(*begun, return_exceptions=True)
    assert {type(each) for each in tries} <= {uploads.Upload, RateLimited, RequestTooLarge}
    storage = await find_storage(components, "ws_one")
    assert storage.open_uploads <= 2 and storage.bytes == 300 * storage.open_uploads


async def test_parts_at_once_never_exceed_the_upload(components: BatchComponents) -> None:
    upload = await uploads.create_upload(components, "ws_one", Fields({**UPLOAD, "bytes": 1_000}))
    parts = (uploads.add_part(components, upload, content(250)) for _ in range(12))
    tries = await asyncio.gather(*parts, return_exceptions=True)
    assert [type(each) for each in tries].count(str) == 4
    assert {type(each) for each in tries} == {str, RequestTooLarge}
    stored = await components.table.find_upload("ws_one", upload.id)
    assert stored is not None and (stored.received_bytes, stored.received_parts) == (1_000, 4)
    assert len(await components.objects.list_keys("")) == 4

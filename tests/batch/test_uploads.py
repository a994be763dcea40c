"""Uploads: parts of any size become one file, once, in the order that is asked for."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace

from tests.batch.world import NOON, BatchWorld, batch_world, jsonl, requests
from tests.world import WORKSPACE
from tidegate.batch import uploads
from tidegate.batch.fields import Fields
from tidegate.batch.ports import Page
from tidegate.batch.views import upload_json
from tidegate.domain.batch import StoredFile, Upload
from tidegate.domain.batch_options import BatchOptions
from tidegate.errors import InvalidRequest, NotFound, RequestTooLarge

LINES = jsonl(requests(5))
FIELDS: dict[str, Any] = {"filename": "in.jsonl", "purpose": "batch", "mime_type": "application/jsonl"}


async def pieces(data: bytes) -> AsyncIterator[bytes]:
    for first in range(0, len(data), 70):
        await asyncio.sleep(0)  # others go on meanwhile
        yield data[first : first + 70]


async def begin(world: BatchWorld, size: int = len(LINES), **fields: Any) -> Upload:
    return await uploads.create_upload(world.components, WORKSPACE.id, Fields({**FIELDS, "bytes": size, **fields}))


async def add(world: BatchWorld, upload: Upload, data: bytes) -> str:
    pending = await uploads.find_pending(world.components, WORKSPACE.id, upload.id)
    return await uploads.add_part(world.components, pending, pieces(data))


async def add_all(world: BatchWorld, upload: Upload, data: bytes = LINES, size: int = 100) -> list[str]:
    return [await add(world, upload, data[first : first + size]) for first in range(0, len(data), size)]


async def complete(world: BatchWorld, upload: Upload, part_ids: Any, **fields: Any) -> tuple[Upload, StoredFile | None]:
    values = Fields({"part_ids": part_ids, **fields})
    return await uploads.complete_upload(world.components, WORKSPACE.id, upload.id, values)


@pytest.mark.parametrize("md5", [None, hashlib.md5(LINES).hexdigest().upper()])
async def test_parts_become_one_file_in_their_order(md5: str | None) -> None:
    async with batch_world() as world:
        upload = await begin(world, expires_after={"anchor": "created_at", "seconds": 7200})
        # They arrive in another order than that of the file.
        backwards = [
            await add(world, upload, LINES[first : first + 100]) for first in range(len(LINES) // 100 * 100, -1, -100)
        ]
        completed, file = await complete(world, upload, backwards[::-1], md5=md5)
        assert file is not None
        assert await world.components.objects.read(file.key) == LINES
        assert await world.components.objects.list_keys("") == [file.key]
        assert (file.purpose, file.filename, file.bytes) == ("batch", "in.jsonl", len(LINES))
        assert file.expires_at == file.created_at + 7200
        assert upload_json(completed, file) == {
            "object": "upload",
            "id": upload.id,
            "purpose": "batch",
            "filename": "in.jsonl",
            "bytes": len(LINES),
            "created_at": int(NOON),
            "expires_at": int(NOON) + 3600,
            "status": "completed",
            "file": {
                "object": "file",
                "id": file.id,
                "purpose": "batch",
                "filename": "in.jsonl",
                "bytes": len(LINES),
                "created_at": int(NOON),
                "expires_at": int(NOON) + 7200,
                "status": "processed",
                "status_details": None,
            },
        }


async def test_completing_twice_or_at_once_makes_one_file() -> None:
    async with batch_world() as world:
        upload = await begin(world)
        part_ids = await add_all(world, upload)
        completions = await asyncio.gather(*(complete(world, upload, part_ids) for _ in range(3)))
        again = await complete(world, upload, part_ids)
        files = {file.id for _, file in [*completions, again] if file is not None}
        assert len(files) == 1 and {each.status for each, _ in completions} == {"completed"}
        assert len(await world.components.table.list_files(WORKSPACE.id, Page(10))) == 1
        assert len(await world.components.objects.list_keys("")) == 1


async def test_a_file_that_is_not_what_was_announced_is_refused_and_can_be_repaired() -> None:
    async with batch_world() as world:
        upload = await begin(world)
        part_ids = await add_all(world, upload)
        with pytest.raises(InvalidRequest, match=f"bytes together, but the upload was created for {len(LINES):,}"):
            await complete(world, upload, part_ids[:-1])
        with pytest.raises(InvalidRequest, match="No such Part object in this upload: part_unknown"):
            await complete(world, upload, [*part_ids[:-1], "part_unknown"])
        with pytest.raises(InvalidRequest, match=r"No such Part object in this upload: \.\./other"):
            await complete(world, upload, [*part_ids[:-1], "../other"])
        with pytest.raises(InvalidRequest, match="The md5 of the parts is"):
            await complete(world, upload, part_ids, md5="0" * 32)
        with pytest.raises(InvalidRequest, match="32 hexadecimal digits"):
            await complete(world, upload, part_ids, md5="0")
        for wrong in (None, [], "part_1", [1]):
            with pytest.raises(InvalidRequest) as raised:
                await complete(world, upload, wrong)
            assert raised.value.param == "part_ids"
        assert await world.components.objects.list_keys("files/") == []
        assert (await complete(world, upload, part_ids))[1] is not None


async def test_a_part_of_another_upload_is_unknown() -> None:
    async with batch_world() as world:
        first, second = await begin(world), await begin(world)
        part_ids = await add_all(world, first)
        with pytest.raises(InvalidRequest, match="No such Part object"):
            await complete(world, second, part_ids)


async def test_parts_that_are_not_jsonl_together_make_no_file_for_batches() -> None:
    data = b"Not JSON, over more than one part.\n" + LINES
    async with batch_world() as world:
        upload = await begin(world, len(data))
        part_ids = await add_all(world, upload, data, size=10)
        with pytest.raises(InvalidRequest, match=r"Must be \.jsonl"):
            await complete(world, upload, part_ids)
        other = await begin(world, len(data), purpose="user_data")
        assert (await complete(world, other, await add_all(world, other, data)))[1] is not None


async def test_a_first_line_may_be_in_many_parts() -> None:
    async with batch_world() as world:
        upload = await begin(world)
        _, file = await complete(world, upload, await add_all(world, upload, size=7))
        assert file is not None and await world.components.objects.read(file.key) == LINES


async def test_a_cancelled_upload_takes_nothing_more() -> None:
    async with batch_world() as world:
        upload = await begin(world)
        part_ids = await add_all(world, upload)
        for _ in range(2):
            cancelled = await uploads.cancel_upload(world.components, WORKSPACE.id, upload.id)
            assert (cancelled.status, cancelled.file_id) == ("cancelled", None)
        assert await world.components.objects.list_keys("") == []
        with pytest.raises(InvalidRequest, match=r"is cancelled\. Create another one"):
            await add(world, upload, b"more")
        with pytest.raises(InvalidRequest, match="is cancelled"):
            await complete(world, upload, part_ids)


async def test_a_completed_upload_takes_no_parts_and_is_not_cancelled() -> None:
    async with batch_world() as world:
        upload = await begin(world)
        await complete(world, upload, await add_all(world, upload))
        with pytest.raises(InvalidRequest, match="is completed"):
            await add(world, upload, b"more")
        with pytest.raises(InvalidRequest, match="is completed"):
            await uploads.cancel_upload(world.components, WORKSPACE.id, upload.id)
        assert len(await world.components.objects.list_keys("files/")) == 1


async def test_an_upload_expires_after_an_hour() -> None:
    async with batch_world() as world:
        upload = await begin(world)
        part_ids = await add_all(world, upload)
        world.clock.move(3600)
        for use in (add(world, upload, b"more"), complete(world, upload, part_ids)):
            with pytest.raises(InvalidRequest, match=r"is expired\. Create another one"):
                await use
        world.clock.move(86_400)
        with pytest.raises(NotFound):
            await add(world, upload, b"more")


async def test_an_upload_of_another_workspace_is_unknown() -> None:
    async with batch_world() as world:
        foreign = await uploads.create_upload(world.components, "ws_other", Fields({**FIELDS, "bytes": 10}))
        for upload_id in (foreign.id, "upload_unknown"):
            for use in (uploads.find_pending, uploads.cancel_upload):
                with pytest.raises(NotFound, match=f"^No such Upload object: {upload_id}$") as raised:
                    await use(world.components, WORKSPACE.id, upload_id)
                assert (raised.value.param, raised.value.code) == ("upload_id", None)


async def test_sizes_are_limited_at_once() -> None:
    async with batch_world(options=BatchOptions(max_input_bytes=1_000, max_file_bytes=2_000)) as world:
        with pytest.raises(RequestTooLarge, match="1,000 bytes"):
            await begin(world, 1_001)
        with pytest.raises(RequestTooLarge, match="2,000 bytes"):
            await begin(world, 2_001, purpose="evals")
        upload = await begin(world, 500)
        with pytest.raises(RequestTooLarge, match="at most 500 bytes, the size of the whole file"):
            await add(world, upload, bytes(501))
        with pytest.raises(InvalidRequest, match="The part is empty"):
            await add(world, upload, b"")
        assert await world.components.objects.list_keys("") == []


async def test_parts_have_at_most_the_bytes_of_the_upload_together() -> None:
    async with batch_world() as world:
        upload = await begin(world, 1_000, purpose="evals")
        part_ids = [await add(world, upload, bytes(400)), await add(world, upload, bytes(500))]
        for size in (101, 1_000):
            with pytest.raises(
                RequestTooLarge, match="have 900 of its 1,000 bytes, so another one may have at most 100"
            ):
                await add(world, upload, bytes(size))
        part_ids.append(await add(world, upload, bytes(100)))
        with pytest.raises(RequestTooLarge, match="at most 0"):
            await add(world, upload, b"1")
        assert len(await world.components.objects.list_keys("")) == 3
        _, file = await complete(world, upload, part_ids)
        assert file is not None and file.bytes == 1_000


async def test_a_part_stops_as_soon_as_the_upload_is_full() -> None:
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 10
            yield bytes(10)

    async with batch_world() as world:
        upload = await begin(world, 1_000, purpose="evals")
        await add(world, upload, bytes(950))
        for left in (50, 0):
            pending = await uploads.find_pending(world.components, WORKSPACE.id, upload.id)
            with pytest.raises(RequestTooLarge, match=f"at most {left}"):
                await uploads.add_part(world.components, pending, endless())
            assert taken == 60  # nothing at all when it is full
            if left:
                await add(world, upload, bytes(left))
        assert len(await world.components.objects.list_keys("")) == 2


async def test_parts_that_arrive_at_once_are_all_counted() -> None:
    async with batch_world() as world:
        upload = await begin(world, 3_000, purpose="evals")
        tries = await asyncio.gather(*(add(world, upload, bytes(1_000)) for _ in range(10)), return_exceptions=True)
        part_ids = [each for each in tries if isinstance(each, str)]
        assert len(part_ids) == 3
        assert {type(each) for each in tries} == {str, RequestTooLarge}
        assert len(await world.components.objects.list_keys("")) == 3
        stored = await uploads.find_pending(world.components, WORKSPACE.id, upload.id)
        assert (stored.received_bytes, stored.received_parts) == (3_000, 3)
        assert (await complete(world, upload, part_ids))[1] is not None


@pytest.mark.parametrize("is_cancelled", [True, False])
async def test_a_part_that_arrives_when_the_upload_has_ended_is_refused_and_leaves_nothing(is_cancelled: bool) -> None:
    async with batch_world() as world:
        upload = await begin(world, 100, purpose="evals")
        part_id = await add(world, upload, bytes(100))
        late = await begin(world, 100, purpose="evals")

        async def content() -> AsyncIterator[bytes]:
            yield bytes(50)
            if is_cancelled:
                await uploads.cancel_upload(world.components, WORKSPACE.id, late.id)
            else:
                world.clock.move(3600)

        _, file = await complete(world, upload, [part_id])
        with pytest.raises(InvalidRequest, match="is cancelled" if is_cancelled else "is expired"):
            await uploads.add_part(world.components, late, content())
        assert file is not None
        assert await world.components.objects.list_keys("") == [file.key]


async def test_a_part_that_breaks_off_does_not_count() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield bytes(60)
        raise ConnectionError

    async with batch_world() as world:
        upload = await begin(world, 100, purpose="evals")
        for _ in range(3):
            with pytest.raises(ConnectionError):
                await uploads.add_part(world.components, upload, broken())
        await add(world, upload, bytes(100))
        assert len(await world.components.objects.list_keys("")) == 1


async def test_an_upload_has_at_most_as_many_parts_as_can_be_completed() -> None:
    async with batch_world() as world:
        upload = await begin(world, 20_000, purpose="evals")
        full = replace(upload, received_bytes=9_999, received_parts=9_999, version=1)
        assert await world.components.table.save(full)
        await add(world, upload, b"1")
        with pytest.raises(InvalidRequest, match="at most 10,000 parts"):
            await add(world, upload, b"1")
        assert len(await world.components.objects.list_keys("")) == 1


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"bytes": None}, "bytes"),
        ({"bytes": 0}, "bytes"),
        ({"bytes": "10"}, "bytes"),
        ({"bytes": True}, "bytes"),
        ({"filename": None}, "filename"),
        ({"filename": ""}, "filename"),
        ({"filename": "x" * 600}, "filename"),
        ({"mime_type": None}, "mime_type"),
        ({"purpose": "batch_output"}, "purpose"),
    ],
)
async def test_wrong_fields_are_named(changes: Any, param: str) -> None:
    async with batch_world() as world:
        with pytest.raises(InvalidRequest) as raised:
            await uploads.create_upload(world.components, WORKSPACE.id, Fields({**FIELDS, "bytes": 10, **changes}))
        assert raised.value.param == param

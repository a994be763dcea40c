"""Files: created from a stream or by a presigned URL, listed, read and deleted, within their workspace."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from msgspec.structs import replace

from tests.batch.world import NOON, BatchWorld, batch_world, jsonl, requests
from tests.world import WORKSPACE
from tidegate.batch import files
from tidegate.batch.components import BatchComponents
from tidegate.batch.conclusion import conclude_batch
from tidegate.batch.fields import Fields
from tidegate.batch.file_content import FirstLine
from tidegate.batch.files import FileReceiver, NewFile
from tidegate.batch.ports import Page
from tidegate.batch.views import file_json
from tidegate.domain.batch import StoredFile
from tidegate.domain.batch_options import BatchOptions
from tidegate.errors import InvalidRequest, NotFound, RequestTooLarge
from tidegate.memory.batch_objects import MemoryBatchObjects

LINES = jsonl(requests(3))
BATCH_FILE = NewFile("in.jsonl", "batch", 30 * 86_400.0)
SMALL = BatchOptions(max_input_bytes=1_000, max_file_bytes=3_000, max_line_bytes=200)


class PresignedObjects(MemoryBatchObjects, frozen=True):
    async def presigned_put(self, key: str, seconds: float, size: int) -> str | None:
        return f"https://bucket.example/{key}?seconds={seconds:.0f}&size={size}"


@asynccontextmanager
async def presigned_world(**fields: Any) -> AsyncIterator[tuple[BatchWorld, BatchComponents]]:
    async with batch_world(**fields) as world:
        yield world, replace(world.components, objects=PresignedObjects())


async def pieces(data: bytes, size: int = 100) -> AsyncIterator[bytes]:
    for first in range(0, len(data), size):
        yield data[first : first + size]


async def create(
    components: BatchComponents, data: bytes = LINES, new_file: NewFile = BATCH_FILE, workspace_id: str = WORKSPACE.id
) -> StoredFile:
    receiver = FileReceiver(components, workspace_id)
    await receiver.receive(pieces(data), new_file.purpose)
    try:
        return await receiver.save(new_file)
    except BaseException:
        await receiver.discard()
        raise


async def content(components: BatchComponents, file: StoredFile, first: int = 0, length: int | None = None) -> bytes:
    chunks = await files.read_content(components, file, first, file.bytes if length is None else length)
    return b"".join([chunk async for chunk in chunks])


async def test_a_file_is_kept_for_its_time_and_then_never_existed() -> None:
    async with batch_world() as world:
        file = await create(world.components)
        found = await files.find_file(world.components, WORKSPACE.id, file.id)
        assert file_json(found) == {
            "object": "file",
            "id": file.id,
            "purpose": "batch",
            "filename": "in.jsonl",
            "bytes": len(LINES),
            "created_at": int(NOON),
            "expires_at": int(NOON) + 30 * 86_400,
            "status": "processed",
            "status_details": None,
        }
        assert await content(world.components, found) == LINES
        assert await content(world.components, found, 10, 20) == LINES[10:30]
        world.clock.move(30 * 86_400)
        with pytest.raises(NotFound, match=f"^No such File object: {file.id}$") as raised:
            await files.find_file(world.components, WORKSPACE.id, file.id)
        assert (raised.value.param, raised.value.code) == ("id", None)


async def test_a_foreign_an_unknown_and_a_deleted_file_are_alike() -> None:
    async with batch_world() as world:
        foreign = await create(world.components, workspace_id="ws_other")
        deleted = await create(world.components)
        await files.delete_file(world.components, WORKSPACE.id, deleted.id)
        errors: list[str] = []
        for file_id in (foreign.id, deleted.id, "file-unknown"):
            for use in (files.find_file, files.delete_file):
                with pytest.raises(NotFound) as raised:
                    await use(world.components, WORKSPACE.id, file_id)
                errors.append(raised.value.message.replace(file_id, "ID"))
        assert {*errors} == {"No such File object: ID"}
        assert await world.components.objects.list_keys("") == [foreign.key]


@pytest.mark.parametrize(
    ("purpose", "size", "limit"), [("batch", 1_001, "1,000 bytes"), ("user_data", 3_001, "3,000 bytes")]
)
@pytest.mark.parametrize("is_known", [True, False])
async def test_a_file_that_is_too_large_is_refused_with_the_number_and_leaves_nothing(
    purpose: Any, size: int, limit: str, is_known: bool
) -> None:
    async with batch_world(options=SMALL) as world:
        receiver = FileReceiver(world.components, WORKSPACE.id)
        with pytest.raises(RequestTooLarge, match=limit):
            await receiver.receive(pieces(LINES[:size].ljust(size)), purpose if is_known else None)
            await receiver.save(NewFile("big", purpose, None))
        await receiver.discard()
        assert await world.components.objects.list_keys("") == []
        assert await world.components.table.list_files(WORKSPACE.id, Page(10)) == []


async def test_a_large_file_is_refused_before_it_is_read() -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield bytes(100)
        raise AssertionError("read on")

    async with batch_world(options=SMALL) as world:
        with pytest.raises(RequestTooLarge):
            await FileReceiver(world.components, WORKSPACE.id).receive(endless(), "batch")


@pytest.mark.parametrize(
    "data",
    [
        b"Not JSON\n" + LINES,
        b"[1, 2]\n",
        b"[\n" + LINES,
        b"\n \n\t\n",
        b'{"custom_id": "a"',
        "{}\n".encode("utf-16"),
        b"\x00\x01\x02",
    ],
)
async def test_what_is_not_jsonl_is_refused_at_once_for_batches_only(data: bytes) -> None:
    async with batch_world() as world:
        with pytest.raises(InvalidRequest, match=r"^Invalid file format for Batch API\. Must be \.jsonl: "):
            await create(world.components, data)
        assert await world.components.objects.list_keys("") == []
        assert (await create(world.components, data, NewFile("x", "user_data", None))).bytes == len(data)


@pytest.mark.parametrize(
    "data",
    [
        LINES,
        b"\xef\xbb\xbf" + LINES,
        b"\r\n\n" + LINES.replace(b"\n", b"\r\n"),
        LINES.rstrip(),
        b'{"broken": "\xff"}\n',
        b"{}\nnot JSON at all\n",
        b'{"nested": ' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    ],
)
async def test_a_line_that_is_wrong_is_left_to_the_validation(data: bytes) -> None:
    async with batch_world() as world:
        assert (await create(world.components, data)).status == "processed"


async def test_a_first_line_that_is_too_long_is_not_kept() -> None:
    first_line = FirstLine(max_bytes=10)
    first_line.add(b'{"a": "')
    first_line.add(b"b" * 1_000)
    assert (first_line.may_be_json, first_line.is_complete) == (True, True)


async def test_an_empty_file_is_refused() -> None:
    async with batch_world() as world:
        with pytest.raises(InvalidRequest, match="The file is empty"):
            await create(world.components, b"", NewFile("x", "user_data", None))
        assert await world.components.table.list_files(WORKSPACE.id, Page(10)) == []


async def test_files_are_listed_in_pages_by_purpose_and_order() -> None:
    async with batch_world() as world:
        made: list[StoredFile] = []
        for number in range(5):
            world.clock.move(1.0)
            made.append(await create(world.components, new_file=NewFile("x", ("batch", "evals")[number % 2], None)))
        await create(world.components, workspace_id="ws_other")

        async def listed(page: Page, purpose: str | None = None) -> tuple[list[int], bool]:
            found, has_more = await files.list_files(world.components, WORKSPACE.id, page, purpose)
            return [[file.id for file in made].index(file.id) for file in found], has_more

        assert await listed(Page(3)) == ([4, 3, 2], True)
        assert await listed(Page(3, after=made[2].id)) == ([1, 0], False)
        assert await listed(Page(2, is_ascending=True)) == ([0, 1], True)
        assert await listed(Page(5), "evals") == ([3, 1], False)
        assert await listed(Page(1), "evals") == ([3], True)


async def test_deleting_the_file_of_an_open_batch_keeps_its_content_until_the_batch_has_ended() -> None:
    async with batch_world() as world:
        batch = await world.submit(requests(3))
        await files.delete_file(world.components, WORKSPACE.id, batch.input_file_id)
        with pytest.raises(NotFound):
            await files.find_file(world.components, WORKSPACE.id, batch.input_file_id)
        other = replace(batch, id=f"{batch.id}X", version=0)
        assert await world.components.table.save(other)
        for ended in (batch, other):
            assert await world.components.objects.list_keys("files/") == [batch.input_key]
            ended = replace(await world.batch(ended.id), status="completed")
            assert await world.components.table.save(ended)
            await conclude_batch(world.components, ended)
        assert await world.components.objects.list_keys("files/") == []


async def test_the_content_of_a_listed_file_and_a_dropped_object_outlive_their_batch() -> None:
    async with batch_world() as world:
        batch = await world.submit(requests(3))
        await files.delete_unlisted_input(world.components, batch)
        assert await world.components.objects.list_keys("files/") == [batch.input_key]
        dropped = replace(batch, input_file_id="file-none", input_key="workspaces/ws_test/in/a.jsonl")
        await world.components.objects.put(dropped.input_key, LINES)
        await files.delete_unlisted_input(world.components, dropped)
        assert await world.components.objects.size(dropped.input_key) == len(LINES)


async def test_content_that_the_store_has_lost_is_a_missing_file() -> None:
    async with batch_world() as world:
        file = await create(world.components)
        await world.components.objects.delete([file.key])
        with pytest.raises(NotFound, match="No such File object"):
            await content(world.components, file)


async def test_a_pending_file_is_processed_once_its_content_has_arrived() -> None:
    async with presigned_world() as (_, components):
        file, upload = await files.create_pending_file(components, WORKSPACE.id, BATCH_FILE, len(LINES))
        assert (file.status, round(upload.expires_at)) == ("pending", NOON + 3600)
        assert upload.url.endswith(f"?seconds=3600&size={len(LINES)}")
        assert (await files.find_file(components, WORKSPACE.id, file.id)).status == "pending"
        with pytest.raises(InvalidRequest, match="not been uploaded"):
            await content(components, file)
        sent_to = file.key
        await components.objects.put(sent_to, LINES)
        found = await files.find_file(components, WORKSPACE.id, file.id)
        assert (found.status, found.expires_at) == ("processed", found.created_at + 30 * 86_400)
        await components.objects.put(sent_to, b"changed with the URL, which is still valid")
        again = await files.find_file(components, WORKSPACE.id, file.id)
        assert (again, await content(components, again)) == (found, LINES)


@pytest.mark.parametrize("data", [b"Not JSON", LINES + b"\n"])
async def test_a_pending_file_with_other_content_is_an_error(data: bytes) -> None:
    async with presigned_world() as (_, components):
        size = len(data) if data == b"Not JSON" else len(LINES)
        file, _ = await files.create_pending_file(components, WORKSPACE.id, BATCH_FILE, size)
        await components.objects.put(file.key, data)
        found = file_json(await files.find_file(components, WORKSPACE.id, file.id))
        assert found["status"] == "error" and found["status_details"]
        assert await components.objects.list_keys("") == []


async def test_a_pending_file_that_was_never_sent_is_forgotten() -> None:
    async with presigned_world() as (world, components):
        new_file = NewFile("x", "user_data", None)
        file, _ = await files.create_pending_file(components, WORKSPACE.id, new_file, 10)
        world.clock.move(2 * 3600)
        with pytest.raises(NotFound):
            await files.find_file(components, WORKSPACE.id, file.id)
        assert await components.table.list_files(WORKSPACE.id, Page(10)) == []


async def test_without_presigned_urls_or_beyond_the_limit_there_is_no_pending_file() -> None:
    async with presigned_world(options=SMALL) as (world, components):
        with pytest.raises(InvalidRequest, match="no presigned URLs"):
            await files.create_pending_file(world.components, WORKSPACE.id, BATCH_FILE, 10)
        with pytest.raises(RequestTooLarge):
            await files.create_pending_file(components, WORKSPACE.id, BATCH_FILE, 1_001)
        assert await components.table.list_files(WORKSPACE.id, Page(10)) == []


@pytest.mark.parametrize(
    ("values", "param", "code"),
    [
        ({}, "purpose", "missing_required_parameter"),
        ({"purpose": "vector_store"}, "purpose", None),
        ({"purpose": 5}, "purpose", "invalid_type"),
        ({"purpose": "batch", "expires_after": 3600}, "expires_after", "invalid_type"),
        (
            {"purpose": "batch", "expires_after": {"seconds": 3600}},
            "expires_after.anchor",
            "missing_required_parameter",
        ),
        (
            {"purpose": "batch", "expires_after": {"anchor": "last_active_at", "seconds": 3600}},
            "expires_after.anchor",
            "invalid_value",
        ),
        (
            {"purpose": "batch", "expires_after": {"anchor": "created_at", "seconds": 3599}},
            "expires_after.seconds",
            "integer_below_min_value",
        ),
        (
            {"purpose": "batch", "expires_after": {"anchor": "created_at", "seconds": 2_592_001}},
            "expires_after.seconds",
            "integer_above_max_value",
        ),
        (
            {"purpose": "batch", "expires_after": {"anchor": "created_at", "seconds": "3600"}},
            "expires_after.seconds",
            "invalid_type",
        ),
    ],
)
def test_wrong_fields_are_named_as_openai_does(values: Any, param: str, code: str | None) -> None:
    with pytest.raises(InvalidRequest) as raised:
        files.parse_new_file(Fields(values), "in.jsonl")
    assert (raised.value.param, raised.value.code) == (param, code)


def test_files_of_batches_expire_after_thirty_days_unless_told_otherwise() -> None:
    policy = {"anchor": "created_at", "seconds": 3600}
    assert files.parse_new_file(Fields({"purpose": "batch"}), "a.jsonl") == NewFile("a.jsonl", "batch", 2_592_000)
    assert files.parse_new_file(Fields({"purpose": "evals"}), "a") == NewFile("a", "evals", None)
    named = files.parse_new_file(Fields({"purpose": "batch", "expires_after": policy}), "C:\\dir\\b.jsonl")
    assert named == NewFile("b.jsonl", "batch", 3600.0)
    assert files.parse_new_file(Fields({"purpose": "evals", "filename": "/etc/../x"})).filename == "x"

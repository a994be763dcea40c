"""Objects that are dropped under in/: one batch each, or a reason beside them under rejected/."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from tests.batch.events import drop, event_of, stored_objects
from tests.batch.world import NOON, PATH, BatchWorld, batch_world, jsonl, requests
from tests.world import WORKSPACE
from tidegate.batch.announcements import announce_end
from tidegate.batch.dropped_objects import take_object
from tidegate.batch.messages import Notify, Sweep, Validate
from tidegate.batch.ports import Page
from tidegate.domain.batch import Batch, BatchFault
from tidegate.domain.batch_options import BatchOptions
from tidegate.errors import StoreUnavailable


async def batches(world: BatchWorld) -> list[Batch]:
    return list(await world.components.table.list_batches(WORKSPACE.id, Page(100)))


async def reason(world: BatchWorld, name: str, workspace_id: str = WORKSPACE.id) -> list[tuple[Any, Any]]:
    """The codes and lines of the faults beside a rejected object."""
    data = await world.components.objects.read(f"workspaces/{workspace_id}/rejected/{name}.reason.json")
    return [(fault["code"], fault["line"]) for fault in json.loads(data or b"null")["errors"]]


async def test_an_object_becomes_a_batch() -> None:
    async with batch_world() as world:
        data = jsonl(requests(3))
        key = await drop(world, data, "jobs/a b.jsonl")
        await take_object(world.components, event_of(key, size=len(data)))
        [batch] = await batches(world)
        assert replace(batch, created_at=0.0, expires_at=0.0) == Batch(
            id=batch.id,
            workspace_id=WORKSPACE.id,
            key_id=None,
            endpoint=PATH,
            input_file_id=batch.id.replace("batch_", "file-"),
            input_key=key,
            input_bytes=len(data),
            completion_window="24h",
            created_at=0.0,
            expires_at=0.0,
            source="object",
            metadata={"object": "jobs/a b.jsonl"},
            output_prefix=f"workspaces/{WORKSPACE.id}/out/jobs/a b.jsonl/",
            version=1,
        )
        assert (round(batch.created_at - NOON), round(batch.expires_at - batch.created_at)) == (0, 86_400)
        file = await world.components.table.find_file(WORKSPACE.id, batch.input_file_id)
        assert file is not None
        assert (file.key, file.bytes, file.filename, file.purpose) == (key, len(data), "a b.jsonl", "batch")
        assert world.queue.sent == [Validate(WORKSPACE.id, batch.id), Sweep()]


async def test_a_version_of_an_object_becomes_one_batch_however_often_it_is_told() -> None:
    async with batch_world() as world:
        key = await drop(world, jsonl(requests(1)))
        for event in (
            event_of(key),
            event_of(key),
            event_of(key, id="event-2"),
            event_of(key, id="event-3", at=NOON + 9),
        ):
            await take_object(world.components, event)
        assert len(await batches(world)) == 1
        await take_object(world.components, event_of(key, version="etag-2", id="event-4"))
        assert len(await batches(world)) == 2


async def test_an_event_whose_process_died_anywhere_still_becomes_one_batch() -> None:
    for number in range(1, 20):
        async with batch_world(fails_at=[number]) as world:
            key = await drop(world, jsonl(requests(1)))
            from tests.batch.world import Worker

            components = Worker(world.deaths).components(world.components)
            try:
                await take_object(components, event_of(key))
                failed = False
            except StoreUnavailable:
                failed = True
                await take_object(components, event_of(key))
            [batch] = await batches(world)
            assert Validate(WORKSPACE.id, batch.id) in world.queue.sent
            await take_object(world.components, event_of(key, id="event-2"))
            assert len(await batches(world)) == 1
            if not failed:
                assert number > 5
                return
    raise AssertionError("unreachable: one run has fewer accesses")


BOM = b"\xef\xbb\xbf"


@pytest.mark.parametrize("data", [BOM + jsonl(requests(1)), b"\r\n\n" + jsonl(requests(1)), jsonl(requests(1))[:-1]])
async def test_a_mark_and_empty_lines_before_the_first_request_do_no_harm(data: bytes) -> None:
    async with batch_world() as world:
        await take_object(world.components, event_of(await drop(world, data)))
        assert len(await batches(world)) == 1


@pytest.mark.parametrize(
    ("data", "code", "line"),
    [
        (b"", "empty_file", None),
        (b"\n \r\n", "empty_file", None),
        (b"custom_id,prompt\n", "invalid_json_line", 1),
        (b"\xff\xfe{\x00", "invalid_json_line", 1),
        (b'{"custom_id": "a"}\n', "invalid_json_line", 1),
        (b"[1]\n", "invalid_json_line", 1),
        (b"\n\r\n[1]\n", "invalid_json_line", 3),
        (jsonl([{**requests(1)[0], "url": "/v1/unknown"}]), "invalid_url", 1),
        (b'{"url": "' + b"a" * 3000 + b'"}\n', "invalid_json_line", 1),
        (jsonl(requests(40)), "request_too_large", None),
    ],
)
async def test_an_object_that_is_not_acceptable_is_moved_with_the_reason_beside_it(
    data: bytes, code: str, line: int | None
) -> None:
    async with batch_world(options=BatchOptions(max_line_bytes=2000, max_object_bytes=4000)) as world:
        key = await drop(world, data, "day/bad.csv")
        for _ in range(2):  # a repetition finds nothing to do
            await take_object(world.components, event_of(key))
            found = await stored_objects(world)
            target = f"workspaces/{WORKSPACE.id}/rejected/day/bad.csv"
            assert {name: value for name, value in found.items() if not name.endswith(".json")} == {target: data}
            assert await reason(world, "day/bad.csv") == [(code, line)]
        assert (await batches(world), world.queue.sent) == ([], [])


async def test_an_unknown_or_suspended_workspace_gets_its_object_back() -> None:
    async with batch_world() as world:
        await world.memory.tenants.set_workspace_status(WORKSPACE.id, "suspended")
        for workspace_id in (WORKSPACE.id, "ws_unknown"):
            key = await drop(world, jsonl(requests(1)), workspace_id=workspace_id)
            await take_object(world.components, event_of(key))
            assert await reason(world, "a.jsonl", workspace_id) == [("workspace_forbidden", None)]
        assert world.queue.sent == []


@pytest.mark.parametrize(
    "key",
    [
        f"workspaces/{WORKSPACE.id}/in/",
        f"workspaces/{WORKSPACE.id}/in/folder/",
        f"workspaces/{WORKSPACE.id}/out/a.jsonl",
        f"workspaces/{WORKSPACE.id}/rejected/a.jsonl",
        "workspaces/a/b/in/a.jsonl",
        "files/ws_test/in/a.jsonl",
        "workspaces/../in/a.jsonl",
    ],
)
async def test_other_objects_are_left_alone(key: str) -> None:
    async with batch_world() as world:
        await world.components.objects.put(key, jsonl(requests(1)))
        await take_object(world.components, event_of(key))
        assert await stored_objects(world, "") == {key: jsonl(requests(1))}
        assert world.queue.sent == []


async def test_an_object_that_was_replaced_or_deleted_waits_for_its_own_event() -> None:
    async with batch_world() as world:
        key = await drop(world, jsonl(requests(2)))
        await take_object(world.components, event_of(key, size=5))
        await take_object(world.components, event_of(key + "x", size=5))
        assert (await batches(world), len(await stored_objects(world))) == ([], 1)


async def test_the_object_of_a_batch_that_fails_validation_is_moved_as_well() -> None:
    async with batch_world() as world:
        key = await drop(world, jsonl(requests(1)))
        await take_object(world.components, event_of(key))
        [batch] = await batches(world)
        faults = (BatchFault("duplicate_custom_id", "Twice.", 7), BatchFault("empty_string", "Empty.", 8))
        failed = replace(batch, status="failed", failed_at=NOON, errors=faults)
        assert await world.components.table.save(failed)
        for _ in range(2):
            await announce_end(world.components, failed)
            target = f"workspaces/{WORKSPACE.id}/rejected/a.jsonl"
            assert sorted(await stored_objects(world)) == [target, f"{target}.reason.json"]
            assert await reason(world, "a.jsonl") == [("duplicate_custom_id", 7), ("empty_string", 8)]
            file = await world.components.table.find_file(WORKSPACE.id, batch.input_file_id)
            assert file is not None and file.key == target
        assert isinstance(world.queue.sent[-1], Notify)

"""Files that are dropped into the data folder: each becomes one batch, when it is complete."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.batch.world import BatchWorld, batch_world, jsonl, requests
from tidegate.batch.ports import Page
from tidegate.domain.batch import Batch
from tidegate.local.drop_folder import POLL_SECONDS, DropFolder, watch_drop_folder
from tidegate.sqlite.batch_files import FileBatchObjects

LINES = jsonl(requests(2))


@dataclass
class Watched:
    """A watched folder. `poll` lets the watcher look once more."""

    world: BatchWorld
    folder: DropFolder
    looks: asyncio.Semaphore
    waits: asyncio.Semaphore

    async def poll(self, times: int = 1) -> None:
        for _ in range(times):
            self.looks.release()
            await self.waits.acquire()

    async def batches(self) -> list[Batch]:
        return list(await self.world.components.table.list_batches("ws_test", Page(10, is_ascending=True)))


@asynccontextmanager
async def watched(world: BatchWorld, folder: DropFolder) -> AsyncIterator[Watched]:
    looks, waits = asyncio.Semaphore(0), asyncio.Semaphore(0)

    async def pause(seconds: float) -> None:
        assert seconds == POLL_SECONDS
        waits.release()
        await looks.acquire()

    components = replace(world.components, objects=FileBatchObjects(folder.objects))
    async with asyncio.timeout(20), watch_drop_folder(components, folder, pause):
        await waits.acquire()
        yield Watched(world, folder, looks, waits)


@pytest.fixture
def folder(tmp_path: Path) -> DropFolder:
    return DropFolder(tmp_path / "objects", "ws_test")


async def test_a_file_becomes_one_batch_once_it_is_complete(folder: DropFolder) -> None:
    async with batch_world() as world, watched(world, folder) as watch:
        path = folder.path / "january.jsonl"
        path.write_bytes(LINES[:50])
        await watch.poll()
        path.write_bytes(LINES)
        await watch.poll()
        assert await watch.batches() == []
        await watch.poll(3)
        (batch,) = await watch.batches()
        assert (batch.source, batch.input_key) == ("object", "workspaces/ws_test/in/january.jsonl")
        assert (batch.input_bytes, batch.key_id) == (len(LINES), None)


async def test_a_restart_does_not_take_a_file_again(folder: DropFolder) -> None:
    async with batch_world() as world:
        folder.create()
        (folder.path / "one.jsonl").write_bytes(LINES)
        for _ in range(2):
            async with watched(world, folder) as watch:
                await watch.poll(2)
        assert len(await watch.batches()) == 1
        world.clock.move(30 * 86_400.0)  # all claims are over
        async with watched(world, folder) as watch:
            await watch.poll(2)
        assert len(await watch.batches()) == 1


async def test_a_file_that_was_replaced_is_another_batch(folder: DropFolder) -> None:
    async with batch_world() as world, watched(world, folder) as watch:
        path = folder.path / "one.jsonl"
        path.write_bytes(LINES)
        await watch.poll(2)
        path.unlink()
        path.write_bytes(jsonl(requests(3)))
        os.utime(path, ns=(1, 1_795_000_000_000_000_000))
        await watch.poll(2)
        assert sorted(batch.input_bytes for batch in await watch.batches()) == sorted(
            [len(LINES), len(jsonl(requests(3)))]
        )


async def test_files_that_are_not_finished_or_not_files_are_left_alone(folder: DropFolder, tmp_path: Path) -> None:
    async with batch_world() as world, watched(world, folder) as watch:
        for name in (".hidden.jsonl", "a.jsonl.part", "b.tmp", "c~"):
            (folder.path / name).write_bytes(LINES)
        (folder.path / ".git").mkdir()
        (folder.path / ".git" / "d.jsonl").write_bytes(LINES)
        (tmp_path / "secret").write_bytes(LINES)
        (folder.path / "link.jsonl").symlink_to(tmp_path / "secret")
        await watch.poll(3)
        assert await watch.batches() == []
        (folder.path / "a.jsonl.part").rename(folder.path / "a.jsonl")
        await watch.poll(3)
        assert [batch.input_key for batch in await watch.batches()] == ["workspaces/ws_test/in/a.jsonl"]


@pytest.mark.parametrize("workspace_id", ["ws_test", "ws_unknown"])
async def test_a_file_that_is_not_acceptable_is_moved_with_the_reason(folder: DropFolder, workspace_id: str) -> None:
    async with batch_world() as world, watched(world, folder) as watch:
        place = folder.objects / "workspaces" / workspace_id
        (place / "in").mkdir(parents=True, exist_ok=True)
        (place / "in" / "bad.jsonl").write_bytes(b"" if workspace_id == "ws_test" else LINES)
        await watch.poll(3)
        assert sorted(path.name for path in (place / "rejected").iterdir()) == ["bad.jsonl", "bad.jsonl.reason.json"]
        assert folder.path.is_dir()  # also after its last file was moved
        assert await watch.batches() == []


async def test_a_store_that_is_down_does_not_end_the_watch(folder: DropFolder) -> None:
    async with batch_world() as world:
        (objects := folder.objects).mkdir()
        objects.chmod(0o700)
        async with watched(world, folder) as watch:
            (objects / "workspaces" / "ws_test" / "in").rmdir()
            (objects / "workspaces" / "ws_test").rmdir()
            (objects / "workspaces").rmdir()
            (objects / "workspaces").write_bytes(b"in the way")
            await watch.poll()
            (objects / "workspaces").unlink()
            await watch.poll()
            (folder.path / "one.jsonl").write_bytes(LINES)
            await watch.poll(2)
            assert len(await watch.batches()) == 1

"""Objects of files and batches in a folder: what is on the disk."""

from pathlib import Path

import pytest

from tidegate.errors import StoreUnavailable
from tidegate.sqlite.batch_files import FileBatchObjects
from tidegate.sqlite.object_files import NEW_FILES
from tidegate.sqlite.objects import FileObjects

DAY = 86_400


def paths(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


async def test_files_are_private(tmp_path: Path) -> None:
    objects = FileBatchObjects(tmp_path / "objects")
    await objects.put("files/ws_a/1", b"x")
    async with objects.writer("files/ws_a/2") as writer:
        await writer.append_object("files/ws_a/1", 1)
    modes = [(tmp_path / "objects" / path).stat().st_mode & 0o777 for path in paths(tmp_path / "objects")]
    assert paths(tmp_path / "objects") == [NEW_FILES, "files", "files/ws_a", "files/ws_a/1", "files/ws_a/2"]
    assert modes == [0o700, 0o700, 0o700, 0o600, 0o600]


async def test_empty_folders_go_with_the_last_file_but_those_of_people_stay(tmp_path: Path) -> None:
    objects = FileBatchObjects(tmp_path)
    for key in ("batches/ws_a/b/journal/1", "batches/ws_a/c", "workspaces/ws_a/in/1"):
        await objects.put(key, b"x")
    await objects.delete(["batches/ws_a/b/journal/1", "workspaces/ws_a/in/1", "absent/folder/1"])
    assert paths(tmp_path) == [
        *(NEW_FILES, "batches", "batches/ws_a", "batches/ws_a/c"),
        *("workspaces", "workspaces/ws_a", "workspaces/ws_a/in"),
    ]


async def test_a_file_that_was_being_written_is_no_object_and_is_deleted_after_a_day(tmp_path: Path) -> None:
    objects = FileBatchObjects(tmp_path)
    writer = objects.writer("batches/joined")
    await writer.__aenter__()  # and its process dies
    await writer.write(b"half")
    [left] = (tmp_path / NEW_FILES).iterdir()
    assert await objects.list_keys("") == []
    with pytest.raises(StoreUnavailable, match="not valid"):
        await objects.read(f"{NEW_FILES}/{left.name}")
    modified_at = left.stat().st_mtime
    assert await FileObjects(tmp_path).delete_expired(modified_at + DAY - 1) == 0
    assert await FileObjects(tmp_path).delete_expired(modified_at + DAY + 1) == 1
    await writer.__aexit__(ValueError, ValueError(), None)


@pytest.mark.parametrize("key", ["a\0b", "", "a//b", "/a", "a" * 300])
async def test_what_is_not_the_name_of_a_file_is_refused(tmp_path: Path, key: str) -> None:
    objects = FileBatchObjects(tmp_path / "objects")
    with pytest.raises(StoreUnavailable):
        await objects.put(key, b"x")
    assert paths(tmp_path) in ([], ["objects", f"objects/{NEW_FILES}"])


async def test_a_folder_that_cannot_be_used_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "objects").write_bytes(b"a file")
    objects = FileBatchObjects(tmp_path / "objects")
    with pytest.raises(StoreUnavailable):
        await objects.put("a", b"x")
    with pytest.raises(StoreUnavailable):
        async with objects.writer("a") as writer:
            await writer.write(b"x")

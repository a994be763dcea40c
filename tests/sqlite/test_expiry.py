"""What has expired is deleted from the folder, and nothing else."""

import os
import time
from pathlib import Path

import pytest

from tidegate.aws.batch_table import DynamoBatchTable
from tidegate.aws.expressions import Put
from tidegate.aws.store import ItemKey, Store
from tidegate.batch.keys import file_key
from tidegate.domain.batch import StoredFile
from tidegate.errors import StoreUnavailable
from tidegate.sqlite.client import SqliteClient
from tidegate.sqlite.expiry import DELETED_AT_ONCE, FILE_DELAY_SECONDS, delete_expired
from tidegate.sqlite.objects import FileObjects

NOW = 1_800_000_000.0
DAY = 86_400


async def test_expired_items_are_deleted_and_the_others_stay(client: SqliteClient, tmp_path: Path) -> None:
    store = Store(client, "table", clock=lambda: NOW - 10)
    for number in range(DELETED_AT_ONCE + 3):
        await store.put(Put("table", {"pk": "old", "sk": f"{number}", "ttl": int(NOW)}))
    for sk, fields in {"later": {"ttl": int(NOW) + 1}, "never": {}}.items():
        await store.put(Put("table", {"pk": "new", "sk": sk, **fields}))
    assert await delete_expired(client, FileObjects(tmp_path), NOW) == DELETED_AT_ONCE + 3
    assert await store.query("old", "") == []
    assert [item["sk"] for item in await store.query("new", "")] == ["later", "never"]
    assert await delete_expired(client, FileObjects(tmp_path), NOW) == 0


async def test_an_item_that_no_longer_expires_is_kept(client: SqliteClient, tmp_path: Path) -> None:
    store = Store(client, "table")
    await store.put(Put("table", {"pk": "P", "sk": "S", "ttl": int(NOW)}))
    await store.put(Put("table", {"pk": "P", "sk": "S"}))
    assert await delete_expired(client, FileObjects(tmp_path), NOW) == 0
    assert await store.read(ItemKey("P", "S"))


async def test_an_object_is_deleted_once_no_item_can_refer_to_it(tmp_path: Path) -> None:
    objects, now = FileObjects(tmp_path / "objects"), time.time()
    ages = {"cache/ws/a/1": 32, "cache/ws/a/2": 30, "idem/ws/a/1": 3, "idem/ws/a/2": 1, "files/ws/1": 400}
    ages |= {"uploads/ws/u/1": 3, "uploads/ws/u/2": 1, "batches/ws/b/1": 41, "batches/ws/b/2": 39}
    ages |= {"workspaces/ws/in/1": 400, "workspaces/ws/out/1": 400}
    for key, days in ages.items():
        await objects.put(key, b"reply")
        os.utime(tmp_path / "objects" / key, (now, now - days * DAY))
    assert await objects.delete_expired(now) == 4
    deleted = {"cache/ws/a/1", "idem/ws/a/1", "uploads/ws/u/1", "batches/ws/b/1"}
    assert [key for key in ages if not await objects.get(key)] == [key for key in ages if key in deleted]


async def test_the_content_of_a_file_is_deleted_when_no_batch_can_read_it_any_more(
    client: SqliteClient, tmp_path: Path
) -> None:
    times = [NOW]
    table, objects = DynamoBatchTable(Store(client, "table", lambda: times[0])), FileObjects(tmp_path)
    for name, expires_at in {"file-1": NOW + DAY, "file-2": NOW + 10 * DAY, "file-3": None}.items():
        file = StoredFile(
            id=name,
            workspace_id="ws",
            filename="a.jsonl",
            purpose="batch",
            bytes=1,
            key=file_key("ws", name),
            created_at=NOW,
            expires_at=expires_at,
        )
        assert await table.save(file)
        await objects.put(file.key, b"1")
    times[0] = NOW + 2 * DAY
    assert await delete_expired(client, objects, times[0]) == 0
    assert await table.find_file("ws", "file-1") is None  # but its batch may still read it
    assert await objects.get(file_key("ws", "file-1")) == b"1"
    times[0] = NOW + DAY + FILE_DELAY_SECONDS
    assert await delete_expired(client, objects, times[0]) == 1
    assert await objects.get(file_key("ws", "file-1")) is None
    assert await objects.get(file_key("ws", "file-2")) == b"1"
    assert await delete_expired(client, objects, NOW + 1000 * DAY) == 1
    assert await objects.get(file_key("ws", "file-3")) == b"1"


async def test_an_object_is_private_and_replaced_whole(tmp_path: Path) -> None:
    objects = FileObjects(tmp_path / "objects")
    assert await objects.get("cache/ws/a") is None
    await objects.put("cache/ws/a", b"first")
    await objects.put("cache/ws/a", b"second")
    assert await objects.get("cache/ws/a") == b"second"
    files = [path for path in (tmp_path / "objects").rglob("*") if path.is_file()]
    assert [(path.name, path.stat().st_mode & 0o777) for path in files] == [("a", 0o600)]


@pytest.mark.parametrize("key", ["../outside", "cache/../../outside"])
async def test_no_object_lies_outside_of_the_folder(tmp_path: Path, key: str) -> None:
    objects = FileObjects(tmp_path / "objects")
    with pytest.raises(StoreUnavailable):
        await objects.put(key, b"x")
    with pytest.raises(StoreUnavailable):
        await objects.get(key)


async def test_a_folder_that_cannot_be_written_is_an_unavailable_store(tmp_path: Path) -> None:
    (tmp_path / "objects").touch()
    with pytest.raises(StoreUnavailable, match="data folder"):
        await FileObjects(tmp_path / "objects").put("cache/a", b"x")

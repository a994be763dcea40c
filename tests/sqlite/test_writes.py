"""Writes to the table in SQLite: shared commits, refusals, and what goes wrong with the file."""

import asyncio
import sqlite3
from typing import Any

import pytest

from tidegate.aws.expressions import Attr, Delete, Put, Update
from tidegate.aws.store import ConditionFailed, ItemKey, Store
from tidegate.errors import StoreUnavailable
from tidegate.sqlite.client import PAGE_ITEMS, SqliteClient
from tidegate.sqlite.folder import DataFolder
from tidegate.sqlite.writer import write_all

COUNTER = ItemKey("COUNTER", "COUNTER")
NEW = Attr("pk").does_not_exist()


def put(name: object, sk: str = "S", **fields: object) -> Put:
    return Put("table", {"pk": name, "sk": sk, **fields}, NEW)


def count() -> Update:
    return Update("table", COUNTER._asdict(), Attr("writes").add(1))


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many requests each commit had."""
    sizes: list[int] = []

    def counted(database: sqlite3.Connection, requests: Any) -> Any:
        sizes.append(len(requests))
        return write_all(database, requests)

    monkeypatch.setattr("tidegate.sqlite.writer.write_all", counted)
    return sizes


async def test_requests_of_one_moment_share_a_commit(store: Store, commits: list[int]) -> None:
    await asyncio.gather(*(store.write([put(f"P{number}"), count()]) for number in range(100)))
    assert sum(commits) == 100
    assert len(commits) <= 3
    assert (await store.read(COUNTER))[COUNTER]["writes"] == 100


async def test_a_refused_request_changes_nothing_and_stops_no_other(store: Store, commits: list[int]) -> None:
    await store.put(put("taken"))
    writes = [[put(name), count()] for name in ("a", "taken", "b")]
    ended = await asyncio.gather(*map(store.write, writes), return_exceptions=True)
    assert [type(each) for each in ended] == [type(None), ConditionFailed, type(None)]
    assert commits == [1, 3]
    assert (await store.read(COUNTER))[COUNTER]["writes"] == 2


async def test_a_request_sees_what_those_before_it_in_the_commit_wrote(store: Store, commits: list[int]) -> None:
    ended = await asyncio.gather(
        store.put(put("a")),
        store.put(put("a")),
        store.write([Delete("table", {"pk": "a", "sk": "S"}, Attr("pk").exists())]),
        store.put(put("a", last=True)),
        return_exceptions=True,
    )
    assert [type(each) for each in ended] == [type(None), ConditionFailed, type(None), type(None)]
    assert commits == [4]
    assert (await store.read(ItemKey("a", "S")))[ItemKey("a", "S")]["last"] is True


@pytest.mark.parametrize(
    "broken", [put("a\ud800"), put("a", text="\ud800"), Update("table", COUNTER._asdict(), Attr("a", "b").set(1))]
)
async def test_a_request_that_cannot_be_stored_fails_alone(store: Store, broken: Any) -> None:
    with_broken = asyncio.gather(
        store.write([put("b")]), store.write([broken]), store.write([put("c")]), return_exceptions=True
    )
    ended = await with_broken
    assert [type(each) for each in ended] == [type(None), StoreUnavailable, type(None)]
    assert set(await store.read(ItemKey("b", "S"), ItemKey("c", "S"))) == {ItemKey("b", "S"), ItemKey("c", "S")}


async def test_a_request_that_is_cancelled_before_its_commit_is_not_made(store: Store) -> None:
    first = asyncio.create_task(store.put(put("a")))
    second = asyncio.create_task(store.put(put("b")))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    await store.put(put("c"))
    assert set(await store.read(ItemKey("a", "S"), ItemKey("b", "S"))) == {ItemKey("a", "S")}


async def test_a_long_list_is_read_in_pages_and_in_both_orders(store: Store) -> None:
    names = [f"{number:05}" for number in range(2 * PAGE_ITEMS + 1)]
    await asyncio.gather(*(store.put(put("P", name)) for name in names))
    await store.put(put("Q", "00000"))
    assert [item["sk"] for item in await store.query("P", "0")] == names
    assert [item["sk"] for item in await store.query_range("P", "0", "9", newest_first=True)] == names[::-1]
    assert [item["sk"] for item in await store.query_range("P", names[3], names[5])] == names[3:6]
    assert [item["sk"] for item in await store.query("P", "0", limit=2, newest_first=True)] == names[:-3:-1]


async def test_a_full_disk_refuses_calls_and_loses_nothing(
    client: SqliteClient, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(client, "table")
    await store.put(put("before"))
    await client.writer.run(lambda database: database.execute("PRAGMA max_page_count = 1"))
    with pytest.raises(StoreUnavailable):
        await asyncio.gather(*(store.put(put(f"P{number}", text="x" * 10_000)) for number in range(20)))
    assert "the disk is full" in str(caplog.records[0].__dict__["error"])
    await client.writer.run(lambda database: database.execute("PRAGMA max_page_count = 100000"))
    await store.put(put("after"))
    assert len(await store.read(ItemKey("before", "S"), ItemKey("after", "S"), ItemKey("P0", "S"))) == 2


async def test_a_file_that_is_damaged_while_it_is_used_refuses_calls(folder: DataFolder, client: SqliteClient) -> None:
    store = Store(client, "table")
    await asyncio.gather(*(store.put(put(f"P{number}", text="x" * 3000)) for number in range(50)))
    await client.writer.run(lambda database: database.execute("PRAGMA wal_checkpoint(TRUNCATE)"))
    size = folder.database.stat().st_size
    with folder.database.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    other = SqliteClient(folder.database)
    with pytest.raises(StoreUnavailable):
        await Store(other, "table").read(*(ItemKey(f"P{number}", "S") for number in range(50)))
    with pytest.raises(StoreUnavailable):
        await Store(other, "table").put(put("new"))
    other.close()

"""Processes that write to one data folder: at once, and until they are killed."""

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing
from subprocess import PIPE

import pytest

from tests.emulators.process import ROOT, function_env
from tests.sqlite.worker import COUNTER
from tidegate.aws.store import ItemKey, Store
from tidegate.errors import ConfigurationError
from tidegate.sqlite.client import SqliteClient
from tidegate.sqlite.database import open_database
from tidegate.sqlite.folder import DataFolder

pytestmark = pytest.mark.slow


def worker(folder: DataFolder, name: str, count: int) -> "subprocess.Popen[str]":
    command = (sys.executable, "-m", "tests.sqlite.worker", str(folder.path), name, str(count))
    env = function_env() | {"PYTHONPATH": f"{ROOT}:{ROOT / 'shared'}"}
    return subprocess.Popen(command, env=env, cwd=ROOT, stdout=PIPE, text=True)


async def test_processes_at_once_lose_no_write(folder: DataFolder) -> None:
    processes = [worker(folder, name, 400) for name in ("a", "b", "c")]
    acknowledged = [len(process.communicate()[0].splitlines()) for process in processes]
    assert acknowledged == [400, 400, 400]
    client = SqliteClient(folder.database)
    store = Store(client, "table")
    assert (await store.read(COUNTER))[COUNTER]["writes"] == 1200
    assert [len(await store.query(name, "")) for name in ("a", "b", "c")] == [400, 400, 400]
    client.close()


@pytest.mark.parametrize("seconds", [0.0, 0.11, 0.37])
async def test_what_a_killed_process_acknowledged_is_kept(folder: DataFolder, seconds: float) -> None:
    process = worker(folder, "a", 0)
    assert process.stdout is not None
    process.stdout.readline()
    await asyncio.sleep(seconds)
    process.kill()
    acknowledged = {int(line) for line in process.communicate()[0].splitlines()} | {0}
    client = SqliteClient(folder.database)
    store = Store(client, "table")
    numbers = {int(str(item["sk"])) for item in await store.query("a", "")}
    assert acknowledged <= numbers
    assert (await store.read(COUNTER))[COUNTER]["writes"] == len(numbers)
    client.close()


async def test_a_write_waits_for_another_process_and_reads_go_on(folder: DataFolder, store: Store) -> None:
    with closing(sqlite3.connect(folder.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        process = worker(folder, "a", 8)
        assert await store.read(ItemKey("a", "S")) == {}
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(2)
        other.execute("COMMIT")
        assert len(process.communicate()[0].splitlines()) == 8


def test_a_file_that_stays_locked_is_refused(folder: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    open_database(folder.database).close()
    monkeypatch.setattr("tidegate.sqlite.database.BUSY_SECONDS", 0.1)
    with closing(sqlite3.connect(folder.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(ConfigurationError, match="another process"):
            open_database(folder.database)

"""The file of the table: who may read it, its versions, and files that cannot be used."""

import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.emulators.process import ROOT
from tidegate.errors import ConfigurationError
from tidegate.sqlite.database import MIGRATIONS, open_database
from tidegate.sqlite.folder import DataFolder


def version(path: Path) -> int:
    database = sqlite3.connect(path)
    (number,) = database.execute("PRAGMA user_version").fetchone()
    database.close()
    return number


def test_only_its_user_may_read_the_folder_and_its_files(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        folder = DataFolder(tmp_path / "data")
        folder.create()
        database = open_database(folder.database)
        database.execute("INSERT INTO items VALUES ('a', 'b', '{}', NULL)")
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder.path, *folder.path.iterdir())}
    assert modes == {"data": 0o700, **dict.fromkeys(("tidegate.db", "tidegate.db-wal", "tidegate.db-shm"), 0o600)}
    database.close()


def test_a_commit_is_written_ahead_and_on_the_disk(folder: DataFolder) -> None:
    database = open_database(folder.database)
    pragmas = {name: database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")}
    assert pragmas == {"journal_mode": "wal", "synchronous": 2}
    database.close()


@pytest.mark.parametrize("made", range(len(MIGRATIONS) + 1))
def test_an_older_file_becomes_the_current_version_with_its_items(folder: DataFolder, made: int) -> None:
    old = open_database(folder.database, MIGRATIONS[:made])
    if made:
        old.execute("INSERT INTO items VALUES ('a', 'b', '{}', NULL)")
    old.close()
    assert version(folder.database) == made
    database = open_database(folder.database)
    assert database.execute("SELECT pk, sk FROM items").fetchall() == ([("a", "b")] if made else [])
    assert version(folder.database) == len(MIGRATIONS)
    database.close()


def test_a_migration_that_fails_leaves_the_old_version(folder: DataFolder) -> None:
    open_database(folder.database).close()
    with pytest.raises(ConfigurationError, match="syntax error"):
        open_database(folder.database, (*MIGRATIONS, "CREATE TABLE added (a)", "NOT SQL"))
    assert version(folder.database) == len(MIGRATIONS)
    database = open_database(folder.database, (*MIGRATIONS, "CREATE TABLE added (a)"))
    database.close()


def test_a_file_of_a_newer_version_is_refused_and_stays_as_it_is(folder: DataFolder) -> None:
    open_database(folder.database, (*MIGRATIONS, "CREATE TABLE added (a)")).close()
    before = folder.database.read_bytes()
    with pytest.raises(ConfigurationError, match=r"newer version of Tidegate.*--data"):
        open_database(folder.database)
    assert folder.database.read_bytes() == before


@pytest.mark.parametrize(
    "content", [b"not a database, but a text that is longer than its head" * 100, b"SQLite format 3\0" * 400]
)
def test_a_file_that_is_not_a_database_is_refused_and_stays_as_it_is(folder: DataFolder, content: bytes) -> None:
    folder.database.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"damaged.*backup"):
        open_database(folder.database)
    assert folder.database.read_bytes() == content


def test_a_folder_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"Cannot create the data folder .*Not a directory.*--data"):
        DataFolder(tmp_path / "file" / "data").create()
    with pytest.raises(ConfigurationError, match="Cannot create"):
        DataFolder(tmp_path / "file").create()


_OPEN_AS_ANOTHER = """
import os, sys
from pathlib import Path
from tidegate.errors import ConfigurationError
from tidegate.sqlite.database import open_database
if os.getuid() == 0:
    os.setuid(65534)
try:
    open_database(Path(sys.argv[1]))
except ConfigurationError as error:
    print(error.message)
"""


@pytest.mark.parametrize("is_new", [True, False])
def test_a_folder_that_this_user_may_not_write_to_is_refused(
    tmp_path_factory: pytest.TempPathFactory, is_new: bool
) -> None:
    folder = DataFolder(tmp_path_factory.mktemp("readable"))
    if not is_new:
        open_database(folder.database).close()
        folder.database.chmod(0o444)
    folder.path.chmod(0o555)
    for parent in (folder.path.parent, folder.path.parent.parent):
        parent.chmod(0o755)
    env = {**os.environ, "PYTHONPATH": str(ROOT / "shared")}
    command = [sys.executable, "-c", _OPEN_AS_ANOTHER, str(folder.database)]
    said = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "may not write to" in said
    assert "--data" in said

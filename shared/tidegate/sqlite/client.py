"""DynamoDB's actions in SQLite, as `aws.store` calls them.

A write is a request to the writer's thread. A read is made at once: in SQLite's WAL mode it waits for no write, and
sees what was last committed, by any process.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Operations_Amazon_DynamoDB.html
"""

import asyncio
import logging
import re
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from tidegate.aws.dynamo import Backoff, DynamoError
from tidegate.aws.expressions import Payload
from tidegate.aws.store import ItemKey
from tidegate.errors import StoreUnavailable
from tidegate.sqlite.conditions import Attributes
from tidegate.sqlite.database import explain_file_error, open_database, open_reader
from tidegate.sqlite.transaction import parse_item_key, parse_write_request
from tidegate.sqlite.writer import Writer, decode_item

log = logging.getLogger(__name__)

PAGE_ITEMS = 500
"""Items in one page of a query; other calls go on between two pages."""

_FIND = "SELECT item FROM items WHERE pk = ? AND sk = ?"
_RANGE = "SELECT sk, item FROM items WHERE pk = ? AND sk >= ? AND sk <= ? AND {after} ORDER BY sk {order} LIMIT ?"
_ASCENDING = _RANGE.format(after="sk > ?", order="ASC")
_DESCENDING = _RANGE.format(after="sk < ?", order="DESC")
_KEY_CONDITION = re.compile(r"\(#\w+ = (:\w+) AND (?:begins_with\(#\w+, (:\w+)\)|#\w+ BETWEEN (:\w+) AND (:\w+))\)")
"""The forms that `Store.query` and `Store.query_range` write."""

_LAST_CHARACTER = "\U0010ffff"


class SqliteClient:
    """The client of a table in a file, for one event loop. It takes the place of a `DynamoClient`."""

    prefers_transactions = True

    def __init__(self, path: Path) -> None:
        """Open the file. Raises `ConfigurationError` if it cannot be used."""
        self.path = path
        self.backoff = Backoff()
        self.writer = Writer(open_database(path))
        self._reader = open_reader(path)

    async def call(self, action: str, payload: Payload, *, repeats: bool = True) -> Payload:
        """See `DynamoClient.call`. Raises `StoreUnavailable` if the file cannot be read or written."""
        try:
            match action:
                case "BatchGetItem":
                    return {"Responses": self._find_items(payload)}
                case "Query":
                    await asyncio.sleep(0)
                    return self._query(payload)
                case _:
                    return await self.writer.write(parse_write_request(action, payload))
        except sqlite3.Error as error:
            message = explain_file_error(error, self.path)
            log.error("sqlite.failed", extra={"error": message})
            raise StoreUnavailable(message, retry_after_seconds=1) from error

    def close(self) -> None:
        """Wait for the running commit, and close the file."""
        self._reader.close()
        self.writer.close()

    def _find_items(self, payload: Payload) -> Payload:
        responses: Payload = {}
        for table, request in cast("Mapping[str, Mapping[str, list[object]]]", payload["RequestItems"]).items():
            found = (self._find_item(parse_item_key(key)) for key in request["Keys"])
            responses[table] = [item for item in found if item is not None]
        return responses

    def _find_item(self, item_key: ItemKey) -> Attributes | None:
        row = self._reader.execute(_FIND, item_key).fetchone()
        return None if row is None else cast(Attributes, decode_item(row[0]))

    def _query(self, payload: Payload) -> Payload:
        pk, low, high = _key_range(payload)
        is_ascending = payload.get("ScanIndexForward", True)
        limit = min(cast(int, payload.get("Limit") or PAGE_ITEMS), PAGE_ITEMS)
        start = payload.get("ExclusiveStartKey")
        after = parse_item_key(start).sk if start else "" if is_ascending else high + _LAST_CHARACTER
        statement = _ASCENDING if is_ascending else _DESCENDING
        rows = self._reader.execute(statement, (pk, low, high, after, limit)).fetchall()
        page: Payload = {"Items": _project([decode_item(item) for _, item in rows], payload)}
        if len(rows) == limit:
            page["LastEvaluatedKey"] = {"pk": {"S": pk}, "sk": {"S": rows[-1][0]}}
        return page


def _project(items: list[dict[str, dict[str, object]]], payload: Payload) -> list[dict[str, dict[str, object]]]:
    """The items with the attributes of the query's projection only, if it has one."""
    projection = payload.get("ProjectionExpression")
    if projection is None:
        return items
    names = cast("Mapping[str, str]", payload["ExpressionAttributeNames"])
    attributes = {names[placeholder] for placeholder in str(projection).split(", ")}
    return [{name: value for name, value in item.items() if name in attributes} for item in items]


def _key_range(payload: Payload) -> tuple[str, str, str]:
    """The partition of a query, and its first and last sort key. Raises `DynamoError`."""
    values = cast("Mapping[str, Mapping[str, str]]", payload["ExpressionAttributeValues"])
    match = _KEY_CONDITION.fullmatch(str(payload["KeyConditionExpression"]))
    if match is None:
        raise DynamoError("ValidationException", "Key condition not supported.")
    pk, prefix, low, high = (placeholder and values[placeholder]["S"] for placeholder in match.groups())
    if prefix is not None:
        return pk, prefix, prefix + _LAST_CHARACTER
    return pk, low, high

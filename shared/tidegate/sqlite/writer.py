"""The thread that writes: all requests that have come while it wrote share its next commit.

Each request is answered after its commit, which is on the disk by then.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, cast

import msgspec

from tidegate.aws.dynamo import DynamoError
from tidegate.aws.expressions import Payload
from tidegate.aws.store import ItemKey
from tidegate.sqlite.conditions import Attributes
from tidegate.sqlite.transaction import Transaction, WriteRequest

MAX_REQUESTS = 256
"""How many requests one commit may hold, so that none waits for too many others."""

_FIND = "SELECT item FROM items WHERE pk = ? AND sk = ?"
_PUT = "INSERT OR REPLACE INTO items VALUES (?, ?, ?, ?)"
_DELETE = "DELETE FROM items WHERE pk = ? AND sk = ?"

_T = TypeVar("_T")

decode_item = msgspec.json.Decoder(dict[str, dict[str, object]]).decode
encode_item = msgspec.json.Encoder().encode


class Writer:
    """Writes for one event loop, over a connection that it owns."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite")
        self._waiting: list[tuple[WriteRequest, asyncio.Future[Payload]]] = []
        self._is_writing = False

    async def write(self, request: WriteRequest) -> Payload:
        """DynamoDB's answer, after the commit. Raises `DynamoError` and `sqlite3.Error`.

        A request that is cancelled before its commit has begun is not made.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Payload] = loop.create_future()
        self._waiting.append((request, answer))
        if not self._is_writing:
            self._is_writing = True
            loop.call_soon(self._write_waiting, loop)
        return await answer

    async def run(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Do other work with the connection, between two commits."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, self._database)

    def close(self) -> None:
        """Wait for the running commit, and close the connection."""
        self._thread.shutdown()
        self._database.close()

    def _write_waiting(self, loop: asyncio.AbstractEventLoop) -> None:
        entries = [(request, answer) for request, answer in self._waiting[:MAX_REQUESTS] if not answer.done()]
        del self._waiting[:MAX_REQUESTS]
        if not entries:
            self._is_writing = bool(self._waiting)
            if self._is_writing:
                loop.call_soon(self._write_waiting, loop)
            return
        requests, answers = zip(*entries, strict=True)
        written = loop.run_in_executor(self._thread, write_all, self._database, requests)
        written.add_done_callback(lambda done: self._answer(done, answers, loop))

    def _answer(
        self,
        written: "asyncio.Future[list[Payload | DynamoError]]",
        answers: Sequence["asyncio.Future[Payload]"],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        error = written.exception()
        results = [error] * len(answers) if error is not None else written.result()
        for answer, result in zip(answers, results, strict=True):
            if answer.done():
                continue
            if isinstance(result, BaseException):
                answer.set_exception(result)
            else:
                answer.set_result(result)
        self._write_waiting(loop)


def write_all(database: sqlite3.Connection, requests: Sequence[WriteRequest]) -> list[Payload | DynamoError]:
    """Execute the requests in their order, in one commit; their answers, or why each was refused.

    Raises `sqlite3.Error` if nothing was committed.
    """
    database.execute("BEGIN IMMEDIATE")
    try:
        found: dict[ItemKey, Attributes | None] = {}

        def read(item_key: ItemKey) -> Attributes | None:
            if item_key not in found:
                row = database.execute(_FIND, item_key).fetchone()
                found[item_key] = None if row is None else cast(Attributes, decode_item(row[0]))
            return found[item_key]

        transaction = Transaction(read)
        answers = [_execute(transaction, request) for request in requests]
        items = transaction.changed.items()
        database.executemany(_PUT, [_row(item_key, item) for item_key, item in items if item is not None])
        database.executemany(_DELETE, [item_key for item_key, item in items if item is None])
        database.execute("COMMIT")
    except UnicodeEncodeError as error:  # text with half a surrogate pair
        database.execute("ROLLBACK")
        if len(requests) == 1:
            return [DynamoError("ValidationException", repr(error))]
        return [answer for request in requests for answer in write_all(database, [request])]
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise
    return answers


def _execute(transaction: Transaction, request: WriteRequest) -> Payload | DynamoError:
    try:
        return transaction.execute(request)
    except DynamoError as error:
        return error
    except (KeyError, TypeError, ValueError) as error:  # a request in an unknown form must not fail the others
        return DynamoError("ValidationException", repr(error))


def _row(item_key: ItemKey, item: Attributes) -> tuple[str, str, bytes, float | None]:
    ttl = item.get("ttl", {}).get("N")
    return item_key.pk, item_key.sk, encode_item(item), None if ttl is None else float(str(ttl))

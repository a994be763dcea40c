"""The table as the ports use it: reads without expired items, writes that happen once, and one kind of error.

`ObjectStore` is for what does not fit in an item.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeAlias, cast

from msgspec import Struct

from tidegate.aws.dynamo import REQUEST_FAILURES, Backoff, DynamoError, TableClient
from tidegate.aws.expressions import Attr, Condition, Payload, Placeholders, Put, TransactWrite
from tidegate.aws.values import AttributeValue, from_attributes, to_attributes
from tidegate.errors import StoreUnavailable

log = logging.getLogger(__name__)

Item: TypeAlias = Mapping[str, object]
Write: TypeAlias = TransactWrite
CONFLICT_BACKOFF = Backoff(tries=64, longest_seconds=2.0)
"""Enough tries for the whole timeout: the calls of a busy workspace take turns to write to its counters."""

MAX_BATCH_ITEMS = 100
"""DynamoDB's limit for one batch read."""

MAX_TRANSACTION_ITEMS = 100
"""DynamoDB's limit for one transaction."""

_TRANSACTION_CANCELLED, _CONDITION_FAILED = "TransactionCanceledException", "ConditionalCheckFailedException"
_CONFLICT_CODES = frozenset({"TransactionConflictException", "TransactionInProgressException"})
_CONFLICT_REASONS = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})


class ItemKey(NamedTuple):
    """The primary key of an item: partition key and sort key."""

    pk: str
    sk: str


class ConditionFailed(Exception):
    """A condition of the write did not hold, for instance because the item exists already."""


class ObjectStore(Protocol):
    """Stores objects in one piece: a bucket, or a folder. All methods raise `StoreUnavailable`."""

    async def put(self, key: str, data: bytes) -> None:
        """Write the object; an existing one is replaced."""
        ...

    async def get(self, key: str) -> bytes | None:
        """The object, None if it does not exist."""
        ...

    async def delete(self, key: str) -> None:
        """Delete the object, if it exists."""
        ...


class Store(Struct, frozen=True):
    """One table. All methods raise `StoreUnavailable` within `timeout_seconds`, whatever the cause.

    await store.put(Put(store.table, {**item_key._asdict(), "status": "active"}, Attr("pk").does_not_exist()))
    item = (await store.read(item_key)).get(item_key)
    """

    client: TableClient
    table: str
    clock: Callable[[], float] = time.time
    timeout_seconds: float = 5.0
    conflict_backoff: Backoff = CONFLICT_BACKOFF

    async def read(self, *item_keys: ItemKey) -> dict[ItemKey, Item]:
        """The items that exist and have not expired, in one consistent read of at most `MAX_BATCH_ITEMS`."""
        items: dict[ItemKey, Item] = {}
        unread_keys: object = [to_attributes(item_key._asdict()) for item_key in item_keys]
        try:
            async with asyncio.timeout(self.timeout_seconds):
                for delay in self.client.backoff.delays():
                    request = {self.table: {"Keys": unread_keys, "ConsistentRead": True}}
                    answer = await self.client.call("BatchGetItem", {"RequestItems": request})
                    for item in _items(_as_mapping(answer["Responses"]).get(self.table, [])):
                        items[ItemKey(str(item["pk"]), str(item["sk"]))] = item
                    unprocessed = _as_mapping(answer.get("UnprocessedKeys") or {}).get(self.table)
                    if not unprocessed:
                        break
                    if delay is None:
                        raise TimeoutError("DynamoDB left some keys unread.")
                    unread_keys = _as_mapping(unprocessed)["Keys"]
                    await self.client.backoff.sleep(delay)
        except REQUEST_FAILURES as error:
            raise _unavailable("read", error) from error
        return {item_key: item for item_key, item in items.items() if self._is_alive(item)}

    async def read_all(self, item_keys: Sequence[ItemKey]) -> dict[ItemKey, Item]:
        """The items that exist and have not expired, in as many consistent reads as they take."""
        items: dict[ItemKey, Item] = {}
        for begin in range(0, len(item_keys), MAX_BATCH_ITEMS):
            items |= await self.read(*item_keys[begin : begin + MAX_BATCH_ITEMS])
        return items

    async def query(self, pk: str, prefix: str, *, limit: int | None = None, newest_first: bool = False) -> list[Item]:
        """The items of a partition whose sort key begins with `prefix`, in its order; at most `limit` of them."""
        condition = Attr("pk").equals(pk) & Attr("sk").begins_with(prefix)
        return await self._query(condition, limit, newest_first)

    async def query_range(
        self,
        pk: str,
        low: str,
        high: str,
        *,
        limit: int | None = None,
        newest_first: bool = False,
        attributes: Sequence[str] = (),
    ) -> list[Item]:
        """The items of a partition with sort keys from `low` to `high`, both included; at most `limit` of them.

        Only with these `attributes`, if there are any. Name `ttl` among them: items without it do not expire.
        """
        condition = Attr("pk").equals(pk) & Attr("sk").between(low, high)
        return await self._query(condition, limit, newest_first, attributes) if low <= high else []

    async def _query(
        self, condition: Condition, limit: int | None, newest_first: bool, attributes: Sequence[str] = ()
    ) -> list[Item]:
        placeholders = Placeholders()
        request: Payload = {
            "TableName": self.table,
            "KeyConditionExpression": condition.render(placeholders),
            "ConsistentRead": True,
            "ScanIndexForward": not newest_first,
            **({} if limit is None else {"Limit": limit}),
            **(_projection(placeholders, attributes) if attributes else {}),
            **placeholders.payload(),
        }
        items: list[Item] = []
        while True:
            try:
                async with asyncio.timeout(self.timeout_seconds):
                    page = await self.client.call("Query", request)
                items += [item for item in _items(page["Items"]) if self._is_alive(item)]
            except REQUEST_FAILURES as error:
                raise _unavailable("query", error) from error
            request["ExclusiveStartKey"] = page.get("LastEvaluatedKey")
            if not request["ExclusiveStartKey"] or (limit is not None and len(items) >= limit):
                return items[:limit]

    async def put(self, put: Put, timeout_seconds: float | None = None) -> None:
        """Write one item, at half the price of a transaction. Raises `ConditionFailed`."""
        await self._write("put", "PutItem", put.payload(), timeout_seconds)

    async def update(
        self, update: TransactWrite, timeout_seconds: float | None = None, *, repeats: bool = True
    ) -> Item:
        """Make one conditional update; the item as it is afterwards. Raises `ConditionFailed`.

        Without `repeats`, it is made at most once: it is not sent again if it got no answer.
        """
        request = {**update.payload(), "ReturnValues": "ALL_NEW"}
        answer = await self._write("update", "UpdateItem", request, timeout_seconds, repeats=repeats)
        return from_attributes(cast("dict[str, AttributeValue]", answer.get("Attributes") or {}))

    async def delete(self, delete: TransactWrite) -> None:
        """Delete one item, if it exists, at half the price of a transaction. Raises `ConditionFailed`."""
        await self._write("delete", "DeleteItem", delete.payload())

    async def write(
        self, writes: Sequence[TransactWrite], token: str | None = None, timeout_seconds: float | None = None
    ) -> None:
        """Make all writes or none, in one transaction. Conflicts with other transactions are retried, with jitter.

        `token` (at most 36 characters) makes a repetition within ten minutes harmless. `timeout_seconds` replaces the
        store's own, for writes that are worth a longer wait. Raises `ConditionFailed`.
        """
        request: Payload = {"TransactItems": [{write.verb: write.payload()} for write in writes]}
        if token is not None:
            request["ClientRequestToken"] = token
        await self._write("write", "TransactWriteItems", request, timeout_seconds)

    async def _write(
        self, operation: str, action: str, request: Payload, max_seconds: float | None = None, *, repeats: bool = True
    ) -> Payload:
        try:
            # Not an anyio scope: pyreqwest raises its own cancellation, which anyio does not recognise as its own.
            async with asyncio.timeout(max_seconds or self.timeout_seconds):
                for delay in self.conflict_backoff.delays():
                    try:
                        return await self.client.call(action, request, repeats=repeats)
                    except DynamoError as error:
                        if _is_failed_condition(error):
                            raise ConditionFailed from None
                        if not _is_conflict(error) or delay is None:
                            raise
                    await self.conflict_backoff.sleep(delay)
        except REQUEST_FAILURES as error:
            raise _unavailable(operation, error) from error
        raise AssertionError("unreachable: the last try returns or raises")

    def _is_alive(self, item: Item) -> bool:
        # DynamoDB deletes expired items within days, not at once.
        match item.get("ttl"):
            case None:
                return True
            case ttl:
                return float(str(ttl)) > self.clock()


def _unavailable(operation: str, error: Exception) -> StoreUnavailable:
    log.warning("store.failed", extra={"operation": operation, "error": type(error).__name__})
    return StoreUnavailable("The store does not answer; try again in a moment.", retry_after_seconds=1)


def _projection(placeholders: Placeholders, attributes: Sequence[str]) -> Payload:
    # Roles that allow some attributes only are asked for the value of `Select`, which is the default here.
    names = ", ".join(map(placeholders.name, attributes))
    return {"ProjectionExpression": names, "Select": "SPECIFIC_ATTRIBUTES"}


def _is_failed_condition(error: DynamoError) -> bool:
    is_cancelled = error.code == _TRANSACTION_CANCELLED and "ConditionalCheckFailed" in error.cancellation_codes
    return is_cancelled or error.code in (_CONDITION_FAILED, "IdempotentParameterMismatchException")


def _is_conflict(error: DynamoError) -> bool:
    is_cancelled = error.code == _TRANSACTION_CANCELLED and bool(_CONFLICT_REASONS & {*error.cancellation_codes})
    return is_cancelled or error.code in _CONFLICT_CODES


def _items(items: object) -> list[Item]:
    return [from_attributes(item) for item in cast("list[dict[str, AttributeValue]]", items)]


def _as_mapping(value: object) -> dict[str, object]:
    """The value as a mapping. Raises `ValueError` if it is not one, as in an answer that is not DynamoDB's."""
    if not isinstance(value, dict):
        raise ValueError("DynamoDB returned something other than an object.")
    return cast("dict[str, object]", value)

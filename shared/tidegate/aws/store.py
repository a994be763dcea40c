"""The table as the ports use it: reads that see no expired item, writes that happen once, and one kind of failure."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple, TypeAlias, cast

from msgspec import Struct

from tidegate.aws.dynamo import REQUEST_FAILURES, Backoff, DynamoClient, DynamoError
from tidegate.aws.expressions import Attr, Condition, Operation, Payload, Placeholders, Put
from tidegate.aws.values import AttributeValue, from_attributes, to_attributes
from tidegate.errors import StoreUnavailable

log = logging.getLogger(__name__)

Item: TypeAlias = Mapping[str, object]
Write: TypeAlias = Operation
CONFLICT_BACKOFF = Backoff(tries=64, longest_seconds=2.0)
"""Until the time is over: a busy workspace's counters are items that its calls take turns for."""

MAX_BATCH_ITEMS = 100
"""Items, which is as many as DynamoDB takes in one read."""

_TRANSACTION_CANCELLED, _CONDITION_FAILED = "TransactionCanceledException", "ConditionalCheckFailedException"
_CONFLICT_CODES = frozenset({"TransactionConflictException", "TransactionInProgressException"})
_CONFLICT_REASONS = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})


class ItemKey(NamedTuple):
    pk: str
    sk: str


class ConditionFailed(Exception):
    """A condition of the transaction did not hold: the item was there already, or was not."""


class Store(Struct, frozen=True):
    """One table. Every method raises `StoreUnavailable` within `limit_seconds`, whatever the reason is."""

    client: DynamoClient
    table: str
    clock: Callable[[], float] = time.time
    timeout_seconds: float = 5.0
    conflict_backoff: Backoff = CONFLICT_BACKOFF

    async def read(self, *keys: ItemKey) -> dict[ItemKey, Item]:
        """Those of the items that exist and have not expired, in one consistent read."""
        found: dict[ItemKey, Item] = {}
        wanted: object = [to_attributes(key._asdict()) for key in keys]
        async with self._store_errors("read"):
            for delay in self.client.backoff.delays():
                asked = {self.table: {"Keys": wanted, "ConsistentRead": True}}
                answer = await self.client.call("BatchGetItem", {"RequestItems": asked})
                for item in _items(_as_mapping(answer["Responses"]).get(self.table, [])):
                    found[ItemKey(str(item["pk"]), str(item["sk"]))] = item
                left = _as_mapping(answer.get("UnprocessedKeys") or {}).get(self.table)
                if not left:
                    break
                if delay is None:
                    raise TimeoutError("Some keys were never read.")
                wanted = _as_mapping(left)["Keys"]
                await self.client.backoff.sleep(delay)
        return {key: item for key, item in found.items() if self._is_alive(item)}

    async def read_all(self, keys: Sequence[ItemKey]) -> dict[ItemKey, Item]:
        """The same of any number of items, a hundred in each read."""
        found: dict[ItemKey, Item] = {}
        for begin in range(0, len(keys), MAX_BATCH_ITEMS):
            found |= await self.read(*keys[begin : begin + MAX_BATCH_ITEMS])
        return found

    async def query(
        self, pk: str, sk_prefix: str, *, limit: int | None = None, newest_first: bool = False
    ) -> list[Item]:
        """The living items of `pk` whose sort key begins so, in its order or against it; `limit` of them at most."""
        condition = Attr("pk").equals(pk) & Attr("sk").begins_with(sk_prefix)
        return await self._query(condition, limit, newest_first)

    async def query_range(
        self, pk: str, low: str, high: str, *, limit: int | None = None, newest_first: bool = False
    ) -> list[Item]:
        """The same of the sort keys from `low` to `high`, both included."""
        condition = Attr("pk").equals(pk) & Attr("sk").between(low, high)
        return await self._query(condition, limit, newest_first) if low <= high else []

    async def _query(self, condition: Condition, limit: int | None, newest_first: bool) -> list[Item]:
        to = Placeholders()
        asked: Payload = {
            "TableName": self.table,
            "KeyConditionExpression": condition.write(to),
            "ConsistentRead": True,
            "ScanIndexForward": not newest_first,
            **({} if limit is None else {"Limit": limit}),
            **to.payload(),
        }
        found: list[Item] = []
        while True:
            async with self._store_errors("query"):
                page = await self.client.call("Query", asked)
                found += [item for item in _items(page["Items"]) if self._is_alive(item)]
            asked["ExclusiveStartKey"] = page.get("LastEvaluatedKey")
            if not asked["ExclusiveStartKey"] or (limit is not None and len(found) >= limit):
                return found[:limit]

    async def put(self, put: Put) -> None:
        """One whole item, for half of what it costs in a transaction. Raises `Refused`."""
        await self._write("put", "PutItem", put.payload())

    async def update(self, update: Operation) -> Item:
        """One conditional update, and the item as it is then. Raises `Refused`."""
        answer = await self._write("update", "UpdateItem", {**update.payload(), "ReturnValues": "ALL_NEW"})
        return from_attributes(cast("dict[str, AttributeValue]", answer.get("Attributes") or {}))

    async def write(
        self, writes: Sequence[Operation], token: str | None = None, timeout_seconds: float | None = None
    ) -> None:
        """All of it or nothing. Conflicts with other transactions are waited out, with jitter.

        `token` (36 characters at most) makes a repetition within ten minutes harmless; `limit_seconds` is for what
        shall not be given up as soon as the rest. Raises `Refused`.
        """
        asked: Payload = {"TransactItems": [{write.verb: write.payload()} for write in writes]}
        if token is not None:
            asked["ClientRequestToken"] = token
        await self._write("write", "TransactWriteItems", asked, timeout_seconds)

    async def _write(self, operation: str, action: str, asked: Payload, limit_seconds: float | None = None) -> Payload:
        async with self._store_errors(operation, limit_seconds):
            for delay in self.conflict_backoff.delays():
                try:
                    return await self.client.call(action, asked)
                except DynamoError as error:
                    if _is_failed_condition(error):
                        raise ConditionFailed from None
                    if not _is_conflict(error) or delay is None:
                        raise
                await self.conflict_backoff.sleep(delay)
        raise AssertionError("the last try ends in its answer or its error")

    def _is_alive(self, item: Item) -> bool:
        # DynamoDB deletes an expired item within days, not at once.
        match item.get("ttl"):
            case None:
                return True
            case ttl:
                return float(str(ttl)) > self.clock()

    @asynccontextmanager
    async def _store_errors(self, operation: str, limit_seconds: float | None = None) -> AsyncGenerator[None]:
        try:
            # Not anyio's: pyreqwest raises a cancellation of its own, which anyio's scopes do not know for theirs.
            async with asyncio.timeout(limit_seconds or self.timeout_seconds):
                yield
        except REQUEST_FAILURES as error:
            log.warning("store.failed", extra={"operation": operation, "error": type(error).__name__})
            message = "The store does not answer; try again in a moment."
            raise StoreUnavailable(message, retry_after_seconds=1) from error


def _is_failed_condition(error: DynamoError) -> bool:
    unmet = error.code == _TRANSACTION_CANCELLED and "ConditionalCheckFailed" in error.cancellation_codes
    return unmet or error.code in (_CONDITION_FAILED, "IdempotentParameterMismatchException")


def _is_conflict(error: DynamoError) -> bool:
    return error.code in _CONFLICT_CODES or (
        error.code == _TRANSACTION_CANCELLED and bool(_CONFLICT_REASONS & {*error.cancellation_codes})
    )


def _items(items: object) -> list[Item]:
    return [from_attributes(item) for item in cast("list[dict[str, AttributeValue]]", items)]


def _as_mapping(value: object) -> dict[str, object]:
    """Raises `ValueError` for an answer that is not DynamoDB's."""
    if not isinstance(value, dict):
        raise ValueError("DynamoDB answered with something else than an object.")
    return cast("dict[str, object]", value)

"""The table as the ports use it: reads that see no expired item, writes that happen once, and one kind of failure."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from aiodynamo.client import Client
from aiodynamo.errors import (
    ConditionalCheckFailed,
    IdempotentParameterMismatch,
    TransactionCanceled,
    TransactionConflict,
    TransactionInProgress,
)
from aiodynamo.expressions import HashKey, KeyCondition, RangeKey
from aiodynamo.models import BatchGetRequest, RetryConfig, ReturnValues
from aiodynamo.operations import ConditionCheck, Delete, Put, Update

from tidegate.aws.dynamo import FAILURES, Backoff
from tidegate.errors import StoreUnavailable

log = logging.getLogger(__name__)

Item: TypeAlias = Mapping[str, object]
Write: TypeAlias = Put | Update | Delete | ConditionCheck

CONFLICTS = Backoff(tries=64, longest_seconds=2.0)
"""Until the time is over: a busy workspace's counters are items that its calls take turns for."""

READ_AT_ONCE = 100
"""Items, which is as many as DynamoDB takes in one read."""

_BUSY = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})


class ItemKey(NamedTuple):
    pk: str
    sk: str


class Refused(Exception):
    """A condition of the transaction did not hold: the item was there already, or was not."""


@dataclass(frozen=True, slots=True)
class Store:
    """One table. Every method raises `StoreUnavailable` within `limit_seconds`, whatever the reason is."""

    client: Client
    table: str
    clock: Callable[[], float] = time.time
    limit_seconds: float = 5.0
    conflicts: RetryConfig = CONFLICTS

    async def read(self, *keys: ItemKey) -> dict[ItemKey, Item]:
        """Those of the items that exist and have not expired, in one consistent read."""
        found: dict[ItemKey, Item] = {}
        wanted = [dict(key._asdict()) for key in keys]
        async with self._answering("read"):
            async for _ in self.client.throttle_config.attempts():
                request = {self.table: BatchGetRequest(wanted, consistent_read=True)}
                answer = await self.client.batch_get(request)
                for item in answer.items.get(self.table, ()):
                    found[ItemKey(item["pk"], item["sk"])] = item
                wanted = answer.unprocessed_keys.get(self.table, [])
                if not wanted:
                    break
        return {key: item for key, item in found.items() if self._lives(item)}

    async def read_all(self, keys: Sequence[ItemKey]) -> dict[ItemKey, Item]:
        """The same of any number of items, a hundred in each read."""
        found: dict[ItemKey, Item] = {}
        for begin in range(0, len(keys), READ_AT_ONCE):
            found |= await self.read(*keys[begin : begin + READ_AT_ONCE])
        return found

    async def query(
        self, pk: str, sk_prefix: str, *, limit: int | None = None, newest_first: bool = False
    ) -> list[Item]:
        """The living items of `pk` whose sort key begins so, in its order or against it; `limit` of them at most."""
        condition = HashKey("pk", pk) & RangeKey("sk").begins_with(sk_prefix)
        return await self._query(condition, limit, newest_first)

    async def between(
        self, pk: str, low: str, high: str, *, limit: int | None = None, newest_first: bool = False
    ) -> list[Item]:
        """The same of the sort keys from `low` to `high`, both included."""
        condition = HashKey("pk", pk) & RangeKey("sk").between(low, high)
        return await self._query(condition, limit, newest_first) if low <= high else []

    async def _query(self, condition: KeyCondition, limit: int | None, newest_first: bool) -> list[Item]:
        found: list[Item] = []
        start: dict[str, object] | None = None
        while True:
            async with self._answering("query"):
                page = await self.client.query_single_page(
                    self.table,
                    condition,
                    start_key=start,
                    scan_forward=not newest_first,
                    limit=limit,
                    consistent_read=True,
                )
            found += [item for item in page.items if self._lives(item)]
            start = page.last_evaluated_key
            if start is None or (limit is not None and len(found) >= limit):
                return found[:limit]

    async def update(self, update: Update) -> Item:
        """One conditional update, and the item as it is then. Raises `Refused`."""
        async with self._answering("update"):
            async for _ in self.conflicts.attempts():
                try:
                    item = await self.client.update_item(
                        update.table,
                        update.key,
                        update.expression,
                        condition=update.condition,
                        return_values=ReturnValues.all_new,
                    )
                except ConditionalCheckFailed:
                    raise Refused from None
                except TransactionConflict:
                    continue
                return item or {}
        raise Refused  # unreachable: the attempts end in an error

    async def write(
        self, writes: Sequence[Write], token: str | None = None, limit_seconds: float | None = None
    ) -> None:
        """All of it or nothing. Conflicts with other transactions are waited out, with jitter.

        `token` (36 characters at most) makes a repetition within ten minutes harmless; `limit_seconds` is for what
        shall not be given up as soon as the rest. Raises `Refused`.
        """
        async with self._answering("write", limit_seconds):
            async for _ in self.conflicts.attempts():
                try:
                    await self.client.transact_write_items(writes, request_token=token)
                except TransactionCanceled as error:
                    codes = {reason.code for reason in error.cancellation_reasons if reason}
                    if "ConditionalCheckFailed" in codes:
                        raise Refused from None
                    if not codes & _BUSY:
                        raise
                except IdempotentParameterMismatch:
                    raise Refused from None
                except (TransactionConflict, TransactionInProgress):
                    pass
                else:
                    return

    def _lives(self, item: Item) -> bool:
        # DynamoDB deletes an expired item within days, not at once.
        match item.get("ttl"):
            case None:
                return True
            case ttl:
                return float(str(ttl)) > self.clock()

    @asynccontextmanager
    async def _answering(self, operation: str, limit_seconds: float | None = None) -> AsyncGenerator[None]:
        try:
            # Not anyio's: pyreqwest raises a cancellation of its own, which anyio's scopes do not know for theirs.
            async with asyncio.timeout(limit_seconds or self.limit_seconds):
                yield
        except FAILURES as error:
            log.warning("store.failed", extra={"operation": operation, "error": type(error).__name__})
            message = "The store does not answer; try again in a moment."
            raise StoreUnavailable(message, retry_after_seconds=1) from error

"""Call records and usage counters in DynamoDB: by single writes, or in one transaction.

A transaction costs twice what its writes cost one by one. So a call's record is written first, on the condition that
the call has none. This write decides that the call is settled. Then its hold is settled and the call is counted, each
once. What a process that is killed leaves undone, is done by the record: the sweeper settles the hold, and
`hour_closer` counts the call. One transaction settles lost calls, parts of batches, and calls whose hour may be closed
already; there the day is counted. It settles all calls if the client prefers transactions, as SQLite does.
"""

import logging
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress

from msgspec import Struct, field
from msgspec.structs import replace

from tidegate.aws.expressions import Attr, Condition, Put, Update, add_all
from tidegate.aws.full_shards import FullShards
from tidegate.aws.ledger import account_from_item, settlement_writes
from tidegate.aws.store import ConditionFailed, ItemKey, Store
from tidegate.aws.table import COUNTED_HOURLY, call_item_key, counters_item_key, hold_item_keys
from tidegate.domain.account import Hold, ScopeKind
from tidegate.domain.call import Outcome
from tidegate.domain.ids import random_letters, ulid_time
from tidegate.domain.record import RETENTION_SECONDS, CallRecord, counter_hour, counter_periods, stored_fields
from tidegate.domain.settlement import Settlement, build_settlement
from tidegate.errors import StoreUnavailable

log = logging.getLogger(__name__)

COUNT_SECONDS = 15 * 60.0
"""How long after its end calls are counted in an hour: ten minutes less than `LATE_SECONDS`, when it is closed."""

SETTLE_SECONDS = 30.0
"""Timeout of each write, long enough where hundreds of transactions take turns.

About 80 a second get through, each in 10 ms: 800 take 13 s (calculated, and measured with a model of the conflicts).
"""

SETTLE_TRIES = 5
"""Tries of a settlement whose hold others replace: they learn from the first refusal that they have lost it."""


class DynamoMeter(Struct, frozen=True):
    """The ports `Meter` and `Settlements`. The condition of a record is that the call has none yet.

    `full_shards` is the ledger's memory of full shards; a call that ends frees headroom on its shard.
    """

    store: Store
    full_shards: FullShards = field(default_factory=FullShards)

    @property
    def records_at_once(self) -> bool:
        """See `Meter.records_at_once`."""
        return False

    async def record(self, outcome: Outcome) -> CallRecord:
        """See `Meter.record`."""
        settlement = build_settlement(outcome)
        if not self.store.client.prefers_transactions and _is_hour_open(settlement, self.store.clock()):
            await _write_one_by_one(self.store, settlement)
        else:
            await write_settlement(self.store, settlement)
        self.full_shards.forget(settlement.workspace_id, settlement.shard)
        return settlement.record

    async def settle(self, settlement: Settlement) -> bool:
        """See `Settlements.settle`. Reads only after a refusal, to find out what refused it."""
        kinds: Sequence[ScopeKind] | None = None
        for _ in range(SETTLE_TRIES):
            # A token of its own, so that a repetition with equal content is told that it is one.
            if await write_settlement(self.store, settlement, kinds, token=secrets.token_urlsafe(16)):
                self.full_shards.forget(settlement.workspace_id, settlement.shard)
                return True
            booked = await self._find_booked(settlement) if settlement.hold else None
            if booked is None:
                return False
            kinds = tuple(booked)
            settlement = replace(settlement, hold=next(iter(booked.values()), None))
        message = "The hold of this settlement is being changed by others; try again in a moment."
        raise StoreUnavailable(message, retry_after_seconds=1)

    async def _find_booked(self, settlement: Settlement) -> Mapping[ScopeKind, Hold] | None:
        """The holds that are booked under the settlement's call id, by account; None if the record exists."""
        record_key, hold = _record_key(settlement), settlement.hold
        accounts: Mapping[ScopeKind, ItemKey] = hold_item_keys(hold) if hold else {}
        items = await self.store.read(record_key, *accounts.values())
        if record_key in items:
            return None
        booked: dict[ScopeKind, Hold] = {}
        for kind, item_key in accounts.items():
            holds = account_from_item(items.get(item_key)).holds
            if settlement.call_id in holds:
                booked[kind] = holds[settlement.call_id]
        return booked


async def write_settlement(
    store: Store, settlement: Settlement, kinds: Sequence[ScopeKind] | None = None, token: str | None = None
) -> bool:
    """Write record and counters and settle the hold, in one transaction. False if the call was settled already.

    `kinds` are the accounts that still have the hold; None is all of its accounts. The token of the transaction is the
    call's id, or else `token`.
    """
    hold, (_, day) = settlement.hold, counter_periods(settlement.at)
    writes = [
        Put(store.table, record_item(settlement), condition=Attr("pk").does_not_exist()),
        _count(store, settlement, day),
        *(settlement_writes(store, hold, settlement.actual, store.clock(), kinds) if hold else ()),
    ]
    timeout_seconds = max(store.timeout_seconds, SETTLE_SECONDS)
    try:
        await store.write(writes, token=token or settlement.call_id[:36], timeout_seconds=timeout_seconds)
    except ConditionFailed:
        return False
    return True


def _is_hour_open(settlement: Settlement, now: float) -> bool:
    """True if calls are still counted in the settlement's hour, which is also that of its call's id."""
    hour = settlement.at // 3600
    return now < (hour + 1) * 3600 + COUNT_SECONDS and ulid_time(settlement.call_id) // 3600 == hour


async def _write_one_by_one(store: Store, settlement: Settlement) -> None:
    """Write the record, settle the hold, and count the call in its hour; nothing if the call was settled already."""
    name, record_key, hold = random_letters(8), _record_key(settlement), settlement.hold
    record = {**record_item(settlement), COUNTED_HOURLY: name}
    timeout_seconds = max(store.timeout_seconds, SETTLE_SECONDS)
    try:
        await store.put(Put(store.table, record, Attr("pk").does_not_exist()), timeout_seconds)
    except ConditionFailed:
        # The first answer may have been lost. Then the record has the name of this write.
        if (await store.read(record_key)).get(record_key, {}).get(COUNTED_HOURLY) != name:
            return
    updates = settlement_writes(store, hold, settlement.actual, store.clock()) if hold else []
    try:
        # The workspace's account is the last: its hold is found, even if the key is deleted.
        for update in reversed(updates):
            with suppress(ConditionFailed):  # settled already, by a write whose answer was lost, or by the sweeper
                await store.update(update, timeout_seconds)
    except StoreUnavailable:
        log.warning("hold.left", extra={"call_id": settlement.call_id})
    count = _count(store, settlement, counter_hour(settlement.at), Attr("closed").does_not_exist())
    try:
        # At most once, because a repetition would count the call twice.
        await store.update(count, timeout_seconds, repeats=False)
    except (StoreUnavailable, ConditionFailed):
        log.warning("call.uncounted", extra={"call_id": settlement.call_id})


def _count(store: Store, settlement: Settlement, period: str, condition: Condition | None = None) -> Update:
    item_key = counters_item_key(settlement.workspace_id, period, settlement.shard)
    return Update(store.table, dict(item_key._asdict()), add_all(settlement.increments), condition)


def record_item(settlement: Settlement) -> dict[str, object]:
    """The item with the settlement's record."""
    expiry = {"ttl": int(settlement.at + RETENTION_SECONDS)}
    return {**_record_key(settlement)._asdict(), **stored_fields(settlement.record), **expiry}


def _record_key(settlement: Settlement) -> ItemKey:
    return call_item_key(settlement.workspace_id, settlement.call_id, settlement.shard)

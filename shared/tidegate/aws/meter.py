"""Call records and usage counters in DynamoDB, written in one transaction."""

import secrets
from collections.abc import Mapping, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from tidegate.aws.expressions import Attr, Put, Update, add_all
from tidegate.aws.full_shards import FullShards
from tidegate.aws.ledger import account_from_item, settlement_writes
from tidegate.aws.store import ConditionFailed, ItemKey, Store
from tidegate.aws.table import call_item_key, counters_item_key, hold_item_keys
from tidegate.domain.account import Hold, ScopeKind
from tidegate.domain.call import Outcome
from tidegate.domain.record import RETENTION_SECONDS, counter_periods
from tidegate.domain.settlement import Settlement, build_settlement
from tidegate.errors import StoreUnavailable

SETTLE_SECONDS = 30.0
"""Timeout of a settlement, long enough when hundreds of calls end at once and take turns to write to their counters.

About 80 a second get through, each in 10 ms: 800 take 13 s (calculated, and measured with a model of the conflicts).
"""

SETTLE_TRIES = 5
"""Tries of a settlement whose hold others replace: they learn from the first refusal that they have lost it."""


class DynamoMeter(Struct, frozen=True):
    """The ports `Meter` and `Settlements`: one transaction, whose condition is that the call has no record yet.

    `full_shards` is the ledger's memory of full shards; a call that ends frees headroom on its shard.
    """

    store: Store
    full_shards: FullShards = field(default_factory=FullShards)

    async def record(self, outcome: Outcome) -> None:
        """See `Meter.record`."""
        settlement = build_settlement(outcome)
        await write_settlement(self.store, settlement)
        self.full_shards.forget(settlement.workspace_id, settlement.shard)

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
    increments, hold = add_all(settlement.increments), settlement.hold
    counter_keys = (
        counters_item_key(settlement.workspace_id, period, settlement.shard)
        for period in counter_periods(settlement.at)
    )
    writes = [
        Put(store.table, record_item(settlement), condition=Attr("pk").does_not_exist()),
        *(Update(store.table, dict(item_key._asdict()), increments) for item_key in counter_keys),
        *(settlement_writes(store, hold, settlement.actual, store.clock(), kinds) if hold else ()),
    ]
    timeout_seconds = max(store.timeout_seconds, SETTLE_SECONDS)
    try:
        await store.write(writes, token=token or settlement.call_id[:36], timeout_seconds=timeout_seconds)
    except ConditionFailed:
        return False
    return True


def record_item(settlement: Settlement) -> dict[str, object]:
    """The item with the settlement's record. Values that are None are not stored: they would take space."""
    record = {name: value for name, value in settlement.record.items() if value is not None}
    return {**_record_key(settlement)._asdict(), **record, "ttl": int(settlement.at + RETENTION_SECONDS)}


def _record_key(settlement: Settlement) -> ItemKey:
    return call_item_key(settlement.workspace_id, settlement.call_id, settlement.shard)

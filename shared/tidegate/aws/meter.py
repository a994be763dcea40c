"""Call records and usage counters in DynamoDB, written in one transaction."""

from collections.abc import Sequence

from msgspec import Struct, field

from tidegate.aws.expressions import Attr, Put, Update, add_all
from tidegate.aws.full_shards import FullShards
from tidegate.aws.ledger import settlement_writes
from tidegate.aws.store import ConditionFailed, Store
from tidegate.aws.table import call_item_key, counters_item_key
from tidegate.domain.account import ScopeKind
from tidegate.domain.call import Outcome
from tidegate.domain.record import RETENTION_SECONDS, counter_periods
from tidegate.domain.settlement import Settlement, build_settlement

SETTLE_SECONDS = 30.0
"""Timeout of a settlement, long enough when hundreds of calls end at once and take turns to write to their counters.

About 80 a second get through, each in 10 ms: 800 take 13 s (calculated, and measured with a model of the conflicts).
"""


class DynamoMeter(Struct, frozen=True):
    """The port `Meter`: one transaction, whose condition is that the call has no record yet.

    `full_shards` is the ledger's memory of full shards; a call that ends frees headroom on its shard.
    """

    store: Store
    full_shards: FullShards = field(default_factory=FullShards)

    async def record(self, outcome: Outcome) -> None:
        """See `Meter.record`."""
        settlement = build_settlement(outcome)
        await write_settlement(self.store, settlement)
        self.full_shards.forget(settlement.workspace_id, settlement.shard)


async def write_settlement(store: Store, settlement: Settlement, kinds: Sequence[ScopeKind] | None = None) -> bool:
    """Write record and counters and settle the hold, in one transaction. False if the call was settled already.

    `kinds` are the accounts that still have the hold; None is all of its accounts.
    """
    record_key = call_item_key(settlement.workspace_id, settlement.call_id, settlement.shard)
    item = {**record_key._asdict(), **settlement.record, "ttl": int(settlement.at + RETENTION_SECONDS)}
    increments, hold = add_all(settlement.increments), settlement.hold
    counter_keys = (
        counters_item_key(settlement.workspace_id, period, settlement.shard)
        for period in counter_periods(settlement.at)
    )
    writes = [
        Put(store.table, item, condition=Attr("pk").does_not_exist()),
        *(Update(store.table, dict(item_key._asdict()), increments) for item_key in counter_keys),
        *(settlement_writes(store, hold, settlement.actual, store.clock(), kinds) if hold else ()),
    ]
    try:
        await store.write(
            writes, token=settlement.call_id[:36], timeout_seconds=max(store.timeout_seconds, SETTLE_SECONDS)
        )
    except ConditionFailed:
        return False
    return True

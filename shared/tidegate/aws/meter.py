"""Outcomes in DynamoDB: the call's record and its workspace's counters, in one transaction."""

from msgspec import Struct, field

from tidegate.aws.expressions import Attr, Put, Update, add_all
from tidegate.aws.full_shards import FullShards
from tidegate.aws.ledger import settlement_writes
from tidegate.aws.store import ConditionFailed, Store
from tidegate.aws.table import call_item_key, counters_item_key
from tidegate.domain.call import Outcome
from tidegate.domain.record import RETENTION_SECONDS, counter_periods
from tidegate.domain.settlement import Settlement, build_settlement

SETTLE_SECONDS = 30.0
"""What a call used shall be on record, though hundreds of calls that end at once take turns for their counters.

Some eighty a second get through, each 10 ms long: 800 take 13 s (calculated, and measured at a model of the conflicts).
"""


class DynamoMeter(Struct, frozen=True):
    """The port `Meter`: one transaction, whose condition is that the call has no record yet.

    `full` are the shards that this process's ledger takes for full, until a call in one of them ends.
    """

    store: Store
    full_shards: FullShards = field(default_factory=FullShards)

    async def record(self, outcome: Outcome) -> None:
        """See `Meter.record`."""
        settled = build_settlement(outcome)
        await write_settlement(self.store, settled)
        self.full_shards.forget(settled.workspace_id, settled.shard)


async def write_settlement(store: Store, settled: Settlement) -> bool:
    """One transaction: the record, the counters, and the accounts that held something. False where it was settled."""
    record_at = call_item_key(settled.workspace_id, settled.call_id, settled.shard)
    item = {**record_at._asdict(), **settled.record, "ttl": int(settled.at + RETENTION_SECONDS)}
    added = add_all(settled.increments)
    counters = (
        counters_item_key(settled.workspace_id, period, settled.shard) for period in counter_periods(settled.at)
    )
    writes = [
        Put(store.table, item, condition=Attr("pk").does_not_exist()),
        *(Update(store.table, dict(at._asdict()), added) for at in counters),
        *(settlement_writes(store, settled.hold, settled.actual, store.clock()) if settled.hold else ()),
    ]
    try:
        await store.write(
            writes, token=settled.call_id[:36], timeout_seconds=max(store.timeout_seconds, SETTLE_SECONDS)
        )
    except ConditionFailed:
        return False
    return True

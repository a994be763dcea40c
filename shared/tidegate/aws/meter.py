"""Outcomes in DynamoDB: the call's record and its workspace's counters, in one transaction."""

from dataclasses import dataclass

from aiodynamo.expressions import F, UpdateExpression
from aiodynamo.operations import Put, Update

from tidegate.aws.store import Refused, Store
from tidegate.aws.table import call_at, counters_at
from tidegate.domain.call import Outcome
from tidegate.domain.record import RETENTION_SECONDS, increments, periods, record


@dataclass(frozen=True, slots=True)
class DynamoMeter:
    """The port `Meter`: three items in one transaction, whose condition is that the call has no record yet."""

    store: Store

    async def record(self, outcome: Outcome) -> None:
        """See `Meter.record`."""
        call = outcome.call
        item = {
            **call_at(call.workspace.id, call.id)._asdict(),
            **record(outcome),
            "ttl": int(call.started_at + RETENTION_SECONDS),
        }
        table = self.store.table
        added = UpdateExpression(add=[(F(name), value) for name, value in increments(outcome).items()])
        counters = (counters_at(call.workspace.id, period) for period in periods(call.started_at))
        writes = [
            Put(table, item, condition=F("pk").does_not_exist()),
            *(Update(table, dict(at._asdict()), added) for at in counters),
        ]
        try:
            await self.store.write(writes, token=call.id[:36])
        except Refused:
            return

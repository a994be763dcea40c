"""What aggregates of call records cost in DynamoDB: docs/OBSERVABILITY.md calculates with these units."""

import math

from tests.limits.units import READ, counting, item_bytes
from tests.store_worlds import CREDENTIALS, NOON, REGION, Clock, aws_world, outcome, workspace
from tidegate.aws.aggregates import DynamoAggregates
from tidegate.aws.dynamo import create_dynamo_client
from tidegate.aws.store import Store
from tidegate.aws.values import to_attributes
from tidegate.domain.ids import ulid
from tidegate.policy.metering.roller import Roller


async def test_a_roll_reads_the_records_of_open_hours_once_and_an_idle_workspace_costs_two_units(
    aws_endpoint: str,
) -> None:
    async with aws_world(aws_endpoint) as world:
        assert world.store is not None
        counted = counting(aws_endpoint)
        client = create_dynamo_client(counted, CREDENTIALS, REGION, aws_endpoint)
        clock = Clock(NOON)
        roller = Roller(DynamoAggregates(Store(client, world.store.table, clock, 60)), clock, lambda: 0.0)

        async def units_of_roll() -> tuple[int, int]:
            counted.charges.clear()
            await roller.roll(workspace())
            return sum(charge.read for charge in counted.charges), sum(charge.written for charge in counted.charges)

        assert await units_of_roll() == (2, 0)  # the progress, and counters: none of both
        await world.meter.record(outcome(at=NOON))
        await roller.roll(workspace())
        assert await units_of_roll() == (2, 0)
        clock.now = NOON + 300
        for number in range(60):
            await world.meter.record(outcome(at=NOON + 4 * number, id=ulid(NOON + 4 * number)))
        read, written = await units_of_roll()
        records = await world.store.query("WS#ws_one", "CALL#")
        assert len(records) == 61
        size = math.ceil(sum(item_bytes(to_attributes(record)) for record in records) / READ)
        # The hour before has no records, which costs one unit; an hour's aggregate and the progress are small.
        assert (read, written) == (2 + 1 + size, 2)
        await counted.close()

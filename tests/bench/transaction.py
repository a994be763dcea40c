"""What the embedded DynamoDB (moto) takes by itself to settle a call: one transaction of three items."""

import asyncio
import statistics
import time

from tests.bench.processes import Program
from tidegate.aws.dynamo import create_dynamo_client
from tidegate.aws.expressions import Put, Update, add_all
from tidegate.aws.store import Store, Write
from tidegate.aws.table import call_item_key, counters_item_key
from tidegate.domain.ids import ulid
from tidegate.local.demo_tenant import DEMO_WORKSPACE
from tidegate.local.stores import EMBEDDED_CREDENTIALS, REGION, TABLE
from tidegate.transport.choose import create_transport

_SAMPLE = 25


def measure(table: Program, calls: int) -> tuple[float, float]:
    """Milliseconds, medians: of the first transactions on an empty table, and of the last ones after `calls`."""
    return asyncio.run(_measure(f"http://127.0.0.1:{table.port}", calls))


async def _measure(endpoint: str, calls: int) -> tuple[float, float]:
    http = create_transport("pyreqwest")
    try:
        store = Store(create_dynamo_client(http, EMBEDDED_CREDENTIALS, REGION, endpoint), TABLE)
        taken = [await _settle(store) for _ in range(calls)]
    finally:
        await http.close()
    return statistics.median(taken[:_SAMPLE]) * 1000, statistics.median(taken[-_SAMPLE:]) * 1000


async def _settle(store: Store) -> float:
    call_id = ulid(time.time())
    added = add_all({"calls": 1})
    writes: list[Write] = [Put(TABLE, {**call_item_key(DEMO_WORKSPACE, call_id)._asdict(), "words": 38})]
    writes += [
        Update(TABLE, dict(counters_item_key(DEMO_WORKSPACE, period)._asdict()), added) for period in ("M#1", "D#1")
    ]
    started = time.perf_counter()
    await store.write(writes, token=call_id)
    return time.perf_counter() - started

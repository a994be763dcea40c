"""What batches cost in DynamoDB, and what a lost answer does."""

from decimal import Decimal
from typing import Any, cast

import pytest
from msgspec.structs import replace

from tests.aws.script import ScriptedTransport, cancelled, fault, scripted_store
from tests.limits.units import item_bytes
from tests.store_worlds import NOON, World
from tidegate.aws.batch_table import DynamoBatchTable
from tidegate.aws.dynamo import Backoff, TableClient
from tidegate.aws.expressions import Payload
from tidegate.aws.store import Store
from tidegate.domain.batch import Batch, BatchUsage, Part
from tidegate.domain.ids import ulid
from tidegate.errors import StoreUnavailable

WRITE_UNIT = 1024
ID = f"batch_{ulid(NOON)}"
N = 123_456_789
USAGE = BatchUsage(N, N, N, N, N, N, N, N, N, N, N, N, Decimal("123456.123456789012345678"), N)

PART = Part(
    batch_id=ID,
    workspace_id="ws_0123456789abcdef",
    number=24_999,
    first_line=4_999_800,
    first_byte=5 * 1024**3,
    length=1024**2,
    lines=200,
    status="returned",
    queued_at=NOON + 0.123456,
    lease=ulid(NOON),
    lease_until=NOON + 0.123456,
    journal_objects=(810,) * 40,
    asked_to=4_999_999,
    usage=USAGE,
    slice_id=ulid(NOON),
    slice_key_id="key_0123456789abcdef",
    unsettled=USAGE,
    output_bytes=10**8,
    error_bytes=10**8,
    version=12_345,
)

BATCH = Batch(
    id=ID,
    workspace_id="ws_0123456789abcdef",
    key_id="key_0123456789abcdef",
    endpoint="/v1/chat/completions",
    input_file_id=f"file-{ulid(NOON)}",
    input_key=f"files/ws_0123456789abcdef/file-{ulid(NOON)}",
    input_bytes=10**8,
    completion_window="24h",
    created_at=NOON,
    expires_at=NOON + 86400,
    metadata={"job": "nightly"},
    status="in_progress",
    model="openai/gpt-4.1-mini",
    providers=("openai",),
    in_progress_at=NOON + 1.5,
    total=50_000,
    parts=250,
    fed=120,
    running=tuple(range(112, 120)),
    usage=USAGE,
    version=240,
)


@pytest.mark.parametrize("value", [PART, BATCH])
async def test_a_part_and_an_ordinary_batch_each_cost_one_write_unit(value: Part | Batch) -> None:
    transport = ScriptedTransport([(200, {})])
    assert await DynamoBatchTable(scripted_store(transport)).save(value)
    assert transport.actions == ["PutItem"]
    assert item_bytes(cast(Any, transport.bodies[0])["Item"]) <= WRITE_UNIT


async def test_the_end_of_a_part_is_one_transaction_of_two_items() -> None:
    transport = ScriptedTransport([(200, {})])
    assert await DynamoBatchTable(scripted_store(transport)).save(BATCH, PART)
    assert transport.actions == ["TransactWriteItems"]
    writes = cast(Any, transport.bodies[0])["TransactItems"]
    assert [item_bytes(write["Put"]["Item"]) <= WRITE_UNIT for write in writes] == [True, True]


@pytest.mark.parametrize(
    ("value", "verbs"),
    [
        (replace(BATCH, version=0), {"BATCHES#ws_0123456789abcdef": "Put", "OPENBATCHES": "Put"}),
        (replace(BATCH, status="completed"), {"BATCHES#ws_0123456789abcdef": "Put", "OPENBATCHES": "Delete"}),
    ],
)
async def test_a_batch_begins_and_ends_together_with_its_open_entry(value: Batch, verbs: dict[str, str]) -> None:
    transport = ScriptedTransport([(200, {})])
    assert await DynamoBatchTable(scripted_store(transport)).save(value)
    pairs = [pair for write in cast(Any, transport.bodies[0])["TransactItems"] for pair in write.items()]
    assert {(each.get("Item") or each["Key"])["pk"]["S"]: verb for verb, each in pairs} == verbs


async def test_a_transaction_is_repeated_with_its_token() -> None:
    conflict = cancelled("None", "TransactionConflict")
    transport = ScriptedTransport([TimeoutError(), conflict, (200, {})])
    assert await DynamoBatchTable(scripted_store(transport)).save(BATCH, PART)
    assert len({body["ClientRequestToken"] for body in transport.bodies}) == 1
    assert len(transport.bodies) == 3


async def test_a_refused_transaction_reads_nothing() -> None:
    transport = ScriptedTransport([cancelled("ConditionalCheckFailed", "None")])
    assert not await DynamoBatchTable(scripted_store(transport)).save(BATCH, PART)
    assert transport.actions == ["TransactWriteItems"]


async def test_an_item_that_cannot_be_read_is_an_unavailable_store() -> None:
    item = {"pk": {"S": "BATCHES#ws_one"}, "sk": {"S": "BATCH#batch_1"}, "value": {"S": '{"id": 7}'}}
    transport = ScriptedTransport([(200, {"Responses": {"t": [item]}})])
    with pytest.raises(StoreUnavailable):
        await DynamoBatchTable(scripted_store(transport)).find_batch("ws_one", "batch_1")


async def test_a_store_that_does_not_answer_is_unavailable() -> None:
    table = DynamoBatchTable(scripted_store(ScriptedTransport([fault("ValidationException")])))
    for attempt in (table.save(PART), table.save(BATCH, PART), table.claim_once("a", 5), table.open_batches()):
        with pytest.raises(StoreUnavailable):
            await attempt


class Forgetful:
    """Loses the first answer to each write of one item, and sends it again."""

    def __init__(self, inner: TableClient) -> None:
        self.inner = inner

    @property
    def backoff(self) -> Backoff:
        return self.inner.backoff

    @property
    def prefers_transactions(self) -> bool:
        return self.inner.prefers_transactions

    async def call(self, action: str, payload: Payload, *, repeats: bool = True) -> Payload:
        if action == "PutItem":
            await self.inner.call(action, payload)
        return await self.inner.call(action, payload)


@pytest.fixture
def forgetful(world: World) -> DynamoBatchTable:
    store = world.store
    assert store is not None
    return DynamoBatchTable(Store(Forgetful(store.client), store.table, world.clock, timeout_seconds=60))


async def test_a_write_whose_answer_was_lost_is_not_taken_for_a_refusal(forgetful: DynamoBatchTable) -> None:
    part = replace(PART, version=0)
    assert await forgetful.save(part)
    assert await forgetful.save(replace(part, version=1, lease="mine"))


async def test_a_claim_whose_answer_was_lost_is_held(forgetful: DynamoBatchTable) -> None:
    assert await forgetful.claim_once("bucket/key", 60)


async def test_another_write_with_equal_content_is_refused(world: World) -> None:
    assert world.store is not None
    table, part = DynamoBatchTable(world.store), replace(PART, version=0)
    assert await table.save(part)
    assert not await table.save(part)

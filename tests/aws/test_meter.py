import pytest

from tests.aws.script import Answer, ScriptedTransport, cancelled, fault, scripted_store
from tests.store_worlds import NOON, Clock, World, outcome
from tidegate.aws.meter import SETTLE_SECONDS, DynamoMeter
from tidegate.aws.store import CONFLICT_BACKOFF
from tidegate.domain.record import call_record
from tidegate.errors import StoreUnavailable

ID = "01M7YZMHG0AAAAAAAAAAAAAAAA"


async def test_a_call_without_limits_is_two_single_writes() -> None:
    transport = ScriptedTransport([(200, {})])
    await DynamoMeter(scripted_store(transport)).record(outcome(id=ID))
    assert transport.actions == ["PutItem", "UpdateItem"]
    put, count = transport.bodies
    assert put["ConditionExpression"] == "attribute_not_exists(#n0)"
    assert put["Item"]["sk"] == {"S": f"CALL#{ID}"}
    assert put["Item"]["ttl"] == {"N": str(int(NOON) + 400 * 86400)}
    assert count["Key"] == {"pk": {"S": "WS#ws_one"}, "sk": {"S": "USE#D#2026-11-21T12"}}
    assert count["UpdateExpression"].startswith("ADD ")


async def test_a_late_call_is_one_transaction_of_two_items() -> None:
    transport = ScriptedTransport([(200, {})])
    await DynamoMeter(scripted_store(transport, Clock(NOON + 7200))).record(outcome(id=ID))
    assert transport.actions == ["TransactWriteItems"]
    body = transport.bodies[0]
    put, day = body["TransactItems"]
    assert body["ClientRequestToken"] == ID
    assert put["Put"]["ConditionExpression"] == "attribute_not_exists(#n0)"
    assert put["Put"]["Item"]["sk"] == {"S": f"CALL#{ID}"}
    assert day["Update"]["Key"] == {"pk": {"S": "WS#ws_one"}, "sk": {"S": "USE#D#2026-11-21"}}
    assert day["Update"]["UpdateExpression"].startswith("ADD ")


async def test_no_content_leaves_for_the_table() -> None:
    transport = ScriptedTransport([(200, {})])
    await DynamoMeter(scripted_store(transport)).record(outcome())
    assert b"secret prompt" not in transport.requests[0].body


async def test_a_record_fits_into_one_write_unit() -> None:
    transport = ScriptedTransport([(200, {})])
    await DynamoMeter(scripted_store(transport)).record(outcome())
    item = transport.bodies[0]["Item"]
    assert sum(len(name) + len(str(next(iter(value.values())))) for name, value in item.items()) < 1024


@pytest.mark.parametrize(
    "answer", [cancelled("ConditionalCheckFailed", "None"), fault("IdempotentParameterMismatchException")]
)
async def test_a_late_call_that_is_recorded_already_is_no_error(answer: Answer) -> None:
    transport = ScriptedTransport([answer])
    await DynamoMeter(scripted_store(transport, Clock(NOON + 7200))).record(outcome())


async def test_a_call_that_is_recorded_already_is_not_counted() -> None:
    transport = ScriptedTransport([fault("ConditionalCheckFailedException"), (200, {"Responses": {"t": []}})])
    await DynamoMeter(scripted_store(transport)).record(outcome())
    assert transport.actions == ["PutItem", "BatchGetItem"]


@pytest.mark.parametrize("seconds", [0, 7200])
async def test_a_store_that_stays_busy_is_unavailable(seconds: float) -> None:
    transport = ScriptedTransport([cancelled("None", "TransactionConflict")])
    with pytest.raises(StoreUnavailable):
        await DynamoMeter(scripted_store(transport, Clock(NOON + seconds))).record(outcome())


def test_a_busy_store_is_asked_until_the_time_for_settling_is_over() -> None:
    pauses = [
        min(CONFLICT_BACKOFF.longest_seconds, CONFLICT_BACKOFF.first_seconds * 2**retry)
        for retry in range(CONFLICT_BACKOFF.tries - 1)
    ]
    assert sum(pauses) / 2 > 1.5 * SETTLE_SECONDS


async def test_a_refused_record_moves_no_counter(world: World) -> None:
    first = outcome(id=ID)
    assert await world.meter.record(first) == call_record(first)
    before = await world.usages.counters("ws_one", "M#2026-11")
    await world.meter.record(outcome(id=ID, attempts=2))
    assert await world.usages.counters("ws_one", "M#2026-11") == before

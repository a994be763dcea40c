import socket
import time

import pytest

from tests.aws.script import ScriptedTransport, cancelled, fault, instantly, scripted_store
from tests.store_worlds import CREDENTIALS, NOON, REGION, Clock, World
from tidegate.aws.dynamo import Backoff, create_dynamo_client
from tidegate.aws.expressions import Put
from tidegate.aws.store import ConditionFailed, ItemKey, Store
from tidegate.aws.table import create_table
from tidegate.errors import ProviderTimeout, ProviderUnreachable, StoreUnavailable
from tidegate.transport.aws_credentials import StaticCredentials
from tidegate.transport.reqwest import ReqwestTransport

HERE = ItemKey("WS#a", "WS")
ITEM = {"pk": {"S": "WS#a"}, "sk": {"S": "WS"}, "n": {"N": "1"}}
FOUND = (200, {"Responses": {"t": [ITEM]}, "UnprocessedKeys": {}})
NOTHING = (200, {"Responses": {"t": []}, "UnprocessedKeys": {}})


async def put(world: World, at: ItemKey, **fields: object) -> None:
    assert world.store is not None
    await world.store.write([Put(world.store.table, {**at._asdict(), **fields})])


@pytest.mark.parametrize(
    "trouble",
    [
        fault("ThrottlingException"),
        fault("ProvisionedThroughputExceededException"),
        (500, b""),
        (503, b""),
        ProviderTimeout("late"),
        ProviderUnreachable("gone"),
    ],
)
async def test_trouble_that_passes_is_waited_out(trouble: object) -> None:
    transport = ScriptedTransport([trouble, trouble, trouble, FOUND])
    items = await scripted_store(transport).read(HERE)
    assert (list(items), len(transport.requests)) == ([HERE], 4)


@pytest.mark.parametrize(
    ("trouble", "tries"),
    [
        (fault("ThrottlingException"), 4),
        (fault("ProvisionedThroughputExceededException"), 4),
        ((500, b""), 4),
        ((503, b""), 4),
        (ProviderTimeout("late"), 4),
        (ProviderUnreachable("gone"), 4),
        (fault("AccessDeniedException"), 1),
        (fault("ResourceNotFoundException"), 1),
        (fault("SomethingNew"), 1),
        ((403, b"<html>a proxy</html>"), 1),
        ((200, b"<html>a proxy</html>"), 1),
        ((200, {}), 1),
    ],
)
async def test_trouble_that_stays_is_an_unavailable_store(trouble: object, tries: int) -> None:
    transport = ScriptedTransport([trouble])
    with pytest.raises(StoreUnavailable) as caught:
        await scripted_store(transport).read(HERE)
    assert (caught.value.status, caught.value.retry_after_seconds) == (503, 1)
    assert len(transport.requests) == tries


async def test_no_answer_at_all_ends_within_the_limit() -> None:
    began = time.monotonic()
    store = scripted_store(ScriptedTransport([None]), timeout_seconds=0.05)
    with pytest.raises(StoreUnavailable):
        await store.read(HERE)
    with pytest.raises(StoreUnavailable):
        await store.query("WS#a", "CALL#")
    with pytest.raises(StoreUnavailable):
        await store.write([])
    assert time.monotonic() - began < 2


async def test_a_port_where_nobody_listens_is_an_unavailable_store() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    transport = ReqwestTransport()
    store = Store(create_dynamo_client(transport, CREDENTIALS, REGION, f"http://127.0.0.1:{port}"), "t")
    with pytest.raises(StoreUnavailable):
        await store.read(HERE)
    await transport.close()


async def test_a_server_that_never_answers_is_an_unavailable_store_over_the_real_transport() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        transport = ReqwestTransport()
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        store = Store(create_dynamo_client(transport, CREDENTIALS, REGION, endpoint), "t", timeout_seconds=0.05)
        with pytest.raises(StoreUnavailable):
            await store.read(HERE)
        with pytest.raises(StoreUnavailable):
            await store.query("WS#a", "CALL#")
        with pytest.raises(StoreUnavailable):
            await store.write([put_of(HERE)])
        await transport.close()


async def test_no_credentials_is_an_unavailable_store_and_not_an_unsigned_request() -> None:
    transport = ScriptedTransport([NOTHING])
    client = create_dynamo_client(transport, StaticCredentials(None), REGION, None, Backoff(sleep=instantly))
    with pytest.raises(StoreUnavailable):
        await Store(client, "t").read(HERE)
    assert transport.requests == []


async def test_without_an_endpoint_it_is_the_regions() -> None:
    transport = ScriptedTransport([NOTHING])
    await Store(create_dynamo_client(transport, CREDENTIALS, REGION), "t").read(HERE)
    assert transport.requests[0].url == "https://dynamodb.eu-central-1.amazonaws.com/"


async def test_keys_that_were_not_read_are_asked_for_again() -> None:
    left = {"t": {"Keys": [{"pk": {"S": "WS#a"}, "sk": {"S": "WS"}}]}}
    transport = ScriptedTransport([(200, {"Responses": {"t": []}, "UnprocessedKeys": left}), FOUND])
    assert list(await scripted_store(transport).read(HERE, ItemKey("KEY#b", "KEY"))) == [HERE]
    assert [len(body["RequestItems"]["t"]["Keys"]) for body in transport.bodies] == [2, 1]


async def test_keys_that_are_never_read_are_an_unavailable_store() -> None:
    left = {"t": {"Keys": [{"pk": {"S": "WS#a"}, "sk": {"S": "WS"}}]}}
    transport = ScriptedTransport([(200, {"Responses": {"t": []}, "UnprocessedKeys": left})])
    with pytest.raises(StoreUnavailable):
        await scripted_store(transport).read(HERE)


@pytest.mark.parametrize(
    "conflict",
    [
        cancelled("None", "TransactionConflict", "None"),
        cancelled("ThrottlingError", "None"),
        fault("TransactionInProgressException"),
        fault("TransactionConflictException"),
        fault("ThrottlingException"),
    ],
)
async def test_a_conflict_is_waited_out(conflict: object) -> None:
    transport = ScriptedTransport([conflict, conflict, conflict, (200, {})])
    await scripted_store(transport).write([put_of(HERE)], token="once")
    assert transport.actions == ["TransactWriteItems"] * 4
    assert {body["ClientRequestToken"] for body in transport.bodies} == {"once"}


async def test_a_conflict_without_end_is_an_unavailable_store() -> None:
    transport = ScriptedTransport([cancelled("TransactionConflict")])
    with pytest.raises(StoreUnavailable):
        await scripted_store(transport).write([put_of(HERE)])
    assert len(transport.requests) == 5


@pytest.mark.parametrize(
    "answer",
    [
        cancelled("ConditionalCheckFailed", "None"),
        cancelled("ConditionalCheckFailed", "TransactionConflict"),
        fault("IdempotentParameterMismatchException"),
    ],
)
async def test_a_condition_that_does_not_hold_is_refused_at_once(answer: object) -> None:
    transport = ScriptedTransport([answer])
    with pytest.raises(ConditionFailed):
        await scripted_store(transport).write([put_of(HERE)])
    assert len(transport.requests) == 1


async def test_a_transaction_that_makes_no_sense_is_not_tried_again() -> None:
    transport = ScriptedTransport([cancelled("ValidationError")])
    with pytest.raises(StoreUnavailable):
        await scripted_store(transport).write([put_of(HERE)])
    assert len(transport.requests) == 1


async def test_expired_items_are_not_seen(world: World) -> None:
    assert world.store is not None
    old, new, lasting = (ItemKey("P", f"S{n}") for n in range(3))
    await put(world, old, ttl=int(NOON))
    await put(world, new, ttl=int(NOON) + 1)
    await put(world, lasting)
    assert list(await world.store.read(old, new, lasting)) == [new, lasting]
    assert [item["sk"] for item in await world.store.query("P", "S")] == ["S1", "S2"]
    assert [item["sk"] for item in await world.store.query("P", "S", limit=1)] == ["S1"]


async def test_a_query_reads_all_pages() -> None:
    page = {"Items": [ITEM], "LastEvaluatedKey": {"pk": {"S": "WS#a"}, "sk": {"S": "WS"}}}
    transport = ScriptedTransport([(200, page), (200, page), (200, {"Items": [ITEM]})])
    assert len(await scripted_store(transport).query("WS#a", "WS")) == 3
    assert ["ExclusiveStartKey" in body for body in transport.bodies] == [False, True, True]


async def test_a_limited_query_reads_on_until_it_has_enough_living_items() -> None:
    last = {"LastEvaluatedKey": {"pk": {"S": "WS#a"}, "sk": {"S": "WS"}}}
    expired = {**ITEM, "ttl": {"N": str(int(NOON) - 1)}}
    pages = [(200, {"Items": [expired], **last}), (200, {"Items": [ITEM], **last}), (200, {"Items": [ITEM]})]
    transport = ScriptedTransport(pages)
    assert len(await scripted_store(transport, Clock()).query("WS#a", "WS", limit=1)) == 1
    assert len(transport.requests) == 2


@pytest.mark.parametrize("world", ["aws_endpoint"], indirect=True)
async def test_the_table_is_created_once_with_its_ttl(world: World) -> None:
    assert world.store is not None
    client, name = world.store.client, world.store.table
    await put(world, HERE, kept="yes")
    await create_table(client, name)
    described = await client.call("DescribeTimeToLive", {"TableName": name})
    assert described["TimeToLiveDescription"] == {"AttributeName": "ttl", "TimeToLiveStatus": "ENABLED"}
    assert list(await world.store.read(HERE)) == [HERE]


def put_of(at: ItemKey) -> Put:
    return Put("t", dict(at._asdict()))

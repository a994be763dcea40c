"""Traces in the table and the bucket: what stands there, and what comes of stores, keys and contents that fail."""

import asyncio
import logging
import os
from base64 import b64encode
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.aws.script import ScriptedTransport, fault, instantly, scripted_store
from tests.store_worlds import NOON, REGION, World
from tests.trace_stores import DAY, LARGE, MARKER, aws_key, create_kms_key, traces_of
from tidegate.aws.bucket import Bucket
from tidegate.aws.dynamo import Backoff, DynamoClient
from tidegate.aws.expressions import Put
from tidegate.aws.store import Item, Store
from tidegate.aws.table import trace_item_key, trace_keys_item_key
from tidegate.aws.trace_keys import UNWRAPPED_SECONDS, DataKey, KmsKey, StoredKey, StoredKeys, TraceKeys
from tidegate.aws.traces import MAX_PRICED_ITEM_BYTES, DynamoTraces
from tidegate.errors import ProviderTimeout, ProviderUnreachable, StoreUnavailable
from tidegate.sqlite.client import SqliteClient
from tidegate.sqlite.expiry import delete_expired
from tidegate.sqlite.objects import FileObjects
from tidegate.transport.aws_service import AwsService

SECRET, WRAPPED = b"s" * 32, b"wrapped"
UNWRAPPED = (200, {"KeyId": "a-key", "Plaintext": b64encode(SECRET).decode()})
CREATED = (200, {**UNWRAPPED[1], "CiphertextBlob": b64encode(WRAPPED).decode()})


@pytest.fixture
async def traces(world: World, request: pytest.FixtureRequest, tmp_path: Path) -> DynamoTraces:
    return await traces_of(world, request.getfixturevalue("aws_endpoint"), tmp_path)


def store_of(world: World) -> Store:
    assert world.store is not None
    return world.store


def scripted_kms(*answers: object) -> tuple[KmsKey, ScriptedTransport]:
    transport = ScriptedTransport(answers)
    service = AwsService(transport, aws_key, REGION, "kms")
    return KmsKey(service, "arn:key", Backoff(tries=3, sleep=instantly)), transport


async def trace_item(store: Store, call_id: str, workspace_id: str = "ws_a") -> Item:
    item_key = trace_item_key(workspace_id, call_id)
    return (await store.read(item_key))[item_key]


async def put(store: Store, item: Item, **changes: object) -> None:
    await store.put(Put(store.table, {**item, **changes}))


async def test_neither_an_item_nor_an_object_has_a_word_of_the_content(
    traces: DynamoTraces, world: World, tmp_path: Path
) -> None:
    store = store_of(world)
    await traces.keep("ws_a", "C1", MARKER, NOON + DAY)
    await traces.keep("ws_a", "C2", LARGE, NOON + DAY)
    items = [await trace_item(store, call_id) for call_id in ("C1", "C2")]
    items += (await store.read(trace_keys_item_key("ws_a"))).values()
    assert [set(item) - {"pk", "sk"} for item in items] == [
        {"content", "key_version", "ttl"},
        {"object", "key_version", "ttl"},
        {"version", "keys"},
    ]
    assert traces.bucket is not None
    encrypted = await traces.bucket.get(str(items[1]["object"]))
    stored = [repr(items).encode(), encrypted or MARKER]
    if isinstance(store.client, SqliteClient):
        folders = (store.client.path.parent, tmp_path)
        stored += [path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()]
        assert len(stored) > 4
    assert not [content for content in stored if MARKER in content or b64encode(MARKER)[:-4] in content]


async def test_an_object_is_kept_by_the_rule_for_its_days(traces: DynamoTraces, world: World) -> None:
    for call_id, days in {"C1": 0.5, "C2": 7, "C3": 8, "C4": 30, "C5": 31, "C6": 90}.items():
        await traces.keep("ws_a", call_id, LARGE[:400_000], NOON + days * DAY)
    keys = [str((await trace_item(store_of(world), f"C{n}"))["object"]) for n in range(1, 7)]
    assert keys == [f"traces/{days}/ws_a/C{n}" for n, days in enumerate((7, 7, 30, 30, 90, 90), 1)]


@pytest.mark.parametrize("content", [MARKER, LARGE], ids=["item", "object"])
async def test_a_trace_that_is_copied_elsewhere_is_unreadable(
    traces: DynamoTraces, world: World, content: bytes
) -> None:
    store = store_of(world)
    await traces.keep("ws_a", "C1", content, NOON + DAY)
    item, keys_item_key = await trace_item(store, "C1"), trace_keys_item_key("ws_a")
    await put(store, item, **trace_item_key("ws_b", "C1")._asdict())
    await put(store, item, **trace_item_key("ws_a", "C2")._asdict())
    assert await traces.find("ws_b", "C1") is None  # it has no key
    await traces.keep("ws_b", "C2", b"makes a key", NOON + DAY)
    assert await traces.find("ws_b", "C1") is None  # its key is another
    await put(store, (await store.read(keys_item_key))[keys_item_key], **trace_keys_item_key("ws_b")._asdict())
    assert await traces.find("ws_b", "C1") is None  # it has the key, and the trace names another workspace
    assert await traces.find("ws_a", "C2") is None  # the trace names another call
    assert await traces.find("ws_a", "C1") == content


async def test_kms_unwraps_a_key_for_its_own_workspace_only(
    traces: DynamoTraces, world: World, aws_endpoint: str
) -> None:
    store = store_of(world)
    if not isinstance(store.client, DynamoClient):
        return
    kms_key, keys_item_key = await create_kms_key(store.client.service.transport, aws_endpoint), trace_keys_item_key
    await replace(traces, keys=TraceKeys(store, kms_key)).keep("ws_a", "C1", MARKER, NOON + DAY)
    keys_item = (await store.read(keys_item_key("ws_a")))[keys_item_key("ws_a")]
    for item, elsewhere in (
        (await trace_item(store, "C1"), trace_item_key("ws_b", "C1")),
        (keys_item, keys_item_key("ws_b")),
    ):
        await put(store, item, **elsewhere._asdict())
    another_process = replace(traces, keys=TraceKeys(store, kms_key))
    with pytest.raises(StoreUnavailable, match="InvalidCiphertextException"):
        await another_process.find("ws_b", "C1")
    assert await another_process.find("ws_a", "C1") == MARKER


async def test_content_that_was_changed_or_cut_is_unreadable(
    traces: DynamoTraces, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    store = store_of(world)
    await traces.keep("ws_a", "C1", MARKER, NOON + DAY)
    item = await trace_item(store, "C1")
    content = item["content"]
    assert isinstance(content, bytes)
    flipped = bytes([content[0] ^ 1]) + content[1:]
    for changed in (flipped, content[:-1], content[:3], b"", "text", None):
        with caplog.at_level(logging.WARNING):
            caplog.clear()
            await put(store, item, content=changed)
            assert await traces.find("ws_a", "C1") is None
            assert [record.message for record in caplog.records] == ["trace.unreadable"]
    await put(store, item, key_version=7)
    assert await traces.find("ws_a", "C1") is None


async def test_a_key_item_that_somebody_else_wrote_is_an_unavailable_store(traces: DynamoTraces, world: World) -> None:
    await put(store_of(world), {**trace_keys_item_key("ws_a")._asdict(), "version": "x", "keys": []})
    with pytest.raises(StoreUnavailable):
        await traces.keep("ws_a", "C1", MARKER, NOON + DAY)


@pytest.mark.parametrize("has_kms", [False, True])
async def test_processes_that_create_a_key_at_once_end_with_one(
    world: World, aws_endpoint: str, tmp_path: Path, has_kms: bool
) -> None:
    store = store_of(world)
    if has_kms and not isinstance(store.client, DynamoClient):
        return
    first = await traces_of(world, aws_endpoint, tmp_path, has_kms=has_kms)
    kms_key = first.keys._kms_key
    processes = [replace(first, keys=TraceKeys(store, kms_key)) for _ in range(4)]
    calls = [f"C{n}" for n in range(len(processes))]
    await asyncio.gather(
        *(each.keep("ws_a", id, MARKER, NOON + DAY) for each, id in zip(processes, calls, strict=True))
    )
    assert [await first.find("ws_a", id) for id in calls] == [MARKER] * len(calls)
    assert {(await trace_item(store, id))["key_version"] for id in calls} == {1}


async def test_a_key_that_is_created_while_another_is_destroyed_does_not_bring_it_back(
    traces: DynamoTraces, world: World
) -> None:
    await traces.keep("ws_a", "C1", MARKER, NOON + DAY)

    class DestroyingKms:
        id = "arn:key"

        async def create_data_key(self, workspace_id: str) -> tuple[bytes, bytes]:
            await traces.destroy_key("ws_a")
            return SECRET, WRAPPED

    keys = TraceKeys(store_of(world), DestroyingKms())
    await replace(traces, keys=keys).keep("ws_a", "C2", MARKER, NOON + DAY)
    assert await traces.find("ws_a", "C1") is None


async def test_kms_is_asked_once_in_five_minutes_and_told_the_workspace(traces: DynamoTraces, world: World) -> None:
    kms_key, transport = scripted_kms(CREATED, UNWRAPPED)
    keys = replace(traces, keys=TraceKeys(store_of(world), kms_key))
    for call_id in ("C1", "C2"):
        await keys.keep("ws_a", call_id, MARKER, NOON + DAY)
        assert await keys.find("ws_a", call_id) == MARKER
    world.clock.now += UNWRAPPED_SECONDS
    assert await keys.find("ws_a", "C1") == MARKER
    await keys.keep("ws_a", "C3", MARKER, NOON + DAY)
    assert transport.actions == ["GenerateDataKey", "Decrypt"]
    context = {"EncryptionContext": {"workspace": "ws_a"}}
    assert transport.bodies == [
        {"KeyId": "arn:key", "KeySpec": "AES_256", **context},
        {"CiphertextBlob": b64encode(WRAPPED).decode(), "KeyId": "arn:key", **context},
    ]
    assert transport.requests[0].url == "https://kms.eu-central-1.amazonaws.com/"
    assert "/eu-central-1/kms/aws4_request" in transport.requests[0].headers["authorization"]


async def test_a_key_that_was_destroyed_elsewhere_is_no_longer_used_at_once(traces: DynamoTraces, world: World) -> None:
    kms_key, _ = scripted_kms(CREATED, CREATED)
    here = replace(traces, keys=TraceKeys(store_of(world), kms_key))
    await here.keep("ws_a", "C1", MARKER, NOON + DAY)
    await traces.destroy_key("ws_a")
    assert await here.find("ws_a", "C1") is None
    await here.keep("ws_a", "C2", MARKER, NOON + DAY)
    assert (await trace_item(store_of(world), "C2"))["key_version"] == 2


async def test_another_kms_key_gets_a_new_data_key_and_old_traces_stay_readable(
    traces: DynamoTraces, world: World
) -> None:
    store = store_of(world)
    kms_key, transport = scripted_kms(CREATED)
    with_kms = replace(traces, keys=TraceKeys(store, kms_key))
    await traces.keep("ws_a", "C1", MARKER, NOON + DAY)
    await with_kms.keep("ws_a", "C2", MARKER, NOON + DAY)
    assert [await with_kms.find("ws_a", call_id) for call_id in ("C1", "C2")] == [MARKER, MARKER]
    with pytest.raises(StoreUnavailable, match="TIDEGATE_TRACE_KEY"):
        await traces.find("ws_a", "C2")
    another = replace(traces, keys=TraceKeys(store, KmsKey(kms_key.service, "arn:other")))
    await another.keep("ws_a", "C3", MARKER, NOON + DAY)
    assert [(await trace_item(store, f"C{n}"))["key_version"] for n in (1, 2, 3)] == [1, 2, 3]
    assert [body["KeyId"] for body in transport.bodies] == ["arn:key", "arn:other"]


TROUBLE = [
    fault("AccessDeniedException"),
    fault("DisabledException"),
    fault("KMSInvalidStateException"),
    fault("InvalidCiphertextException"),
    (500, b""),
    (200, b"<html>"),
    (200, {"Plaintext": "not base 64: s3cret", "CiphertextBlob": "AAAA"}),
    (200, {"KeyId": "a-key"}),
    (400, ["s3cret"]),
    ProviderTimeout("late"),
    ProviderUnreachable("gone"),
    TimeoutError(),
]


@pytest.mark.parametrize(
    ("trouble", "tries"),
    [
        (ProviderUnreachable("gone"), 2),
        (TimeoutError(), 2),
        ((500, b""), 2),
        (fault("ThrottlingException"), 2),
        (fault("AccessDeniedException"), 1),
    ],
)
async def test_kms_is_asked_again_after_a_failure_that_can_pass(
    traces: DynamoTraces, world: World, trouble: object, tries: int
) -> None:
    kms_key, transport = scripted_kms(trouble, CREATED)
    keep = replace(traces, keys=TraceKeys(store_of(world), kms_key)).keep("ws_a", "C1", MARKER, NOON + DAY)
    if tries == 1:
        with pytest.raises(StoreUnavailable, match="400 AccessDeniedException"):
            await keep
    else:
        await keep
    assert transport.actions == ["GenerateDataKey"] * tries


@pytest.mark.parametrize("trouble", TROUBLE)
async def test_kms_in_trouble_is_an_unavailable_store_and_writes_nothing(
    traces: DynamoTraces, world: World, trouble: object
) -> None:
    store, (kms_key, _) = store_of(world), scripted_kms(trouble)
    broken = replace(traces, keys=TraceKeys(store, kms_key))
    with pytest.raises(StoreUnavailable) as caught:
        await broken.keep("ws_a", "C1", MARKER, NOON + DAY)
    assert not {"s3cret", "a message"} & set(caught.value.message.split())
    assert await store.read(trace_item_key("ws_a", "C1"), trace_keys_item_key("ws_a")) == {}
    working = scripted_kms(CREATED)[0]
    await replace(traces, keys=TraceKeys(store, working)).keep("ws_a", "C1", MARKER, NOON + DAY)
    with pytest.raises(StoreUnavailable):
        await broken.find("ws_a", "C1")


@pytest.mark.parametrize("trouble", [fault("AccessDeniedException"), (500, b""), ProviderUnreachable("gone")])
async def test_a_table_in_trouble_is_an_unavailable_store(trouble: object) -> None:
    store = scripted_store(ScriptedTransport([trouble]))
    traces = DynamoTraces(store, TraceKeys(store))
    for request in (
        lambda: traces.keep("ws_a", "C1", MARKER, NOON + DAY),
        lambda: traces.find("ws_a", "C1"),
        lambda: traces.destroy_key("ws_a"),
        lambda: traces.delete_all("ws_a"),
    ):
        with pytest.raises(StoreUnavailable):
            await request()


@pytest.mark.parametrize("trouble", [(500, b""), (503, b"<Error/>"), ProviderUnreachable("gone")])
async def test_a_bucket_in_trouble_is_an_unavailable_store(world: World, trouble: object) -> None:
    store, transport = store_of(world), ScriptedTransport([(200, b""), trouble])
    traces = DynamoTraces(store, TraceKeys(store), Bucket(AwsService(transport, aws_key, REGION, "s3"), "replies"))
    await traces.keep("ws_a", "C1", LARGE, NOON + DAY)
    for request in (
        lambda: traces.keep("ws_a", "C2", LARGE, NOON + DAY),
        lambda: traces.find("ws_a", "C1"),
        lambda: traces.delete_all("ws_a"),
    ):
        with pytest.raises(StoreUnavailable):
            await request()
    assert await store.read(trace_item_key("ws_a", "C2")) == {}
    assert len(await store.query("TRACES#ws_a", "TRACE#")) == 1  # a repetition finds what could not be deleted


async def test_a_trace_whose_item_would_cost_more_than_an_object_goes_to_the_bucket(
    traces: DynamoTraces, world: World
) -> None:
    priced = replace(traces, max_item_bytes=MAX_PRICED_ITEM_BYTES)
    overhead = 28  # nonce and tag
    for call_id, size, place in (
        ("C1", MAX_PRICED_ITEM_BYTES - overhead, "content"),
        ("C2", MAX_PRICED_ITEM_BYTES, "object"),
    ):
        await priced.keep("ws_a", call_id, LARGE[:size], NOON + DAY)
        assert place in await trace_item(store_of(world), call_id)
        assert await traces.find("ws_a", call_id) == LARGE[:size]
    without = replace(priced, bucket=None)
    await without.keep("ws_a", "C3", LARGE[:MAX_PRICED_ITEM_BYTES], NOON + DAY)
    assert "content" in await trace_item(store_of(world), "C3")


async def test_without_a_bucket_a_large_trace_is_refused(traces: DynamoTraces, world: World) -> None:
    without = replace(traces, bucket=None)
    with pytest.raises(StoreUnavailable, match="TIDEGATE_REPLY_BUCKET"):
        await without.keep("ws_a", "C1", LARGE, NOON + DAY)
    await traces.keep("ws_a", "C1", LARGE, NOON + DAY)
    assert await without.find("ws_a", "C1") is None


async def test_a_trace_whose_object_is_gone_is_not_found(traces: DynamoTraces, world: World) -> None:
    await traces.keep("ws_a", "C1", LARGE, NOON + DAY)
    object_key = str((await trace_item(store_of(world), "C1"))["object"])
    assert traces.bucket is not None
    await traces.bucket.delete(object_key)
    await traces.bucket.delete(object_key)
    assert await traces.find("ws_a", "C1") is None
    await traces.delete_all("ws_a")


async def test_all_objects_are_deleted_also_those_of_expired_traces(traces: DynamoTraces, world: World) -> None:
    await traces.keep("ws_a", "C1", LARGE, NOON + DAY)
    object_key = str((await trace_item(store_of(world), "C1"))["object"])
    world.clock.now += 2 * DAY
    await traces.delete_all("ws_a")
    assert traces.bucket is not None
    assert await traces.bucket.get(object_key) is None


async def test_a_workspace_with_very_many_traces_is_deleted_in_time_and_the_rest_is_unreadable(
    traces: DynamoTraces, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidegate.aws.encrypted_items.MAX_DELETED", 2)
    for call_id in ("C1", "C2", "C3"):
        await traces.keep("ws_a", call_id, MARKER, NOON + DAY)
    await traces.delete_all("ws_a")
    assert [item["sk"] for item in await store_of(world).query("TRACES#ws_a", "TRACE#")] == ["TRACE#C3"]
    await traces.keep("ws_a", "C4", b"of a workspace with the same id", NOON + DAY)
    assert await traces.find("ws_a", "C3") is None


async def test_expired_traces_are_deleted_from_a_data_folder(world: World, tmp_path: Path) -> None:
    store = store_of(world)
    if not isinstance(store.client, SqliteClient):
        return
    objects = FileObjects(tmp_path / "objects")
    traces = DynamoTraces(store, TraceKeys(store), objects)
    for call_id, days in {"C1": 7, "C2": 30, "C3": 90}.items():
        await traces.keep("ws_a", call_id, LARGE, NOON + days * DAY)
    await traces.keep("ws_a", "C4", MARKER, NOON + 7 * DAY)
    for path in objects.folder.rglob("C?"):
        os.utime(path, (NOON, NOON))
    for days, expected in {6: "C1C2C3", 8.1: "C2C3", 31.1: "C3", 91.1: ""}.items():
        world.clock.now = NOON + days * DAY
        await delete_expired(store.client, objects, world.clock.now)
        assert "".join(sorted(path.name for path in objects.folder.rglob("C?"))) == expected
    world.clock.now = NOON
    assert [await traces.find("ws_a", f"C{n}") for n in (1, 2, 3, 4)] == [None] * 4


def test_keys_are_not_printed() -> None:
    stored_key = StoredKey(SECRET)
    assert SECRET.decode() not in repr((DataKey(1, SECRET), stored_key, StoredKeys(1, {"1": stored_key})))


async def test_a_trace_costs_a_read_and_a_write_and_to_read_it_one_read() -> None:
    transport = ScriptedTransport([(200, {"Responses": {"t": []}}), (200, {}), (200, {})])
    store = scripted_store(transport)
    await DynamoTraces(store, TraceKeys(store)).keep("ws_a", "C1", MARKER, NOON + DAY)
    assert transport.actions == ["BatchGetItem", "PutItem", "PutItem"]  # the first trace creates a key
    stored = {item["sk"]["S"]: item for item in (body["Item"] for body in transport.bodies[1:])}
    reader = ScriptedTransport([(200, {"Responses": {"t": list(stored.values())}})])
    store = scripted_store(reader)
    traces = DynamoTraces(store, TraceKeys(store))
    assert await traces.find("ws_a", "C1") == MARKER
    assert reader.actions == ["BatchGetItem"]

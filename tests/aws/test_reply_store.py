"""Kept replies on AWS: what is too large for an item lies in a bucket, and a bucket may be missing or down."""

import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.aws.script import ScriptedTransport, scripted_store
from tests.store_worlds import CREDENTIALS, NOON, REGION, World
from tidegate.aws.bucket import MAX_BYTES, Bucket
from tidegate.aws.dynamo import DynamoClient
from tidegate.aws.reply_store import MAX_ITEM_BYTES, DynamoReplyStore
from tidegate.aws.store import ObjectStore
from tidegate.aws.table import claim_item_key, reply_item_key
from tidegate.domain.call import IdempotencyClaim
from tidegate.errors import IdempotencyInFlight, ProviderUnreachable, StoreUnavailable
from tidegate.sqlite.objects import FileObjects
from tidegate.transport.aws_credentials import SigningKeys
from tidegate.transport.aws_service import AwsService
from tidegate.transport.base import Transport

LARGE = os.urandom(MAX_ITEM_BYTES + 1)
CLAIM = IdempotencyClaim("ws_a", "key", "asked", "call_1", NOON + 660)


def s3(transport: Transport, endpoint: str | None = None) -> AwsService:
    return AwsService(transport, SigningKeys(CREDENTIALS, transport), REGION, "s3", endpoint)


@pytest.fixture
async def bucket(world: World, request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """The bucket of the embedded AWS, or a folder beside a table in SQLite."""
    assert world.store is not None
    if not isinstance(world.store.client, DynamoClient):
        return FileObjects(tmp_path / "objects")
    http, aws_endpoint = world.store.client.service.transport, request.getfixturevalue("aws_endpoint")
    made = Bucket(s3(http, aws_endpoint), world.store.table)
    await made.create()
    await made.create()  # it is there already, which is as well
    return made


def replies_of(world: World, bucket: ObjectStore | None) -> DynamoReplyStore:
    assert world.store is not None
    return DynamoReplyStore(world.store, bucket)


async def item(world: World, at: object) -> dict[str, object]:
    assert world.store is not None
    return dict((await world.store.read(at))[at])


async def test_an_object_is_what_was_put(bucket: ObjectStore) -> None:
    assert await bucket.get("cache/ws a/ü+1") is None
    await bucket.put("cache/ws a/ü+1", b"\x00one")
    await bucket.put("cache/ws a/ü+1", b"\x00two")
    assert await bucket.get("cache/ws a/ü+1") == b"\x00two"


async def test_what_is_larger_than_an_item_lies_in_the_bucket(world: World, bucket: ObjectStore) -> None:
    replies = replies_of(world, bucket)
    assert await replies.keep("ws_a", "k", LARGE, 60)
    assert await replies.find("ws_a", "k") == LARGE
    kept = await item(world, reply_item_key("ws_a", "k"))
    assert str(kept["object"]).startswith("cache/ws_a/k/")
    assert set(kept) == {"pk", "sk", "object", "ttl"}
    world.clock.now += 61
    assert await replies.find("ws_a", "k") is None


async def test_a_large_reply_of_an_idempotency_key_too(world: World, bucket: ObjectStore) -> None:
    replies = replies_of(world, bucket)
    await replies.claim(CLAIM)
    assert await replies.fulfil(CLAIM, LARGE, 60)
    assert await replies.claim(CLAIM._replace(owner="call_2")) == LARGE
    assert str((await item(world, claim_item_key("ws_a", "key")))["object"]).startswith("idem/ws_a/key/")


async def test_without_a_bucket_a_large_reply_is_not_kept(world: World) -> None:
    replies = replies_of(world, None)
    assert await replies.keep("ws_a", "k", LARGE[:-1], 60)
    assert await replies.find("ws_a", "k") == LARGE[:-1]
    assert not await replies.keep("ws_a", "k", LARGE, 60)
    await replies.claim(CLAIM)
    assert not await replies.fulfil(CLAIM, LARGE, 60)
    with pytest.raises(IdempotencyInFlight):  # until whoever claimed it releases it
        await replies.claim(CLAIM._replace(owner="call_2"))


async def test_an_object_that_is_gone_is_found_no_more_and_never_paid_for_again(
    world: World, bucket: ObjectStore
) -> None:
    replies = replies_of(world, bucket)
    await replies.keep("ws_a", "k", LARGE, 60)
    await replies.claim(CLAIM)
    await replies.fulfil(CLAIM, LARGE, 60)
    nowhere = replace(bucket, name="tidegate-nowhere") if isinstance(bucket, Bucket) else FileObjects(Path("nowhere"))
    elsewhere = replies_of(world, nowhere)
    assert await elsewhere.find("ws_a", "k") is None
    with pytest.raises(StoreUnavailable):
        await elsewhere.claim(CLAIM._replace(owner="call_2"))


@pytest.mark.parametrize("trouble", [(500, b""), (503, b"<Error/>"), ProviderUnreachable("gone")])
async def test_a_bucket_that_is_down_is_a_store_that_is_down(trouble: object) -> None:
    transport = ScriptedTransport([trouble])
    bucket = Bucket(s3(transport), "replies")
    replies = DynamoReplyStore(scripted_store(transport), bucket)
    with pytest.raises(StoreUnavailable):
        await bucket.get("k")
    with pytest.raises(StoreUnavailable):
        await replies.keep("ws_a", "k", LARGE, 60)
    with pytest.raises(StoreUnavailable):
        await bucket.create()


@pytest.mark.parametrize(
    ("name", "endpoint", "url"),
    [
        ("replies", None, "https://replies.s3.eu-central-1.amazonaws.com/cache/ws%20a/k"),
        ("re.plies", None, "https://s3.eu-central-1.amazonaws.com/re.plies/cache/ws%20a/k"),
        ("replies", "http://127.0.0.1:1/", "http://127.0.0.1:1/replies/cache/ws%20a/k"),
    ],
)
async def test_where_an_object_is(name: str, endpoint: str | None, url: str) -> None:
    transport = ScriptedTransport([(200, b"")])
    await Bucket(s3(transport, endpoint), name).put("cache/ws a/k", b"x")
    request = transport.requests[0]
    assert (request.method, request.url, request.body) == ("PUT", url, b"x")
    assert "/eu-central-1/s3/aws4_request" in request.headers["authorization"]


async def test_nothing_larger_than_the_most_goes_to_the_bucket() -> None:
    transport = ScriptedTransport([(200, b"")])
    bucket = Bucket(s3(transport), "replies")
    assert not await DynamoReplyStore(scripted_store(transport), bucket).keep("ws_a", "k", bytes(MAX_BYTES + 1), 60)
    assert transport.requests == []


async def test_an_item_that_somebody_else_wrote_is_no_reply(world: World) -> None:
    from tidegate.aws.expressions import Put

    assert world.store is not None
    strange = {**reply_item_key("ws_a", "k")._asdict(), "reply": "text", "ttl": int(NOON) + 60}
    await world.store.put(Put(world.store.table, strange))
    assert await replies_of(world, None).find("ws_a", "k") is None


async def test_a_key_costs_one_write_and_what_came_of_it_another() -> None:
    transport = ScriptedTransport([(200, {})])
    replies = DynamoReplyStore(scripted_store(transport))
    assert await replies.claim(CLAIM) is None
    assert await replies.fulfil(CLAIM, b"reply", 60)
    assert transport.actions == ["PutItem", "PutItem"]


async def test_a_look_costs_one_read_and_what_is_kept_one_write() -> None:
    transport = ScriptedTransport([(200, {"Responses": {"t": []}}), (200, {})])
    replies = DynamoReplyStore(scripted_store(transport))
    assert await replies.find("ws_a", "k") is None
    assert await replies.keep("ws_a", "k", b"reply", 60)
    assert transport.actions == ["BatchGetItem", "PutItem"]

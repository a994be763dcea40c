from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

import pytest
from msgspec.structs import replace

from tests.aws.script import ScriptedTransport, scripted_store
from tests.store_worlds import NOON, World, aws_world, key, workspace
from tidegate.aws.expressions import Put
from tidegate.aws.key_lookup import DynamoKeyLookup
from tidegate.aws.table import to_item, virtual_key_item_key, workspace_item_key
from tidegate.domain.workspace import VirtualKey, Workspace
from tidegate.errors import StoreUnavailable
from tidegate.transport.base import HttpRequest, HttpResponse, Timeouts, Transport


@pytest.fixture
async def world(aws_endpoint: str) -> AsyncIterator[World]:
    """A table over HTTP, whose requests are counted."""
    async with aws_world(aws_endpoint) as room:
        yield room


class Counting:
    """A transport, and how many requests it was asked for."""

    def __init__(self, inner: Transport) -> None:
        self.count = 0
        self._inner = inner

    def open(self, request: HttpRequest, timeouts: Timeouts) -> AbstractAsyncContextManager[HttpResponse]:
        self.count += 1
        return self._inner.open(request, timeouts)

    async def close(self) -> None:
        await self._inner.close()


class CountingDirectory(DynamoKeyLookup):
    """Counts the reads of each `find`."""

    async def reads(self, key_hash: str, workspace_id: str | None) -> int:
        store, transport = self.store, Counting(self.store.client.service.transport)
        service = replace(store.client.service, transport=transport)
        self.store = replace(store, client=replace(store.client, service=service))
        await self.find_key(key_hash, workspace_id)
        self.store = store
        return transport.count


@pytest.fixture
async def directory(world: World) -> CountingDirectory:
    for id in ("ws_one", "ws_two"):
        await world.tenants.put_workspace(workspace(id))
    assert world.store is not None
    return CountingDirectory(world.store)


async def test_a_named_workspace_is_one_read(world: World, directory: CountingDirectory) -> None:
    await world.keys.put_key(key())
    counts = [await directory.reads(hash, "ws_one") for hash in (key().hash, "0" * 64)]
    assert counts == [1, 1]


async def test_an_implied_workspace_is_two_reads_once_and_one_from_then_on(
    world: World, directory: CountingDirectory
) -> None:
    await world.keys.put_key(key())
    assert [await directory.reads(key().hash, None) for _ in range(3)] == [2, 1, 1]


async def test_a_key_that_implies_none_is_one_read(world: World, directory: CountingDirectory) -> None:
    several = key(workspace_ids=("ws_one", "ws_two"))
    await world.keys.put_key(several)
    assert [await directory.reads(several.hash, None) for _ in range(2)] == [1, 1]


@pytest.mark.parametrize("workspace_id", [None, "ws_one", "ws_other"])
async def test_reads_do_not_tell_unknown_revoked_and_expired_keys_apart(
    world: World, directory: CountingDirectory, workspace_id: str | None
) -> None:
    revoked = key("sk-tidegate-rev", status="revoked")
    expired = key("sk-tidegate-exp", expires_at=NOON)
    for stored in (revoked, expired):
        await world.keys.put_key(stored)
    hashes = ("0" * 64, revoked.hash, expired.hash)
    counts = [[await directory.reads(hash, workspace_id) for _ in range(2)] for hash in hashes]
    assert counts == [[1, 1]] * 3 if workspace_id else [[2, 2]] * 3


async def test_nor_once_a_key_that_was_known_is_revoked(world: World, directory: CountingDirectory) -> None:
    await world.keys.put_key(key())
    await directory.find_key(key().hash, None)
    await world.keys.revoke_key("ws_one", key().id)
    assert [await directory.reads(key().hash, None) for _ in range(2)] == [2, 2]


async def test_a_default_that_has_moved_is_followed(world: World, directory: CountingDirectory) -> None:
    stored = key(workspace_ids=("ws_one", "ws_two"), default_workspace_id="ws_one")
    await world.keys.put_key(stored)
    await directory.find_key(stored.hash, None)
    moved = replace(stored, default_workspace_id="ws_two")
    await overwrite(world, moved)
    assert await directory.find_key(stored.hash, None) == (moved, workspace("ws_two"))
    assert await directory.reads(stored.hash, None) == 1


async def test_expired_items_are_nobodys(world: World, directory: CountingDirectory) -> None:
    await overwrite(world, key(), ttl=int(NOON) - 1)
    assert await directory.find_key(key().hash, "ws_one") == (None, workspace())


async def test_an_item_that_is_no_key_is_an_unavailable_store(world: World, directory: CountingDirectory) -> None:
    await overwrite(world, key(), status="odd")
    with pytest.raises(StoreUnavailable):
        await directory.find_key(key().hash, "ws_one")


@pytest.mark.parametrize(
    ("find", "credentials"),
    [("find_key", [("KEY#abc", "KEY")]), ("find_subject", [("OIDC#abc", "WS#ws_one"), ("OIDC#abc", "OIDC")])],
)
async def test_reads_are_consistent_and_of_no_more_items_than_needed(
    find: str, credentials: list[tuple[str, str]]
) -> None:
    transport = ScriptedTransport([(200, {"Responses": {}, "UnprocessedKeys": {}})])
    await getattr(DynamoKeyLookup(scripted_store(transport)), find)("abc", "ws_one")
    keys = [{"pk": {"S": pk}, "sk": {"S": sk}} for pk, sk in [*credentials, ("WORKSPACE#ws_one", "WS")]]
    assert transport.bodies == [{"RequestItems": {"t": {"Keys": keys, "ConsistentRead": True}}}]


async def test_a_workspace_alone_is_one_consistent_read() -> None:
    transport = ScriptedTransport([(200, {"Responses": {}, "UnprocessedKeys": {}})])
    await DynamoKeyLookup(scripted_store(transport)).find_workspace("ws_one")
    keys = [{"pk": {"S": "WORKSPACE#ws_one"}, "sk": {"S": "WS"}}]
    assert transport.bodies == [{"RequestItems": {"t": {"Keys": keys, "ConsistentRead": True}}}]


async def test_fields_of_a_newer_version_are_left_alone(world: World, directory: CountingDirectory) -> None:
    assert world.store is not None
    item = {**to_item(workspace_item_key("ws_new"), workspace("ws_new")), "budget_usd": 5}
    await world.store.write([Put(world.store.table, item)])
    assert await directory.find_key("0" * 64, "ws_new") == (None, workspace("ws_new"))


async def overwrite(world: World, stored: VirtualKey, **fields: object) -> None:
    assert world.store is not None
    await world.store.write([Put(world.store.table, {**to_item(virtual_key_item_key(stored.hash), stored), **fields})])


async def test_an_item_from_before_there_were_all_of_its_fields_is_a_workspace(world: World) -> None:
    assert world.store is not None
    item = {**workspace_item_key("ws_old")._asdict(), "id": "ws_old", "name": "Old"}
    await world.store.write([Put(world.store.table, item)])
    _, found = await world.directory.find_key("0" * 64, "ws_old")
    assert found == Workspace("ws_old", "Old")

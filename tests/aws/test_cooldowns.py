"""Cooldowns in the table: what only DynamoDB does."""

import pytest

from tests.aws.script import ScriptedTransport, fault, scripted_store
from tests.store_worlds import NOON, World, key, learning, workspace
from tidegate.aws.cooldowns import DynamoCooldowns
from tidegate.aws.key_lookup import DynamoKeyLookup
from tidegate.aws.table import COOLDOWNS_ITEM_KEY, workspace_item_key
from tidegate.errors import StoreUnavailable

NOTHING = (200, {"Responses": {}, "UnprocessedKeys": {}})


def process(world: World, heard: dict[str | None, dict[str, float]], has_routes: bool = True) -> DynamoCooldowns:
    assert world.store is not None
    return DynamoCooldowns(world.store, learning(heard), has_routes=has_routes)


async def test_they_are_read_with_key_and_workspace_where_the_operator_has_routes() -> None:
    for has_routes, more in ((True, [{"pk": {"S": "HEALTH"}, "sk": {"S": "HEALTH"}}]), (False, [])):
        transport = ScriptedTransport([NOTHING])
        store = scripted_store(transport)
        cooldowns = DynamoCooldowns(store, learning({}), has_routes=has_routes)
        await DynamoKeyLookup(store, cooldowns).find_key("abc", "ws_one")
        keys = [{"pk": {"S": "KEY#abc"}, "sk": {"S": "KEY"}}, {"pk": {"S": "WS#ws_one"}, "sk": {"S": "WS"}}]
        assert transport.bodies == [{"RequestItems": {"t": {"Keys": keys + more, "ConsistentRead": True}}}]


async def test_one_write_tells_it() -> None:
    transport = ScriptedTransport([(200, {"Attributes": {}})])
    await DynamoCooldowns(scripted_store(transport), learning({})).tell(None, "here", NOON)
    assert (transport.actions, len(transport.bodies)) == (["UpdateItem"], 1)


async def test_a_store_that_is_down_says_so_and_one_that_knew_already_does_not() -> None:
    cooldowns = DynamoCooldowns(scripted_store(ScriptedTransport([fault("ConditionalCheckFailedException")])), print)
    await cooldowns.tell(None, "here", NOON)
    dead = DynamoCooldowns(scripted_store(ScriptedTransport([fault("InternalServerError")])), print)
    with pytest.raises(StoreUnavailable):
        await dead.tell(None, "here", NOON)


async def test_a_workspace_that_is_gone_is_not_made_by_it(world: World) -> None:
    await process(world, {}).tell("ws_one", "here", NOON + 30)
    assert world.store is not None
    assert await world.store.read(workspace_item_key("ws_one")) == {}


async def test_an_implied_workspaces_are_heard_as_well(world: World) -> None:
    await world.tenants.put_workspace(workspace())
    await world.keys.put_key(key())
    await process(world, {}).tell("ws_one", "here", NOON + 30)
    for find in (world.directory.find_key(key().hash, None), world.directory.find_workspace("ws_one")):
        world.heard.clear()
        await find
        assert world.heard == {"ws_one": {"here": NOON + 30}}


async def test_what_is_long_over_goes_with_the_next_write(world: World) -> None:
    heard: dict[str | None, dict[str, float]] = {}
    cooldowns = process(world, heard)
    assert world.store is not None
    for id in ("old", "again", "young"):
        await cooldowns.tell(None, id, world.clock.now + (3_000 if id == "young" else 30))
    world.clock.now += 3_700
    await DynamoKeyLookup(world.store, cooldowns).find_key(key().hash, "ws_one")
    await cooldowns.tell(None, "again", world.clock.now + 30)
    item = (await world.store.read(COOLDOWNS_ITEM_KEY))[COOLDOWNS_ITEM_KEY]
    assert item.keys() - {"pk", "sk"} == {"cool#again", "cool#young"}


async def test_what_somebody_else_wrote_there_is_left_alone(world: World) -> None:
    heard: dict[str | None, dict[str, float]] = {}
    process(world, heard).report_cooldowns({COOLDOWNS_ITEM_KEY: {"cool#odd": "soon", "other": 5, "pk": "HEALTH"}}, None)
    assert heard == {}

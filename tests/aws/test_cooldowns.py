"""Cooldowns in the table: what only DynamoDB does."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from tests.aws.script import ScriptedTransport, fault, scripted_store
from tests.store_worlds import NOON, World, key, learning, workspace
from tidegate.aws.cooldowns import DynamoCooldowns, DynamoProviderStates
from tidegate.aws.key_lookup import DynamoKeyLookup
from tidegate.aws.table import COOLDOWNS_ITEM_KEY, to_item, workspace_cooldowns_item_key, workspace_item_key
from tidegate.aws.values import to_attributes
from tidegate.domain.deployment import CoolingTarget
from tidegate.domain.routes import Route, RouteTarget
from tidegate.domain.workspace import WorkspaceCredential
from tidegate.errors import StoreUnavailable

OWN_KEY = WorkspaceCredential("OPENAI_API_KEY", NOON)
NOTHING = (200, {"Responses": {}, "UnprocessedKeys": {}})


def process(world: World, heard: dict[str | None, dict[str, float]], has_routes: bool = True) -> DynamoCooldowns:
    assert world.store is not None
    return DynamoCooldowns(world.store, learning(heard), has_routes=has_routes)


def keys_read(transport: ScriptedTransport) -> list[list[tuple[str, str]]]:
    """The keys of each read: partition and sort key."""
    requests = [body["RequestItems"]["t"]["Keys"] for body in transport.bodies]  # type: ignore[index]
    return [[(asked["pk"]["S"], asked["sk"]["S"]) for asked in keys] for keys in requests]


KEY, WORKSPACE = ("KEY#abc", "KEY"), ("WORKSPACE#ws_one", "WS")
GATEWAYS, WORKSPACES = ("HEALTH", "HEALTH"), ("WS#ws_one", "HEALTH")


@pytest.mark.parametrize(
    ("has_routes", "fields", "first", "later"),
    [
        (False, {}, [WORKSPACES], []),
        (True, {}, [GATEWAYS, WORKSPACES], [GATEWAYS]),
        (False, {"credentials": (OWN_KEY,)}, [WORKSPACES], []),
        (True, {"credentials": (OWN_KEY,)}, *[[GATEWAYS, WORKSPACES]] * 2),
        (False, {"routes": (Route("fast", (RouteTarget("demo/echo"),)),)}, *[[WORKSPACES]] * 2),
    ],
)
async def test_they_are_read_with_key_and_workspace_where_there_may_be_some(
    has_routes: bool, fields: dict[str, object], first: object, later: object
) -> None:
    item = to_attributes(to_item(workspace_item_key("ws_one"), replace(workspace(), **fields)))
    transport = ScriptedTransport([(200, {"Responses": {"t": [item]}, "UnprocessedKeys": {}})])
    store = scripted_store(transport)
    directory = DynamoKeyLookup(store, DynamoCooldowns(store, learning({}), has_routes=has_routes))
    for _ in range(2):
        await directory.find_key("abc", "ws_one")
    assert keys_read(transport) == [[KEY, WORKSPACE, *first], [KEY, WORKSPACE, *later]]  # type: ignore[misc]


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


async def test_a_workspaces_own_expire_and_are_not_in_the_item_that_only_operators_write(world: World) -> None:
    await process(world, {}).tell("ws_one", "here", NOON + 30)
    assert world.store is not None
    here, there = workspace_cooldowns_item_key("ws_one"), workspace_item_key("ws_one")
    assert here.pk != there.pk
    items = await world.store.read(here, there)
    assert items == {here: {**here._asdict(), "cool#here": Decimal(NOON + 30), "ttl": Decimal(NOON + 30 + 86_400)}}


async def test_an_implied_workspaces_are_heard_as_well(world: World) -> None:
    await world.tenants.put_workspace(replace(workspace(), credentials=(OWN_KEY,)))
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
        await cooldowns.tell(None, id, world.clock.now + (3_000 if id == "young" else 30), f"demo/{id}(fast#1)")
    world.clock.now += 3_700
    await DynamoKeyLookup(world.store, cooldowns).find_key(key().hash, "ws_one")
    await cooldowns.tell(None, "again", world.clock.now + 30, "demo/again(fast#1)")
    item = (await world.store.read(COOLDOWNS_ITEM_KEY))[COOLDOWNS_ITEM_KEY]
    assert item.keys() - {"pk", "sk"} == {"cool#again", "cool#young", "name#again", "name#young"}


async def test_what_somebody_else_wrote_there_is_left_alone(world: World) -> None:
    heard: dict[str | None, dict[str, float]] = {}
    process(world, heard).report_cooldowns({COOLDOWNS_ITEM_KEY: {"cool#odd": "soon", "other": 5, "pk": "HEALTH"}}, None)
    assert heard == {}


async def test_a_control_plane_without_a_data_plane_reads_the_names_of_cooling_targets(world: World) -> None:
    assert world.store is not None
    cooldowns, now = process(world, {}), world.clock.now
    await cooldowns.tell(None, "1", now + 30, "openai/gpt-4o(fast#2)")
    await cooldowns.tell(None, "2", now - 30, "openai/gpt-4o(over#1)")
    await cooldowns.tell("ws_one", "3", now + 60, "vllm/org/model(own#1)")
    await cooldowns.tell("ws_two", "4", now + 60, "vllm/model(other#1)")
    states = DynamoProviderStates(world.store)
    found = await states.cooling_targets([workspace()])
    operators = CoolingTarget("openai", "gpt-4o", "fast#2", now + 30)
    assert sorted(found) == [operators, CoolingTarget("vllm", "org/model", "own#1", now + 60)]
    assert await states.cooling_targets([]) == [operators]
    assert states.configs is None

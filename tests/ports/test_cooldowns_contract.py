"""What `Cooldowns` promises, in every room: what one process tells, the next one hears with a key."""

from tests.store_worlds import NOON, World, key, workspace


async def hear(world: World, workspace_id: str = "ws_one") -> dict[str | None, dict[str, float]]:
    await world.directory.find_key(key().hash, workspace_id)
    return world.heard


async def tell(world: World, home: str | None, id: str, until: float) -> None:
    assert world.cooldowns is not None
    await world.cooldowns.tell(home, id, until)


async def furnish(world: World) -> None:
    await world.tenants.put_workspace(workspace())
    await world.keys.put_key(key())


async def test_what_was_never_told_is_not_heard(world: World) -> None:
    await furnish(world)
    assert await hear(world) == {}


async def test_the_gateways_deployments_are_told_to_all(world: World) -> None:
    await furnish(world)
    await tell(world, None, "here", NOON + 30.5)
    await tell(world, None, "there", NOON + 60)
    assert await hear(world) == {None: {"here": NOON + 30.5, "there": NOON + 60}}


async def test_a_workspaces_own_are_told_apart(world: World) -> None:
    await furnish(world)
    await tell(world, "ws_one", "here", NOON + 30)
    await tell(world, None, "here", NOON + 60)
    assert await hear(world) == {"ws_one": {"here": NOON + 30}, None: {"here": NOON + 60}}


async def test_the_longest_stays(world: World) -> None:
    await furnish(world)
    for until in (NOON + 60, NOON + 30, NOON + 60):
        await tell(world, None, "here", until)
    assert await hear(world) == {None: {"here": NOON + 60}}


async def test_a_workspace_is_the_same_as_before(world: World) -> None:
    await furnish(world)
    await tell(world, "ws_one", "here", NOON + 30)
    assert await world.directory.find_key(key().hash, "ws_one") == (key(), workspace())
    assert await world.tenants.get_workspace("ws_one") == workspace()

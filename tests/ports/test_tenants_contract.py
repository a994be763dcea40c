"""What `Tenants` and `Keys` promise, in every room."""

from msgspec.structs import replace

from tests.store_worlds import NOON, World, key, workspace


async def test_a_workspace_comes_back_as_it_was_put(world: World) -> None:
    put = replace(workspace(), words_method="unicode", charge_input_words=True)
    assert await world.tenants.put_workspace(put)
    assert await world.tenants.get_workspace("ws_one") == put


async def test_an_unknown_workspace_is_none(world: World) -> None:
    assert await world.tenants.get_workspace("ws_unknown") is None


async def test_an_id_that_is_taken_stays_as_it_was(world: World) -> None:
    assert await world.tenants.put_workspace(workspace())
    assert not await world.tenants.put_workspace(workspace())
    assert not await world.tenants.put_workspace(replace(workspace(), name="Another"))
    assert await world.tenants.list_workspaces() == [workspace()]


async def test_workspaces_are_listed_by_id(world: World) -> None:
    for id in ("ws_b", "ws_c", "ws_a"):
        assert await world.tenants.put_workspace(workspace(id))
    assert await world.tenants.list_workspaces() == [workspace("ws_a"), workspace("ws_b"), workspace("ws_c")]


async def test_a_suspended_workspace_is_suspended_wherever_it_is_seen(world: World) -> None:
    assert await world.tenants.put_workspace(workspace())
    assert await world.tenants.set_workspace_status("ws_one", "suspended")
    suspended = replace(workspace(), status="suspended", version=2)
    assert await world.tenants.get_workspace("ws_one") == suspended
    assert await world.tenants.list_workspaces() == [suspended]
    assert await world.tenants.set_workspace_status("ws_one", "active")
    assert await world.tenants.get_workspace("ws_one") == replace(workspace(), version=3)


async def test_an_unknown_workspace_has_no_status_to_set(world: World) -> None:
    assert not await world.tenants.set_workspace_status("ws_unknown", "suspended")
    assert await world.tenants.list_workspaces() == []


async def test_a_key_is_listed_under_each_of_its_workspaces(world: World) -> None:
    shared = key(workspace_ids=("ws_one", "ws_two"), default_workspace_id="ws_two", expires_at=NOON + 60.5)
    other = key("sk-tidegate-abc", ("ws_two",))
    assert await world.keys.put_key(shared)
    assert await world.keys.put_key(other)
    assert await world.keys.list_keys("ws_one") == [shared]
    assert await world.keys.list_keys("ws_two") == [other, shared]
    assert await world.keys.list_keys("ws_unknown") == []


async def test_a_hash_that_is_taken_is_refused(world: World) -> None:
    assert await world.keys.put_key(key())
    assert not await world.keys.put_key(replace(key(), id="key_another", workspace_ids=("ws_two",)))
    assert await world.keys.list_keys("ws_two") == []


async def test_an_id_that_is_taken_is_refused(world: World) -> None:
    assert await world.keys.put_key(key())
    assert not await world.keys.put_key(replace(key("sk-tidegate-another"), id=key().id))
    assert await world.keys.list_keys("ws_one") == [key()]


async def test_a_key_is_revoked_everywhere(world: World) -> None:
    shared = key(workspace_ids=("ws_one", "ws_two"))
    assert await world.keys.put_key(shared)
    assert await world.keys.revoke_key("ws_one", shared.id)
    revoked = replace(shared, status="revoked", version=2)
    assert await world.keys.list_keys("ws_one") == [revoked]
    assert await world.keys.list_keys("ws_two") == [revoked]
    assert (await world.directory.find_key(shared.hash, "ws_two"))[0] == revoked
    assert await world.keys.revoke_key("ws_two", shared.id)


async def test_only_a_workspace_of_the_key_can_revoke_it(world: World) -> None:
    assert await world.keys.put_key(key())
    assert not await world.keys.revoke_key("ws_two", key().id)
    assert not await world.keys.revoke_key("ws_one", "key_unknown")
    assert await world.keys.list_keys("ws_one") == [key()]

"""The contract of `KeyLookup`, for every implementation."""

import pytest
from msgspec.structs import replace

from tests.store_worlds import NOON, World, key, workspace
from tidegate.domain.guardrails import Guardrail
from tidegate.domain.identity import subject_id
from tidegate.domain.keys import subject_key
from tidegate.domain.routes import Route, RouteTarget


async def furnish(world: World, *ids: str) -> None:
    for id in ids:
        assert await world.tenants.put_workspace(workspace(id))


async def test_the_named_workspace_is_found_with_the_key(world: World) -> None:
    await furnish(world, "ws_one", "ws_two")
    stored = key(workspace_ids=("ws_one", "ws_two"), default_workspace_id="ws_one")
    assert await world.keys.put_key(stored)
    assert await world.directory.find_key(stored.hash, "ws_two") == (stored, workspace("ws_two"))


async def test_a_workspace_is_found_with_its_routes(world: World) -> None:
    targets = (RouteTarget("openai/gpt-4o", 3), RouteTarget("bedrock/m", region="eu-west-1"))
    routes = (Route("fast", targets, "weight", ("a/b",), 30, True, 0.5, 2, 12.5), Route("b", targets[:1]))
    stored = replace(workspace(), routes=routes)
    assert await world.tenants.put_workspace(stored)
    assert await world.keys.put_key(key())
    assert await world.directory.find_key(key().hash, "ws_one") == (key(), stored)


async def test_a_workspace_is_found_with_its_guardrails(world: World) -> None:
    guardrails = (
        Guardrail("codes", "regex", "output", "mask", "window", True, 512, patterns=(r"PRJ-\d+",)),
        Guardrail("hook", "webhook", url="https://hook.example", timeout_seconds=1.5, fails="open"),
        Guardrail("length", "max_input", on="input", max_tokens=100),
    )
    stored = replace(workspace(), guardrails=guardrails)
    assert await world.tenants.put_workspace(stored)
    assert await world.keys.put_key(key())
    assert await world.directory.find_key(key().hash, "ws_one") == (key(), stored)


async def test_a_subject_is_found_like_a_key_and_not_as_one(world: World) -> None:
    await furnish(world, "ws_one", "ws_two")
    given = subject_key("https://issuer.example", "service-1", ("ws_one", "ws_two"))
    assert await world.keys.put_key(given)
    assert await world.directory.find_subject(given.hash, "ws_two") == (given, workspace("ws_two"))
    assert await world.directory.find_subject(given.hash, None) == (given, None)
    assert await world.directory.find_key(given.hash, "ws_two") == (None, workspace("ws_two"))
    assert await world.keys.put_key(key())
    assert await world.directory.find_subject(key().hash, None) == (None, None)
    assert await world.keys.list_keys("ws_two") == [given]
    assert await world.keys.revoke_key("ws_two", given.id)
    assert await world.directory.find_subject(given.hash, "ws_one") == (None, workspace("ws_one"))
    assert await world.keys.list_keys("ws_one") == [key()]
    assert await world.keys.put_key(given)  # so that it may be given something else


async def test_a_subject_of_one_workspace_implies_it(world: World) -> None:
    await furnish(world, "ws_one")
    given = subject_key("https://issuer.example", "service-1", ("ws_one",))
    assert await world.keys.put_key(given)
    for _ in range(2):
        assert await world.directory.find_subject(given.hash, None) == (given, workspace())


async def test_a_workspace_is_found_alone(world: World) -> None:
    await furnish(world, "ws_one")
    assert await world.directory.find_workspace("ws_one") == workspace()
    assert await world.directory.find_workspace("ws_two") is None


async def test_restrictions_are_found_with_the_key(world: World) -> None:
    await furnish(world, "ws_one")
    stored = key(endpoints=("/v1/*",), networks=("203.0.113.0/24", "2001:db8::/32"))
    assert await world.keys.put_key(stored)
    assert await world.directory.find_key(stored.hash, "ws_one") == (stored, workspace("ws_one"))


async def test_a_foreign_workspace_is_found_too_and_the_caller_decides(world: World) -> None:
    await furnish(world, "ws_one", "ws_two")
    assert await world.keys.put_key(key())
    assert await world.directory.find_key(key().hash, "ws_two") == (key(), workspace("ws_two"))


async def test_without_a_name_it_is_the_keys_default(world: World) -> None:
    await furnish(world, "ws_one", "ws_two")
    stored = key(workspace_ids=("ws_one", "ws_two"), default_workspace_id="ws_two")
    assert await world.keys.put_key(stored)
    assert await world.directory.find_key(stored.hash, None) == (stored, workspace("ws_two"))
    assert await world.directory.find_key(stored.hash, None) == (stored, workspace("ws_two"))


async def test_without_a_default_it_is_the_keys_only_one(world: World) -> None:
    await furnish(world, "ws_one")
    assert await world.keys.put_key(key())
    assert await world.directory.find_key(key().hash, None) == (key(), workspace())


async def test_a_key_with_several_workspaces_and_no_default_implies_none(world: World) -> None:
    await furnish(world, "ws_one", "ws_two")
    stored = key(workspace_ids=("ws_one", "ws_two"))
    assert await world.keys.put_key(stored)
    assert await world.directory.find_key(stored.hash, None) == (stored, None)


@pytest.mark.parametrize("workspace_id", [None, "ws_one", "ws_unknown"])
async def test_an_unknown_key_is_none(world: World, workspace_id: str | None) -> None:
    await furnish(world, "ws_one")
    found = workspace() if workspace_id == "ws_one" else None
    assert await world.directory.find_key("0" * 64, workspace_id) == (None, found)


async def test_an_unknown_workspace_is_none(world: World) -> None:
    assert await world.keys.put_key(key())
    assert await world.directory.find_key(key().hash, "ws_unknown") == (key(), None)
    assert await world.directory.find_key(key().hash, None) == (key(), None)


async def test_revoked_expired_and_suspended_come_back_as_they_are_stored(world: World) -> None:
    await furnish(world, "ws_one")
    expired = key("sk-tidegate-old", expires_at=NOON - 1)
    assert await world.keys.put_key(key())
    assert await world.keys.put_key(expired)
    before = await world.directory.find_key(key().hash, None)
    assert await world.keys.revoke_key("ws_one", key().id)
    assert await world.tenants.set_workspace_status("ws_one", "suspended")
    suspended = replace(workspace(), status="suspended", version=2)
    assert before == (key(), workspace())
    assert await world.directory.find_key(key().hash, None) == (replace(key(), status="revoked", version=2), suspended)
    assert await world.directory.find_key(expired.hash, None) == (expired, suspended)


async def test_several_workspaces_are_found_at_once(world: World) -> None:
    for id in ("ws_one", "ws_two"):
        await world.tenants.put_workspace(workspace(id))
    found = await world.directory.find_workspaces(("ws_two", "ws_gone", "ws_one", "ws_two"))
    assert sorted(found, key=lambda each: each.id) == [workspace("ws_one"), workspace("ws_two")]
    assert await world.directory.find_workspaces(()) == []


async def test_each_of_a_subjects_grants_is_found_by_its_workspace(world: World) -> None:
    await furnish(world, "ws_one", "ws_two", "ws_three")
    subject = "https://issuer.example", "service-1"
    first, second = subject_key(*subject, ("ws_one", "ws_three")), subject_key(*subject, ("ws_two",))
    old = replace(first, id=subject_id(first.hash), workspace_ids=("ws_four",))
    assert [await world.keys.put_key(each) for each in (first, second, old)] == [True] * 3
    assert not await world.keys.put_key(subject_key(*subject, ("ws_three", "ws_one")))
    for grant, workspace_id in ((first, "ws_three"), (second, "ws_two")):
        found = await world.directory.find_subject(grant.hash, workspace_id)
        assert found == (grant, workspace(workspace_id))
        assert await world.keys.list_keys(workspace_id) == [grant]
    assert await world.directory.find_subject(old.hash, "ws_four") == (old, None)
    key, implied = await world.directory.find_subject(first.hash, None)
    assert key is not None
    assert (key.id, sorted(key.workspace_ids), implied) == (old.id, ["ws_four", "ws_one", "ws_three", "ws_two"], None)
    assert await world.keys.revoke_key("ws_three", first.id)
    assert await world.keys.revoke_key("ws_four", old.id)
    assert await world.directory.find_subject(first.hash, None) == (second, workspace("ws_two"))

"""The contract of `Callers`, for every implementation."""

from collections.abc import Awaitable, Callable
from decimal import Decimal

import pytest
from msgspec.structs import replace

from tests.store_worlds import NOON, World, key, workspace
from tidegate.aws.batch_callers import DynamoCallers
from tidegate.domain.keys import subject_key
from tidegate.domain.limits import Limits
from tidegate.domain.workspace import Principal, VirtualKey
from tidegate.errors import InvalidKey, WorkspaceForbidden
from tidegate.memory.batch_callers import MemoryCallers
from tidegate.memory.tenants import MemoryTenants

AnyCallers = MemoryCallers | DynamoCallers
SUBJECT = "oidc:0123456789abcdef"


@pytest.fixture
def callers(world: World) -> AnyCallers:
    if isinstance(world.tenants, MemoryTenants):
        world.tenants.clock = world.clock
        return MemoryCallers(world.tenants)
    assert world.store is not None
    return DynamoCallers(world.store)


LIMITS = Limits(usd_per_month=Decimal("12.5"), models=("openai/*",))


async def test_a_batch_is_paid_by_its_key_as_it_is_now(world: World, callers: AnyCallers) -> None:
    await world.tenants.put_workspace(workspace())
    stored = key(workspace_ids=("ws_one", "ws_two"), limits=LIMITS)
    await world.keys.put_key(stored)
    assert await callers.find_caller("ws_one", stored.id) == (
        Principal(stored.id, ("ws_one", "ws_two"), LIMITS),
        workspace(),
    )


async def test_a_subject_with_a_grant_pays_until_the_grant_is_taken_away(world: World, callers: AnyCallers) -> None:
    await world.tenants.put_workspace(workspace())
    grant = replace(subject_key("https://issuer.test", "ada", ("ws_one",)), limits=LIMITS)
    await world.keys.put_key(grant)
    assert (await callers.find_caller("ws_one", grant.id))[0] == Principal(grant.id, ("ws_one",), LIMITS)
    await world.keys.revoke_key("ws_one", grant.id)
    with pytest.raises(InvalidKey):
        await callers.find_caller("ws_one", grant.id)


async def test_a_subject_whose_token_names_its_workspaces_has_no_grant(world: World, callers: AnyCallers) -> None:
    await world.tenants.put_workspace(workspace())
    with pytest.raises(InvalidKey):
        await callers.find_caller("ws_one", SUBJECT)
    believing = replace(callers, has_claims=True)
    assert await believing.find_caller("ws_one", SUBJECT) == (
        Principal(SUBJECT, ("ws_one",)),
        workspace(),
    )
    with pytest.raises(InvalidKey):
        await believing.find_caller("ws_one", "key_one")


async def test_an_event_is_paid_by_the_workspace_alone(world: World, callers: AnyCallers) -> None:
    await world.tenants.put_workspace(workspace())
    assert await callers.find_caller("ws_one", None) == (Principal("batch", ("ws_one",)), workspace())


async def expired(world: World) -> VirtualKey:
    stored = key(expires_at=NOON + 60)
    await world.keys.put_key(stored)
    world.clock.now = NOON + 60
    return stored


async def revoked(world: World) -> VirtualKey:
    stored = key()
    await world.keys.put_key(stored)
    await world.keys.revoke_key("ws_one", stored.id)
    return stored


async def of_another_workspace(world: World) -> VirtualKey:
    stored = key(workspace_ids=("ws_two",))
    await world.keys.put_key(stored)
    return stored


@pytest.mark.parametrize("put_key", [expired, revoked, of_another_workspace])
async def test_a_key_that_is_not_usable_pays_nothing(
    world: World, callers: AnyCallers, put_key: Callable[[World], Awaitable[VirtualKey]]
) -> None:
    await world.tenants.put_workspace(workspace())
    stored = await put_key(world)
    with pytest.raises(InvalidKey):
        await callers.find_caller("ws_one", stored.id)


@pytest.mark.parametrize("workspace_id", ["ws_missing", "ws_off", "", "é", "x" * 5000])
async def test_a_workspace_that_is_not_active_pays_nothing(
    world: World, callers: AnyCallers, workspace_id: str
) -> None:
    await world.tenants.put_workspace(replace(workspace("ws_off"), status="suspended"))
    await world.keys.put_key(key(workspace_ids=("ws_off",)))
    for key_id in (None, "key_one"):
        with pytest.raises(WorkspaceForbidden):
            await callers.find_caller(workspace_id, key_id)

from decimal import Decimal

import pytest
from msgspec.structs import replace

from tests.control.world import OF_ONE, READER, WHOLE, Managed
from tests.store_worlds import NOON, hold_tokens, outcome
from tidegate.control import plans, workspaces
from tidegate.domain.account import AccountScope
from tidegate.domain.limits import Limits
from tidegate.domain.managed_resources import Plan
from tidegate.domain.workspace import Workspace
from tidegate.errors import AdminForbidden, AlreadyExists, InvalidRequest, NotFound, Stale, TidegateError

ASKED = Plan("plan_small", "Small", Limits(usd_per_month=Decimal(10)))


async def made(world: Managed, *workspace_ids: str) -> Plan:
    plan, _ = await plans.create_plan(world.control, WHOLE, ASKED)
    for workspace_id in workspace_ids:
        asked = Workspace(workspace_id, workspace_id, plan_id=plan.id)
        await workspaces.create_workspace(world.control, WHOLE, asked)
    return plan


async def test_a_plan_is_made_once(world: Managed) -> None:
    assert await plans.create_plan(world.control, WHOLE, ASKED) == (replace(ASKED, created_at=NOON), True)
    world.stores.clock.now += 60
    assert await plans.create_plan(world.control, WHOLE, ASKED) == (replace(ASKED, created_at=NOON), False)
    with pytest.raises(AlreadyExists, match="plans/plan_small"):
        await plans.create_plan(world.control, WHOLE, replace(ASKED, name="Other"))
    assert await world.log() == [("create", "plans/plan_small")]


async def test_the_same_idempotency_key_makes_one_plan(world: Managed) -> None:
    asked = replace(ASKED, id="")
    first, is_new = await plans.create_plan(world.control, WHOLE, asked, "abc")
    assert is_new
    assert await plans.create_plan(world.control, WHOLE, asked, "abc") == (first, False)
    assert (await plans.create_plan(world.control, WHOLE, asked, "abd"))[0].id != first.id


async def test_a_change_of_limits_reaches_every_workspace_of_the_plan(world: Managed) -> None:
    ids = [f"ws_{n:03}" for n in range(70)]
    plan = await made(world, *ids)
    await workspaces.create_workspace(world.control, WHOLE, Workspace("ws_other", "Other"))
    limits = Limits(usd_per_month=Decimal(20), tokens_per_day=1000)
    changed, spread = await plans.update_plan(world.control, WHOLE, plan, replace(plan, limits=limits), 1)
    assert (changed.version, spread) == (2, plans.Rollout(70, ()))
    found = await world.stores.register.page(Workspace, limit=100)
    assert {each.id for each in found if each.plan_limits == limits} == set(ids)
    assert await plans.update_plan(world.control, WHOLE, changed, changed, None) == (changed, plans.Rollout(0, ()))
    assert ("apply", "plans/plan_small") in await world.log()
    assert len(await world.stores.register.entries("ws_069", None, 10)) == 2


async def test_a_spread_that_was_interrupted_is_taken_up(world: Managed) -> None:
    plan = await made(world, "ws_a", "ws_b")
    newer = replace(plan, limits=Limits(usd_per_month=Decimal(5)), version=2)
    await world.control.apply_change(WHOLE, "update", plan, newer)
    assert await plans.update_plan(world.control, WHOLE, newer, newer, None) == (newer, plans.Rollout(2, ()))


async def test_an_older_version_is_not_spread_over_a_newer_one(world: Managed) -> None:
    plan = await made(world, "ws_a")
    newer, _ = await plans.update_plan(world.control, WHOLE, plan, replace(plan, limits=Limits(words_per_day=5)), 1)
    assert await plans.roll_out_plan(world.control, WHOLE, plan) == plans.Rollout(0, ("ws_a",))
    workspace = await workspaces.find_workspace(world.control, WHOLE, "ws_a")
    assert workspace.plan_limits == newer.limits


async def test_a_workspace_that_is_busy_stays_pending(world: Managed) -> None:
    plan = await made(world)
    plan, _ = await plans.update_plan(world.control, WHOLE, plan, replace(plan, limits=Limits()), 1)
    await workspaces.create_workspace(world.control, WHOLE, Workspace("ws_one", "One", plan_id=plan.id))
    taken = await hold_tokens(world.stores, AccountScope("workspace", "ws_one", Limits(tokens_per_day=5)), 1)
    limited = replace(plan, limits=Limits(tokens_per_day=5))
    limited, spread = await plans.update_plan(world.control, WHOLE, plan, limited, 2)
    assert spread == plans.Rollout(0, ("ws_one",))
    await world.stores.meter.record(outcome(id=taken.call_id, hold=taken))
    assert await plans.update_plan(world.control, WHOLE, limited, limited, None) == (limited, plans.Rollout(1, ()))


async def test_a_stale_version_changes_nothing(world: Managed) -> None:
    plan = await made(world)
    with pytest.raises(Stale):
        await plans.update_plan(world.control, WHOLE, plan, replace(plan, name="New"), 2)
    await plans.update_plan(world.control, WHOLE, plan, replace(plan, name="New"), 1)
    with pytest.raises(Stale):
        await plans.update_plan(world.control, WHOLE, plan, replace(plan, name="Newer"), None)
    assert (await plans.find_plan(world.control, READER, plan.id)).name == "New"


@pytest.mark.parametrize(
    ("limits", "param"),
    [
        (Limits(usd_per_month=Decimal("-0.01")), "limits.usd_per_month"),
        (Limits(usd_per_day=Decimal("NaN")), "limits.usd_per_day"),
        (Limits(usd_per_day=Decimal("1e30")), "limits.usd_per_day"),
        (Limits(usd_per_day=Decimal("0.0000001")), "limits.usd_per_day"),
        (Limits(requests_per_minute=-1), "limits.requests_per_minute"),
        (Limits(tokens_per_day=10**13), "limits.tokens_per_day"),
        (Limits(models=()), "limits.models"),
        (Limits(providers=("openai", "")), "limits.providers"),
    ],
)
async def test_limits_that_make_no_sense_are_refused_by_name(world: Managed, limits: Limits, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await plans.create_plan(world.control, WHOLE, replace(ASKED, limits=limits))
    assert (caught.value.status, caught.value.param) == (400, param)


@pytest.mark.parametrize(("id", "name"), [("small", "x"), ("plan_", "x"), ("plan_a b", "x"), ("plan_a", "x\ny")])
async def test_names_that_are_none_are_refused(world: Managed, id: str, name: str) -> None:
    with pytest.raises(InvalidRequest):
        await plans.create_plan(world.control, WHOLE, Plan(id, name))


async def test_only_admins_of_the_whole_gateway_change_plans(world: Managed) -> None:
    plan = await made(world)
    for who in (READER, OF_ONE):
        with pytest.raises(AdminForbidden):
            await plans.create_plan(world.control, who, ASKED)
        with pytest.raises(AdminForbidden):
            await plans.update_plan(world.control, who, plan, plan, None)
        assert await plans.list_plans(world.control, who, "", 10) == [plan]


async def test_an_unknown_plan_is_not_found(world: Managed) -> None:
    with pytest.raises(NotFound) as caught:
        await plans.find_plan(world.control, WHOLE, "plan_unknown")
    assert isinstance(caught.value, TidegateError)

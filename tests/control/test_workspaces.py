from decimal import Decimal

import pytest
from msgspec.structs import replace

from tests.control.world import OF_ONE, READER, WHOLE, Managed
from tests.store_worlds import NOON, hold_tokens, outcome
from tidegate.control import plans, workspaces
from tidegate.domain.account import AccountScope, used_amount
from tidegate.domain.guardrails import Guardrail
from tidegate.domain.limits import Limits
from tidegate.domain.managed_resources import Plan
from tidegate.domain.workspace import Workspace
from tidegate.errors import (
    AccountBusy,
    AdminForbidden,
    AlreadyExists,
    InvalidRequest,
    LimitBelowUsed,
    NotFound,
    Stale,
    UnknownPlan,
)

ASKED = Workspace("ws_one", "One")


async def made(world: Managed, **fields: object) -> Workspace:
    return (await workspaces.create_workspace(world.control, WHOLE, replace(ASKED, **fields)))[0]


async def update(world: Managed, before: Workspace, *, force: bool = False, **fields: object) -> Workspace:
    after = replace(before, **fields)
    return await workspaces.update_workspace(world.control, WHOLE, before, after, before.version, force=force)


async def test_a_workspace_is_made_once(world: Managed) -> None:
    first = await made(world)
    assert first == replace(ASKED, created_at=NOON)
    assert await workspaces.create_workspace(world.control, WHOLE, ASKED) == (first, False)
    with pytest.raises(AlreadyExists):
        await workspaces.create_workspace(world.control, WHOLE, replace(ASKED, first_day=2))
    assert await world.log() == [("create", "workspaces/ws_one")]


async def test_without_an_id_it_gets_one(world: Managed) -> None:
    asked = Workspace("", "One")
    first, _ = await workspaces.create_workspace(world.control, WHOLE, asked, "order 66")
    assert await workspaces.create_workspace(world.control, WHOLE, asked, "order 66") == (first, False)
    second, is_new = await workspaces.create_workspace(world.control, WHOLE, asked)
    assert is_new
    assert second.id.startswith("ws_")
    assert second.id != first.id


async def test_its_plan_is_copied_and_its_own_limits_win(world: Managed) -> None:
    plan, _ = await plans.create_plan(
        world.control, WHOLE, Plan("plan_a", "A", Limits(words_per_day=5, tokens_per_day=9))
    )
    workspace = await made(world, plan_id="plan_a", limits=Limits(words_per_day=7))
    assert workspace.effective_limits == Limits(words_per_day=7, tokens_per_day=9)
    assert workspace.plan_limits == plan.limits
    assert (await update(world, workspace, plan_id=None)).effective_limits == Limits(words_per_day=7)


async def test_an_unknown_plan_is_refused(world: Managed) -> None:
    with pytest.raises(UnknownPlan) as caught:
        await made(world, plan_id="plan_unknown")
    assert caught.value.param == "plan_id"
    workspace = await made(world)
    with pytest.raises(UnknownPlan):
        await update(world, workspace, plan_id="plan_unknown")


async def test_a_limit_below_what_is_used_needs_force(world: Managed) -> None:
    workspace = await made(world)
    await world.stores.meter.record(outcome())  # 23 tokens
    await world.stores.meter.record(outcome(at=NOON - 86400))
    for limits, name in (
        (Limits(tokens_per_day=22), "tokens_per_day"),
        (Limits(tokens_per_month=45), "tokens_per_month"),
        (Limits(usd_per_month=Decimal("0.0002")), "usd_per_month"),
        (Limits(words_per_day=8), "words_per_day"),
    ):
        with pytest.raises(LimitBelowUsed) as caught:
            await update(world, workspace, limits=limits)
        assert caught.value.param == f"limits.{name}"
    workspace = await update(world, workspace, limits=Limits(tokens_per_day=23, tokens_per_month=46))
    with pytest.raises(LimitBelowUsed):
        await update(world, workspace, limits=Limits(tokens_per_day=22))
    workspace = await update(world, workspace, limits=Limits(tokens_per_day=22), force=True)
    assert (await update(world, workspace, name="Other")).limits == Limits(tokens_per_day=22)


async def test_what_was_used_before_the_first_limit_counts(world: Managed) -> None:
    workspace = await made(world)
    await world.stores.meter.record(outcome())
    limited = await update(world, workspace, limits=Limits(tokens_per_month=100))
    account = await world.stores.ledger.account(AccountScope("workspace", "ws_one", limited.limits))
    assert used_amount(account, "tokens", "month", NOON) == 23


async def test_an_account_is_opened_anew_only_when_no_call_is_open(world: Managed) -> None:
    workspace = await made(world, limits=Limits(tokens_per_month=100))
    taken = await hold_tokens(world.stores, AccountScope("workspace", "ws_one", workspace.limits), 10)
    for fields in ({"first_day": 15}, {"shards": 2}):
        with pytest.raises(AccountBusy, match="suspend it"):
            await update(world, workspace, **fields)
    await update(world, workspace, limits=Limits(tokens_per_month=200))
    await world.stores.meter.record(outcome(id=taken.call_id, hold=taken))
    there = await workspaces.find_workspace(world.control, WHOLE, "ws_one")
    there = await update(world, there, first_day=15)
    account = await world.stores.ledger.account(AccountScope("workspace", "ws_one", there.limits))
    assert used_amount(account, "tokens", "month", NOON, 15) == 23


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"shards": 513}, "shards"),
        ({"shards": 0}, "shards"),
        ({"first_day": 0}, "first_day"),
        ({"first_day": 29}, "first_day"),
        ({"name": "x" * 201}, "name"),
        ({"limits": Limits(parallel_calls=-1)}, "limits.parallel_calls"),
        ({"trace_sample": -0.1}, "trace_sample"),
        ({"trace_sample": 1.1}, "trace_sample"),
        ({"trace_sample": float("nan")}, "trace_sample"),
        ({"trace_days": 0}, "trace_days"),
        ({"trace_days": 91}, "trace_days"),
    ],
)
async def test_fields_that_make_no_sense_are_refused_by_name(world: Managed, fields: dict, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await made(world, **fields)
    assert caught.value.param == param
    workspace = await made(world)
    with pytest.raises(InvalidRequest) as caught:
        await update(world, workspace, **fields)
    assert caught.value.param == param


async def test_traces_are_masked_with_guardrails_that_find_positions(world: Managed) -> None:
    guardrails = (
        Guardrail("plans", "words", words=("plan",)),
        Guardrail("short", "max_input", on="input", max_tokens=5),
    )
    workspace = await made(world, guardrails=guardrails, trace_mask=("secrets", "personal-data", "plans"))
    assert workspace.trace_mask == ("secrets", "personal-data", "plans")
    for name in ("short", "prompt-injection", "unknown"):
        with pytest.raises(InvalidRequest) as caught:
            await update(world, workspace, trace_mask=("secrets", name))
        assert caught.value.param == "trace_mask[1]"


async def test_shards_only_become_more(world: Managed) -> None:
    workspace = await made(world, shards=4)
    with pytest.raises(InvalidRequest) as caught:
        await update(world, workspace, shards=2)
    assert caught.value.param == "shards"


async def test_a_stale_version_changes_nothing(world: Managed) -> None:
    workspace = await made(world)
    await update(world, workspace, name="New")
    with pytest.raises(Stale):
        await update(world, workspace, name="Other")
    with pytest.raises(Stale):
        await workspaces.set_workspace_status(world.control, WHOLE, "ws_one", "suspended", 1)
    assert (await workspaces.find_workspace(world.control, WHOLE, "ws_one")).name == "New"


async def test_a_workspace_is_suspended_and_resumed(world: Managed) -> None:
    await made(world)
    for status, version in (("suspended", 2), ("suspended", 2), ("active", 3)):
        workspace = await workspaces.set_workspace_status(world.control, WHOLE, "ws_one", status)
        assert (workspace.status, workspace.version) == (status, version)
    assert [action for action, _ in await world.log()] == ["create", "resume", "suspend"]


async def test_an_admin_of_one_workspace_sees_that_one(world: Managed) -> None:
    one = await made(world)
    await workspaces.create_workspace(world.control, WHOLE, Workspace("ws_two", "Two"))
    assert await workspaces.list_workspaces(world.control, OF_ONE, "", 10) == [one]
    assert await workspaces.list_workspaces(world.control, OF_ONE, "ws_one", 10) == []
    assert [each.id for each in await workspaces.list_workspaces(world.control, READER, "", 10)] == ["ws_one", "ws_two"]
    messages = set()
    for workspace_id in ("ws_two", "ws_no"):
        with pytest.raises(NotFound) as caught:
            await workspaces.find_workspace(world.control, OF_ONE, workspace_id)
        messages.add(caught.value.message.replace(workspace_id, "…"))
    assert len(messages) == 1
    with pytest.raises(AdminForbidden):
        await workspaces.update_workspace(world.control, OF_ONE, one, one, None)
    with pytest.raises(AdminForbidden):
        await workspaces.create_workspace(world.control, OF_ONE, ASKED)


async def test_a_huge_page_is_refused(world: Managed) -> None:
    for limit in (0, -1, 201):
        with pytest.raises(InvalidRequest) as caught:
            await workspaces.list_workspaces(world.control, WHOLE, "", limit)
        assert caught.value.param == "limit"

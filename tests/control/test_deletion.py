"""Workspaces and plans are deleted only while nobody uses them, and usage stays."""

import pytest
from msgspec.structs import replace

from tests.batch_values import batch, stored_file
from tests.control.world import OF_ONE, READER, WHOLE, Managed
from tests.store_worlds import NOON, hold_tokens, outcome
from tidegate.batch.keys import file_key, ranges_key, results_prefix, upload_part_key
from tidegate.batch.ports import Page
from tidegate.batch.workspace_cleanup import WorkspaceCleanup
from tidegate.control import credentials, keys, members, plans, workspaces
from tidegate.control.workspace_deletion import delete_workspace
from tidegate.domain.account import AccountScope
from tidegate.domain.aggregate import Aggregate
from tidegate.domain.limits import Limits
from tidegate.domain.managed_resources import Member, Plan
from tidegate.domain.workspace import VirtualKey, Workspace
from tidegate.errors import AccountBusy, AdminForbidden, Conflict, NotFound, Stale
from tidegate.memory.aggregates import MemoryAggregates
from tidegate.memory.batch_objects import MemoryBatchObjects
from tidegate.memory.batch_table import MemoryBatchTable
from tidegate.memory.meter import MemoryMeter
from tidegate.memory.traces import MemoryTraces

LIMITED = Workspace("ws_one", "One", limits=Limits(tokens_per_day=1000))


async def make(world: Managed, *ids: str) -> None:
    for id in ids:
        await workspaces.create_workspace(world.control, WHOLE, replace(LIMITED, id=id))


async def make_key(world: Managed, *workspace_ids: str) -> VirtualKey:
    requested = VirtualKey("", "", "", workspace_ids, workspace_ids[0])
    return (await keys.create_key(world.control, WHOLE, requested)).key


async def test_a_workspace_is_deleted_and_its_usage_is_kept(world: Managed) -> None:
    await make(world, "ws_one")
    await members.put_member(world.control, WHOLE, Member("ws_one", "ada@example.com"))
    await credentials.put_credential(world.control, WHOLE, "ws_one", "OPENAI_API_KEY", "secret")
    await keys.revoke_key(world.control, WHOLE, await make_key(world, "ws_one"))
    await world.stores.meter.record(outcome(workspace_id="ws_one"))
    assert (await delete_workspace(world.control, WHOLE, "ws_one")).id == "ws_one"
    resources = world.control.resources
    assert await resources.page(Workspace) == await resources.page(VirtualKey, workspace_id="ws_one") == []
    assert await resources.page(Member, workspace_id="ws_one") == []
    assert world.control.vault is not None and await world.control.vault.read("ws_one") == {}
    assert len(await world.control.usages.calls("ws_one", 10)) == 1
    assert ("delete", "workspaces/ws_one") in await world.log()
    with pytest.raises(NotFound):
        await delete_workspace(world.control, WHOLE, "ws_one")


async def test_usable_keys_prevent_the_deletion_unless_it_is_forced(world: Managed) -> None:
    await make(world, "ws_one", "ws_two")
    own, shared = await make_key(world, "ws_one"), await make_key(world, "ws_one", "ws_two")
    with pytest.raises(Conflict, match="has keys in use: key_"):
        await delete_workspace(world.control, WHOLE, "ws_one")
    await delete_workspace(world.control, WHOLE, "ws_one", force=True)
    assert await world.control.resources.find(VirtualKey, own.id, "ws_one") is None
    left = await world.control.resources.page(VirtualKey, workspace_id="ws_two")
    assert left == [replace(shared, workspace_ids=("ws_two",), default_workspace_id=None, version=2)]


async def test_a_running_call_prevents_the_deletion_unless_it_is_forced(world: Managed) -> None:
    await make(world, "ws_one")
    await hold_tokens(world.stores, AccountScope("workspace", "ws_one", LIMITED.limits), 10)
    with pytest.raises(AccountBusy):
        await delete_workspace(world.control, WHOLE, "ws_one")
    assert [each.id for each in await world.control.resources.page(Workspace)] == ["ws_one"]
    await delete_workspace(world.control, WHOLE, "ws_one", force=True)
    assert await world.control.resources.page(Workspace) == []


async def test_files_and_batches_are_deleted_with_their_objects(world: Managed) -> None:
    table, objects = MemoryBatchTable(world.stores.clock), MemoryBatchObjects()
    control = replace(world.control, batches=WorkspaceCleanup(table, objects))
    await make(world, "ws_one", "ws_one_b")
    for id in ("ws_one", "ws_one_b"):
        await table.save(stored_file(workspace_id=id), batch(workspace_id=id))
        await table.save(batch(workspace_id=id, status="failed", version=1))
        await objects.put(results_prefix(id) + "a", b"a")
        for key in (file_key(id, "f"), upload_part_key(id, "u", "p"), ranges_key(id, "b", 1)):
            await objects.put(key, b"{}")
    kept = await objects.list_keys("")
    await delete_workspace(control, WHOLE, "ws_one")
    left = [
        (len(await table.list_files(id, Page(9))), len(await table.list_batches(id, Page(9))))
        for id in ("ws_one", "ws_one_b")
    ]
    assert left == [(0, 0), (1, 1)]
    assert await objects.list_keys("") == [key for key in kept if "ws_one_b" in key] != kept


async def test_the_aggregates_of_its_calls_are_deleted(world: Managed) -> None:
    assert isinstance(world.stores.meter, MemoryMeter)
    aggregates = MemoryAggregates(world.stores.meter)
    await make(world, "ws_one", "ws_two")
    for id in ("ws_one", "ws_two"):
        await aggregates.replace(id, "2026-11-21", Aggregate(), NOON)
    await delete_workspace(replace(world.control, aggregates=aggregates), WHOLE, "ws_one")
    assert [len(await aggregates.find(id, "2026-11-01", "2026-11-30")) for id in ("ws_one", "ws_two")] == [0, 1]


async def test_open_batches_prevent_the_deletion_unless_it_is_forced(world: Managed) -> None:
    table = MemoryBatchTable(world.stores.clock)
    control = replace(world.control, batches=WorkspaceCleanup(table))
    await make(world, "ws_one")
    await table.save(batch())
    with pytest.raises(Conflict, match="batches that have not ended: batch_001"):
        await delete_workspace(control, WHOLE, "ws_one")
    assert len(await table.open_batches()) == len(await control.resources.page(Workspace)) == 1
    await delete_workspace(control, WHOLE, "ws_one", force=True)
    assert await table.open_batches() == [] == await control.resources.page(Workspace)


async def test_a_newer_version_is_not_deleted_nor_is_anything_by_others(world: Managed) -> None:
    await make(world, "ws_one")
    with pytest.raises(Stale):
        await delete_workspace(world.control, WHOLE, "ws_one", 7)
    for actor in (READER, OF_ONE):
        with pytest.raises(AdminForbidden):
            await delete_workspace(world.control, actor, "ws_one")
        with pytest.raises(AdminForbidden):
            await plans.delete_plan(world.control, actor, "plan_pro")
    assert len(await world.control.resources.page(Workspace)) == 1


async def test_a_plan_is_deleted_once_no_workspace_is_on_it(world: Managed) -> None:
    await plans.create_plan(world.control, WHOLE, Plan("plan_pro", "Pro", Limits(tokens_per_day=9), NOON))
    await workspaces.create_workspace(world.control, WHOLE, Workspace("ws_one", "One", plan_id="plan_pro"))
    with pytest.raises(Conflict, match="on this plan: ws_one"):
        await plans.delete_plan(world.control, WHOLE, "plan_pro")
    with pytest.raises(Stale):
        await plans.delete_plan(world.control, WHOLE, "plan_pro", 3)
    await delete_workspace(world.control, WHOLE, "ws_one")
    assert (await plans.delete_plan(world.control, WHOLE, "plan_pro")).id == "plan_pro"
    assert ("delete", "plans/plan_pro") in await world.log()
    with pytest.raises(NotFound):
        await plans.delete_plan(world.control, WHOLE, "plan_pro")


async def test_a_deleted_workspace_keeps_no_response(world: Managed) -> None:
    await make(world, "ws_one", "ws_two")
    states = MemoryTraces(world.stores.clock)
    for workspace_id in ("ws_one", "ws_two"):
        await states.keep(workspace_id, "resp_1", b"content", world.stores.clock() + 60)
    await delete_workspace(replace(world.control, response_states=states), WHOLE, "ws_one", force=True)
    assert [await states.find(each, "resp_1") for each in ("ws_one", "ws_two")] == [None, b"content"]

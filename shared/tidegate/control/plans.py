"""Plans: named limits, of which every workspace on the plan holds a copy."""

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from tidegate.control.authorization import check_scope, check_whole_gateway
from tidegate.control.control import Control, check_version
from tidegate.control.validation import check_id, check_limits, check_name, check_page, id_from_idempotency_key
from tidegate.domain.managed_resources import AdminKey, Plan, ResourceChange
from tidegate.domain.workspace import Workspace
from tidegate.errors import AccountBusy, Conflict, NotFound, Stale

BATCH_WORKSPACES = 30
"""Workspaces updated in one transaction: each takes two items and an entry in its audit log."""

MAX_NAMES = 5
"""The most workspaces that a refusal names."""

MAX_TRIES = 5
"""Attempts to update a workspace that is being changed at the same time."""


class Rollout(NamedTuple):
    """How many workspaces got a plan's limits, and the ids of the others: repeat the update for them."""

    updated: int
    pending: tuple[str, ...]


async def create_plan(
    control: Control, actor: AdminKey, plan: Plan, idempotency_key: str | None = None
) -> tuple[Plan, bool]:
    """Create the plan. Returns it and whether it is new. Raises `InvalidRequest`, `AlreadyExists`, `AdminForbidden`."""
    check_whole_gateway(actor, "write")
    created_plan = replace(plan, created_at=control.clock(), version=1)
    if idempotency_key is not None and not plan.id:
        created_plan = replace(created_plan, id=id_from_idempotency_key("plan_", actor.id, idempotency_key))
    _check_fields(created_plan)
    return await control.create_or_find(actor, created_plan, _is_same_plan)


async def find_plan(control: Control, actor: AdminKey, plan_id: str) -> Plan:
    """Return the plan. Raises `NotFound` and `AdminForbidden`."""
    check_scope(actor, "read")
    plan = await control.resources.find(Plan, plan_id)
    if plan is None:
        raise NotFound(f"There is no plan {plan_id[:80]!r}.", param="plan_id")
    return plan


async def list_plans(control: Control, actor: AdminKey, after: str, limit: int) -> Sequence[Plan]:
    """List plans by id. Raises `InvalidRequest` and `AdminForbidden`."""
    check_scope(actor, "read")
    check_page(limit)
    return await control.resources.page(Plan, after, limit)


async def update_plan(
    control: Control, actor: AdminKey, before: Plan, after: Plan, version: int | None
) -> tuple[Plan, Rollout]:
    """Change the plan and copy its limits to its workspaces. Raises `Stale`, `InvalidRequest`, `AdminForbidden`."""
    check_whole_gateway(actor, "write")
    check_version(before, version)
    _check_fields(after)
    if after != before:
        after = replace(after, version=before.version + 1)
        await control.apply_change(actor, "update", before, after)
    return after, await roll_out_plan(control, actor, after)


async def delete_plan(control: Control, actor: AdminKey, plan_id: str, version: int | None = None) -> Plan:
    """Delete a plan that no workspace has, and return it as it was. Raises `NotFound`, `Stale`, and `Conflict`."""
    check_whole_gateway(actor, "write")
    plan = await find_plan(control, replace(actor, scopes=("read", "write")), plan_id)
    check_version(plan, version)
    users = [workspace.id async for workspace in _workspaces_on(control, plan)]
    if users:
        names = ", ".join(users[:MAX_NAMES]) + (", …" if len(users) > MAX_NAMES else "")
        raise Conflict(f"Workspaces are on this plan: {names}. Give them another plan, or none, first.")
    await control.apply_change(actor, "delete", plan, None)
    return plan


async def roll_out_plan(control: Control, actor: AdminKey, plan: Plan) -> Rollout:
    """Copy the plan's limits to all workspaces that have older ones; a newer version is not overwritten."""
    updated, pending, batch = 0, list[str](), list[Workspace]()
    async for workspace in _outdated_workspaces(control, plan):
        if _starts_counting(workspace, plan):
            updated_one = await _update_one(control, actor, plan, workspace)
            updated, pending = updated + updated_one, pending + ([] if updated_one else [workspace.id])
            continue
        batch.append(workspace)
        if len(batch) == BATCH_WORKSPACES:
            updated_ids = await _update_batch(control, actor, plan, batch)
            updated, pending, batch = updated + len(updated_ids), pending + _not_updated(batch, updated_ids), []
    if batch:
        updated_ids = await _update_batch(control, actor, plan, batch)
        updated, pending = updated + len(updated_ids), pending + _not_updated(batch, updated_ids)
    return Rollout(updated, tuple(pending))


async def _outdated_workspaces(control: Control, plan: Plan) -> AsyncIterator[Workspace]:
    async for workspace in _workspaces_on(control, plan):
        if workspace.plan_limits != plan.limits:
            yield workspace


async def _workspaces_on(control: Control, plan: Plan) -> AsyncIterator[Workspace]:
    after = ""
    while page := await control.resources.page(Workspace, after):
        for workspace in page:
            if workspace.plan_id == plan.id:
                yield workspace
        after = page[-1].id


async def _update_batch(control: Control, actor: AdminKey, plan: Plan, batch: Sequence[Workspace]) -> set[str]:
    """Update the workspaces together, or one by one if one of them has changed. Returns the ids of those updated."""
    changes = [ResourceChange(each, _with_plan_limits(each, plan)) for each in batch]
    workspace_ids = tuple(workspace.id for workspace in batch)
    entry = replace(control.audit_entry(actor, "apply", None, plan), workspace_ids=workspace_ids)
    try:
        await control.resources.change([ResourceChange(plan, plan), *changes], entry)
    except Stale:
        return {each.id for each in batch if await _update_one(control, actor, plan, each)}
    return {each.id for each in batch}


async def _update_one(control: Control, actor: AdminKey, plan: Plan, workspace: Workspace) -> bool:
    """Update one workspace. Returns False if a call is running in it, or if it keeps changing."""
    current: Workspace | None = workspace
    for _ in range(MAX_TRIES):
        if current is None or current.plan_id != plan.id or current.plan_limits == plan.limits:
            return True
        reopened = [current] if _starts_counting(current, plan) else []
        after = _with_plan_limits(current, plan)
        try:
            await control.apply_change(actor, "apply", current, after, relies_on=[plan], reopened=reopened)
        except AccountBusy:
            return False
        except Stale:
            current = await control.resources.find(Workspace, workspace.id)
            continue
        return True
    return False


def _with_plan_limits(workspace: Workspace, plan: Plan) -> Workspace:
    return replace(workspace, plan_limits=plan.limits, version=workspace.version + 1)


def _starts_counting(workspace: Workspace, plan: Plan) -> bool:
    counted = _with_plan_limits(workspace, plan).effective_limits.need_reservation
    return counted and not workspace.effective_limits.need_reservation


def _not_updated(batch: Sequence[Workspace], updated_ids: set[str]) -> list[str]:
    return [each.id for each in batch if each.id not in updated_ids]


def _check_fields(plan: Plan) -> None:
    check_id(plan.id, "plan_")
    check_name(plan.name)
    check_limits(plan.limits)


def _is_same_plan(existing: Plan, requested: Plan) -> bool:
    return replace(existing, created_at=requested.created_at, version=requested.version) == requested

"""Plans, and the copies of their limits in the workspaces that refer to them."""

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from tidegate.control.authorization import check_scope, check_whole
from tidegate.control.control import Control, check_version
from tidegate.control.validation import check_id, check_limits, check_name, check_page, id_for
from tidegate.domain.managed_resources import AdminKey, Change, Plan
from tidegate.domain.workspace import Workspace
from tidegate.errors import AccountBusy, NotFound, Stale

BATCH = 30
"""Workspaces of one transaction: each is two items and an entry in its log."""

TRIES = 5
"""Of a workspace that somebody else changes at the same time."""


class Spread(NamedTuple):
    """How many workspaces got a plan's limits, and those that have still the old ones: asking again goes on there."""

    updated: int
    pending: tuple[str, ...]


async def create(control: Control, who: AdminKey, plan: Plan, idempotency_key: str | None = None) -> tuple[Plan, bool]:
    """The plan, and whether it is new. Raises `InvalidRequest`, `AlreadyExists`, `AdminForbidden`."""
    check_whole(who, "write")
    made = replace(plan, created_at=control.clock(), version=1)
    if idempotency_key is not None and not plan.id:
        made = replace(made, id=id_for("plan_", who.id, idempotency_key))
    _check(made)
    return await control.create(who, made, _same)


async def find(control: Control, who: AdminKey, plan_id: str) -> Plan:
    """Raises `NotFound` and `AdminForbidden`."""
    check_scope(who, "read")
    plan = await control.register.find(Plan, plan_id)
    if plan is None:
        raise NotFound(f"There is no plan {plan_id[:80]!r}.", param="plan_id")
    return plan


async def page(control: Control, who: AdminKey, after: str, limit: int) -> Sequence[Plan]:
    """Plans by id. Raises `InvalidRequest` and `AdminForbidden`."""
    check_scope(who, "read")
    check_page(limit)
    return await control.register.page(Plan, after, limit)


async def update(
    control: Control, who: AdminKey, before: Plan, after: Plan, expected: int | None
) -> tuple[Plan, Spread]:
    """The plan as it is then, and in how many workspaces. One that is as asked for already is spread again.

    Raises `Stale`, `InvalidRequest`, `AdminForbidden`.
    """
    check_whole(who, "write")
    check_version(before, expected)
    _check(after)
    if after != before:
        after = replace(after, version=before.version + 1)
        await control.change(who, "update", before, after)
    return after, await spread(control, who, after)


async def spread(control: Control, who: AdminKey, plan: Plan) -> Spread:
    """Copy the plan's limits to where they are not yet; where a newer version of the plan is, that does so instead."""
    updated, pending, batch = 0, list[str](), list[Workspace]()
    async for workspace in _behind(control, plan):
        if _closes_account(workspace, plan):
            done = await _one(control, who, plan, workspace)
            updated, pending = updated + done, pending + ([] if done else [workspace.id])
            continue
        batch.append(workspace)
        if len(batch) == BATCH:
            done_ids = await _batch(control, who, plan, batch)
            updated, pending, batch = updated + len(done_ids), pending + _others(batch, done_ids), []
    if batch:
        done_ids = await _batch(control, who, plan, batch)
        updated, pending = updated + len(done_ids), pending + _others(batch, done_ids)
    return Spread(updated, tuple(pending))


async def _behind(control: Control, plan: Plan) -> AsyncIterator[Workspace]:
    after = ""
    while found := await control.register.page(Workspace, after):
        for workspace in found:
            if workspace.plan_id == plan.id and workspace.plan_limits != plan.limits:
                yield workspace
        after = found[-1].id


async def _batch(control: Control, who: AdminKey, plan: Plan, batch: Sequence[Workspace]) -> set[str]:
    """Those that were updated: together, or one by one where somebody else has changed one of them."""
    changes = [Change(each, _with(each, plan)) for each in batch]
    entry = replace(control.entry(who, "apply", None, plan), workspace_ids=tuple(workspace.id for workspace in batch))
    try:
        await control.register.change([Change(plan, plan), *changes], entry)
    except Stale:
        return {each.id for each in batch if await _one(control, who, plan, each)}
    return {each.id for each in batch}


async def _one(control: Control, who: AdminKey, plan: Plan, workspace: Workspace) -> bool:
    there: Workspace | None = workspace
    for _ in range(TRIES):
        if there is None or there.plan_id != plan.id or there.plan_limits == plan.limits:
            return True
        reopened = [there] if _closes_account(there, plan) else []
        try:
            await control.change(who, "apply", there, _with(there, plan), relies_on=[plan], reopened=reopened)
        except AccountBusy:
            return False
        except Stale:
            there = await control.register.find(Workspace, workspace.id)
            continue
        return True
    return False


def _with(workspace: Workspace, plan: Plan) -> Workspace:
    return replace(workspace, plan_limits=plan.limits, version=workspace.version + 1)


def _closes_account(workspace: Workspace, plan: Plan) -> bool:
    counted = _with(workspace, plan).effective_limits.are_counted
    return counted and not workspace.effective_limits.are_counted


def _others(batch: Sequence[Workspace], done: set[str]) -> list[str]:
    return [each.id for each in batch if each.id not in done]


def _check(plan: Plan) -> None:
    check_id(plan.id, "plan_")
    check_name(plan.name)
    check_limits(plan.limits)


def _same(there: Plan, asked: Plan) -> bool:
    return replace(there, created_at=asked.created_at, version=asked.version) == asked

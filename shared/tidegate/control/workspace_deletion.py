"""Deletes a workspace with its keys, members, provider keys, files, batches, aggregates, traces and responses.

Counters and call records are kept.
"""

from collections.abc import AsyncIterator, Sequence

from msgspec.structs import replace

from tidegate.control.authorization import check_whole_gateway, find_workspace
from tidegate.control.control import Control, check_version
from tidegate.domain.keys import is_usable
from tidegate.domain.managed_resources import AdminKey, Member
from tidegate.domain.workspace import VirtualKey, Workspace
from tidegate.errors import Conflict, Stale

_MAX_NAMES = 5
"""The most keys or batches that a refusal names."""


async def delete_workspace(
    control: Control, actor: AdminKey, workspace_id: str, version: int | None = None, *, force: bool = False
) -> Workspace:
    """Delete the workspace and return it as it was. In force within a minute, because processes cache workspaces.

    Its keys are deleted, or lose this workspace if they have others; its members, provider keys, files, batches,
    aggregates, traces and stored responses are deleted. A batch that a process creates within this minute ends with
    its completion window, without an answer. Call records, counters, stored replies and the audit log stay until they
    expire.

    Raises `NotFound`, `Stale`; unless forced, `Conflict` if a key can be used or a batch is open, and `AccountBusy` if
    a call is running.
    """
    check_whole_gateway(actor, "write")
    workspace = await find_workspace(control, actor, workspace_id, "write")
    check_version(workspace, version)
    if force:
        await _delete_keys(control, actor, workspace_id)
    else:
        await _check_no_usable_keys(control, workspace)
        await _check_no_open_batches(control, workspace_id)
    await control.apply_change(actor, "delete", workspace, None, reopened=() if force else [workspace])
    # No key or member is created for a workspace that does not exist, so these are the last ones.
    await _delete_keys(control, actor, workspace_id)
    async for member in _members(control, workspace_id):
        await control.apply_change(actor, "delete", member, None)
    if workspace.credentials and control.vault is not None:
        await control.vault.update(workspace_id, lambda credentials: {})
    if control.batches is not None:
        await control.batches.delete_all(workspace_id)
    if control.aggregates is not None:
        await control.aggregates.delete_all(workspace_id)
    if control.traces is not None:
        await control.traces.delete_all(workspace_id)
    if control.response_states is not None:
        await control.response_states.delete_all(workspace_id)
    return workspace


async def _check_no_usable_keys(control: Control, workspace: Workspace) -> None:
    now = control.clock()
    usable = [key.id async for key in _keys(control, workspace.id) if is_usable(key, now)]
    if usable:
        raise Conflict(f"The workspace has keys in use: {_names(usable)}. Revoke them first, or force the deletion.")


async def _check_no_open_batches(control: Control, workspace_id: str) -> None:
    open_ids = await control.batches.open_batch_ids(workspace_id) if control.batches is not None else ()
    if open_ids:
        names = _names(open_ids)
        raise Conflict(f"The workspace has batches that have not ended: {names}. Cancel them, or force the deletion.")


def _names(ids: Sequence[str]) -> str:
    return ", ".join(ids[:_MAX_NAMES]) + (", …" if len(ids) > _MAX_NAMES else "")


async def _delete_keys(control: Control, actor: AdminKey, workspace_id: str) -> None:
    async for key in _keys(control, workspace_id):
        current: VirtualKey | None = key
        while current is not None:
            others = tuple(id for id in current.workspace_ids if id != workspace_id)
            try:
                await control.apply_change(actor, "update" if others else "delete", current, _with(current, others))
                break
            except Stale:  # it has been changed meanwhile
                current = await control.resources.find(VirtualKey, key.id, workspace_id)


def _with(key: VirtualKey, workspace_ids: tuple[str, ...]) -> VirtualKey | None:
    """Return the key with these workspaces only; None if there are no others."""
    if not workspace_ids:
        return None
    default = key.default_workspace_id if key.default_workspace_id in workspace_ids else None
    return replace(key, workspace_ids=workspace_ids, default_workspace_id=default, version=key.version + 1)


async def _keys(control: Control, workspace_id: str) -> AsyncIterator[VirtualKey]:
    after = ""
    while page := await control.resources.page(VirtualKey, after, workspace_id=workspace_id):
        for key in page:
            yield key
        after = page[-1].id


async def _members(control: Control, workspace_id: str) -> AsyncIterator[Member]:
    after = ""
    while page := await control.resources.page(Member, after, workspace_id=workspace_id):
        for member in page:
            yield member
        after = page[-1].subject

"""Who may do what: admin keys, their scopes, and the workspaces that they are for."""

import hmac

from tidegate.control.control import Control
from tidegate.domain.keys import hash_secret
from tidegate.domain.managed_resources import AdminKey, AdminScope
from tidegate.domain.workspace import Workspace
from tidegate.errors import AdminForbidden, InvalidKey, NotFound
from tidegate.policy.auth.authenticator import bearer

SECRET_PREFIX = "sk-tidegate-admin-"

COMMAND_LINE = AdminKey("command-line", "", "", ("read", "write"), name="the command line")
"""Whoever may write the table needs no key."""


async def authenticate(control: Control, authorization: str | None) -> AdminKey:
    """The admin key of an `Authorization` header. Raises `InvalidKey`, alike for unknown, revoked and expired."""
    key_hash = hash_secret(bearer(authorization))
    there = await control.register.find(AdminKey, id_of(key_hash))
    matches = hmac.compare_digest(there.hash if there else "", key_hash)
    expired = there is not None and there.expires_at is not None and there.expires_at <= control.clock()
    if there is None or not matches or there.status != "active" or expired:
        raise InvalidKey("This admin key is not valid: it is unknown, revoked or expired.")
    return there


def id_of(key_hash: str) -> str:
    """An admin key's id, by which it is found."""
    return f"adm_{key_hash[:16]}"


def check_scope(who: AdminKey, scope: AdminScope) -> None:
    """Raises `AdminForbidden`."""
    if scope not in who.scopes:
        raise AdminForbidden(f"This admin key has not the scope {scope!r}.")


def check_whole(who: AdminKey, scope: AdminScope) -> None:
    """Whether the key is for the whole gateway. Raises `AdminForbidden`."""
    check_scope(who, scope)
    if who.workspace_ids is not None:
        raise AdminForbidden("This admin key is for some workspaces only; this is for keys of the whole gateway.")


def check_workspaces(who: AdminKey, workspace_ids: tuple[str, ...]) -> None:
    """Whether the key is for all of them. Raises `NotFound`: what is foreign might as well not exist."""
    for workspace_id in workspace_ids:
        if who.workspace_ids is not None and workspace_id not in who.workspace_ids:
            raise unknown_workspace(workspace_id)


async def find_workspace(control: Control, who: AdminKey, workspace_id: str, scope: AdminScope = "read") -> Workspace:
    """The workspace. Raises `AdminForbidden`, and `NotFound` for unknown and foreign ones alike."""
    check_scope(who, scope)
    check_workspaces(who, (workspace_id,))
    workspace = await control.register.find(Workspace, workspace_id)
    if workspace is None:
        raise unknown_workspace(workspace_id)
    return workspace


def unknown_workspace(workspace_id: str) -> NotFound:
    return NotFound(f"There is no workspace {workspace_id[:80]!r}.", param="workspace_id")

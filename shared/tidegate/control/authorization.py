"""Who may do what: admin keys, their scopes, and the workspaces that they are for."""

import hmac

from tidegate.control.control import Control
from tidegate.domain.keys import hash_secret
from tidegate.domain.managed_resources import AdminKey, AdminScope
from tidegate.domain.workspace import Workspace
from tidegate.errors import AdminForbidden, InvalidKey, NotFound
from tidegate.policy.auth.authenticator import bearer_token

ADMIN_SECRET_PREFIX = "sk-tidegate-admin-"

COMMAND_LINE_ACTOR = AdminKey("command-line", "", "", ("read", "write"), name="the command line")
"""Whoever may write the table needs no key."""


async def authenticate_admin(control: Control, authorization: str | None) -> AdminKey:
    """The admin key of an `Authorization` header. Raises `InvalidKey`, alike for unknown, revoked and expired."""
    key_hash = hash_secret(bearer_token(authorization))
    admin_key = await control.resources.find(AdminKey, admin_key_id(key_hash))
    matches = hmac.compare_digest(admin_key.hash if admin_key else "", key_hash)
    expired = admin_key is not None and admin_key.expires_at is not None and admin_key.expires_at <= control.clock()
    if admin_key is None or not matches or admin_key.status != "active" or expired:
        raise InvalidKey("This admin key is not valid: it is unknown, revoked or expired.")
    return admin_key


def admin_key_id(key_hash: str) -> str:
    """An admin key's id, by which it is found."""
    return f"adm_{key_hash[:16]}"


def check_scope(actor: AdminKey, scope: AdminScope) -> None:
    """Raises `AdminForbidden`."""
    if scope not in actor.scopes:
        raise AdminForbidden(f"This admin key has not the scope {scope!r}.")


def check_whole_gateway(actor: AdminKey, scope: AdminScope) -> None:
    """Whether the key is for the whole gateway. Raises `AdminForbidden`."""
    check_scope(actor, scope)
    if actor.workspace_ids is not None:
        raise AdminForbidden("This admin key is for some workspaces only; this is for keys of the whole gateway.")


def check_workspace_access(actor: AdminKey, workspace_ids: tuple[str, ...]) -> None:
    """Whether the key is for all of them. Raises `NotFound`: what is foreign might as well not exist."""
    for workspace_id in workspace_ids:
        if actor.workspace_ids is not None and workspace_id not in actor.workspace_ids:
            raise workspace_not_found(workspace_id)


async def find_workspace(control: Control, actor: AdminKey, workspace_id: str, scope: AdminScope = "read") -> Workspace:
    """The workspace. Raises `AdminForbidden`, and `NotFound` for unknown and foreign ones alike."""
    check_scope(actor, scope)
    check_workspace_access(actor, (workspace_id,))
    workspace = await control.resources.find(Workspace, workspace_id)
    if workspace is None:
        raise workspace_not_found(workspace_id)
    return workspace


def workspace_not_found(workspace_id: str) -> NotFound:
    return NotFound(f"There is no workspace {workspace_id[:80]!r}.", param="workspace_id")

"""Authorization of operators: admin keys, their scopes, and the workspaces that they may manage."""

import hmac

from tidegate.control.control import Control
from tidegate.domain.keys import hash_secret
from tidegate.domain.managed_resources import AdminKey, AdminScope
from tidegate.domain.workspace import Workspace
from tidegate.errors import AdminForbidden, InvalidKey, NotFound
from tidegate.policy.auth.authenticator import bearer_token

ADMIN_SECRET_PREFIX = "sk-tidegate-admin-"

COMMAND_LINE_ACTOR = AdminKey("command-line", "", "", ("read", "write", "content"), name="the command line")
"""The actor of the command line, which needs no admin key: IAM decides who may write the table."""


async def authenticate_admin(control: Control, authorization: str | None) -> AdminKey:
    """Return the admin key of an `Authorization` header. Raises `InvalidKey` if it is unknown, revoked or expired."""
    key_hash = hash_secret(bearer_token(authorization))
    admin_key = await control.resources.find(AdminKey, admin_key_id(key_hash))
    matches = hmac.compare_digest(admin_key.hash if admin_key else "", key_hash)
    expired = admin_key is not None and admin_key.expires_at is not None and admin_key.expires_at <= control.clock()
    if admin_key is None or not matches or admin_key.status != "active" or expired:
        raise InvalidKey("This admin key is not valid: it is unknown, revoked or expired.")
    return admin_key


def admin_key_id(key_hash: str) -> str:
    """Derive an admin key's id from its hash: authentication looks the key up by this id."""
    return f"adm_{key_hash[:16]}"


def check_scope(actor: AdminKey, scope: AdminScope) -> None:
    """Raises `AdminForbidden` if the key does not have the scope."""
    if scope not in actor.scopes:
        raise AdminForbidden(f"This admin key does not have the scope {scope!r}.")


def check_whole_gateway(actor: AdminKey, scope: AdminScope) -> None:
    """Raises `AdminForbidden` if the key does not have the scope, or manages some workspaces only."""
    check_scope(actor, scope)
    if actor.workspace_ids is not None:
        raise AdminForbidden("This needs an admin key of the whole gateway; this one manages some workspaces.")


def check_workspace_access(actor: AdminKey, workspace_ids: tuple[str, ...]) -> None:
    """Raises `NotFound` unless the key may manage all of the workspaces: it must not learn which others exist."""
    for workspace_id in workspace_ids:
        if actor.workspace_ids is not None and workspace_id not in actor.workspace_ids:
            raise workspace_not_found(workspace_id)


async def find_workspace(control: Control, actor: AdminKey, workspace_id: str, scope: AdminScope = "read") -> Workspace:
    """Return the workspace. Raises `AdminForbidden`, and `NotFound` if it is unknown or `actor` may not manage it."""
    check_scope(actor, scope)
    check_workspace_access(actor, (workspace_id,))
    workspace = await control.resources.find(Workspace, workspace_id)
    if workspace is None:
        raise workspace_not_found(workspace_id)
    return workspace


def workspace_not_found(workspace_id: str) -> NotFound:
    return NotFound(f"There is no workspace {workspace_id[:80]!r}.", param="workspace_id")

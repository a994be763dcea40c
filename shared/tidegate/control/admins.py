"""Admin keys: they manage the whole gateway, or some of its workspaces."""

from collections.abc import Sequence

from msgspec.structs import replace

from tidegate.control.authorization import (
    ADMIN_SECRET_PREFIX,
    admin_key_id,
    check_scope,
    check_whole_gateway,
    workspace_not_found,
)
from tidegate.control.control import Control, check_version
from tidegate.control.validation import check_expiry, check_name, check_page
from tidegate.domain.keys import SECRET_PREFIX as KEY_PREFIX
from tidegate.domain.keys import create_secret, hash_secret
from tidegate.domain.managed_resources import AdminKey
from tidegate.domain.workspace import Workspace
from tidegate.errors import InvalidRequest, NotFound

PREFIX_CHARACTERS = len(ADMIN_SECRET_PREFIX) + 4
MAX_WORKSPACES = 100


async def create_admin_key(control: Control, actor: AdminKey, admin_key: AdminKey) -> tuple[AdminKey, str]:
    """Create an admin key like `admin_key`. Returns it and its secret, of which only the hash is stored."""
    check_whole_gateway(actor, "write")
    check_name(admin_key.name)
    if not admin_key.scopes:
        raise InvalidRequest("An admin key needs at least one scope: 'read', 'write' or 'content'.", param="scopes")
    if "content" in admin_key.scopes:
        check_scope(actor, "content")  # nobody gives away more than they may themselves
    check_expiry(admin_key.expires_at, control.clock())
    if admin_key.workspace_ids is not None and not 1 <= len(admin_key.workspace_ids) <= MAX_WORKSPACES:
        message = f"Name 1 to {MAX_WORKSPACES} workspaces, or leave them out for a key of the whole gateway."
        raise InvalidRequest(message, param="workspace_ids")
    for workspace_id in admin_key.workspace_ids or ():
        if await control.resources.find(Workspace, workspace_id) is None:
            raise workspace_not_found(workspace_id)
    secret = ADMIN_SECRET_PREFIX + create_secret().removeprefix(KEY_PREFIX)
    created_key = with_secret(secret, replace(admin_key, created_at=control.clock(), version=1))
    await control.apply_change(actor, "create", None, created_key)
    return created_key, secret


def with_secret(secret: str, admin_key: AdminKey) -> AdminKey:
    """Return `admin_key` with the id, hash and display prefix that follow from `secret`."""
    key_hash = hash_secret(secret)
    return replace(admin_key, id=admin_key_id(key_hash), hash=key_hash, prefix=secret[:PREFIX_CHARACTERS])


async def find_admin_key(control: Control, actor: AdminKey, admin_id: str) -> AdminKey:
    """Return the admin key. Raises `NotFound` and `AdminForbidden`."""
    check_whole_gateway(actor, "read")
    admin_key = await control.resources.find(AdminKey, admin_id)
    if admin_key is None:
        raise NotFound(f"There is no admin key {admin_id[:80]!r}.", param="admin_id")
    return admin_key


async def list_admin_keys(control: Control, actor: AdminKey, after: str, limit: int) -> Sequence[AdminKey]:
    """List admin keys by id, revoked keys included. Raises `InvalidRequest` and `AdminForbidden`."""
    check_whole_gateway(actor, "read")
    check_page(limit)
    return await control.resources.page(AdminKey, after, limit)


async def revoke_admin_key(control: Control, actor: AdminKey, admin_id: str, version: int | None = None) -> AdminKey:
    """Revoke the key at once and return it. Raises `Stale`, `NotFound`, `AdminForbidden`."""
    check_whole_gateway(actor, "write")
    before = await find_admin_key(control, replace(actor, scopes=("read", "write")), admin_id)
    check_version(before, version)
    if before.status == "revoked":
        return before
    after = replace(before, status="revoked", version=before.version + 1)
    await control.apply_change(actor, "revoke", before, after)
    return after

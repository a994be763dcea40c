"""Admin keys: who may manage the gateway, or some of its workspaces."""

from collections.abc import Sequence

from msgspec.structs import replace

from tidegate.control.authorization import SECRET_PREFIX, check_whole, id_of, unknown_workspace
from tidegate.control.control import Control, check_version
from tidegate.control.validation import check_end, check_name, check_page
from tidegate.domain.keys import SECRET_PREFIX as KEY_PREFIX
from tidegate.domain.keys import create_secret, hash_secret
from tidegate.domain.managed_resources import AdminKey
from tidegate.domain.workspace import Workspace
from tidegate.errors import InvalidRequest, NotFound

SHOWN_CHARACTERS = len(SECRET_PREFIX) + 4
MAX_WORKSPACES = 100


async def create(control: Control, who: AdminKey, asked: AdminKey) -> tuple[AdminKey, str]:
    """An admin key with what `asked` says of name, scopes, workspaces and end; and its secret, which is nowhere else.

    Raises `InvalidRequest`, `NotFound` for a workspace, `AdminForbidden`.
    """
    check_whole(who, "write")
    check_name(asked.name)
    if not asked.scopes:
        raise InvalidRequest("An admin key has a scope: read, write or both.", param="scopes")
    check_end(asked.expires_at, control.clock())
    if asked.workspace_ids is not None and not 1 <= len(asked.workspace_ids) <= MAX_WORKSPACES:
        fault = f"An admin key is for 1 to {MAX_WORKSPACES} workspaces; leave them out for the whole gateway."
        raise InvalidRequest(fault, param="workspace_ids")
    for workspace_id in asked.workspace_ids or ():
        if await control.register.find(Workspace, workspace_id) is None:
            raise unknown_workspace(workspace_id)
    secret = SECRET_PREFIX + create_secret().removeprefix(KEY_PREFIX)
    made = of_secret(secret, replace(asked, created_at=control.clock(), version=1))
    await control.change(who, "create", None, made)
    return made, secret


def of_secret(secret: str, asked: AdminKey) -> AdminKey:
    """The admin key that the secret opens."""
    key_hash = hash_secret(secret)
    return replace(asked, id=id_of(key_hash), hash=key_hash, prefix=secret[:SHOWN_CHARACTERS])


async def find(control: Control, who: AdminKey, admin_id: str) -> AdminKey:
    """Raises `NotFound` and `AdminForbidden`."""
    check_whole(who, "read")
    admin = await control.register.find(AdminKey, admin_id)
    if admin is None:
        raise NotFound(f"There is no admin key {admin_id[:80]!r}.", param="admin_id")
    return admin


async def page(control: Control, who: AdminKey, after: str, limit: int) -> Sequence[AdminKey]:
    """Admin keys by id, revoked ones too. Raises `InvalidRequest` and `AdminForbidden`."""
    check_whole(who, "read")
    check_page(limit)
    return await control.register.page(AdminKey, after, limit)


async def revoke(control: Control, who: AdminKey, admin_id: str, expected: int | None = None) -> AdminKey:
    """The key, which opens nothing from now on. Raises `Stale`, `NotFound`, `AdminForbidden`."""
    check_whole(who, "write")
    before = await find(control, replace(who, scopes=("read", "write")), admin_id)
    check_version(before, expected)
    if before.status == "revoked":
        return before
    after = replace(before, status="revoked", version=before.version + 1)
    await control.change(who, "revoke", before, after)
    return after

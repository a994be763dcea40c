"""Members of workspaces: people and service accounts, named by e-mail address or token subject."""

import re
from collections.abc import Sequence

from msgspec.structs import replace

from tidegate.control.authorization import check_scope, check_workspace_access, find_workspace
from tidegate.control.control import Control, check_version
from tidegate.control.validation import check_page
from tidegate.domain.managed_resources import AdminKey, Member
from tidegate.errors import InvalidRequest, NotFound

_SUBJECT = re.compile(r"[^\s\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,200}")


async def put_member(
    control: Control, actor: AdminKey, member: Member, version: int | None = None
) -> tuple[Member, bool]:
    """Add the member or change its role; True if it is new. Raises `Stale`, also if a new member has a `version`."""
    if not _SUBJECT.fullmatch(member.subject):
        raise InvalidRequest("A subject has 1 to 200 characters and no spaces.", param="subject")
    await find_workspace(control, actor, member.workspace_id, "write")
    before = await control.resources.find(Member, member.subject, member.workspace_id)
    if before is None:
        created = replace(member, created_at=control.clock(), version=1)
        check_version(replace(created, version=0), version)
        return await control.create_or_find(actor, created, lambda existing, requested: existing.role == requested.role)
    check_version(before, version)
    if before.role == member.role:
        return before, False
    after = replace(before, role=member.role, version=before.version + 1)
    await control.apply_change(actor, "update", before, after)
    return after, False


async def find_member(control: Control, actor: AdminKey, workspace_id: str, subject: str) -> Member:
    """Return a member of the workspace. Raises `NotFound` and `AdminForbidden`."""
    check_scope(actor, "read")
    check_workspace_access(actor, (workspace_id,))
    member = await control.resources.find(Member, subject, workspace_id)
    if member is None:
        raise NotFound(f"The workspace has no member {subject[:80]!r}.", param="subject")
    return member


async def list_members(
    control: Control, actor: AdminKey, workspace_id: str, after: str, limit: int
) -> Sequence[Member]:
    """List members by subject. Raises `InvalidRequest`, `NotFound`, `AdminForbidden`."""
    check_page(limit)
    await find_workspace(control, actor, workspace_id)
    return await control.resources.page(Member, after, limit, workspace_id)


async def delete_member(
    control: Control, actor: AdminKey, workspace_id: str, subject: str, version: int | None = None
) -> None:
    """Remove the member from the workspace. Raises `Stale`, `NotFound`, `AdminForbidden`."""
    check_scope(actor, "write")
    before = await find_member(control, replace(actor, scopes=("read", "write")), workspace_id, subject)
    check_version(before, version)
    await control.apply_change(actor, "delete", before, None)

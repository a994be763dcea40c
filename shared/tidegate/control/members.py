"""Members of workspaces: people and service accounts, by e-mail address or subject."""

import re
from collections.abc import Sequence

from msgspec.structs import replace

from tidegate.control.authorization import check_scope, check_workspaces, find_workspace
from tidegate.control.control import Control, check_version
from tidegate.control.validation import check_page
from tidegate.domain.managed_resources import AdminKey, Member
from tidegate.errors import InvalidRequest, NotFound

_SUBJECT = re.compile(r"[^\s\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,200}")


async def put(control: Control, who: AdminKey, member: Member, expected: int | None = None) -> tuple[Member, bool]:
    """The member in that role, and whether it is new.

    Raises `InvalidRequest`, `Stale` (a version of one that is not there, too), `NotFound`, `AdminForbidden`.
    """
    if not _SUBJECT.fullmatch(member.subject):
        raise InvalidRequest("A subject has 1 to 200 characters and no blanks.", param="subject")
    await find_workspace(control, who, member.workspace_id, "write")
    before = await control.register.find(Member, member.subject, member.workspace_id)
    if before is None:
        made = replace(member, created_at=control.clock(), version=1)
        check_version(replace(made, version=0), expected)
        return await control.create(who, made, lambda there, asked: there.role == asked.role)
    check_version(before, expected)
    if before.role == member.role:
        return before, False
    after = replace(before, role=member.role, version=before.version + 1)
    await control.change(who, "update", before, after)
    return after, False


async def find(control: Control, who: AdminKey, workspace_id: str, subject: str) -> Member:
    """Raises `NotFound` and `AdminForbidden`."""
    check_scope(who, "read")
    check_workspaces(who, (workspace_id,))
    member = await control.register.find(Member, subject, workspace_id)
    if member is None:
        raise NotFound(f"The workspace has no member {subject[:80]!r}.", param="subject")
    return member


async def page(control: Control, who: AdminKey, workspace_id: str, after: str, limit: int) -> Sequence[Member]:
    """By subject. Raises `InvalidRequest`, `NotFound`, `AdminForbidden`."""
    check_page(limit)
    await find_workspace(control, who, workspace_id)
    return await control.register.page(Member, after, limit, workspace_id)


async def delete(control: Control, who: AdminKey, workspace_id: str, subject: str, expected: int | None = None) -> None:
    """Raises `Stale`, `NotFound`, `AdminForbidden`."""
    check_scope(who, "write")
    before = await find(control, replace(who, scopes=("read", "write")), workspace_id, subject)
    check_version(before, expected)
    await control.change(who, "delete", before, None)

"""What happened: the calls of a workspace, and what operators changed."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct

from tidegate.control.authorization import check_whole, find_workspace
from tidegate.control.control import Control
from tidegate.control.validation import check_page
from tidegate.domain.ids import ulid_begin
from tidegate.domain.managed_resources import AdminKey, AuditEntry
from tidegate.errors import InvalidRequest

MAX_SEARCHED = 2_000
"""Records looked at for one page: a filter that finds little answers with a cursor instead of waiting."""

_CURSOR = re.compile(r"[0-9A-Z]{1,26}")
_LAST = "Z" * 26


class Filters(Struct, frozen=True):
    """Which calls: None is any. `model` is as asked for or as `provider/model` that answered; times are UTC seconds."""

    status: str | None = None
    model: str | None = None
    key_id: str | None = None
    app_id: str | None = None
    since: float | None = None
    until: float | None = None

    def match(self, record: Mapping[str, object]) -> bool:
        wanted = (
            (self.status, (record.get("status"),)),
            (self.model, (record.get("model"), answered(record))),
            (self.key_id, (record.get("key_id"),)),
            (self.app_id, (record.get("app_id"),)),
        )
        return all(value is None or value in found for value, found in wanted)


class CallPage(NamedTuple):
    """`cursor` leads to the next page, None after the last. A page may have less than asked for, or none."""

    calls: Sequence[Mapping[str, object]]
    cursor: str | None


async def calls(
    control: Control, who: AdminKey, workspace_id: str, filters: Filters, limit: int, cursor: str | None = None
) -> CallPage:
    """The newest first. Raises `InvalidRequest`, `NotFound`, `AdminForbidden`."""
    check_page(limit)
    check_cursor(cursor)
    workspace = await find_workspace(control, who, workspace_id)
    begin = "" if filters.since is None else ulid_begin(filters.since)
    before = min(cursor or _LAST, _LAST if filters.until is None else ulid_begin(filters.until))
    found, searched = list[Mapping[str, object]](), 0
    while searched < MAX_SEARCHED:
        records = await control.usages.records(workspace.id, begin, before, limit, workspace.shards)
        searched += len(records)
        for record in records:
            before = str(record["id"])
            if filters.match(record):
                found.append(record)
                if len(found) == limit:
                    return CallPage(found, before)
        if len(records) < limit:
            return CallPage(found, None)
    return CallPage(found, before)


async def audit(
    control: Control, who: AdminKey, workspace_id: str | None, cursor: str | None, limit: int
) -> Sequence[AuditEntry]:
    """The newest changes first: of one workspace, or of all. Raises `InvalidRequest`, `NotFound`, `AdminForbidden`."""
    check_page(limit)
    check_cursor(cursor)
    if workspace_id is None:
        check_whole(who, "read")
    else:
        await find_workspace(control, who, workspace_id)
    return await control.register.entries(workspace_id, cursor, limit)


def answered(record: Mapping[str, object]) -> str:
    """The model that answered, as `provider/model`; as asked for where nobody did."""
    provider, model = record.get("provider"), record.get("answered_model")
    return f"{provider}/{model}" if provider and model else str(record.get("model") or "")


def check_cursor(cursor: str | None) -> None:
    if cursor is not None and not _CURSOR.fullmatch(cursor):
        raise InvalidRequest("The cursor is none of ours: use next_cursor of the page before.", param="cursor")

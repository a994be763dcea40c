"""The call log of a workspace, and the audit log of the operators' changes."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct

from tidegate.control.authorization import check_whole_gateway, find_workspace
from tidegate.control.control import Control
from tidegate.control.validation import check_page
from tidegate.domain.ids import min_ulid
from tidegate.domain.managed_resources import AdminKey, AuditEntry
from tidegate.errors import InvalidRequest

MAX_SEARCHED_RECORDS = 2_000
"""Records read for one page: with a filter that matches few calls, the page is short and has a cursor."""

_CURSOR = re.compile(r"[0-9A-Z]{1,26}")
_LAST_ID = "Z" * 26


class CallFilters(Struct, frozen=True):
    """Filters of calls; None matches all. `model` is as requested, or `provider/model`; times are UTC seconds."""

    status: str | None = None
    model: str | None = None
    key_id: str | None = None
    app_id: str | None = None
    since: float | None = None
    until: float | None = None

    def matches(self, record: Mapping[str, object]) -> bool:
        criteria = (
            (self.status, (record.get("status"),)),
            (self.model, (record.get("model"), answering_model(record))),
            (self.key_id, (record.get("key_id"),)),
            (self.app_id, (record.get("app_id"),)),
        )
        return all(value is None or value in candidates for value, candidates in criteria)


class CallPage(NamedTuple):
    """A page of calls, which may be short or empty. `cursor` leads to the next page; it is None on the last."""

    calls: Sequence[Mapping[str, object]]
    cursor: str | None


async def list_calls(
    control: Control, actor: AdminKey, workspace_id: str, filters: CallFilters, limit: int, cursor: str | None = None
) -> CallPage:
    """List calls, the newest first. Raises `InvalidRequest`, `NotFound`, `AdminForbidden`."""
    check_page(limit)
    check_cursor(cursor)
    workspace = await find_workspace(control, actor, workspace_id)
    first_id = "" if filters.since is None else min_ulid(filters.since)
    before_id = min(cursor or _LAST_ID, _LAST_ID if filters.until is None else min_ulid(filters.until))
    matching, searched_records = list[Mapping[str, object]](), 0
    while searched_records < MAX_SEARCHED_RECORDS:
        records = await control.usages.records(workspace.id, first_id, before_id, limit, workspace.shards)
        searched_records += len(records)
        for record in records:
            before_id = str(record["id"])
            if filters.matches(record):
                matching.append(record)
                if len(matching) == limit:
                    return CallPage(matching, before_id)
        if len(records) < limit:
            return CallPage(matching, None)
    return CallPage(matching, before_id)


async def list_audit_entries(
    control: Control, actor: AdminKey, workspace_id: str | None, cursor: str | None, limit: int
) -> Sequence[AuditEntry]:
    """List changes of a workspace, or all, the newest first. Raises `InvalidRequest`, `NotFound`, `AdminForbidden`."""
    check_page(limit)
    check_cursor(cursor)
    if workspace_id is None:
        check_whole_gateway(actor, "read")
    else:
        await find_workspace(control, actor, workspace_id)
    return await control.resources.entries(workspace_id, cursor, limit)


def answering_model(record: Mapping[str, object]) -> str:
    """Return the model that answered as `provider/model`, or the model requested if none did."""
    provider, model = record.get("provider"), record.get("answered_model")
    return f"{provider}/{model}" if provider and model else str(record.get("model") or "")


def check_cursor(cursor: str | None) -> None:
    if cursor is not None and not _CURSOR.fullmatch(cursor):
        raise InvalidRequest("The cursor is not valid: use next_cursor of the previous page.", param="cursor")

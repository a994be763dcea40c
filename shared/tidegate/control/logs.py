"""The call log of a workspace, and the audit log of the operators' changes."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import NamedTuple

from msgspec import Struct

from tidegate.control.authorization import check_whole_gateway, find_workspace
from tidegate.control.control import Control
from tidegate.control.spreadsheet import to_csv
from tidegate.control.validation import check_page
from tidegate.domain.aggregate import answering_model
from tidegate.domain.ids import min_ulid, ulid_time
from tidegate.domain.managed_resources import AdminKey, AuditEntry
from tidegate.domain.workspace import Workspace
from tidegate.errors import InvalidRequest
from tidegate.offload import offload

MAX_SEARCHED_RECORDS = 2_000
"""Records read for one page: with a filter that matches few calls, the page is short and has a cursor."""

MAX_DAYS = 92
"""The longest range of calls. Ranges without a begin are read page by page, and have no limit."""

MAX_EXPORTED_CALLS = 10_000
"""Calls of one CSV, about 2 MB; Lambda's replies are at most 6 MB."""

MAX_EXPORT_RECORDS = 50_000
"""Records read for one CSV."""

MAX_RUNNING_SECONDS, MAX_LIVE_RECORDS = 900.0, 500
"""How long before a call others may have begun that have ended after it, and how many records are read to find them."""

USE_OVERVIEW = "use the overview (/console/v1/overview), which has the sums of every hour and day"

CSV_COLUMNS = (
    *("time", "id", "status", "model", "provider", "answered_model", "key_id", "app_id", "session_id", "agent_id"),
    *("endpoint", "input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "words", "cost_usd"),
    *("first_event_seconds", "seconds", "attempts", "failed_attempts", "error_code", "finish_reason", "cache"),
    *("batch_id", "lines", "lines_failed", "parent_agent_id"),
)

_EXPORT_PAGE = 1_000
_ROW_BYTES = 200
_SETTLE_SECONDS = 2.0
"""Calls are on record some time after their end, and then not in the order of their ends."""

_ID = re.compile(r"[0-9A-Z]{1,26}")
_LAST_ID = "Z" * 26


class CallFilters(Struct, frozen=True):
    """Filters of calls; None matches all. `model` is as requested, or `provider/model`; times are UTC seconds.

    `error` is a part of an error's code or of a failed attempt, in any case. `slower_than` are seconds, `dearer_than`
    USD. `after` is the id of a call: matches those that have ended since that one, however long they took.
    """

    status: str | None = None
    model: str | None = None
    key_id: str | None = None
    app_id: str | None = None
    since: float | None = None
    until: float | None = None
    session_id: str | None = None
    error: str | None = None
    slower_than: float | None = None
    dearer_than: Decimal | None = None
    after: str | None = None

    def matches(self, record: Mapping[str, object]) -> bool:
        criteria = (
            (self.status, (record.get("status"),)),
            (self.model, (record.get("model"), answering_model(record))),
            (self.key_id, (record.get("key_id"),)),
            (self.app_id, (record.get("app_id"),)),
            (self.session_id, (record.get("session_id"),)),
        )
        return (
            all(value is None or value in candidates for value, candidates in criteria)
            and (self.error is None or self.error.lower() in _error_text(record))
            and (self.slower_than is None or _number(record, "seconds") > Decimal(str(self.slower_than)))
            and (self.dearer_than is None or _number(record, "cost_usd") > self.dearer_than)
        )


class CallPage(NamedTuple):
    """A page of calls, which may be short or empty. `cursor` leads to the next page; it is None on the last."""

    calls: Sequence[Mapping[str, object]]
    cursor: str | None


class CallExport(NamedTuple):
    """Calls as CSV. `cursor` leads to the calls that did not fit in; None if these are all."""

    csv: str
    cursor: str | None


async def list_calls(
    control: Control, actor: AdminKey, workspace_id: str, filters: CallFilters, limit: int, cursor: str | None = None
) -> CallPage:
    """List calls, the newest first. Raises `InvalidRequest`, `NotFound`, `AdminForbidden`."""
    check_page(limit)
    check_cursor(cursor)
    _check_filters(control, filters)
    workspace = await find_workspace(control, actor, workspace_id)
    if filters.after is not None:
        return await _list_ended_calls(control, workspace, filters, limit)
    return await _find_calls(control, workspace, filters, limit, cursor, MAX_SEARCHED_RECORDS)


async def export_calls(
    control: Control, actor: AdminKey, workspace_id: str, filters: CallFilters, cursor: str | None = None
) -> CallExport:
    """Write at most `MAX_EXPORTED_CALLS` calls as CSV, the newest first. Raises what `list_calls` raises.

    Fewer, with a cursor, if the filters match few of `MAX_EXPORT_RECORDS` records.
    """
    check_cursor(cursor)
    _check_filters(control, filters)
    workspace = await find_workspace(control, actor, workspace_id)
    calls, page = list[Mapping[str, object]](), CallPage((), cursor)
    for _ in range(MAX_EXPORT_RECORDS // _EXPORT_PAGE):
        limit = min(_EXPORT_PAGE, MAX_EXPORTED_CALLS - len(calls))
        page = await _find_calls(control, workspace, filters, limit, page.cursor, _EXPORT_PAGE)
        calls += page.calls
        if page.cursor is None or len(calls) == MAX_EXPORTED_CALLS:
            break
        await asyncio.sleep(0)  # calls in the same process go on
    rows = ([call.get(name) for name in CSV_COLUMNS] for call in calls)
    return CallExport(await offload(len(calls) * _ROW_BYTES, partial(to_csv, CSV_COLUMNS, rows)), page.cursor)


async def _find_calls(
    control: Control, workspace: Workspace, filters: CallFilters, limit: int, cursor: str | None, max_searched: int
) -> CallPage:
    first_id = "" if filters.since is None else min_ulid(filters.since)
    before_id = min(cursor or _LAST_ID, _LAST_ID if filters.until is None else min_ulid(filters.until))
    matching, searched_records = list[Mapping[str, object]](), 0
    while searched_records < max_searched:
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


async def _list_ended_calls(control: Control, workspace: Workspace, filters: CallFilters, limit: int) -> CallPage:
    """List the calls that have ended since another one has, the newest first; some may have been listed before.

    Ids tell when calls began. Those that were running when the other one ended are among the records before it.
    """
    after = filters.after or ""
    begun_at = ulid_time(after)
    first_id = min_ulid(max(begun_at - MAX_RUNNING_SECONDS, filters.since or 0.0))
    records = await control.usages.records(workspace.id, first_id, _LAST_ID, MAX_LIVE_RECORDS, workspace.shards)
    ended_at = next((_end(record) for record in records if record["id"] == after), begun_at) - _SETTLE_SECONDS
    newer = [each for each in records if each["id"] != after and _end(each) > ended_at and filters.matches(each)]
    return CallPage(newer[:limit], None)


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


def is_id(text: str) -> bool:
    """True if the text has the form of a call's id, or of its beginning."""
    return _ID.fullmatch(text) is not None


def check_cursor(cursor: str | None) -> None:
    if cursor is not None and not is_id(cursor):
        raise InvalidRequest("The cursor is not valid: use next_cursor of the previous page.", param="cursor")


def _check_filters(control: Control, filters: CallFilters) -> None:
    if filters.after is not None and not is_id(filters.after):
        raise InvalidRequest("The filter after is not valid: use the id of a call.", param="after")
    now = control.clock()
    if filters.since is not None and min(now, filters.until or now) - filters.since > MAX_DAYS * 86400:
        raise InvalidRequest(f"Calls are listed for at most {MAX_DAYS} days: for more, {USE_OVERVIEW}.", param="from")


def _error_text(record: Mapping[str, object]) -> str:
    texts = (record.get("error_code"), record.get("failed_attempts"), record.get("usage_fault"))
    return " ".join(str(text) for text in texts if text).lower()


def _number(record: Mapping[str, object], name: str) -> Decimal:
    return Decimal(str(record.get(name) or 0))


def _end(record: Mapping[str, object]) -> float:
    return ulid_time(str(record["id"])) + float(_number(record, "seconds"))

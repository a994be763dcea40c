"""The endpoints of usage reports, repricing, the call log, sessions and the audit log."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse, Response
from msgspec.structs import asdict

from tidegate.api.admin.dependencies import CallCursor, Context, Limit
from tidegate.api.admin.responses import AdminContext, AuditEntryResponse, PageResponse, UsageReportResponse
from tidegate.control import logs, reports, reprice, sessions
from tidegate.control.logs import CallFilters
from tidegate.control.views import to_json_for
from tidegate.domain.managed_resources import AuditEntry

router = APIRouter(tags=["usage and logs"])

Filter = Annotated[str | None, Query(max_length=200)]
Since = Annotated[datetime | None, Query(alias="from")]
Until = Annotated[datetime | None, Query(alias="to")]


@router.get(
    "/workspaces/{workspace_id}/usage",
    response_model=UsageReportResponse,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
)
async def report_usage(
    context: Context,
    workspace_id: str,
    by: reports.Grouping = "day",
    first: Annotated[date | None, Query(alias="from")] = None,
    last: Annotated[date | None, Query(alias="to")] = None,
    format: Literal["json", "csv"] = "json",
) -> Response:
    """Report calls, tokens, words and cost of at most 92 days (UTC), `from` and `to` included; default: this month."""
    report = await reports.report_usage(context.control, context.actor, workspace_id, by, first, last)
    if format == "csv":
        name = f"usage-{workspace_id}-{report.first}-{report.last}.csv"
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        return Response(reports.to_csv(report), media_type="text/csv", headers=headers)
    dates = {"first": report.first.isoformat(), "last": report.last.isoformat()}
    return JSONResponse({"object": "usage_report", **asdict(report), **dates})


def call_filters(
    status: Filter = None,
    model: Filter = None,
    key: Filter = None,
    app: Filter = None,
    session: Filter = None,
    error: Annotated[str | None, Query(max_length=200, description="A part of the error's code")] = None,
    slower: Annotated[float | None, Query(ge=0, le=10**9, description="Slower than so many seconds")] = None,
    dearer: Annotated[Decimal | None, Query(ge=0, le=10**9, description="Dearer than so many USD")] = None,
    since: Since = None,
    until: Until = None,
    after: Annotated[
        str | None,
        Query(pattern="^[0-9A-Z]{1,26}$", description="Calls that have ended since this one; some may come twice"),
    ] = None,
) -> CallFilters:
    """Read the filters of a list of calls."""
    return CallFilters(
        status,
        model,
        key,
        app,
        utc_seconds(since),
        utc_seconds(until),
        session_id=session,
        error=error,
        slower_than=slower,
        dearer_than=dearer,
        after=after,
    )


Filters = Annotated[CallFilters, Depends(call_filters)]


@router.get(
    "/workspaces/{workspace_id}/calls",
    response_model=PageResponse[dict[str, Any]],
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
)
async def list_calls(
    context: Context,
    workspace_id: str,
    filters: Filters,
    limit: Limit = 50,
    cursor: CallCursor = None,
    format: Literal["json", "csv"] = "json",
) -> Response:
    """List calls, the newest first. A page may be short or empty: if there are more, `next_cursor` is not null.

    As CSV, a page has up to 10,000 calls whatever the limit, and the header x-next-cursor leads to the next one.
    """
    if format == "csv":
        export = await logs.export_calls(context.control, context.actor, workspace_id, filters, cursor)
        headers = {"content-disposition": f'attachment; filename="calls-{workspace_id}.csv"'}
        next_page = {} if export.cursor is None else {"x-next-cursor": export.cursor}
        return Response(export.csv, media_type="text/csv", headers={**headers, **next_page})
    page = await logs.list_calls(context.control, context.actor, workspace_id, filters, limit, cursor)
    return JSONResponse({"data": list(page.calls), "next_cursor": page.cursor})


@router.get("/workspaces/{workspace_id}/sessions", response_model=dict[str, Any])
async def list_sessions(
    context: Context, workspace_id: str, since: Since = None, until: Until = None, order: sessions.Order = "cost"
) -> Response:
    """List the sessions of a range, by default of the last 24 hours, from sums that are up to five minutes old."""
    span = utc_seconds(since), utc_seconds(until)
    found = await sessions.list_sessions(context.control, context.actor, workspace_id, *span, order)
    return JSONResponse(found.to_json())


@router.get("/workspaces/{workspace_id}/sessions/{session_id:path}", response_model=dict[str, Any])
async def show_session(
    context: Context,
    workspace_id: str,
    session_id: str,
    since: Since = None,
    until: Until = None,
    cursor: CallCursor = None,
) -> Response:
    """Answer the calls of a session by agent, 2,000 a page. `next_cursor` leads to older calls."""
    span = utc_seconds(since), utc_seconds(until)
    found = await sessions.find_session(context.control, context.actor, workspace_id, session_id, *span, cursor)
    return JSONResponse(found.to_json())


@router.get("/workspaces/{workspace_id}/reprice", response_model=dict[str, Any])
async def reprice_calls(
    context: Context,
    workspace_id: str,
    model: Annotated[list[str] | None, Query(max_length=reprice.MAX_TARGETS, description="Repeat for several")] = None,
    since: Since = None,
    until: Until = None,
) -> Response:
    """Answer what the calls of a range, of this month by default, would have cost on other models."""
    span = utc_seconds(since), utc_seconds(until)
    found = await reprice.reprice(context.control, context.actor, workspace_id, model or (), *span)
    return JSONResponse(found.to_json())


@router.get("/workspaces/{workspace_id}/audit", response_model=PageResponse[AuditEntryResponse])
async def list_changes_of_workspace(
    context: Context, workspace_id: str, limit: Limit = 50, cursor: CallCursor = None
) -> JSONResponse:
    """List changes to a workspace and who made them, the newest first."""
    entries = await logs.list_audit_entries(context.control, context.actor, workspace_id, cursor, limit)
    return _entries_response(context, entries, limit)


@router.get("/audit", response_model=PageResponse[AuditEntryResponse])
async def list_changes(context: Context, limit: Limit = 50, cursor: CallCursor = None) -> JSONResponse:
    """List changes to the gateway and who made them, the newest first."""
    entries = await logs.list_audit_entries(context.control, context.actor, None, cursor, limit)
    return _entries_response(context, entries, limit)


def _entries_response(context: AdminContext, entries: Sequence[AuditEntry], limit: int) -> JSONResponse:
    data = [to_json_for(context.actor, entry) for entry in entries]
    return JSONResponse({"data": data, "next_cursor": entries[-1].id if len(entries) == limit else None})


def utc_seconds(time: datetime | None) -> float | None:
    """Return a time in UTC seconds; one without a zone is UTC."""
    if time is None:
        return None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()

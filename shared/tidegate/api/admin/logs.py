"""Usage reports, the call log and the audit log."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response
from msgspec.structs import asdict

from tidegate.api.admin.dependencies import Asked, CallCursor, Limit
from tidegate.api.admin.responses import EntryShown, Page, ReportShown, Session
from tidegate.control import logs, reports
from tidegate.control.logs import Filters
from tidegate.control.views import shown_to
from tidegate.domain.managed_resources import AuditEntry

router = APIRouter(tags=["usage and logs"])

Filter = Annotated[str | None, Query(max_length=200)]


@router.get(
    "/workspaces/{workspace_id}/usage",
    response_model=ReportShown,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
)
async def report_usage(
    asked: Asked,
    workspace_id: str,
    by: reports.Grouping = "day",
    first: Annotated[date | None, Query(alias="from")] = None,
    last: Annotated[date | None, Query(alias="to")] = None,
    format: Literal["json", "csv"] = "json",
) -> Response:
    """Calls, tokens, words and cost of the days (UTC) from `from` to `to`, at most 92; by default of this month."""
    report = await reports.report(asked.control, asked.who, workspace_id, by, first, last)
    if format == "csv":
        name = f"usage-{workspace_id}-{report.first}-{report.last}.csv"
        head = {"content-disposition": f'attachment; filename="{name}"'}
        return Response(reports.to_csv(report), media_type="text/csv", headers=head)
    ends = {"first": report.first.isoformat(), "last": report.last.isoformat()}
    return JSONResponse({"object": "usage_report", **asdict(report), **ends})


@router.get("/workspaces/{workspace_id}/calls", response_model=Page[dict[str, Any]])
async def list_calls(
    asked: Asked,
    workspace_id: str,
    status: Filter = None,
    model: Filter = None,
    key: Filter = None,
    app: Filter = None,
    since: Annotated[datetime | None, Query(alias="from")] = None,
    until: Annotated[datetime | None, Query(alias="to")] = None,
    limit: Limit = 50,
    cursor: CallCursor = None,
) -> JSONResponse:
    """Records of calls, the newest first. A page may be short, or empty: `next_cursor` tells whether there is more."""
    filters = Filters(status, model, key, app, _seconds(since), _seconds(until))
    page = await logs.calls(asked.control, asked.who, workspace_id, filters, limit, cursor)
    return JSONResponse({"data": list(page.calls), "next_cursor": page.cursor})


@router.get("/workspaces/{workspace_id}/audit", response_model=Page[EntryShown])
async def list_changes_of_workspace(
    asked: Asked, workspace_id: str, limit: Limit = 50, cursor: CallCursor = None
) -> JSONResponse:
    """What was changed in a workspace, by whom: the newest first."""
    return _entries(asked, await logs.audit(asked.control, asked.who, workspace_id, cursor, limit), limit)


@router.get("/audit", response_model=Page[EntryShown])
async def list_changes(asked: Asked, limit: Limit = 50, cursor: CallCursor = None) -> JSONResponse:
    """What was changed in the gateway, by whom: the newest first."""
    return _entries(asked, await logs.audit(asked.control, asked.who, None, cursor, limit), limit)


def _entries(asked: Session, found: Sequence[AuditEntry], limit: int) -> JSONResponse:
    data = [shown_to(asked.who, entry) for entry in found]
    return JSONResponse({"data": data, "next_cursor": found[-1].id if len(found) == limit else None})


def _seconds(moment: datetime | None) -> float | None:
    if moment is None:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()

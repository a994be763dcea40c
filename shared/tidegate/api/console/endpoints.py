"""The dashboard's API: who looks, the overview, and calls. All of it only reads, with the rights of the key."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse, Response

from tidegate import __version__
from tidegate.api.admin.dependencies import CallCursor, Context, Limit
from tidegate.api.admin.logs import Filter, Filters, Since, Until, utc_seconds
from tidegate.api.admin.responses import AdminContext
from tidegate.api.console.viewer import PREFIX
from tidegate.control.aggregate_range import Step
from tidegate.control.authorization import find_workspace
from tidegate.control.call_details import find_call
from tidegate.control.logs import export_calls, list_calls
from tidegate.control.overview import MAX_WORKSPACES, OverviewFilters, overview
from tidegate.control.providers import report_providers
from tidegate.domain.workspace import Workspace
from tidegate.errors import InvalidRequest
from tidegate.json import encode

router = APIRouter(prefix=PREFIX, include_in_schema=False)

WorkspaceId = Annotated[str | None, Query(alias="workspace", max_length=128)]


def _overview_filters(
    model: Filter = None,
    provider: Filter = None,
    key: Filter = None,
    app: Filter = None,
    endpoint: Filter = None,
    session: Filter = None,
    status: Filter = None,
    error: Filter = None,
) -> OverviewFilters:
    return OverviewFilters(model, provider, key, app, endpoint, session, status, error)


@router.get("/me")
async def show_viewer(context: Context, request: Request) -> JSONResponse:
    """Answer who the key is, and which workspaces it may see: the first hundred of an admin key of them all."""
    actor = context.actor
    workspaces = await _visible_workspaces(context)
    return JSONResponse(
        {
            "kind": "key" if request.state.is_caller else "admin",
            "id": actor.id,
            "name": actor.name or actor.id,
            "scopes": list(actor.scopes),
            "whole_gateway": actor.workspace_ids is None,
            "workspaces": [{"id": each.id, "name": each.name} for each in workspaces],
            "version": __version__,
            "api_url": request.app.state.api_url,
        }
    )


@router.get("/overview")
async def show_overview(
    context: Context,
    filters: Annotated[OverviewFilters, Depends(_overview_filters)],
    workspace: Annotated[list[str] | None, Query(max_length=MAX_WORKSPACES)] = None,
    since: Since = None,
    until: Until = None,
    step: Step | None = None,
) -> JSONResponse:
    """Sum up the workspaces, all by default, as a series and by name."""
    span = utc_seconds(since), utc_seconds(until)
    found = await overview(context.control, context.actor, workspace, *span, filters, step)
    return JSONResponse(found.to_json())


@router.get("/providers")
async def show_providers(
    context: Context, workspace: Annotated[list[str] | None, Query(max_length=MAX_WORKSPACES)] = None
) -> JSONResponse:
    """Report on the providers that the workspaces, all by default, have called, and on those that are configured."""
    return JSONResponse((await report_providers(context.control, context.actor, workspace)).to_json())


@router.get("/calls")
async def show_calls(
    context: Context,
    filters: Filters,
    workspace: WorkspaceId = None,
    limit: Limit = 50,
    cursor: CallCursor = None,
) -> JSONResponse:
    """List calls of one workspace, the newest first; with `after`, those that have ended since that call."""
    workspace_id = await one_workspace_id(context, workspace)
    page = await list_calls(context.control, context.actor, workspace_id, filters, limit, cursor)
    return JSONResponse({"data": list(page.calls), "next_cursor": page.cursor})


@router.get("/calls.csv")
async def send_calls(
    context: Context, filters: Filters, workspace: WorkspaceId = None, cursor: CallCursor = None
) -> Response:
    """Send calls of one workspace as CSV. The header x-next-cursor leads to those that did not fit in."""
    workspace_id = await one_workspace_id(context, workspace)
    export = await export_calls(context.control, context.actor, workspace_id, filters, cursor)
    headers = {"content-disposition": 'attachment; filename="calls.csv"'}
    if export.cursor is not None:
        headers["x-next-cursor"] = export.cursor
    return Response(export.csv, media_type="text/csv", headers=headers)


@router.get("/calls/{call_id}")
async def show_call(
    context: Context,
    call_id: str,
    workspace: WorkspaceId = None,
    with_content: Annotated[bool, Query(alias="trace")] = True,
) -> Response:
    """Answer one call: its record, its timeline, its cost by kind of token, and its trace unless `trace=false`."""
    workspace_id = await one_workspace_id(context, workspace)
    call = await find_call(context.control, context.actor, workspace_id, call_id, with_content=with_content)
    return Response(encode(call.to_json()), media_type="application/json")


async def one_workspace_id(context: AdminContext, workspace_id: str | None) -> str:
    """Return the workspace that was named, or else the only one that the key may see. Raises `InvalidRequest`."""
    if workspace_id is not None:
        return workspace_id
    workspaces = await _visible_workspaces(context)
    if len(workspaces) != 1:
        raise InvalidRequest("This key has several workspaces, or none: name one.", param="workspace")
    return workspaces[0].id


async def _visible_workspaces(context: AdminContext) -> Sequence[Workspace]:
    control, actor = context.control, context.actor
    if actor.workspace_ids is None:
        return await control.resources.page(Workspace, limit=MAX_WORKSPACES)
    return [await find_workspace(control, actor, id) for id in actor.workspace_ids[:MAX_WORKSPACES]]

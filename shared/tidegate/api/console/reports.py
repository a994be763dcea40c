"""The dashboard's API of a workspace's sessions, and of what its calls would have cost on other models."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from tidegate.api.admin.dependencies import CallCursor, Context
from tidegate.api.admin.logs import Since, Until, utc_seconds
from tidegate.api.console.endpoints import WorkspaceId, one_workspace_id
from tidegate.api.console.viewer import PREFIX
from tidegate.control.reprice import MAX_TARGETS, reprice
from tidegate.control.sessions import Order, find_session, list_sessions

router = APIRouter(prefix=PREFIX, include_in_schema=False)


@router.get("/sessions")
async def show_sessions(
    context: Context,
    workspace: WorkspaceId = None,
    since: Since = None,
    until: Until = None,
    order: Order = "cost",
) -> JSONResponse:
    """List sessions of one workspace, of the last 24 hours by default."""
    workspace_id = await one_workspace_id(context, workspace)
    span = utc_seconds(since), utc_seconds(until)
    return JSONResponse((await list_sessions(context.control, context.actor, workspace_id, *span, order)).to_json())


@router.get("/sessions/{session_id:path}")
async def show_session(
    context: Context,
    session_id: str,
    workspace: WorkspaceId = None,
    since: Since = None,
    until: Until = None,
    cursor: CallCursor = None,
) -> JSONResponse:
    """Answer a page of one session: its agents and their calls. `next_cursor` leads to older calls."""
    workspace_id = await one_workspace_id(context, workspace)
    span = utc_seconds(since), utc_seconds(until)
    found = await find_session(context.control, context.actor, workspace_id, session_id, *span, cursor)
    return JSONResponse(found.to_json())


@router.get("/reprice")
async def show_repricing(
    context: Context,
    model: Annotated[list[str] | None, Query(max_length=MAX_TARGETS)] = None,
    workspace: WorkspaceId = None,
    since: Since = None,
    until: Until = None,
) -> JSONResponse:
    """Answer what the calls of a range, of this month by default, would have cost on each `model`."""
    workspace_id = await one_workspace_id(context, workspace)
    span = utc_seconds(since), utc_seconds(until)
    return JSONResponse((await reprice(context.control, context.actor, workspace_id, model or (), *span)).to_json())

"""/admin/v1/workspaces, with their credentials and members."""

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from tidegate.api.admin.dependencies import Context, Cursor, Force, IdempotencyKey, IfMatch, Limit, OptionalVersion
from tidegate.api.admin.requests import CredentialBody, MemberBody, WorkspaceBody, WorkspaceChange, apply_changes
from tidegate.api.admin.responses import MemberResponse, PageResponse, WorkspaceResponse
from tidegate.control import credentials, members, traces, workspace_deletion, workspaces
from tidegate.domain.managed_resources import Member
from tidegate.domain.workspace import Workspace

router = APIRouter(prefix="/workspaces", tags=["workspaces"])


@router.post("", status_code=201, response_model=WorkspaceResponse, responses={200: {"model": WorkspaceResponse}})
async def create_workspace(
    context: Context, body: WorkspaceBody, idempotency_key: IdempotencyKey = None
) -> JSONResponse:
    """Create a workspace. A repeated request is answered with 200 and changes nothing."""
    requested = apply_changes(body, Workspace("", ""))
    workspace, is_new = await workspaces.create_workspace(context.control, context.actor, requested, idempotency_key)
    return context.resource_response(workspace, status=201 if is_new else 200)


@router.get("", response_model=PageResponse[WorkspaceResponse])
async def list_workspaces(context: Context, limit: Limit = 50, cursor: Cursor = "") -> JSONResponse:
    """List the workspaces that the admin key may manage, by id."""
    page = await workspaces.list_workspaces(context.control, context.actor, cursor, limit)
    return context.page_response(page, [workspace.id for workspace in page], limit)


@router.get("/{workspace_id}", response_model=WorkspaceResponse)
async def show_workspace(context: Context, workspace_id: str) -> JSONResponse:
    """Show a workspace. Its version is in the ETag header."""
    return context.resource_response(await workspaces.find_workspace(context.control, context.actor, workspace_id))


@router.patch("/{workspace_id}", response_model=WorkspaceResponse)
async def change_workspace(
    context: Context, workspace_id: str, body: WorkspaceChange, version: IfMatch, force: Force = False
) -> JSONResponse:
    """Change a workspace. In force within a minute."""
    before = await workspaces.find_workspace(context.control, context.actor, workspace_id)
    after = apply_changes(body, before)
    workspace = await workspaces.update_workspace(context.control, context.actor, before, after, version, force=force)
    return context.resource_response(workspace)


@router.delete("/{workspace_id}", status_code=204)
async def delete_workspace(
    context: Context, workspace_id: str, version: OptionalVersion, force: Force = False
) -> Response:
    """Delete a workspace with its keys, members, provider keys, files, batches and traces; its records are kept.

    While a key can be used, a batch is open or a call is running, the answer is 409, unless forced. In force within a
    minute.
    """
    await workspace_deletion.delete_workspace(context.control, context.actor, workspace_id, version, force=force)
    return Response(status_code=204)


@router.delete("/{workspace_id}/traces", status_code=204)
async def destroy_traces(context: Context, workspace_id: str) -> Response:
    """Destroy the key that encrypts the workspace's traces: those that exist are unreadable at once."""
    await traces.destroy_traces(context.control, context.actor, workspace_id)
    return Response(status_code=204)


@router.post("/{workspace_id}/suspend", response_model=WorkspaceResponse)
async def suspend_workspace(context: Context, workspace_id: str, version: OptionalVersion) -> JSONResponse:
    """Refuse all calls of the workspace, within a minute."""
    changed = await workspaces.set_workspace_status(context.control, context.actor, workspace_id, "suspended", version)
    return context.resource_response(changed)


@router.post("/{workspace_id}/resume", response_model=WorkspaceResponse)
async def resume_workspace(context: Context, workspace_id: str, version: OptionalVersion) -> JSONResponse:
    """Accept calls of the workspace again, within a minute."""
    changed = await workspaces.set_workspace_status(context.control, context.actor, workspace_id, "active", version)
    return context.resource_response(changed)


@router.put("/{workspace_id}/credentials/{name}", response_model=WorkspaceResponse, tags=["credentials"])
async def put_credential(
    context: Context, workspace_id: str, name: str, body: CredentialBody, version: OptionalVersion
) -> JSONResponse:
    """Store a provider key of the workspace by its setting's name, e.g. OPENAI_API_KEY. It is never shown again."""
    value = body.value
    workspace = await credentials.put_credential(context.control, context.actor, workspace_id, name, value, version)
    return context.resource_response(workspace)


@router.delete("/{workspace_id}/credentials/{name}", response_model=WorkspaceResponse, tags=["credentials"])
async def delete_credential(context: Context, workspace_id: str, name: str, version: OptionalVersion) -> JSONResponse:
    """Delete a provider key: calls use the gateway's key within a minute."""
    workspace = await credentials.delete_credential(context.control, context.actor, workspace_id, name, version)
    return context.resource_response(workspace)


@router.get("/{workspace_id}/members", response_model=PageResponse[MemberResponse], tags=["members"])
async def list_members(context: Context, workspace_id: str, limit: Limit = 50, cursor: Cursor = "") -> JSONResponse:
    """List the members of a workspace by their subjects, a page at a time."""
    page = await members.list_members(context.control, context.actor, workspace_id, cursor, limit)
    return context.page_response(page, [member.subject for member in page], limit)


@router.get("/{workspace_id}/members/{subject:path}", response_model=MemberResponse, tags=["members"])
async def show_member(context: Context, workspace_id: str, subject: str) -> JSONResponse:
    """Show a member of a workspace."""
    return context.resource_response(await members.find_member(context.control, context.actor, workspace_id, subject))


@router.put(
    "/{workspace_id}/members/{subject:path}",
    response_model=MemberResponse,
    responses={201: {"model": MemberResponse}},
    tags=["members"],
)
async def put_member(
    context: Context, workspace_id: str, subject: str, body: MemberBody, version: OptionalVersion
) -> JSONResponse:
    """Add a member (an e-mail address, or the subject of its tokens), or change its role."""
    requested = Member(workspace_id, subject, body.role)
    member, is_new = await members.put_member(context.control, context.actor, requested, version)
    return context.resource_response(member, status=201 if is_new else 200)


@router.delete("/{workspace_id}/members/{subject:path}", status_code=204, tags=["members"])
async def delete_member(context: Context, workspace_id: str, subject: str, version: OptionalVersion) -> Response:
    """Remove a member from a workspace."""
    await members.delete_member(context.control, context.actor, workspace_id, subject, version)
    return Response(status_code=204)

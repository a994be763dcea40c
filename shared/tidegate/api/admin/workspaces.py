"""/admin/v1/workspaces, and their members."""

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from tidegate.api.admin.dependencies import AnyVersion, Asked, Cursor, Force, IdempotencyKey, Limit, Version
from tidegate.api.admin.requests import CredentialBody, MemberBody, WorkspaceBody, WorkspaceChange, applied
from tidegate.api.admin.responses import MemberShown, Page, WorkspaceShown
from tidegate.control import credentials, members, workspaces
from tidegate.domain.managed_resources import Member
from tidegate.domain.workspace import Workspace

router = APIRouter(prefix="/workspaces", tags=["workspaces"])


@router.post("", status_code=201, response_model=WorkspaceShown, responses={200: {"model": WorkspaceShown}})
async def create_workspace(asked: Asked, body: WorkspaceBody, idempotency_key: IdempotencyKey = None) -> JSONResponse:
    """Create a workspace. The same again is answered with 200, and changes nothing."""
    wanted = applied(body, Workspace("", ""))
    workspace, is_new = await workspaces.create(asked.control, asked.who, wanted, idempotency_key)
    return asked.reply(workspace, status=201 if is_new else 200)


@router.get("", response_model=Page[WorkspaceShown])
async def list_workspaces(asked: Asked, limit: Limit = 50, cursor: Cursor = "") -> JSONResponse:
    """Those that the admin key is for, by id."""
    found = await workspaces.page(asked.control, asked.who, cursor, limit)
    return asked.page(found, [workspace.id for workspace in found], limit)


@router.get("/{workspace_id}", response_model=WorkspaceShown)
async def show_workspace(asked: Asked, workspace_id: str) -> JSONResponse:
    return asked.reply(await workspaces.find(asked.control, asked.who, workspace_id))


@router.patch("/{workspace_id}", response_model=WorkspaceShown)
async def change_workspace(
    asked: Asked, workspace_id: str, body: WorkspaceChange, version: Version, force: Force = False
) -> JSONResponse:
    """Change a workspace: in force within a minute."""
    before = await workspaces.find(asked.control, asked.who, workspace_id)
    after = applied(body, before)
    return asked.reply(await workspaces.update(asked.control, asked.who, before, after, version, force=force))


@router.post("/{workspace_id}/suspend", response_model=WorkspaceShown)
async def suspend_workspace(asked: Asked, workspace_id: str, version: AnyVersion) -> JSONResponse:
    """Refuse its calls, within a minute."""
    return asked.reply(await workspaces.set_status(asked.control, asked.who, workspace_id, "suspended", version))


@router.post("/{workspace_id}/resume", response_model=WorkspaceShown)
async def resume_workspace(asked: Asked, workspace_id: str, version: AnyVersion) -> JSONResponse:
    """Take its calls again, within a minute."""
    return asked.reply(await workspaces.set_status(asked.control, asked.who, workspace_id, "active", version))


@router.put("/{workspace_id}/credentials/{name}", response_model=WorkspaceShown, tags=["credentials"])
async def put_credential(
    asked: Asked, workspace_id: str, name: str, body: CredentialBody, version: AnyVersion
) -> JSONResponse:
    """A provider's key of the workspace's own, by its setting's name (OPENAI_API_KEY). It is never shown again."""
    made = await credentials.put(asked.control, asked.who, workspace_id, name, body.value, version)
    return asked.reply(made)


@router.delete("/{workspace_id}/credentials/{name}", response_model=WorkspaceShown, tags=["credentials"])
async def delete_credential(asked: Asked, workspace_id: str, name: str, version: AnyVersion) -> JSONResponse:
    """The workspace uses the gateway's key again, within a minute."""
    return asked.reply(await credentials.delete(asked.control, asked.who, workspace_id, name, version))


@router.get("/{workspace_id}/members", response_model=Page[MemberShown], tags=["members"])
async def list_members(asked: Asked, workspace_id: str, limit: Limit = 50, cursor: Cursor = "") -> JSONResponse:
    found = await members.page(asked.control, asked.who, workspace_id, cursor, limit)
    return asked.page(found, [member.subject for member in found], limit)


@router.get("/{workspace_id}/members/{subject:path}", response_model=MemberShown, tags=["members"])
async def show_member(asked: Asked, workspace_id: str, subject: str) -> JSONResponse:
    return asked.reply(await members.find(asked.control, asked.who, workspace_id, subject))


@router.put(
    "/{workspace_id}/members/{subject:path}",
    response_model=MemberShown,
    responses={201: {"model": MemberShown}},
    tags=["members"],
)
async def put_member(
    asked: Asked, workspace_id: str, subject: str, body: MemberBody, version: AnyVersion
) -> JSONResponse:
    """A member (an e-mail address, or the subject of its tokens) in that role: made, or changed."""
    wanted = Member(workspace_id, subject, body.role)
    member, is_new = await members.put(asked.control, asked.who, wanted, version)
    return asked.reply(member, status=201 if is_new else 200)


@router.delete("/{workspace_id}/members/{subject:path}", status_code=204, tags=["members"])
async def delete_member(asked: Asked, workspace_id: str, subject: str, version: AnyVersion) -> Response:
    await members.delete(asked.control, asked.who, workspace_id, subject, version)
    return Response(status_code=204)

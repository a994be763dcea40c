"""/admin/v1/admins: the keys of the admin API."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from tidegate.api.admin.dependencies import Context, Cursor, Limit, OptionalVersion
from tidegate.api.admin.requests import AdminBody
from tidegate.api.admin.responses import AdminResponse, CreatedAdminResponse, PageResponse
from tidegate.control import admins

router = APIRouter(prefix="/admins", tags=["admins"])


@router.post("", status_code=201, response_model=CreatedAdminResponse)
async def create_admin(context: Context, body: AdminBody) -> JSONResponse:
    """Create an admin key and show its secret once. Without workspaces, it manages the whole gateway."""
    admin_key, secret = await admins.create_admin_key(context.control, context.actor, body.to_admin_key())
    return context.resource_response(admin_key, status=201, secret=secret)


@router.get("", response_model=PageResponse[AdminResponse])
async def list_admins(context: Context, limit: Limit = 50, cursor: Cursor = "") -> JSONResponse:
    """List admin keys by id, a page at a time, without their secrets."""
    admin_keys = await admins.list_admin_keys(context.control, context.actor, cursor, limit)
    return context.page_response(admin_keys, [admin_key.id for admin_key in admin_keys], limit)


@router.get("/{admin_id}", response_model=AdminResponse)
async def show_admin(context: Context, admin_id: str) -> JSONResponse:
    """Show an admin key, without its secret."""
    return context.resource_response(await admins.find_admin_key(context.control, context.actor, admin_id))


@router.delete("/{admin_id}", response_model=AdminResponse)
async def revoke_admin(context: Context, admin_id: str, version: OptionalVersion) -> JSONResponse:
    """Revoke an admin key at once. It stays in the list."""
    return context.resource_response(await admins.revoke_admin_key(context.control, context.actor, admin_id, version))

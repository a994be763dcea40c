"""/admin/v1/admins"""

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from tidegate.api.admin.dependencies import AnyVersion, Asked, Cursor, Limit
from tidegate.api.admin.requests import AdminBody
from tidegate.api.admin.responses import AdminShown, MadeAdmin, Page
from tidegate.control import admins

router = APIRouter(prefix="/admins", tags=["admins"])


@router.post("", status_code=201, response_model=MadeAdmin)
async def create_admin(asked: Asked, body: AdminBody) -> JSONResponse:
    """Create an admin key, and show its secret once. Without workspaces it is for the whole gateway."""
    admin, secret = await admins.create(asked.control, asked.who, body.asked())
    return asked.reply(admin, status=201, secret=secret)


@router.get("", response_model=Page[AdminShown])
async def list_admins(asked: Asked, limit: Limit = 50, cursor: Cursor = "") -> JSONResponse:
    found = await admins.page(asked.control, asked.who, cursor, limit)
    return asked.page(found, [admin.id for admin in found], limit)


@router.get("/{admin_id}", response_model=AdminShown)
async def show_admin(asked: Asked, admin_id: str) -> JSONResponse:
    return asked.reply(await admins.find(asked.control, asked.who, admin_id))


@router.delete("/{admin_id}", response_model=AdminShown)
async def revoke_admin(asked: Asked, admin_id: str, version: AnyVersion) -> JSONResponse:
    """Revoke an admin key, at once. It stays in the list."""
    return asked.reply(await admins.revoke(asked.control, asked.who, admin_id, version))

"""/admin/v1/keys, and those of a workspace."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from msgspec.structs import replace

from tidegate.api.admin.dependencies import AnyVersion, Asked, Cursor, Force, IdempotencyKey, Limit, Version
from tidegate.api.admin.requests import KeyBody, KeyChange, Rotation, SubjectBody, applied
from tidegate.api.admin.responses import KeyShown, MadeKey, Page
from tidegate.control import keys
from tidegate.domain.workspace import VirtualKey

router = APIRouter(tags=["keys"])


@router.post("/keys", status_code=201, response_model=MadeKey, responses={200: {"model": MadeKey}})
async def create_key(asked: Asked, body: KeyBody, idempotency_key: IdempotencyKey = None) -> JSONResponse:
    """Create a key, and show its secret once: the same again is answered with 200, and without it."""
    made = await keys.create(asked.control, asked.who, _wanted(body), idempotency_key)
    return asked.reply(made.key, status=201 if made.secret else 200, secret=made.secret)


@router.post("/subjects", status_code=201, response_model=KeyShown)
async def give_subject(asked: Asked, body: SubjectBody) -> JSONResponse:
    """Give workspaces to an OIDC subject, as a key `oidc:…` without a secret: change and revoke it like the others."""
    key = await keys.give(asked.control, asked.who, _wanted(body.key), body.issuer, body.subject)
    return asked.reply(key, status=201)


@router.get("/workspaces/{workspace_id}/keys", response_model=Page[KeyShown])
async def list_keys(asked: Asked, workspace_id: str, limit: Limit = 50, cursor: Cursor = "") -> JSONResponse:
    """A workspace's keys, revoked ones too, by id."""
    found = await keys.page(asked.control, asked.who, workspace_id, cursor, limit)
    return asked.page(found, [key.id for key in found], limit)


@router.get("/workspaces/{workspace_id}/keys/{key_id}", response_model=KeyShown)
async def show_key(asked: Asked, workspace_id: str, key_id: str) -> JSONResponse:
    return asked.reply(await keys.find(asked.control, asked.who, workspace_id, key_id))


@router.patch("/workspaces/{workspace_id}/keys/{key_id}", response_model=KeyShown)
async def change_key(
    asked: Asked, workspace_id: str, key_id: str, body: KeyChange, version: Version, force: Force = False
) -> JSONResponse:
    """Change a key in all of its workspaces: in force within a minute."""
    before = await keys.find(asked.control, asked.who, workspace_id, key_id)
    after = applied(body, before)
    return asked.reply(await keys.update(asked.control, asked.who, before, after, version, force=force))


@router.post("/workspaces/{workspace_id}/keys/{key_id}/rotate", response_model=MadeKey)
async def rotate_key(
    asked: Asked, workspace_id: str, key_id: str, version: AnyVersion, body: Rotation | None = None
) -> JSONResponse:
    """A new secret for the key, shown once. The old one opens for `overlap_seconds` more."""
    before = await keys.find(asked.control, asked.who, workspace_id, key_id)
    overlap = (body or Rotation()).overlap_seconds
    made = await keys.rotate(asked.control, asked.who, before, overlap, version)
    return asked.reply(made.key, secret=made.secret)


@router.delete("/workspaces/{workspace_id}/keys/{key_id}", response_model=KeyShown)
async def revoke_key(asked: Asked, workspace_id: str, key_id: str, version: AnyVersion) -> JSONResponse:
    """Revoke a key in all of its workspaces, within a minute. It stays in the list."""
    before = await keys.find(asked.control, asked.who, workspace_id, key_id)
    return asked.reply(await keys.revoke(asked.control, asked.who, before, version))


def _wanted(body: KeyBody) -> VirtualKey:
    wanted = applied(body, VirtualKey("", "", "", (), None))
    return replace(wanted, workspace_ids=tuple(dict.fromkeys(wanted.workspace_ids)))

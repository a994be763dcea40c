"""/admin/v1/keys, /admin/v1/subjects and the keys of a workspace."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from msgspec.structs import replace

from tidegate.api.admin.dependencies import Context, Cursor, Force, IdempotencyKey, IfMatch, Limit, OptionalVersion
from tidegate.api.admin.requests import KeyBody, KeyChange, Rotation, SubjectBody, apply_changes
from tidegate.api.admin.responses import CreatedKeyResponse, KeyResponse, PageResponse
from tidegate.control import keys
from tidegate.domain.workspace import VirtualKey

router = APIRouter(tags=["keys"])


@router.post(
    "/keys", status_code=201, response_model=CreatedKeyResponse, responses={200: {"model": CreatedKeyResponse}}
)
async def create_key(context: Context, body: KeyBody, idempotency_key: IdempotencyKey = None) -> JSONResponse:
    """Create a key and show its secret once. A repeated request is answered with 200 and without the secret."""
    created = await keys.create_key(context.control, context.actor, _new_key(body), idempotency_key)
    return context.resource_response(created.key, status=201 if created.secret else 200, secret=created.secret)


@router.post("/subjects", status_code=201, response_model=KeyResponse, responses={200: {"model": KeyResponse}})
async def give_subject(context: Context, body: SubjectBody) -> JSONResponse:
    """Grant workspaces to an OIDC subject, by a key `oidc:…` without a secret; change and revoke it like other keys.

    A repeated request is answered with 200 and changes nothing. Grants for other workspaces are independent.
    """
    key = _new_key(body.key)
    grant, is_new = await keys.create_key_for_subject(context.control, context.actor, key, body.issuer, body.subject)
    return context.resource_response(grant, status=201 if is_new else 200)


@router.get("/workspaces/{workspace_id}/keys", response_model=PageResponse[KeyResponse])
async def list_keys(context: Context, workspace_id: str, limit: Limit = 50, cursor: Cursor = "") -> JSONResponse:
    """List a workspace's keys by id, revoked keys included."""
    page = await keys.list_keys(context.control, context.actor, workspace_id, cursor, limit)
    return context.page_response(page, [key.id for key in page], limit)


@router.get("/workspaces/{workspace_id}/keys/{key_id}", response_model=KeyResponse)
async def show_key(context: Context, workspace_id: str, key_id: str) -> JSONResponse:
    """Show a key of the workspace, without its secret. Its version is in the ETag header."""
    return context.resource_response(await keys.find_key(context.control, context.actor, workspace_id, key_id))


@router.patch("/workspaces/{workspace_id}/keys/{key_id}", response_model=KeyResponse)
async def change_key(
    context: Context, workspace_id: str, key_id: str, body: KeyChange, version: IfMatch, force: Force = False
) -> JSONResponse:
    """Change a key in all of its workspaces. In force within a minute."""
    before = await keys.find_key(context.control, context.actor, workspace_id, key_id)
    after = apply_changes(body, before)
    key = await keys.update_key(context.control, context.actor, before, after, version, force=force)
    return context.resource_response(key)


@router.post("/workspaces/{workspace_id}/keys/{key_id}/rotate", response_model=CreatedKeyResponse)
async def rotate_key(
    context: Context, workspace_id: str, key_id: str, version: OptionalVersion, body: Rotation | None = None
) -> JSONResponse:
    """Give the key a new secret and show it once. The old secret stays valid for `overlap_seconds`."""
    before = await keys.find_key(context.control, context.actor, workspace_id, key_id)
    overlap = (body or Rotation()).overlap_seconds
    created = await keys.rotate_key(context.control, context.actor, before, overlap, version)
    return context.resource_response(created.key, secret=created.secret)


@router.delete("/workspaces/{workspace_id}/keys/{key_id}", response_model=KeyResponse)
async def revoke_key(context: Context, workspace_id: str, key_id: str, version: OptionalVersion) -> JSONResponse:
    """Revoke a key in all of its workspaces, within a minute. It stays in the list."""
    before = await keys.find_key(context.control, context.actor, workspace_id, key_id)
    return context.resource_response(await keys.revoke_key(context.control, context.actor, before, version))


def _new_key(body: KeyBody) -> VirtualKey:
    key = apply_changes(body, VirtualKey("", "", "", (), None))
    return replace(key, workspace_ids=tuple(dict.fromkeys(key.workspace_ids)))

"""OpenAI's endpoints of uploads: files that are sent in parts.

Source: https://platform.openai.com/docs/api-reference/uploads (read 2026-11).
"""

from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response

from tidegate.api.account import json_reply
from tidegate.api.batch_requests import caller_of, json_fields
from tidegate.api.form import check_declared_size, read_form
from tidegate.batch import uploads
from tidegate.batch.uploads import MAX_PART_BYTES
from tidegate.batch.views import part_json, upload_json
from tidegate.json import JsonObject


async def create_upload(request: Request) -> Response:
    """Answer `POST /uploads`."""
    caller = await caller_of(request)
    fields = await json_fields(request)
    return json_reply(upload_json(await uploads.create_upload(caller.components, caller.workspace_id, fields)))


async def add_part(request: Request) -> Response:
    """Answer `POST /uploads/{id}/parts`, a form with the part in `data`."""
    caller = await caller_of(request)
    components, created_at = caller.components, caller.components.clock()
    upload = await uploads.find_pending(components, caller.workspace_id, caller.id)
    check_declared_size(request, MAX_PART_BYTES)
    part_ids: list[str] = []

    async def on_file(name: str, chunks: AsyncIterator[bytes], fields: JsonObject) -> None:
        part_ids.append(await uploads.add_part(components, upload, chunks))

    await read_form(request, "data", on_file)
    return json_reply(part_json(upload.id, part_ids[0], created_at))


async def complete_upload(request: Request) -> Response:
    """Answer `POST /uploads/{id}/complete`."""
    caller = await caller_of(request)
    fields = await json_fields(request)
    upload, file = await uploads.complete_upload(caller.components, caller.workspace_id, caller.id, fields)
    return json_reply(upload_json(upload, file))


async def cancel_upload(request: Request) -> Response:
    """Answer `POST /uploads/{id}/cancel`."""
    caller = await caller_of(request)
    return json_reply(upload_json(await uploads.cancel_upload(caller.components, caller.workspace_id, caller.id)))

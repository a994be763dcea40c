"""OpenAI's endpoints of files.

Source: https://platform.openai.com/docs/api-reference/files (read 2026-11). Of our own is `POST /v1/files` with a JSON
body, which answers with a URL for a file that is too large for the request: `{"filename", "bytes", "purpose"}`.
"""

import re
import time
from collections.abc import AsyncIterator
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from tidegate.api import errors
from tidegate.api.account import json_reply
from tidegate.api.batch_requests import Caller, caller_of, json_fields, list_json, page_of, query_fields
from tidegate.api.form import check_declared_size, read_form
from tidegate.batch import files
from tidegate.batch.fields import MAX_BYTES, Fields
from tidegate.batch.files import FileReceiver, NewFile, parse_new_file, parse_purpose
from tidegate.batch.views import file_json
from tidegate.domain.batch import StoredFile
from tidegate.domain.ids import ulid
from tidegate.errors import InvalidRequest
from tidegate.json import JsonObject

MAX_PAGE = 10_000

_RANGE = re.compile(r"bytes=(?:([0-9]{1,15})-([0-9]{0,15})|-([0-9]{1,15}))")


async def create_file(request: Request) -> Response:
    """Answer `POST /files`."""
    caller = await caller_of(request)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json":
        return json_reply(await _create_pending(caller, await json_fields(request)))
    return json_reply(file_json(await _receive(caller, request)))


async def list_files(request: Request) -> Response:
    """Answer `GET /files`."""
    caller, query = await caller_of(request), query_fields(request)
    page = page_of(query, MAX_PAGE, MAX_PAGE)
    found, has_more = await files.list_files(caller.components, caller.workspace_id, page, query.maybe_text("purpose"))
    return json_reply(list_json([file_json(file) for file in found], has_more))


async def show_file(request: Request) -> Response:
    """Answer `GET /files/{id}`."""
    caller = await caller_of(request)
    return json_reply(file_json(await files.find_file(caller.components, caller.workspace_id, caller.id)))


async def delete_file(request: Request) -> Response:
    """Answer `DELETE /files/{id}`."""
    caller = await caller_of(request)
    await files.delete_file(caller.components, caller.workspace_id, caller.id)
    return json_reply({"object": "file", "id": caller.id, "deleted": True})


async def send_content(request: Request) -> Response:
    """Answer `GET /files/{id}/content`, or the part of it that the header `range` asks for."""
    caller = await caller_of(request)
    file = await files.find_file(caller.components, caller.workspace_id, caller.id)
    headers = {"accept-ranges": "bytes", "x-request-id": ulid(time.time())}
    span = _requested_span(request.headers.get("range"), file.bytes)
    if span is not None and not span:
        headers |= {"content-range": f"bytes */{file.bytes}"}
        error = InvalidRequest(f"The file has {file.bytes:,} bytes: the range is beyond its end.", param="range")
        return Response(errors.body(error), 416, headers, media_type="application/json")
    first, length = (0, file.bytes) if span is None else (span.start, len(span))
    content = await files.read_content(caller.components, file, first, length)
    headers |= {"content-length": str(length), "content-disposition": _disposition(file)}
    if span is not None:
        headers["content-range"] = f"bytes {first}-{first + length - 1}/{file.bytes}"
    status = 200 if span is None else 206
    return StreamingResponse(content, status, headers, media_type="application/octet-stream")


async def _receive(caller: Caller, request: Request) -> StoredFile:
    """Store the file of a form. Nothing of it stays if it is refused."""
    options = caller.components.options
    check_declared_size(request, options.max_file_bytes)
    receiver = FileReceiver(caller.components, caller.workspace_id)
    filename = ""

    async def on_file(name: str, chunks: AsyncIterator[bytes], fields: JsonObject) -> None:
        nonlocal filename
        filename, purpose = name, fields.get("purpose")
        if purpose is not None:  # else it comes after the file
            purpose = parse_purpose(Fields(fields, are_texts=True))
        if purpose == "batch":
            check_declared_size(request, options.max_input_bytes)
        await receiver.receive(chunks, purpose)

    try:
        fields = await read_form(request, "file", on_file)
        return await receiver.save(parse_new_file(Fields(fields, are_texts=True), filename))
    except BaseException:
        await receiver.discard()
        raise


async def _create_pending(caller: Caller, fields: Fields) -> JsonObject:
    new_file: NewFile = parse_new_file(fields)
    size = fields.integer("bytes", 1, MAX_BYTES)
    file, upload = await files.create_pending_file(caller.components, caller.workspace_id, new_file, size)
    return {
        **file_json(file),
        "upload": {
            "method": "PUT",
            "url": upload.url,
            "headers": {"content-length": str(size)},
            "expires_at": int(upload.expires_at),
        },
    }


def _requested_span(header: str | None, size: int) -> range | None:
    """Return the bytes that a header asks for, an empty range if there are none; None for the whole content.

    A header that is not valid, such as one whose last byte is before its first, is ignored (RFC 9110, section 14.2).
    """
    match = _RANGE.fullmatch(header or "")
    if match is None:
        return None
    first, last, suffix = match.groups()
    if suffix is not None:
        return range(max(0, size - int(suffix)), size)
    if last and int(last) < int(first):
        return None
    return range(int(first), min(int(last) + 1, size) if last else size)


def _disposition(file: StoredFile) -> str:
    return f"attachment; filename*=UTF-8''{quote(file.filename, safe='')}"

"""The paths of OpenAI's files, uploads and batches. They are loaded with the first request to one of them.

Source: https://platform.openai.com/docs/api-reference (files, uploads, batches; read 2026-11)
"""

import re

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from tidegate.api.app import BATCH_PREFIXES
from tidegate.batch.components import BatchComponents
from tidegate.errors import NotConfigured
from tidegate.lazy import load

_FILES, _UPLOADS, _BATCHES = "tidegate.api.files", "tidegate.api.uploads", "tidegate.api.batches"

ROUTES: dict[str, dict[str, tuple[str, str]]] = {
    "/files": {"GET": (_FILES, "list_files"), "POST": (_FILES, "create_file")},
    "/files/{id}": {"DELETE": (_FILES, "delete_file"), "GET": (_FILES, "show_file")},
    "/files/{id}/content": {"GET": (_FILES, "send_content")},
    "/uploads": {"POST": (_UPLOADS, "create_upload")},
    "/uploads/{id}/parts": {"POST": (_UPLOADS, "add_part")},
    "/uploads/{id}/complete": {"POST": (_UPLOADS, "complete_upload")},
    "/uploads/{id}/cancel": {"POST": (_UPLOADS, "cancel_upload")},
    "/batches": {"GET": (_BATCHES, "list_batches"), "POST": (_BATCHES, "create_batch")},
    "/batches/{id}": {"GET": (_BATCHES, "show_batch")},
    "/batches/{id}/cancel": {"POST": (_BATCHES, "cancel_batch")},
    "/batches/{id}/resume": {"POST": (_BATCHES, "resume_batch")},
}
"""The module and the name of what answers, by path without its prefix, and by method."""

_PATH = re.compile(rf"(?:{'|'.join(BATCH_PREFIXES)})(/(?:files|uploads|batches))(?:/([^/]+)(/[a-z]+)?)?")


async def answer(request: Request) -> Response:
    """Answer the request. Raises `HTTPException` for unknown paths and methods, and `TidegateError`."""
    match = _PATH.fullmatch(request.scope["path"])
    if match is None:
        raise HTTPException(404)
    kind, identifier, action = match.groups()
    methods = ROUTES.get(kind if identifier is None else f"{kind}/{{id}}{action or ''}")
    if methods is None:
        raise HTTPException(404)
    if request.method not in methods:
        raise HTTPException(405, headers={"allow": ", ".join(methods)})
    components_of(request)
    request.scope["path_params"] = {"id": identifier}
    return await load(*methods[request.method])(request)


def components_of(request: Request) -> BatchComponents:
    """Return the batch engine's components of this process. Raises `NotConfigured` if it has none."""
    batches = request.state.batches
    components = batches() if callable(batches) else batches
    if not isinstance(components, BatchComponents):
        raise _not_configured()
    return components


def _not_configured() -> NotConfigured:
    error = NotConfigured(
        "This gateway has no files, uploads and batches: its operator has not set up a bucket for them."
    )
    error.code = "not_configured"
    return error

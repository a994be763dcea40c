"""The paths of OpenAI's files, uploads and batches, without their prefixes: `api/app.py` has these.

Source: https://platform.openai.com/docs/api-reference (files, uploads, batches; read 2026-11)
"""

import re
from collections.abc import Sequence

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from tidegate.batch.components import BatchComponents
from tidegate.errors import NotConfigured
from tidegate.lazy import load

_FILES, _UPLOADS, _BATCHES = "tidegate.api.files", "tidegate.api.uploads", "tidegate.api.batches"

ROUTES: dict[str, tuple[str, str]] = {
    "GET /files": (_FILES, "list_files"),
    "POST /files": (_FILES, "create_file"),
    "DELETE /files/{id}": (_FILES, "delete_file"),
    "GET /files/{id}": (_FILES, "show_file"),
    "GET /files/{id}/content": (_FILES, "send_content"),
    "POST /uploads": (_UPLOADS, "create_upload"),
    "POST /uploads/{id}/parts": (_UPLOADS, "add_part"),
    "POST /uploads/{id}/complete": (_UPLOADS, "complete_upload"),
    "POST /uploads/{id}/cancel": (_UPLOADS, "cancel_upload"),
    "GET /batches": (_BATCHES, "list_batches"),
    "POST /batches": (_BATCHES, "create_batch"),
    "GET /batches/{id}": (_BATCHES, "show_batch"),
    "POST /batches/{id}/cancel": (_BATCHES, "cancel_batch"),
    "POST /batches/{id}/resume": (_BATCHES, "resume_batch"),
}
"""The module and the name of what answers, by method and path without its prefix."""

_PATH = re.compile(r"(/(?:files|uploads|batches))(?:/([^/]+)(/[a-z]+)?)?")


async def answer(request: Request, prefixes: Sequence[str]) -> Response:
    """Answer the request. Raises `HTTPException` for unknown paths and methods, and `TidegateError`."""
    path: str = request.scope["path"]
    paths = (path.removeprefix(prefix) for prefix in prefixes if path.startswith(prefix))
    match = next(filter(None, map(_PATH.fullmatch, paths)), None)
    if match is None:
        raise HTTPException(404)
    kind, identifier, action = match.groups()
    path = kind if identifier is None else f"{kind}/{{id}}{action or ''}"
    route = f"{request.method} {path}"
    if route not in ROUTES:
        allowed = [method for method in ("DELETE", "GET", "POST") if f"{method} {path}" in ROUTES]
        raise HTTPException(405, headers={"allow": ", ".join(allowed)}) if allowed else HTTPException(404)
    components_of(request)
    request.scope["path_params"] = {"id": identifier}
    module, name = ROUTES[route]
    return await load(module, name)(request)


def components_of(request: Request) -> BatchComponents:
    """Return the batch engine's components of this process. Raises `NotConfigured` if it has none."""
    batches = request.scope["state"].get("batches")
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

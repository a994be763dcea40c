"""The control plane as one FastAPI application: its routes, its OpenAPI document, and one envelope for all errors."""

import re
from collections.abc import Mapping
from typing import Any, cast

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from tidegate import __version__
from tidegate.api import errors
from tidegate.api.admin import admins, keys, logs, plans, workspaces
from tidegate.api.admin.middleware import Admission, response
from tidegate.api.admin.responses import FAULTS
from tidegate.control.control import Control
from tidegate.errors import InvalidRequest, MethodNotAllowed, NotFound, TidegateError

PREFIX = "/admin/v1"
OPENAPI, DOCS = f"{PREFIX}/openapi.json", f"{PREFIX}/docs"


def build_admin(control: Control | None = None) -> FastAPI:
    """The application. Without a control plane it has none until `state.control` is set to it."""
    app = _Admin(
        title="Tidegate control plane",
        version=__version__,
        openapi_url=OPENAPI,
        docs_url=DOCS,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        exception_handlers={
            TidegateError: _tidegate_error,
            RequestValidationError: _invalid,
            HTTPException: _http_exception,
            Exception: _crash,
        },
    )
    app.state.control = control
    app.router.redirect_slashes = False
    whole = APIRouter(prefix=PREFIX, responses=FAULTS)
    for part in (plans, keys, logs, workspaces, admins):
        whole.include_router(part.router)
    app.include_router(whole)
    app.add_middleware(Admission, public=frozenset({OPENAPI, DOCS}))
    return app


class _Admin(FastAPI):
    """FastAPI without the 422 of its own, which nobody gets here."""

    def openapi(self) -> dict[str, Any]:
        document = super().openapi()
        for path in document["paths"].values():
            for operation in path.values():
                operation["responses"].pop("422", None)
        for name in ("HTTPValidationError", "ValidationError"):
            document["components"]["schemas"].pop(name, None)
        return document


async def _tidegate_error(request: Request, raised: Exception) -> Response:
    return response(raised if isinstance(raised, TidegateError) else errors.internal())


async def _invalid(request: Request, raised: Exception) -> Response:
    """The first fault, by its field's path: "limits.usd_per_month", "routes[0].targets"."""
    assert isinstance(raised, RequestValidationError)  # noqa: S101  # it is registered for these
    first = cast("Mapping[str, Any]", raised.errors()[0])
    where, *parts = first["loc"]
    path = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    if first["type"] == "json_invalid":
        return response(InvalidRequest("The body is not valid JSON."))
    param = "".join(path).removeprefix(".") or (None if where == "body" else where)
    said = str(first["msg"]).removeprefix("Value error, ")
    return response(InvalidRequest(f"{param or 'The body'}: {said}.", param=param))


async def _http_exception(request: Request, raised: Exception) -> Response:
    match raised:
        case HTTPException(status_code=405):
            reply = response(MethodNotAllowed(f"{request.method} is not allowed on {request.url.path!r}."))
            reply.headers["allow"] = _allowed(request)
            return reply
        case HTTPException(status_code=404):
            return response(NotFound(f"There is nothing at {request.url.path!r}."))
        case _:
            return response(InvalidRequest("The body could not be read."))


def _allowed(request: Request) -> str:
    """The methods of the path: each is a route of its own, and one of these alone knows but its own."""
    routes = cast("FastAPI", request.app).openapi()["paths"].items()
    path = request.url.path
    methods = {method.upper() for pattern, of in routes if _matches(pattern, path) for method in of}
    return ", ".join(sorted(methods)) or "GET"


def _matches(pattern: str, path: str) -> bool:
    return re.fullmatch(re.sub(r"\{subject\}", ".+", re.sub(r"\{(?!subject)\w+\}", "[^/]+", pattern)), path) is not None


async def _crash(request: Request, raised: Exception) -> Response:
    return response(errors.internal())

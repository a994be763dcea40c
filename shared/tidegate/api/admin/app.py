"""The admin API as a FastAPI application: its routes, its OpenAPI document, and its error handlers."""

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
from tidegate.api.admin.middleware import AdminMiddleware, error_response
from tidegate.api.admin.responses import ERROR_RESPONSES
from tidegate.api.console import endpoints, reports
from tidegate.api.console.static_files import PagesMiddleware
from tidegate.control.control import Control
from tidegate.domain.identity import OidcIssuer
from tidegate.errors import InvalidRequest, MethodNotAllowed, NotFound, TidegateError
from tidegate.policy.auth.authenticator import Authenticator

PREFIX = "/admin/v1"
OPENAPI = f"{PREFIX}/openapi.json"


def build_admin(
    control: Control | None = None,
    authenticator: Authenticator | None = None,
    issuer: OidcIssuer | None = None,
    api_url: str | None = None,
) -> FastAPI:
    """Build the application, with the dashboard. Without `control`, set `app.state.control` before the first request.

    With `authenticator`, callers' keys may read the dashboard, too; it can be set later as `app.state.authenticator`.
    With an `issuer` that has a client id, the dashboard offers to sign in with it. `api_url` is the address of the
    callers' API, if that is on another host.
    """
    app = _AdminApp(
        title="Tidegate control plane",
        version=__version__,
        openapi_url=OPENAPI,
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        exception_handlers={
            TidegateError: _tidegate_error,
            RequestValidationError: _validation_error,
            HTTPException: _http_exception,
            Exception: _internal_error,
        },
    )
    app.state.control, app.state.authenticator, app.state.api_url = control, authenticator, api_url
    app.router.redirect_slashes = False
    api_router = APIRouter(prefix=PREFIX, responses=ERROR_RESPONSES)
    for module in (plans, keys, logs, workspaces, admins):
        api_router.include_router(module.router)
    app.include_router(api_router)
    app.include_router(endpoints.router)
    app.include_router(reports.router)
    app.add_middleware(AdminMiddleware, public=frozenset({OPENAPI}))
    app.add_middleware(PagesMiddleware, issuer=issuer, api_url=api_url)
    return app


class _AdminApp(FastAPI):
    """FastAPI whose OpenAPI document omits the 422 response: validation errors are sent as 400."""

    def openapi(self) -> dict[str, Any]:
        document = super().openapi()
        for path in document["paths"].values():
            for operation in path.values():
                operation["responses"].pop("422", None)
        for name in ("HTTPValidationError", "ValidationError"):
            document["components"]["schemas"].pop(name, None)
        return document


async def _tidegate_error(request: Request, error: Exception) -> Response:
    return error_response(error if isinstance(error, TidegateError) else errors.internal_error())


async def _validation_error(request: Request, error: Exception) -> Response:
    """Report the first invalid field by its path, e.g. "limits.usd_per_month" or "routes[0].targets"."""
    assert isinstance(error, RequestValidationError)  # noqa: S101  # registered for this class only
    first_error = cast("Mapping[str, Any]", error.errors()[0])
    location, *parts = first_error["loc"]
    path = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    if first_error["type"] == "json_invalid":
        return error_response(InvalidRequest("The body is not valid JSON."))
    param = "".join(path).removeprefix(".") or (None if location == "body" else location)
    message = str(first_error["msg"]).removeprefix("Value error, ")
    return error_response(InvalidRequest(f"{param or 'The body'}: {message}.", param=param))


async def _http_exception(request: Request, error: Exception) -> Response:
    match error:
        case HTTPException(status_code=405):
            reply = error_response(MethodNotAllowed(f"{request.method} is not allowed on {request.url.path!r}."))
            reply.headers["allow"] = _allowed_methods(request)
            return reply
        case HTTPException(status_code=404):
            return error_response(NotFound(f"No such endpoint: {request.url.path!r}."))
        case _:
            return error_response(InvalidRequest("The body could not be read."))


def _allowed_methods(request: Request) -> str:
    """List the methods of the path: Starlette's own `Allow` names one, because each method is a separate route."""
    routes = cast("FastAPI", request.app).openapi()["paths"].items()
    matching = (operations for pattern, operations in routes if _matches_path(pattern, request.url.path))
    return ", ".join(sorted({method.upper() for operations in matching for method in operations})) or "GET"


def _matches_path(pattern: str, path: str) -> bool:
    return re.fullmatch(re.sub(r"\{subject\}", ".+", re.sub(r"\{(?!subject)\w+\}", "[^/]+", pattern)), path) is not None


async def _internal_error(request: Request, error: Exception) -> Response:
    return error_response(errors.internal_error())

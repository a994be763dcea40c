"""Requests other than programs' calls, as a Starlette application: lists, accounts, batches, browsers, and errors."""

import time
from collections.abc import Mapping, Sequence
from functools import partial

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send

from tidegate.api import errors
from tidegate.api.endpoint import OperationEndpoint
from tidegate.domain.ids import ulid
from tidegate.domain.server_options import ServerOptions
from tidegate.errors import MethodNotAllowed, NotFound, TidegateError
from tidegate.lazy import load
from tidegate.surfaces.late_dialects import RESPONSE_PREFIXES

RESPONSE_PATHS = tuple(f"{prefix}/{kind}" for prefix in RESPONSE_PREFIXES for kind in ("responses/", "conversations"))
"""Where the paths of stored responses and conversations begin; `api/stored_responses.py` has them all."""

_MODELS, _ACCOUNT = "tidegate.api.models", "tidegate.api.account"
_OPENROUTER, _GENERATIONS = "tidegate.api.openrouter", "tidegate.api.generations"
_OLLAMA, _TAGS = "tidegate.api.ollama", "list_tags"

READS: dict[str, tuple[str, str]] = {
    **{
        f"{prefix}{path}": answer
        for prefix in ("/v1", "/api/v1")
        for path, answer in {
            "/models/count": (_MODELS, "count_models"),
            "/models/user": (_MODELS, "list_models"),
            "/model/{model_id:path}": (_MODELS, "show_openrouter_model"),
            "/credits": (_OPENROUTER, "show_credits"),
            "/key": (_OPENROUTER, "show_key"),
            "/auth/key": (_OPENROUTER, "show_key"),
            "/generation": (_GENERATIONS, "show_generation"),
            "/generations/{generation_id}": (_GENERATIONS, "show_named_generation"),
            "/generations/{generation_id}/trace": (_GENERATIONS, "show_trace"),
        }.items()
    },
    **{
        f"{prefix}{path}": answer
        # Clients whose base URL lacks /v1, OpenRouter's, groq's and Azure's.
        for prefix in ("/v1", "", "/api/v1", "/openai/v1", "/openai")
        for path, answer in {
            "/models": (_MODELS, "list_models"),
            "/models/{model_id:path}": (_MODELS, "show_model"),
        }.items()
    },
    "/public/models": (_MODELS, "list_public_models"),
    "/api/tags": (_OLLAMA, _TAGS),
    "/api/ds-prototypes/model_selection/models": (_MODELS, "list_selectable_models"),
    "/health": (_MODELS, "show_health"),
    "/api/ds-prototypes/health": (_MODELS, "show_health"),
    "/v1/usage": (_ACCOUNT, "show_usage"),
    "/v1/quotas": (_ACCOUNT, "show_quotas"),
    "/v1/account": (_ACCOUNT, "show_account"),
    "/v1/chat/generation/{generation_id}": (_GENERATIONS, "show_named_generation"),
    "/v1/balance": (_ACCOUNT, "show_balance"),
    "/balance": (_ACCOUNT, "show_balance"),
    "/api/workspace-service/v1/workspaces": (_ACCOUNT, "list_workspaces"),
    "/api/usage-service/v1/workspaces/{workspace_id}/quotas": (_ACCOUNT, "list_usage_types"),
}
"""The GET endpoints: by their paths, the module and the name of what answers."""

BATCH_PREFIXES = ("/v1", "", "/openai/v1", "/openai")
"""Prefixes of the paths of `/files`, `/uploads` and `/batches`."""

BATCH_PATHS = tuple(f"{prefix}/{kind}" for prefix in BATCH_PREFIXES for kind in ("files", "uploads", "batches"))
"""Where the paths of OpenAI's files, uploads and batches begin; `api/batch_routes.py` has them all."""

EXPOSED_HEADERS = (
    "age",
    "idempotent-replayed",
    "retry-after",
    "traceparent",
    *(f"x-ratelimit-{name}-{unit}" for name in ("limit", "remaining", "reset") for unit in ("requests", "tokens")),
    "x-request-id",
    "x-should-retry",
    "x-tidegate-attempts",
    "x-tidegate-cache",
    "x-tidegate-deployment",
    "x-tidegate-failed-attempts",
    "x-tidegate-guardrails",
    "x-tidegate-ignored-params",
    "x-tidegate-max-tokens",
    "x-tidegate-model",
    "x-tidegate-overhead-ms",
    "x-tidegate-provider",
)


def create_router(
    endpoints: Mapping[str, OperationEndpoint], options: ServerOptions, extra_routes: Sequence[BaseRoute]
) -> Starlette:
    """Return the application for all requests: calls, models, health, usage, batches, and `extra_routes` at the end."""
    calls = [Route(path, endpoint, methods=["POST"]) for path, endpoint in endpoints.items()]
    app = Starlette(
        routes=[*calls, *_read_routes(), _BatchRoutes(), _ResponseRoutes(), *extra_routes],
        middleware=_cors(options),
        exception_handlers={
            HTTPException: partial(_http_exception, tuple(endpoints)),
            TidegateError: _tidegate_error,
            Exception: _internal_error,
        },
    )
    app.router.redirect_slashes = False  # a redirect has no error body, and few clients send their request again
    return app


def _read_routes() -> list[BaseRoute]:
    """Return the routes of `READS`. Each loads its module with the first request."""
    routes: list[BaseRoute] = []
    for path, (module, name) in READS.items():

        async def answer(request: Request, module: str = module, name: str = name) -> Response:
            return await load(module, name)(request)

        routes.append(Route(path, answer, methods=["GET"]))
    return routes


class _BatchRoutes(BaseRoute):
    """All paths of files, uploads and batches. Their module is loaded with the first request."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        is_batch_path = scope["type"] == "http" and scope["path"].startswith(BATCH_PATHS)
        return (Match.FULL if is_batch_path else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        response: Response = await load("tidegate.api.batch_routes", "answer")(request, BATCH_PREFIXES)
        await response(scope, receive, send)


class _ResponseRoutes(BaseRoute):
    """All paths of stored responses and conversations. Their module is loaded with the first request."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        is_stored = scope["type"] == "http" and scope["path"].startswith(RESPONSE_PATHS)
        return (Match.FULL if is_stored else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        response: Response = await load("tidegate.api.stored_responses", "answer")(request, RESPONSE_PREFIXES)
        await response(scope, receive, send)


def _cors(options: ServerOptions) -> list[Middleware]:
    if not options.cors_origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=options.cors_origins,
            allow_methods=("DELETE", "GET", "POST"),
            allow_headers=("*",),
            expose_headers=EXPOSED_HEADERS,
            max_age=86400,
        )
    ]


async def _http_exception(call_paths: tuple[str, ...], request: Request, raised: Exception) -> Response:
    path = request.url.path
    is_known = isinstance(raised, HTTPException) and raised.status_code == 405
    known_paths = () if is_known else (*call_paths, *READS, *BATCH_PATHS, *RESPONSE_PATHS)
    advice: str | None = load("tidegate.api.other_apis", "advice_for")(path, known_paths)
    # A known path may be one of another API too: Google's POST /v1/models/{id}:generateContent.
    is_other_api = path not in READS and advice is not None and request.method == "POST"
    if isinstance(raised, HTTPException) and is_known and not is_other_api:
        reply = _response(request, _not_allowed(request))
        reply.headers.update(raised.headers or {})
        return reply
    return _response(request, NotFound(" ".join(filter(None, (f"No such endpoint: {path!r}.", advice)))))


def _not_allowed(request: Request) -> MethodNotAllowed:
    """Return the error for another method. Codex asks for a websocket, and goes on without one after a 426."""
    if request.headers.get("upgrade", "").lower() != "websocket":
        return MethodNotAllowed(f"{request.method} is not allowed on {request.url.path!r}.")
    error = MethodNotAllowed("This gateway has no websockets: use POST, and server-sent events.")
    error.status = 426
    return error


async def _tidegate_error(request: Request, raised: Exception) -> Response:
    return _response(request, raised if isinstance(raised, TidegateError) else errors.internal_error())


async def _internal_error(request: Request, raised: Exception) -> Response:
    return _response(request, errors.internal_error())


def _response(request: Request, error: TidegateError) -> Response:
    surface, error.request_id = errors.surface_of(request.url.path, request.headers), ulid(time.time())
    reply = Response(surface.error(error), status_code=surface.status(error), media_type="application/json")
    for name in surface.request_id_headers:
        reply.headers[name.decode()] = error.request_id
    for name, value in errors.headers(error):
        reply.headers[name.decode()] = value.decode()
    return reply

"""The data plane as one ASGI application: its routes, CORS, and errors in one format."""

import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cached_property

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from tidegate.api import errors
from tidegate.api.endpoint import DEPLOYMENT, OperationEndpoint
from tidegate.chat.operation import CHAT
from tidegate.domain.ids import ulid
from tidegate.domain.operation import Operation
from tidegate.domain.server_options import ServerOptions
from tidegate.domain.surface import Surface
from tidegate.errors import MethodNotAllowed, NotFound, TidegateError
from tidegate.gateway import Gateway
from tidegate.lazy import late, load
from tidegate.surfaces.late_dialects import COMPACTION, MESSAGES, MESSAGES_WITHOUT_LIMIT, RESPONSES
from tidegate.surfaces.neuroflash import NEUROFLASH
from tidegate.surfaces.openai import OPENAI
from tidegate.surfaces.openrouter import OPENROUTER

log = logging.getLogger(__name__)

RESPONSE_PREFIXES = ("/v1", "", "/openai/v1", "/api/v1")
"""Prefixes of the paths of `/responses` and `/conversations`."""

EMBEDDINGS: Operation = late("tidegate.embeddings.operation", "EMBEDDINGS")
MODERATIONS: Operation = late("tidegate.moderations.operation", "MODERATIONS")
RERANK: Operation = late("tidegate.rerank.operation", "RERANK")

COMPLETIONS: Surface = late("tidegate.surfaces.completions", "COMPLETIONS")
OLLAMA: Surface = late("tidegate.surfaces.ollama", "OLLAMA")
OLLAMA_EMBED: Surface = late("tidegate.surfaces.ollama_embed", "OLLAMA_EMBED")
OLLAMA_GENERATE: Surface = late("tidegate.surfaces.ollama_generate", "OLLAMA_GENERATE")

ENDPOINTS: dict[str, tuple[Surface, Operation]] = {
    "/v1/chat/completions": (OPENAI, CHAT),
    "/chat/completions": (OPENAI, CHAT),
    "/openai/v1/chat/completions": (OPENAI, CHAT),  # where groq's SDK posts to, and Azure's new API is
    f"/openai/deployments/{{{DEPLOYMENT}:path}}/chat/completions": (OPENAI, CHAT),  # AzureOpenAI's
    "/api/v1/chat/completions": (OPENROUTER, CHAT),
    "/v1/messages": (MESSAGES, CHAT),
    "/messages": (MESSAGES, CHAT),  # for clients whose base URL lacks /v1
    "/api/v1/messages": (MESSAGES, CHAT),  # where OpenRouter has it
    **{f"{prefix}/responses": (RESPONSES, CHAT) for prefix in RESPONSE_PREFIXES},  # Codex's base URL may lack /v1
    **{f"{prefix}/responses/compact": (COMPACTION, CHAT) for prefix in RESPONSE_PREFIXES},
    **dict.fromkeys(("/v1/completions", "/completions", "/openai/v1/completions"), (COMPLETIONS, CHAT)),
    f"/openai/deployments/{{{DEPLOYMENT}:path}}/completions": (COMPLETIONS, CHAT),
    "/api/v1/completions": (COMPLETIONS, CHAT),
    "/v1/embeddings": (OPENAI, EMBEDDINGS),
    "/embeddings": (OPENAI, EMBEDDINGS),
    "/openai/v1/embeddings": (OPENAI, EMBEDDINGS),
    f"/openai/deployments/{{{DEPLOYMENT}:path}}/embeddings": (OPENAI, EMBEDDINGS),
    "/api/v1/embeddings": (OPENROUTER, EMBEDDINGS),
    **dict.fromkeys(("/v1/rerank", "/v2/rerank", "/rerank", "/openai/v1/rerank"), (OPENAI, RERANK)),  # v2: Cohere's SDK
    "/api/v1/rerank": (OPENROUTER, RERANK),
    **dict.fromkeys(("/v1/moderations", "/moderations", "/openai/v1/moderations"), (OPENAI, MODERATIONS)),
    "/api/v1/moderations": (OPENROUTER, MODERATIONS),
    "/api/chat": (OLLAMA, CHAT),
    "/api/generate": (OLLAMA_GENERATE, CHAT),
    "/api/embed": (OLLAMA_EMBED, EMBEDDINGS),
    "/api/ds-prototypes/chat/completions": (NEUROFLASH, CHAT),
    "/api/ds-prototypes/content_generation/chat/completions": (NEUROFLASH, CHAT),
}
"""The surface and the operation of each endpoint that answers calls, by path."""

COUNTS: dict[str, tuple[Surface, Operation]] = {
    "/v1/messages/count_tokens": (MESSAGES_WITHOUT_LIMIT, CHAT),
    "/messages/count_tokens": (MESSAGES_WITHOUT_LIMIT, CHAT),
    "/api/v1/messages/count_tokens": (MESSAGES_WITHOUT_LIMIT, CHAT),
    **{f"{prefix}/responses/input_tokens": (RESPONSES, CHAT) for prefix in RESPONSE_PREFIXES},
}
"""The surface and the operation of each endpoint that counts the tokens of a prompt, by path."""

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


def build_app(
    open_gateway: Callable[[], AbstractAsyncContextManager[Gateway]],
    options: ServerOptions,
    extra_routes: Sequence[BaseRoute] = (),
    endpoints: Mapping[str, tuple[Surface, Operation]] = ENDPOINTS,
    open_batches: Callable[[Gateway], AbstractAsyncContextManager[object]] | None = None,
) -> Starlette:
    """Return the application, which has `open_gateway` open while it runs; `extra_routes` come last.

    `open_batches` opens the `BatchComponents`, or a function without arguments that returns them when the first
    request needs them. Without it, files and batches are refused.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[dict[str, object]]:
        async with open_gateway() as gateway:
            if open_batches is None:
                yield {"gateway": gateway, "batches": None}
                return
            async with open_batches(gateway) as batches:
                yield {"gateway": gateway, "batches": batches}

    app = _DataPlane(
        routes=[*routes(options, endpoints), *extra_routes],
        middleware=_cors(options),
        exception_handlers={HTTPException: _http_exception, TidegateError: _tidegate_error, Exception: _internal_error},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # a redirect has no error body, and few clients send their request again
    return app


class _DataPlane(Starlette):
    """Sends calls directly to their endpoint; only browsers and other paths need the middleware and the router.

    These would take a tenth of the time of a plain call.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            endpoint = self._endpoints.get(scope["path"])
            if endpoint is not None and not any(name == b"origin" for name, _ in scope["headers"]):
                await endpoint(scope, receive, send)
                return
        await super().__call__(scope, receive, send)

    @cached_property
    def _endpoints(self) -> dict[str, ASGIApp]:
        return {
            route.path: route.app
            for route in self.routes
            if isinstance(route, Route) and isinstance(route.app, OperationEndpoint)
        }


def routes(options: ServerOptions, endpoints: Mapping[str, tuple[Surface, Operation]]) -> list[BaseRoute]:
    """Return the routes of calls, models, health, usage and batches."""
    call_routes: list[BaseRoute] = [
        Route(path, OperationEndpoint(surface, operation, options, path.replace(":path", "")), methods=["POST"])
        for path, (surface, operation) in endpoints.items()
    ]
    counts: list[BaseRoute] = [
        Route(path, OperationEndpoint(surface, operation, options, path, only_counts=True), methods=["POST"])
        for path, (surface, operation) in COUNTS.items()
    ]
    return [*call_routes, *counts, *_read_routes(), _BatchRoutes(), _ResponseRoutes()]


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


async def _http_exception(request: Request, raised: Exception) -> Response:
    path = request.url.path
    is_known = isinstance(raised, HTTPException) and raised.status_code == 405
    known_paths = () if is_known else (*ENDPOINTS, *COUNTS, *READS, *BATCH_PATHS, *RESPONSE_PATHS)
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

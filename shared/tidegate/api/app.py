"""The data plane as one ASGI application: calls go to their endpoints, everything else to `api/routes.py`.

A cold start on Lambda answers a call without Starlette: loading it takes 25 ms.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import cached_property
from traceback import format_exc
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from tidegate.api.endpoint import DEPLOYMENT, OperationEndpoint, RequestHead
from tidegate.chat.operation import CHAT
from tidegate.domain.operation import Operation
from tidegate.domain.server_options import ServerOptions
from tidegate.domain.surface import Surface
from tidegate.gateway import Gateway
from tidegate.lazy import late, load
from tidegate.surfaces.late_dialects import (
    COMPACTION,
    COMPLETIONS,
    MESSAGES,
    MESSAGES_WITHOUT_LIMIT,
    NEUROFLASH,
    OLLAMA,
    OLLAMA_EMBED,
    OLLAMA_GENERATE,
    OPENROUTER,
    RESPONSE_PREFIXES,
    RESPONSES,
)
from tidegate.surfaces.openai import OPENAI

EMBEDDINGS: Operation = late("tidegate.embeddings.operation", "EMBEDDINGS")
MODERATIONS: Operation = late("tidegate.moderations.operation", "MODERATIONS")
RERANK: Operation = late("tidegate.rerank.operation", "RERANK")

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


def build_app(
    open_gateway: Callable[[], AbstractAsyncContextManager[Gateway]],
    options: ServerOptions,
    extra_routes: Sequence[Any] = (),
    endpoints: Mapping[str, tuple[Surface, Operation]] = ENDPOINTS,
    open_batches: Callable[[Gateway], AbstractAsyncContextManager[object]] | None = None,
) -> "DataPlane":
    """Return the application, which has `open_gateway` open while it runs; `extra_routes` come last.

    `open_batches` opens the `BatchComponents`, or a function without arguments that returns them when the first
    request needs them. Without it, files and batches are refused.
    """
    calls = {
        path: OperationEndpoint(surface, operation, options, path.replace(":path", ""))
        for path, (surface, operation) in endpoints.items()
    }
    counts = {
        path: OperationEndpoint(surface, operation, options, path, only_counts=True)
        for path, (surface, operation) in COUNTS.items()
    }
    return DataPlane(open_gateway, open_batches, calls | counts, options, extra_routes)


class DataPlane:
    """An ASGI application that sends calls of programs directly to their endpoints.

    Only browsers and other requests need the middleware and the router, which would take a tenth of the time of a
    plain call.
    """

    def __init__(
        self,
        open_gateway: Callable[[], AbstractAsyncContextManager[Gateway]],
        open_batches: Callable[[Gateway], AbstractAsyncContextManager[object]] | None,
        endpoints: Mapping[str, OperationEndpoint],
        options: ServerOptions,
        extra_routes: Sequence[Any],
    ) -> None:
        self._open_gateway, self._open_batches = open_gateway, open_batches
        self._endpoints = endpoints
        self._options, self._extra_routes = options, extra_routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app_of(scope)(scope, receive, send)

    def app_of(self, scope: Scope) -> ASGIApp:
        """Return the application that answers the request: see `runtime.asgi.app_of`.

        An endpoint of calls gets what the headers say, also for later requests with equal headers. `content-length` is
        then the first request's: an endpoint reads it only while a body is still to come, and theirs have come.
        """
        if scope["type"] == "lifespan":
            return self._live
        if scope["type"] == "http" and scope["method"] == "POST" and scope["path"] in self._endpoints:
            headers: dict[bytes, bytes] = dict(scope["headers"])
            if b"origin" not in headers:
                endpoint = self._endpoints[scope["path"]]
                return _with_head(endpoint, endpoint.read_head(scope, headers))
        return self.router

    @cached_property
    def router(self) -> ASGIApp:
        """The Starlette application for all requests, with CORS and errors."""
        return load("tidegate.api.routes", "create_router")(self._endpoints, self._options, self._extra_routes)

    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[dict[str, object]]:
        """Open the gateway and its batches; give the state that requests need in their scope."""
        async with AsyncExitStack() as stack:
            gateway = await stack.enter_async_context(self._open_gateway())
            batches = await stack.enter_async_context(self._open_batches(gateway)) if self._open_batches else None
            yield {"gateway": gateway, "batches": batches}

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Speak the lifespan protocol: https://asgi.readthedocs.io/en/latest/specs/lifespan.html (2.0)."""
        phase = "startup"
        await receive()
        try:
            async with self.lifespan() as state:
                scope["state"].update(state)
                await send({"type": "lifespan.startup.complete"})
                phase = "shutdown"
                await receive()
        except BaseException:
            await send({"type": f"lifespan.{phase}.failed", "message": format_exc()})
            raise
        await send({"type": "lifespan.shutdown.complete"})


def _with_head(endpoint: OperationEndpoint, head: RequestHead) -> ASGIApp:
    """Return the endpoint as an application of requests with that head. A `partial` would take longer to call."""
    answer = endpoint.__call__

    def app(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        return answer(scope, receive, send, head)

    return app

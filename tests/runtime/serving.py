"""The runtime in the test's own event loop, in front of the gateway model."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from tests.emulators.gateway import Gateway, running
from tidegate.runtime.asgi import App, Receive, Send
from tidegate.runtime.environment import Environment
from tidegate.runtime.loop import run, start


@asynccontextmanager
async def serving(app: App, gateway: Gateway, stop: asyncio.Event | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """Serve `app` behind `gateway`; yields a client of it. Fails on any breach of the protocol."""
    stop = stop or asyncio.Event()
    async with running(gateway):
        environment = Environment(
            api=gateway.runtime_api,
            task_root=".",
            concurrency=gateway.concurrency,
            snap_start=False,
            sam_local=not gateway.streams,
        )
        lifespan, service = await start(app, environment)
        serve = asyncio.create_task(run(lifespan, service, environment.concurrency, stop))
        try:
            async with httpx.AsyncClient(base_url=gateway.url, trust_env=False, timeout=10) as client:
                yield client
        finally:
            stop.set()
            await serve
    assert gateway.violations == []


def plain(respond: App) -> App:
    """An application without a lifespan: `respond(scope, receive, send)` answers each request."""

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise NotImplementedError(scope["type"])
        await respond(scope, receive, send)

    return app


def head(status: int = 200, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(data: bytes = b"", *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


SSE = (b"content-type", b"text/event-stream")

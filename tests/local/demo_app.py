"""The data plane in memory with the demo tenant and its provider, as `serve --ephemeral` opens it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any, cast

import httpx

from tidegate.api.app import ENDPOINTS, build_app
from tidegate.compose import Overrides
from tidegate.domain.server_options import ServerOptions
from tidegate.local.background_batches import LocalBatches, open_batches
from tidegate.local.demo import DEMO_ROW, DemoTransport
from tidegate.local.demo_tenant import seed_demo_tenant
from tidegate.local.stores import local_settings
from tidegate.memory.batch_queue import MemoryBatchQueue
from tidegate.memory.batches import create_memory_batches
from tidegate.memory.world import MemoryWorld, create_memory_gateway
from tidegate.transport.base import Transport

KEY = "sk-tidegate-demo"


@asynccontextmanager
async def demo_client(*, has_worker: bool = False) -> AsyncIterator[httpx.AsyncClient]:
    """A client with the demo key. Without a worker, batches stay as they were created."""

    def quick(inner: Transport) -> Transport:
        return DemoTransport(inner, pause_seconds=0)

    async with MemoryWorld(local_settings({}, None)) as world:
        await seed_demo_tenant(world.tenants, world.tenants, KEY)
        gateway = await create_memory_gateway(world, Overrides(rows=(DEMO_ROW,), wrap=quick))
        queue = MemoryBatchQueue()
        components = create_memory_batches(world, gateway, ENDPOINTS, queue)
        batches = LocalBatches(components, queue if has_worker else None)
        app: Any = build_app(
            lambda: nullcontext(gateway), ServerOptions(), open_batches=lambda _: open_batches(batches)
        )
        async with app.lifespan() as state:

            async def with_state(scope: Any, receive: Any, send: Any) -> None:
                await app({**scope, "state": dict(state)}, receive, send)

            transport = httpx.ASGITransport(cast(Any, with_state))
            headers = {"authorization": f"Bearer {KEY}"}
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers) as client:
                yield client

"""The whole gateway over the ports of either world: the provider is played, and the clock stands still."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from msgspec.structs import replace

from tests.store_worlds import World, aws_world, memory_world
from tests.world import KEY, WORKSPACE, Exchange, Handler, Reply
from tidegate.api.app import build_app
from tidegate.compose import Overrides
from tidegate.domain.account import AccountScope
from tidegate.domain.limits import Limits
from tidegate.domain.server_options import ServerOptions
from tidegate.gateway import Gateway
from tidegate.memory.world import open_memory_gateway
from tidegate.policy.auth.authenticator import Authenticator
from tidegate.policy.routing.retry import Retries
from tidegate.ports import Ledger, Meter
from tidegate.settings import Settings
from tidegate.transport.httpx import HttpxTransport


@dataclass(frozen=True)
class Place:
    """A gateway, and the ports that it writes to. `scopes` are the accounts of its workspace and its key."""

    world: World
    app: Any
    scopes: tuple[AccountScope, ...]

    def exchange(self, body: Any) -> Exchange:
        return Exchange(self.app, body, "/v1/chat/completions")

    async def post(self, body: Any) -> Reply:
        exchange = self.exchange(body)
        await exchange.run()
        return exchange.reply()


@asynccontextmanager
async def opened(endpoint: str | None) -> AsyncIterator[World]:
    """The ports in memory, or over a new table in the DynamoDB at `endpoint`."""
    if endpoint is None:
        yield memory_world()
        return
    async with aws_world(endpoint) as world:
        yield world


@asynccontextmanager
async def composed_over(
    world: World,
    provider: Handler,
    clock: Callable[[], float] | None = None,
    meter: Meter | None = None,
    ledger: Ledger | None = None,
) -> AsyncIterator[Gateway]:
    """A gateway whose ports are the world's, or those given; `provider` answers for all."""
    keys = {"OPENAI_API_KEY": "provider-secret-1", "MISTRAL_API_KEY": "provider-secret-2"}
    settings = Settings.from_env({"TIDEGATE_TABLE": "t", "AWS_REGION": "us-east-1", **keys})
    now = clock or world.clock

    async def answer(request: httpx.Request) -> httpx.Response:
        response = provider(request)
        return response if isinstance(response, httpx.Response) else await response

    async def sleep(seconds: float) -> None:
        pass

    fake, retries = HttpxTransport(httpx.MockTransport(answer)), Retries(lambda: 1.0, sleep)
    async with open_memory_gateway(settings, Overrides(wrap=lambda _: fake, retries=retries)) as gateway:
        yield replace(
            gateway,
            authenticator=Authenticator(world.directory, monotonic=now, clock=now),
            meter=meter or world.meter,
            ledger=ledger or world.ledger,
            clock=now,
        )


@asynccontextmanager
async def gateway_over(world: World, provider: Handler, *ports: Any, **more: Any) -> AsyncIterator[Any]:
    """The app of a gateway as `composed_over` makes it."""
    app = build_app(lambda: composed_over(world, provider, *ports, **more), ServerOptions())
    async with app.lifespan() as state:
        app.lifespan_state = state
        yield app


async def furnished(world: World, limits: Limits, key_limits: Limits | None) -> tuple[AccountScope, ...]:
    """The accounts of the workspace and the key that are in the world from now on."""
    await world.tenants.put_workspace(replace(WORKSPACE, limits=limits))
    await world.keys.put_key(replace(KEY, limits=key_limits or Limits()))
    scopes = (AccountScope("workspace", WORKSPACE.id, limits),)
    return (*scopes, AccountScope("key", KEY.id, key_limits)) if key_limits else scopes


@asynccontextmanager
async def place(
    endpoint: str | None,
    provider: Handler,
    limits: Limits,
    key_limits: Limits | None = None,
    meter: Callable[[Meter], Meter] | None = None,
    ledger: Callable[[Ledger], Ledger] | None = None,
) -> AsyncIterator[Place]:
    """A gateway whose workspace has `limits`. `meter` and `ledger` wrap the world's."""
    async with opened(endpoint) as world:
        scopes = await furnished(world, limits, key_limits)
        async with gateway_over(
            world,
            provider,
            meter=meter and meter(world.meter),
            ledger=ledger and ledger(world.ledger),
        ) as app:
            yield Place(world, app, scopes)

"""What one process learns of a route's deployments, the next one knows before its first call."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from tests.pipeline.routed import BUSY, CALL, FIRST, MODEL, OK, SECOND, Hosts
from tests.store_worlds import CREDENTIALS, REGION, World, aws_world
from tests.world import KEY, SECRET, WORKSPACE, new_call
from tidegate.aws.gateway import open_aws_gateway
from tidegate.compose import Overrides
from tidegate.domain.routes import Route, RouteTarget
from tidegate.settings import Settings
from tidegate.transport.httpx import HttpxTransport

ROUTES = json.dumps([{"name": "fast", "targets": [FIRST, SECOND], "cooldown_failures": 1}])


@pytest.fixture
async def world(aws_endpoint: str) -> AsyncIterator[World]:
    """A table over HTTP, which gateways open by its endpoint."""
    async with aws_world(aws_endpoint) as room:
        yield room


@asynccontextmanager
async def process(world: World, endpoint: str, hosts: Hosts, **env: str) -> AsyncIterator[Any]:
    """A gateway over the same table, which knows nothing yet."""
    assert world.store is not None
    names = {"TIDEGATE_TABLE": world.store.table, "AWS_REGION": REGION, "AWS_ENDPOINT_URL": endpoint}
    keys = {"OPENAI_API_KEY": "provider-secret", "MISTRAL_API_KEY": "provider-secret"}
    settings = Settings.from_env({**names, **keys, **env})
    provider = HttpxTransport(httpx.MockTransport(hosts))
    overrides = Overrides(wrap=lambda _: provider)
    async with open_aws_gateway(settings, overrides, table_credentials=CREDENTIALS) as gateway:
        yield gateway


async def post(gateway: Any, body: Any = CALL) -> None:
    call = await new_call(gateway, body, SECRET)
    async with gateway.answer(call) as answer:
        assert answer.reply is not None


async def furnish(world: World, *routes: Route) -> None:
    await world.tenants.put_workspace(replace(WORKSPACE, routes=routes))
    await world.keys.put_key(KEY)


async def test_a_new_process_asks_first_what_does_not_cool_down(world: World, aws_endpoint: str) -> None:
    await furnish(world)
    hosts = Hosts(first=BUSY, second=OK)
    for _ in range(3):
        async with process(world, aws_endpoint, hosts, TIDEGATE_ROUTES=ROUTES) as gateway:
            await post(gateway)
    assert hosts.asked == ["first", "second", "second", "second"]


async def test_a_workspaces_own_routes_are_told_apart_from_the_operators(world: World, aws_endpoint: str) -> None:
    own = Route("mine", (RouteTarget(MODEL), RouteTarget("mistral/mistral-small-latest")), cooldown_failures=1)
    await furnish(world, own)
    hosts = Hosts(first=[BUSY, OK], second=OK, mistral=OK)
    for model in ("mine", "mine", "fast"):
        async with process(world, aws_endpoint, hosts, TIDEGATE_ROUTES=ROUTES) as gateway:
            await post(gateway, {**CALL, "model": model})
    assert hosts.asked == ["first", "mistral", "mistral", "first"]


async def test_without_routes_nothing_is_read_or_told(world: World, aws_endpoint: str) -> None:
    await furnish(world)
    hosts = Hosts(first=OK)
    async with process(world, aws_endpoint, hosts) as gateway:
        await post(gateway, {**CALL, "model": MODEL})
        assert gateway.cooldowns.item_keys(WORKSPACE.id) == []
        assert gateway.balancer.take_announcements() == []

"""The admin API beside the data plane, in one process and over one store."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import cast

from fastapi import FastAPI
from msgspec import Struct
from starlette.types import ASGIApp, Receive, Scope, Send

from tidegate.api.admin.app import PREFIX
from tidegate.aws.ledger import DynamoLedger
from tidegate.aws.resources import DynamoResources
from tidegate.aws.signatures import DynamoReasoningSignatures
from tidegate.aws.tenants import DynamoUsageReader
from tidegate.control.admins import with_secret
from tidegate.control.authorization import COMMAND_LINE_ACTOR
from tidegate.control.control import Control
from tidegate.domain.managed_resources import AdminKey
from tidegate.errors import AlreadyExists
from tidegate.gateway import Gateway
from tidegate.local.embedded import DEMO_ADMIN, seed_demo_tenant
from tidegate.memory.ledger import MemoryLedger
from tidegate.memory.meter import MemoryMeter
from tidegate.memory.resources import MemoryResources
from tidegate.memory.tenants import MemoryTenants
from tidegate.ports import Keys, Tenants


class PlaneRouter(Struct, frozen=True):
    """ASGI application that routes /admin/v1 to `admin`, and all other paths and the lifespan to `gateway`."""

    gateway: ASGIApp
    admin: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_admin = scope["type"] == "http" and f"{scope['path']}/".startswith(f"{PREFIX}/")
        await (self.admin if is_admin else self.gateway)(scope, receive, send)


class DemoSeed(Struct):
    """Creates the demo tenant, and keeps the `Tenants` that it was created in for the control plane."""

    tenants: Tenants | None = None

    async def __call__(self, tenants: Tenants, keys: Keys) -> None:
        self.tenants = tenants
        await seed_demo_tenant(tenants, keys)


@asynccontextmanager
async def with_control_plane(
    gateway_context: AbstractAsyncContextManager[Gateway], admin: FastAPI, demo_seed: DemoSeed, *, demo: bool
) -> AsyncGenerator[Gateway]:
    """Open the gateway, and connect `admin` to its store; with `demo`, also create the demo admin key."""
    async with gateway_context as gateway:
        control = admin.state.control = _build_control(gateway, demo_seed)
        if demo:
            demo_admin = AdminKey("", "", "", ("read", "write"), name="demo", created_at=control.clock())
            with suppress(AlreadyExists):
                await control.apply_change(COMMAND_LINE_ACTOR, "create", None, with_secret(DEMO_ADMIN, demo_admin))
        yield gateway


def _build_control(gateway: Gateway, demo_seed: DemoSeed) -> Control:
    vault = gateway.workspace_keys.vault
    if isinstance(gateway.signatures, DynamoReasoningSignatures):
        store = gateway.signatures.store
        return Control(DynamoResources(store), DynamoUsageReader(store), DynamoLedger(store), store.clock, vault)
    tenants = cast("MemoryTenants", demo_seed.tenants)
    ledger, meter = cast("MemoryLedger", gateway.ledger), cast("MemoryMeter", gateway.meter)
    return Control(MemoryResources(tenants, ledger, meter), meter, ledger, vault=vault)

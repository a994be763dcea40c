"""The control plane beside the data plane, in one process and over one store."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import cast

from fastapi import FastAPI
from msgspec import Struct
from starlette.types import ASGIApp, Receive, Scope, Send

from tidegate.api.admin.app import PREFIX
from tidegate.aws.ledger import DynamoLedger
from tidegate.aws.resources import DynamoRegister
from tidegate.aws.signatures import DynamoSignatures
from tidegate.aws.tenants import DynamoUsages
from tidegate.control.admins import of_secret
from tidegate.control.authorization import COMMAND_LINE
from tidegate.control.control import Control
from tidegate.domain.managed_resources import AdminKey
from tidegate.errors import AlreadyExists
from tidegate.gateway import Gateway
from tidegate.local.embedded import DEMO_ADMIN, seed
from tidegate.memory.ledger import MemoryLedger
from tidegate.memory.meter import MemoryMeter
from tidegate.memory.resources import MemoryRegister
from tidegate.memory.tenants import MemoryTenants
from tidegate.ports import Keys, Tenants


class Planes(Struct, frozen=True):
    """One ASGI application of two: `admin` for its paths, `gateway` for all others and the lifespan."""

    gateway: ASGIApp
    admin: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_admin = scope["type"] == "http" and f"{scope['path']}/".startswith(f"{PREFIX}/")
        await (self.admin if is_admin else self.gateway)(scope, receive, send)


class Seed(Struct):
    """Furnishes the demo tenant, and remembers in which memory."""

    tenants: Tenants | None = None

    async def __call__(self, tenants: Tenants, keys: Keys) -> None:
        self.tenants = tenants
        await seed(tenants, keys)


@asynccontextmanager
async def administered(
    opening: AbstractAsyncContextManager[Gateway], admin: FastAPI, seeded: Seed, *, demo: bool
) -> AsyncGenerator[Gateway]:
    """The gateway, over whose store `admin` works as long; with the demo admin key where `demo` says so."""
    async with opening as gateway:
        control = admin.state.control = _control(gateway, seeded)
        if demo:
            asked = AdminKey("", "", "", ("read", "write"), name="demo", created_at=control.clock())
            with suppress(AlreadyExists):
                await control.change(COMMAND_LINE, "create", None, of_secret(DEMO_ADMIN, asked))
        yield gateway


def _control(gateway: Gateway, seeded: Seed) -> Control:
    vault = gateway.own_keys.vault
    if isinstance(gateway.signatures, DynamoSignatures):
        store = gateway.signatures.store
        return Control(DynamoRegister(store), DynamoUsages(store), DynamoLedger(store), store.clock, vault)
    tenants = cast("MemoryTenants", seeded.tenants)
    ledger, meter = cast("MemoryLedger", gateway.ledger), cast("MemoryMeter", gateway.meter)
    return Control(MemoryRegister(tenants, ledger, meter), meter, ledger, vault=vault)

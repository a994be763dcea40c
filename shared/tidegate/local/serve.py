"""`python -m tidegate serve`: the whole gateway in one process, with an embedded AWS, in memory, or on a real table."""

import argparse
import asyncio
import logging
import os
import socket
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from functools import partial
from typing import TypeAlias

import uvicorn
from fastapi import FastAPI
from msgspec import Struct
from starlette.types import ASGIApp

from tidegate.api.admin.app import build_admin
from tidegate.api.app import build_app
from tidegate.aws import logs
from tidegate.aws.control import create_aws_control
from tidegate.aws.credentials import find_credentials
from tidegate.aws.dynamo import REQUEST_FAILURES
from tidegate.aws.gateway import create_aws_gateway
from tidegate.aws.reply_store import configured_bucket
from tidegate.aws.sweeper import create_sweeper
from tidegate.aws.world import AwsWorld
from tidegate.cli.connection import StoreLocation, explain_store_error
from tidegate.cli.workspaces import Subparsers
from tidegate.compose import Overrides
from tidegate.control.control import Control
from tidegate.errors import ConfigurationError, InvalidKey, StoreUnavailable
from tidegate.gateway import Gateway
from tidegate.local.admin import PlaneRouter, create_demo_admin
from tidegate.local.background_sweeper import sweep_in_background
from tidegate.local.banner import banner
from tidegate.local.connection_guard import ConnectionGuard
from tidegate.local.demo import DEMO_ROW, DemoTransport
from tidegate.local.demo_keys import KEY_SETTING, DemoKeys, choose_demo_keys
from tidegate.local.embedded import (
    EMBEDDED_CREDENTIALS,
    embedded_aws,
    listen,
    local_settings,
    prepare_table,
    seed_demo_tenant,
    with_bucket,
)
from tidegate.local.graceful_shutdown import GracefulServer, SettlementGuard
from tidegate.local.host_check import ALLOWED_HOSTS_SETTING, HostCheck, allowed_hosts
from tidegate.local.openapi_routes import document_routes
from tidegate.memory.vault import MemoryVault
from tidegate.memory.world import MemoryWorld, create_memory_control, create_memory_gateway
from tidegate.settings import Settings

SERVER_DEFAULTS = {"TIDEGATE_TRANSPORT": "aiohttp"}
"""Defaults of the local server. Its transport closes the provider's connection when a client disconnects, which a
server can notice; it is too slow to load for a cold start.
"""

GRACE_SECONDS = 3
"""How long running calls may continue once the server is asked to stop."""

PREPARE_SECONDS = 5
"""How long the table may take to be ready."""

DEMO_OVERRIDES = Overrides(rows=(DEMO_ROW,), wrap=DemoTransport)
"""Adds the provider `demo`."""


class Planes(Struct, frozen=True):
    """The data plane and the control plane, over one store."""

    gateway: Gateway
    control: Control


OpenPlanes: TypeAlias = Callable[[], AbstractAsyncContextManager[Planes]]


class ServeOptions(Struct, frozen=True):
    """The options of the command line."""

    host: str
    port: int
    store: str
    dynamodb_endpoint: str | None
    embedded_port: int
    demo_key: str | None = None


def add_parser(commands: Subparsers, name: str, summary: str) -> None:
    parser = commands.add_parser(name, help=summary)
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on; default: 127.0.0.1")
    parser.add_argument("--port", type=int, default=8000, help="the port to listen on; default: 8000; 0: any free port")
    parser.add_argument(
        "--store",
        choices=("embedded", "memory", "aws"),
        default="embedded",
        help="where keys and usage are stored: an AWS inside this process (default), memory, or your table on AWS",
    )
    parser.add_argument("--dynamodb-endpoint", metavar="URL", help="a local DynamoDB instead of the embedded one")
    parser.add_argument("--embedded-port", type=int, default=8001, help="the embedded AWS's port; 0: any free port")
    parser.add_argument("--demo-key", metavar="KEY", help=f"the demo key; default: {KEY_SETTING}, or a random one")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Serve until interrupted. Raises `ConfigurationError` and `StoreUnavailable` before the first request."""
    arguments = ServeOptions(
        options.host,
        options.port,
        options.store,
        options.dynamodb_endpoint,
        options.embedded_port,
        options.demo_key,
    )
    if arguments.dynamodb_endpoint and arguments.store != "embedded":
        raise ConfigurationError("--dynamodb-endpoint can be used with --store embedded only.")
    with ExitStack() as stack:
        listener = stack.enter_context(listen(arguments.host, arguments.port))
        logging.getLogger("tidegate").addHandler(logging.NullHandler())  # until it serves, errors are one printed line
        admin = build_admin()
        env = SERVER_DEFAULTS | os.environ
        demo_keys = None if arguments.store == "aws" else choose_demo_keys(env, arguments.demo_key)
        settings, open_planes = _open_store(arguments, env, demo_keys, stack)
        address = listener.getsockname()[:2]
        print(asyncio.run(_banner_when_ready(open_planes, settings, address, arguments.store, demo_keys)), flush=True)
        logs.configure(settings.log_level)
        gateway = build_app(lambda: open_gateway(open_planes(), admin), settings.server_options(), document_routes())
        hosts = allowed_hosts(arguments.host, env.get(ALLOWED_HOSTS_SETTING, ""))
        _serve(HostCheck(PlaneRouter(gateway, admin), hosts), listener)
    return 0


def _open_store(
    arguments: ServeOptions, env: Mapping[str, str], demo_keys: DemoKeys | None, stack: ExitStack
) -> tuple[Settings, OpenPlanes]:
    """Return the settings, and a function that opens both planes. The embedded AWS runs until `stack` is closed."""
    if demo_keys is None:
        settings = Settings.from_env(env)
        return settings, partial(_open_aws, settings)
    if arguments.store == "memory":
        settings = local_settings(env, None)
        return settings, partial(open_in_memory, settings, demo_keys)
    endpoint = arguments.dynamodb_endpoint or stack.enter_context(embedded_aws(arguments.embedded_port))
    settings = local_settings(env, endpoint)
    if arguments.dynamodb_endpoint is None:
        settings = with_bucket(settings, endpoint)
    asyncio.run(_prepare(settings, demo_keys.key))
    return settings, partial(_open_embedded, settings, demo_keys)


@asynccontextmanager
async def open_gateway(planes_context: AbstractAsyncContextManager[Planes], admin: FastAPI) -> AsyncGenerator[Gateway]:
    """Open both planes, and connect `admin` to the control plane."""
    async with planes_context as planes:
        admin.state.control = planes.control
        yield planes.gateway


@asynccontextmanager
async def _open_aws(settings: Settings) -> AsyncGenerator[Planes]:
    async with AwsWorld(settings) as world, sweep_in_background(create_sweeper(world)):
        yield Planes(await create_aws_gateway(world), create_aws_control(world))


@asynccontextmanager
async def _open_embedded(settings: Settings, demo_keys: DemoKeys) -> AsyncGenerator[Planes]:
    async with (
        AwsWorld(settings, table_credentials=EMBEDDED_CREDENTIALS, vault=MemoryVault()) as world,
        sweep_in_background(create_sweeper(world)),
    ):
        planes = Planes(await create_aws_gateway(world, DEMO_OVERRIDES), create_aws_control(world))
        await create_demo_admin(planes.control, demo_keys.admin_key)
        yield planes


@asynccontextmanager
async def open_in_memory(settings: Settings, demo_keys: DemoKeys) -> AsyncGenerator[Planes]:
    """Open both planes in memory, with the demo tenant. No sweeper runs: an earlier process has left no call."""
    async with MemoryWorld(settings, find_credentials(settings.environment)) as world:
        await seed_demo_tenant(world.tenants, world.tenants, demo_keys.key)
        planes = Planes(await create_memory_gateway(world, DEMO_OVERRIDES), create_memory_control(world))
        await create_demo_admin(planes.control, demo_keys.admin_key)
        yield planes


async def _prepare(settings: Settings, demo_key: str) -> None:
    try:
        async with (
            asyncio.timeout(PREPARE_SECONDS),
            AwsWorld(settings, table_credentials=EMBEDDED_CREDENTIALS) as world,
        ):
            await prepare_table(world.store.client, settings.table, demo_key)
            bucket = configured_bucket(settings, world.store.client)
            if bucket is not None:
                await bucket.create()
    except REQUEST_FAILURES as error:
        is_wrapper = isinstance(error, StoreUnavailable) and error.__cause__ is not None
        raise _store_unavailable(error.__cause__ if is_wrapper else error, settings) from error


def _store_unavailable(cause: BaseException | None, settings: Settings) -> StoreUnavailable:
    return StoreUnavailable(explain_store_error(cause, StoreLocation(settings)))


async def _banner_when_ready(
    open_planes: OpenPlanes, settings: Settings, address: tuple[str, int], store: str, demo_keys: DemoKeys | None
) -> str:
    """Return the banner once the store has answered. Raises `StoreUnavailable` and `ConfigurationError`."""
    async with open_planes() as planes:
        gateway = planes.gateway
        try:
            await gateway.authenticator.authenticate("Bearer nobody", None)
        except InvalidKey:
            pass
        except StoreUnavailable as error:
            raise _store_unavailable(error.__cause__, settings) from error
        return banner(*address, store, settings.aws.dynamodb_endpoint, gateway, demo_keys)


def _serve(app: ASGIApp, listener: socket.socket) -> None:
    config = uvicorn.Config(
        SettlementGuard(app),
        http=ConnectionGuard,
        ws="none",
        log_level="warning",
        access_log=False,
        lifespan="on",
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    GracefulServer(config).run(sockets=[listener])

"""`python -m tidegate serve`: the whole gateway in one process, with an embedded AWS, in memory, or on a real table."""

import argparse
import asyncio
import logging
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, ExitStack
from typing import TypeAlias

import uvicorn
from msgspec import Struct
from starlette.types import ASGIApp

from tidegate.api.admin.app import build_admin
from tidegate.api.app import build_app
from tidegate.aws import compose as on_aws
from tidegate.aws import logs
from tidegate.aws.credentials import find_credentials
from tidegate.aws.dynamo import REQUEST_FAILURES, create_dynamo_client
from tidegate.aws.reply_store import configured_bucket
from tidegate.aws.sweeper import open_sweeper
from tidegate.cli.connection import StoreLocation, explain_store_error
from tidegate.cli.workspaces import Subparsers
from tidegate.errors import ConfigurationError, InvalidKey, StoreUnavailable
from tidegate.gateway import Gateway
from tidegate.local.admin import DemoSeed, PlaneRouter, with_control_plane
from tidegate.local.background_sweeper import with_sweeper
from tidegate.local.banner import banner
from tidegate.local.demo import DEMO_ROW, DemoTransport
from tidegate.local.embedded import (
    EMBEDDED_CREDENTIALS,
    embedded_aws,
    listen,
    local_settings,
    prepare_table,
    with_bucket,
)
from tidegate.local.graceful_shutdown import GracefulServer, SettlementGuard
from tidegate.local.openapi_routes import document_routes
from tidegate.memory import compose as in_memory
from tidegate.memory.vault import MemoryVault
from tidegate.settings import Settings
from tidegate.transport.aws_credentials import SigningKeys
from tidegate.transport.choose import create_transport

SERVER_DEFAULTS = {"TIDEGATE_TRANSPORT": "aiohttp"}
"""Defaults of the local server. Its transport closes the provider's connection when a client disconnects, which a
server can notice; it is too slow to load for a cold start.
"""

GRACE_SECONDS = 3
"""How long running calls may continue once the server is asked to stop."""

PREPARE_SECONDS = 5
"""How long the table may take to be ready."""

OpenGateway: TypeAlias = Callable[[], AbstractAsyncContextManager[Gateway]]


class ServeOptions(Struct, frozen=True):
    """The options of the command line."""

    host: str
    port: int
    store: str
    dynamodb_endpoint: str | None
    embedded_port: int


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
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Serve until interrupted. Raises `ConfigurationError` and `StoreUnavailable` before the first request."""
    arguments = ServeOptions(
        options.host, options.port, options.store, options.dynamodb_endpoint, options.embedded_port
    )
    if arguments.dynamodb_endpoint and arguments.store != "embedded":
        raise ConfigurationError("--dynamodb-endpoint can be used with --store embedded only.")
    with ExitStack() as stack:
        listener = stack.enter_context(listen(arguments.host, arguments.port))
        logging.getLogger("tidegate").addHandler(logging.NullHandler())  # until it serves, errors are one printed line
        demo_seed, admin = DemoSeed(), build_admin()
        settings, open_gateway = _compose(arguments, SERVER_DEFAULTS | os.environ, stack, demo_seed)
        host, port = listener.getsockname()[:2]
        print(asyncio.run(_banner_when_ready(open_gateway, settings, host, port, arguments.store)), flush=True)
        logs.configure(settings.log_level)
        open_with_sweeper, demo = _with_sweeper(open_gateway, settings, arguments.store), arguments.store != "aws"
        gateway = build_app(
            lambda: with_control_plane(open_with_sweeper(), admin, demo_seed, demo=demo),
            settings.server_options(),
            document_routes(),
        )
        _serve(PlaneRouter(gateway, admin), listener)
    return 0


def _compose(
    arguments: ServeOptions, env: Mapping[str, str], stack: ExitStack, demo_seed: DemoSeed
) -> tuple[Settings, OpenGateway]:
    """Return the settings, and a function that opens the gateway. The embedded AWS runs until `stack` is closed."""
    if arguments.store == "aws":
        settings = Settings.from_env(env)
        return settings, lambda: on_aws.compose(settings)
    if arguments.store == "memory":
        settings = local_settings(env, None)
        credentials = find_credentials(env)
        return settings, lambda: in_memory.compose(
            settings, (DEMO_ROW,), DemoTransport, demo_seed, identity=lambda http: SigningKeys(credentials, http)
        )
    endpoint = arguments.dynamodb_endpoint or stack.enter_context(embedded_aws(arguments.embedded_port))
    settings = local_settings(env, endpoint)
    if arguments.dynamodb_endpoint is None:
        settings = with_bucket(settings, endpoint)
    asyncio.run(_prepare(settings))
    return settings, lambda: on_aws.compose(settings, (DEMO_ROW,), DemoTransport, EMBEDDED_CREDENTIALS, MemoryVault())


def _with_sweeper(open_gateway: OpenGateway, settings: Settings, store: str) -> OpenGateway:
    """Add a sweeper, unless the store is in memory: there, no call of an earlier process is left."""
    if store == "memory":
        return open_gateway
    credentials = EMBEDDED_CREDENTIALS if store == "embedded" else None
    return lambda: with_sweeper(open_gateway(), open_sweeper(settings, credentials))


async def _prepare(settings: Settings) -> None:
    http = create_transport(settings.transport)
    try:
        client = create_dynamo_client(http, EMBEDDED_CREDENTIALS, settings.aws.region, settings.aws.dynamodb_endpoint)
        async with asyncio.timeout(PREPARE_SECONDS):
            await prepare_table(client, settings.table)
            bucket = configured_bucket(settings, client)
            if bucket is not None:
                await bucket.create()
    except REQUEST_FAILURES as error:
        raise _store_unavailable(error, settings) from error
    except StoreUnavailable as error:
        raise _store_unavailable(error.__cause__, settings) from error
    finally:
        await http.close()


def _store_unavailable(cause: BaseException | None, settings: Settings) -> StoreUnavailable:
    aws = settings.aws
    return StoreUnavailable(
        explain_store_error(
            cause,
            StoreLocation(settings.table, aws.region, aws.dynamodb_endpoint, EMBEDDED_CREDENTIALS, embedded=False),
        )
    )


async def _banner_when_ready(open_gateway: OpenGateway, settings: Settings, host: str, port: int, store: str) -> str:
    """Return the banner once the store has answered. Raises `StoreUnavailable` and `ConfigurationError`."""
    async with open_gateway() as gateway:
        try:
            await gateway.authenticator.authenticate("Bearer nobody", None)
        except InvalidKey:
            pass
        except StoreUnavailable as error:
            raise _store_unavailable(error.__cause__, settings) from error
        return banner(host, port, store, settings.aws.dynamodb_endpoint, gateway)


def _serve(app: ASGIApp, listener: socket.socket) -> None:
    config = uvicorn.Config(
        SettlementGuard(app),
        log_level="warning",
        access_log=False,
        lifespan="on",
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    GracefulServer(config).run(sockets=[listener])

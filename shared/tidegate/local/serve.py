"""`python -m tidegate serve`: the whole gateway in one process, on an embedded AWS, in memory, or on a real table."""

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
from tidegate.aws.dynamo import FAILURES, connect
from tidegate.aws.reply_store import bucket_of
from tidegate.aws.sweeper import open_sweeper
from tidegate.cli.connection import Place, explain
from tidegate.cli.workspaces import Verbs
from tidegate.errors import ConfigurationError, InvalidKey, StoreUnavailable
from tidegate.gateway import Gateway
from tidegate.local.admin import Planes, Seed, administered
from tidegate.local.background_sweeper import sweeping
from tidegate.local.banner import banner
from tidegate.local.demo import DEMO_ROW, DemoTransport
from tidegate.local.embedded import CREDENTIALS, embedded_aws, listen, prepare, settings_for, with_bucket
from tidegate.local.graceful_shutdown import Server, Settling
from tidegate.local.openapi_routes import document_routes
from tidegate.memory import compose as in_memory
from tidegate.memory.vault import MemoryVault
from tidegate.settings import Settings
from tidegate.transport.aws_credentials import AwsIdentity
from tidegate.transport.choose import transport

SERVED = {"TIDEGATE_TRANSPORT": "aiohttp"}
"""Settings that a server has unless the environment says otherwise: it learns that a client left, and this transport
takes back what was sent for it. It is too slow to load for a cold start.
"""

GRACE_SECONDS = 3
"""What calls that are running have left once the server is told to end."""

PREPARE_SECONDS = 5
"""What another DynamoDB has until its table is ready."""

OpenGateway: TypeAlias = Callable[[], AbstractAsyncContextManager[Gateway]]


class Arguments(Struct, frozen=True):
    """What the command line says."""

    host: str
    port: int
    store: str
    dynamodb_endpoint: str | None
    embedded_port: int


def add_parser(commands: Verbs, name: str, summary: str) -> None:
    parser = commands.add_parser(name, help=summary)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument(
        "--store",
        choices=("embedded", "memory", "aws"),
        default="embedded",
        help="where keys and usage live: an AWS inside this process (the default), its memory, or your table",
    )
    parser.add_argument("--dynamodb-endpoint", metavar="URL", help="another local DynamoDB instead of the embedded one")
    parser.add_argument("--embedded-port", type=int, default=8001, help="where the embedded AWS listens; 0: anywhere")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Serve until interrupted. Raises `ConfigurationError` and `StoreUnavailable` before the first request."""
    arguments = Arguments(options.host, options.port, options.store, options.dynamodb_endpoint, options.embedded_port)
    if arguments.dynamodb_endpoint and arguments.store != "embedded":
        raise ConfigurationError("--dynamodb-endpoint goes with --store embedded only.")
    with ExitStack() as stack:
        door = stack.enter_context(listen(arguments.host, arguments.port))
        logging.getLogger("tidegate").addHandler(logging.NullHandler())  # until it serves, one line says it all
        seeded, admin = Seed(), build_admin()
        settings, open_gateway = _world(arguments, SERVED | os.environ, stack, seeded)
        host, port = door.getsockname()[:2]
        print(asyncio.run(_ready(open_gateway, settings, host, port, arguments.store)), flush=True)
        logs.configure(settings.log_level)
        kept, demo = _kept(open_gateway, settings, arguments.store), arguments.store != "aws"
        gateway = build_app(
            lambda: administered(kept(), admin, seeded, demo=demo), settings.options(), document_routes()
        )
        _serve(Planes(gateway, admin), door)
    return 0


def _world(
    arguments: Arguments, env: Mapping[str, str], stack: ExitStack, seeded: Seed
) -> tuple[Settings, OpenGateway]:
    """The settings and the composition that the command line asks for; the embedded AWS lives as long as `stack`."""
    if arguments.store == "aws":
        settings = Settings.from_env(env)
        return settings, lambda: on_aws.compose(settings)
    if arguments.store == "memory":
        settings = settings_for(env, None)
        credentials = find_credentials(env)
        return settings, lambda: in_memory.compose(
            settings, (DEMO_ROW,), DemoTransport, seeded, identity=lambda http: AwsIdentity(credentials, http)
        )
    endpoint = arguments.dynamodb_endpoint or stack.enter_context(embedded_aws(arguments.embedded_port))
    settings = settings_for(env, endpoint)
    if arguments.dynamodb_endpoint is None:
        settings = with_bucket(settings, endpoint)
    asyncio.run(_prepare(settings))
    return settings, lambda: on_aws.compose(settings, (DEMO_ROW,), DemoTransport, CREDENTIALS, MemoryVault())


def _kept(open_gateway: OpenGateway, settings: Settings, store: str) -> OpenGateway:
    """With a sweeper, where calls may have been lost with an earlier process."""
    if store == "memory":
        return open_gateway
    credentials = CREDENTIALS if store == "embedded" else None
    return lambda: sweeping(open_gateway(), open_sweeper(settings, credentials))


async def _prepare(settings: Settings) -> None:
    http = transport(settings.transport)
    try:
        client = connect(http, CREDENTIALS, settings.aws.region, settings.aws.dynamodb_endpoint)
        async with asyncio.timeout(PREPARE_SECONDS):
            await prepare(client, settings.table)
            bucket = bucket_of(settings, client)
            if bucket is not None:
                await bucket.create()
    except FAILURES as error:
        raise _unavailable(error, settings) from error
    except StoreUnavailable as error:
        raise _unavailable(error.__cause__, settings) from error
    finally:
        await http.close()


def _unavailable(cause: BaseException | None, settings: Settings) -> StoreUnavailable:
    aws = settings.aws
    return StoreUnavailable(
        explain(cause, Place(settings.table, aws.region, aws.dynamodb_endpoint, CREDENTIALS, embedded=False))
    )


async def _ready(open_gateway: OpenGateway, settings: Settings, host: str, port: int, store: str) -> str:
    """The banner, once the store has answered. Raises `StoreUnavailable` and `ConfigurationError`."""
    async with open_gateway() as gateway:
        try:
            await gateway.authenticator.authenticate("Bearer nobody", None)
        except InvalidKey:
            pass
        except StoreUnavailable as error:
            raise _unavailable(error.__cause__, settings) from error
        return banner(host, port, store, settings.aws.dynamodb_endpoint, gateway)


def _serve(app: ASGIApp, door: socket.socket) -> None:
    config = uvicorn.Config(
        Settling(app), log_level="warning", access_log=False, lifespan="on", timeout_graceful_shutdown=GRACE_SECONDS
    )
    Server(config).run(sockets=[door])

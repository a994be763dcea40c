"""`python -m tidegate serve`: the whole gateway in one process, over a data folder, memory, or a table."""

import argparse
import asyncio
import logging
import os
import socket
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, suppress

from fastapi import FastAPI
from msgspec.structs import replace

from tidegate.api.admin.app import build_admin
from tidegate.api.app import build_app
from tidegate.aws import logs
from tidegate.cli.connection import explain_store_error
from tidegate.cli.workspaces import Subparsers
from tidegate.errors import ConfigurationError, InvalidKey, StoreUnavailable
from tidegate.gateway import Gateway
from tidegate.local.admin import PlaneRouter
from tidegate.local.background_batches import open_batches
from tidegate.local.banner import banner
from tidegate.local.demo_keys import KEY_SETTING
from tidegate.local.host_check import ALLOWED_HOSTS_SETTING, HostCheck, allowed_hosts, is_wildcard
from tidegate.local.listener import listen_for_each
from tidegate.local.openapi_routes import document_routes
from tidegate.local.stores import LocalStore, Planes, StoreOptions, open_store
from tidegate.local.workers import Supervisor, WorkerTask
from tidegate.policy.routing.states import RoutingStates
from tidegate.runtime.lifespan import StartupFailed
from tidegate.server.process import run as run_server
from tidegate.server.proxies import LOOPBACK, TrustedProxies
from tidegate.sqlite.folder import DATA_VARIABLE, DataFolder, find_data_folder

DEFAULT_EMBEDDED_HOST, DEFAULT_EMBEDDED_PORT = "127.0.0.1", 8001

PROXIES_SETTING = "FORWARDED_ALLOW_IPS"
"""Names the proxies whose `x-forwarded-for` is believed, as it does for uvicorn and gunicorn."""


def add_parser(commands: Subparsers, name: str, summary: str) -> None:
    parser = commands.add_parser(name, help=summary)
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on; default: 127.0.0.1")
    parser.add_argument("--port", type=int, default=8000, help="the port to listen on; default: 8000; 0: any free port")
    parser.add_argument("--workers", type=int, default=1, help="processes that serve, one for each core; default: 1")
    parser.add_argument(
        "--store",
        choices=("local", "memory", "aws", "embedded"),
        help="where keys and usage are stored: a folder on this machine (local, the default), memory, your table on "
        "AWS, or an AWS inside this process (embedded)",
    )
    parser.add_argument("--data", metavar="DIR", help=f"the folder; default: {DATA_VARIABLE}, or this user's own")
    parser.add_argument("--ephemeral", action="store_true", help="keep nothing: the same as --store memory")
    parser.add_argument("--no-demo", action="store_true", help="without the demo workspace, its keys and its provider")
    parser.add_argument("--demo-key", metavar="KEY", help=f"the demo key; default: {KEY_SETTING}, or a random one")
    parser.add_argument("--dynamodb-endpoint", metavar="URL", help="with --store embedded: a local DynamoDB instead")
    parser.add_argument(
        "--embedded-port",
        type=int,
        help=f"the embedded AWS's port; default: {DEFAULT_EMBEDDED_PORT}; 0: any free port",
    )
    parser.add_argument(
        "--embedded-host",
        metavar="ADDRESS",
        help="the address of the embedded AWS; default: 127.0.0.1. With another one, whoever reaches it can read and "
        "change everything; containers of Docker reach 0.0.0.0 as host.docker.internal",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Serve until interrupted. Raises `ConfigurationError` and `StoreUnavailable` before the first request."""
    env = os.environ
    choice, _ = choose_store(options, env), _trusted_proxies(env)
    with ExitStack() as stack:
        listeners = [stack.enter_context(each) for each in listen_for_each(options.host, options.port, options.workers)]
        logging.getLogger("tidegate").addHandler(logging.NullHandler())  # until it serves, errors are one printed line
        store = open_store(choice, env, stack)
        host, port = listeners[0].getsockname()[:2]
        text = asyncio.run(_banner_when_ready(store, host, port, options.workers))
        _record_server(choice.folder, store, host, port, stack)
        if choice.embedded_host != DEFAULT_EMBEDDED_HOST:
            print("  WARNING: others can reach the embedded AWS, and read and change everything in it.\n")
        print(text, flush=True)
        if options.workers == 1:
            _serve(store, options.host, listeners[0], env)
        else:
            logs.configure(store.settings.log_level)
            asyncio.run(_supervise(options, listeners))
    return 0


def serve_as_worker(task: WorkerTask) -> None:
    """Serve until interrupted, as one process of several. Raises `ConfigurationError` and `StoreUnavailable`."""
    env, options = os.environ, argparse.Namespace(**task.options)
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket(fileno=task.listener))
        store = open_store(replace(choose_store(options, env), worker=task), env, stack)
        _serve(store, options.host, listener, env)


def choose_store(options: argparse.Namespace, env: Mapping[str, str]) -> StoreOptions:
    """Return the store that the options choose. Raises `ConfigurationError` for options that contradict each other."""
    store = options.store or ("memory" if options.ephemeral else "embedded" if options.dynamodb_endpoint else "local")
    contradictions = (
        (options.ephemeral and store != "memory", "--ephemeral", "memory"),
        (options.data and store != "local", "--data", "local"),
        (options.dynamodb_endpoint and store != "embedded", "--dynamodb-endpoint", "embedded"),
        (options.embedded_port is not None and store != "embedded", "--embedded-port", "embedded"),
        (options.embedded_host is not None and store != "embedded", "--embedded-host", "embedded"),
    )
    for is_contradiction, option, allowed in contradictions:
        if is_contradiction:
            raise ConfigurationError(f"{option} can be used with --store {allowed} only.")
    if options.workers < 1:
        raise ConfigurationError("--workers must be at least 1.")
    if options.workers > 1 and store not in ("local", "aws"):
        raise ConfigurationError(
            f"--workers can be used with --store local or aws only: of {store}, each would have its own."
        )
    return StoreOptions(
        store,
        find_data_folder(options.data, env),
        options.dynamodb_endpoint,
        DEFAULT_EMBEDDED_PORT if options.embedded_port is None else options.embedded_port,
        options.embedded_host or DEFAULT_EMBEDDED_HOST,
        demo_key=options.demo_key,
        has_demo=not options.no_demo,
    )


@asynccontextmanager
async def open_gateway(planes_context: AbstractAsyncContextManager[Planes], admin: FastAPI) -> AsyncGenerator[Gateway]:
    """Open both planes, and connect `admin` to the control plane. The batch engine is not running yet."""
    async with planes_context as planes:
        states = RoutingStates(planes.gateway.router, planes.gateway.balancer)
        admin.state.control, admin.state.batches = replace(planes.control, providers=states), planes.batches
        admin.state.authenticator = planes.gateway.authenticator
        yield planes.gateway


async def _banner_when_ready(store: LocalStore, host: str, port: int, workers: int) -> str:
    """Return the banner once the store has answered. Raises `StoreUnavailable` and `ConfigurationError`."""
    async with store.open_planes() as planes:
        gateway = planes.gateway
        try:
            await gateway.authenticator.authenticate("Bearer nobody", None)
        except InvalidKey:
            pass
        except StoreUnavailable as error:
            raise StoreUnavailable(explain_store_error(error.__cause__, store.location)) from error
        drop_folder = planes.batches.drop_folder if planes.batches else None
        places = [
            ("data", store.place),
            *([("workers", f"{workers} processes")] if workers > 1 else []),
            *([("batches", f"drop files of requests into {drop_folder.path}")] if drop_folder else []),
        ]
        return banner(host, port, store.name, places, gateway, store.demo_keys)


def _record_server(folder: DataFolder, store: LocalStore, host: str, port: int, stack: ExitStack) -> None:
    """Record this process in the data folder until `stack` is closed, so that the command line finds its store."""
    here = "127.0.0.1" if is_wildcard(host) else host
    server = store.running_server(f"http://[{here}]:{port}" if ":" in here else f"http://{here}:{port}")
    with suppress(*((ConfigurationError,) if store.name != "local" else ())):  # the others need no folder
        folder.write_server(server)
        stack.callback(folder.forget_server, server.pid)


def _serve(store: LocalStore, host: str, listener: socket.socket, env: Mapping[str, str]) -> None:
    """Serve both planes over the store, which is reached at `host`, until a signal comes."""
    settings, admin = store.settings, build_admin(issuer=store.settings.oidc)
    logs.configure(settings.log_level, settings.metrics_namespace, gathers=True)
    gateway = build_app(
        lambda: open_gateway(store.open_planes(), admin),
        settings.server_options(),
        document_routes(),
        open_batches=lambda _: open_batches(admin.state.batches),
    )
    hosts = allowed_hosts(host, env.get(ALLOWED_HOSTS_SETTING, ""))
    try:
        run_server(HostCheck(PlaneRouter(gateway, admin), hosts), [listener], proxies=_trusted_proxies(env))
    except StartupFailed as error:
        raise error.__cause__ or error from None


async def _supervise(options: argparse.Namespace, listeners: Sequence[socket.socket]) -> None:
    words = {name: value for name, value in vars(options).items() if name != "run"}
    reading, writing = os.pipe()
    try:
        await Supervisor(words, listeners, (reading, writing)).run()
    finally:
        os.close(reading)
        os.close(writing)


def _trusted_proxies(env: Mapping[str, str]) -> TrustedProxies:
    try:
        return TrustedProxies.parse(env.get(PROXIES_SETTING, LOOPBACK))
    except ValueError as error:
        raise ConfigurationError(
            f"{PROXIES_SETTING} must be addresses or networks, separated by commas: {error}."
        ) from None

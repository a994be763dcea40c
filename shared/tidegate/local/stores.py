"""The store of the local server: a data folder, an embedded AWS, memory, or a table on AWS; both planes over it."""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from functools import partial
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from tidegate.api.app import ENDPOINTS
from tidegate.aws.aggregates import create_server_rollup
from tidegate.aws.batches import batch_bucket, create_aws_batches
from tidegate.aws.control import create_aws_control
from tidegate.aws.credentials import find_credentials
from tidegate.aws.dynamo import REQUEST_FAILURES
from tidegate.aws.gateway import create_aws_gateway
from tidegate.aws.reply_store import configured_bucket
from tidegate.aws.sweeper import create_sweeper
from tidegate.aws.table import create_table
from tidegate.aws.world import AwsWorld
from tidegate.cli.connection import StoreLocation, explain_store_error
from tidegate.compose import NO_OVERRIDES, Overrides
from tidegate.control.control import Control
from tidegate.errors import ConfigurationError, StoreUnavailable
from tidegate.gateway import Gateway
from tidegate.lazy import load
from tidegate.local.background_batches import LocalBatches
from tidegate.local.background_sweeper import roll_in_background, sweep_in_background
from tidegate.local.batch_pipe import PipedBatchQueue
from tidegate.local.demo import DEMO_ROW, DemoTransport
from tidegate.local.demo_keys import DemoKeys, choose_demo_keys
from tidegate.local.demo_tenant import (
    DEMO_WORKSPACE,
    choose_kept_keys,
    create_demo_admin,
    keep_keys,
    seed_demo_tenant,
    seed_table,
)
from tidegate.local.drop_folder import DropFolder
from tidegate.local.workers import WorkerTask
from tidegate.memory.batch_queue import MemoryBatchQueue
from tidegate.memory.batches import create_memory_batches
from tidegate.memory.vault import MemoryVault
from tidegate.memory.world import MemoryWorld, create_memory_control, create_memory_gateway, create_memory_rollup
from tidegate.settings import AwsSettings, Settings
from tidegate.sqlite.batches import create_folder_batches
from tidegate.sqlite.folder import DataFolder, RunningServer
from tidegate.sqlite.world import SqliteWorld, create_folder_sweeper
from tidegate.transport.aws_credentials import StaticCredentials
from tidegate.transport.sigv4 import AwsKey

TABLE = "tidegate"
BUCKET, BATCH_BUCKET = "tidegate-replies", "tidegate-batches"
REGION = "us-east-1"

PREPARE_SECONDS = 5
"""How long the table may take to be ready."""

EMBEDDED_CREDENTIALS = StaticCredentials(AwsKey("local", "local"))
"""Credentials of the embedded AWS. The environment's own are used for Bedrock."""

DEMO_OVERRIDES = Overrides(rows=(DEMO_ROW,), wrap=DemoTransport)
"""Adds the provider `demo`."""


class Planes(Struct, frozen=True):
    """The data plane, the control plane and the batch engine, over one store."""

    gateway: Gateway
    control: Control
    batches: LocalBatches | None = None


OpenPlanes: TypeAlias = Callable[[], AbstractAsyncContextManager[Planes]]


class StoreOptions(Struct, frozen=True):
    """The options that choose the store. `has_demo`: the demo tenant and its provider are there.

    `worker`: this process is one of several over the store.
    """

    store: str
    folder: DataFolder
    dynamodb_endpoint: str | None = None
    embedded_port: int = 8001
    embedded_host: str = "127.0.0.1"
    demo_key: str | None = None
    has_demo: bool = True
    worker: WorkerTask | None = None

    @property
    def works_in_background(self) -> bool:
        """True if this process sweeps, rolls call records up, and does the steps of batches."""
        return self.worker is None or self.worker.is_first


class LocalStore(Struct, frozen=True):
    """A store that is ready: its settings and location, a function that opens both planes, and the demo keys."""

    name: str
    location: StoreLocation
    open_planes: OpenPlanes
    demo_keys: DemoKeys | None = None

    @property
    def settings(self) -> Settings:
        return self.location.settings

    @property
    def place(self) -> str:
        """Where the data are, for the banner."""
        match self.name:
            case "local" if self.location.folder:
                return f"{self.location.folder.path}   (kept; --ephemeral keeps nothing)"
            case "memory":
                return "in memory, and lost when the server stops"
            case "embedded":
                return f"DynamoDB at {self.settings.aws.dynamodb_endpoint}"
            case _:
                return "your table"

    def running_server(self, url: str) -> RunningServer:
        """The record of this process for the command line."""
        settings = self.settings
        aws = settings.aws
        return RunningServer(os.getpid(), url, self.name, settings.table, aws.region, aws.dynamodb_endpoint)


def open_store(options: StoreOptions, env: Mapping[str, str], stack: ExitStack) -> LocalStore:
    """Prepare the store. An embedded AWS runs until `stack` is closed.

    Raises `ConfigurationError` and `StoreUnavailable`.
    """
    if options.store == "aws":
        settings = Settings.from_env(env)
        return LocalStore("aws", StoreLocation(settings), partial(_open_aws, settings, options.works_in_background))
    if options.store == "local":
        return _prepare_data_folder(options, env)
    demo_keys = choose_demo_keys(env, options.demo_key) if options.has_demo else None
    if options.store == "memory":
        settings = local_settings(env, None)
        return LocalStore("memory", StoreLocation(settings), partial(open_in_memory, settings, demo_keys), demo_keys)
    return _start_embedded_aws(options, env, demo_keys, stack)


def _prepare_data_folder(options: StoreOptions, env: Mapping[str, str]) -> LocalStore:
    """Open the data folder once, with the demo tenant. The demo keys are the same with each start."""
    settings, folder = local_settings(env, None), options.folder
    demo_keys, is_new = choose_kept_keys(folder, env, options.demo_key) if options.has_demo else (None, False)

    async def seed(keys: DemoKeys) -> None:
        async with SqliteWorld(folder, settings) as world:
            await seed_table(world, keys)

    if demo_keys is not None and is_new:
        asyncio.run(seed(demo_keys))
        keep_keys(folder, demo_keys)
    location = StoreLocation(settings, folder=folder)
    return LocalStore("local", location, partial(_open_data_folder, settings, options), demo_keys)


def _start_embedded_aws(
    options: StoreOptions, env: Mapping[str, str], demo_keys: DemoKeys | None, stack: ExitStack
) -> LocalStore:
    """Prepare the table at the DynamoDB of the options, or else in an AWS inside this process."""
    endpoint = options.dynamodb_endpoint
    if endpoint is None:
        try:
            embedded_aws = load("tidegate.local.embedded", "embedded_aws")
        except ModuleNotFoundError as error:
            raise ConfigurationError(
                f"{error.name} is not installed: run `pip install '.[embedded]'` in the folder of the repository."
            ) from None
        endpoint = stack.enter_context(embedded_aws(options.embedded_port, options.embedded_host))
        settings = with_bucket(local_settings(env, endpoint), endpoint)
    else:
        settings = local_settings(env, endpoint)
    location = StoreLocation(settings)
    asyncio.run(_prepare_table(location, demo_keys))
    return LocalStore("embedded", location, partial(_open_embedded, settings, options.has_demo), demo_keys)


async def _prepare_table(location: StoreLocation, demo_keys: DemoKeys | None) -> None:
    """Create the table, its buckets and the demo tenant unless they exist. Raises `StoreUnavailable`."""
    settings = location.settings
    try:
        async with (
            asyncio.timeout(PREPARE_SECONDS),
            AwsWorld(settings, table_credentials=EMBEDDED_CREDENTIALS) as world,
        ):
            await create_table(world.store.client, settings.table)
            if demo_keys is not None:
                await seed_table(world, demo_keys)
            for bucket in (configured_bucket(settings, world.store.client), batch_bucket(world)):
                if bucket is not None:
                    await bucket.create()
    except REQUEST_FAILURES as error:
        is_wrapper = isinstance(error, StoreUnavailable) and error.__cause__ is not None
        cause = error.__cause__ if is_wrapper else error
        raise StoreUnavailable(explain_store_error(cause, location)) from error


@asynccontextmanager
async def _open_aws(settings: Settings, works_in_background: bool) -> AsyncGenerator[Planes]:
    async with (
        AwsWorld(settings) as world,
        sweep_in_background(create_sweeper(world), is_on=works_in_background),
        sweep_in_background(create_server_rollup(world.store), is_on=works_in_background),
    ):
        gateway = await create_aws_gateway(world)
        batches = create_aws_batches(world, gateway, ENDPOINTS)
        control = create_aws_control(world, batches.objects if batches else None)
        yield Planes(gateway, control, LocalBatches(batches) if batches else None)


@asynccontextmanager
async def _open_embedded(settings: Settings, has_demo: bool) -> AsyncGenerator[Planes]:
    async with (
        AwsWorld(settings, table_credentials=EMBEDDED_CREDENTIALS, vault=MemoryVault()) as world,
        sweep_in_background(create_sweeper(world)),
        roll_in_background(create_server_rollup(world.store)),
    ):
        gateway = await create_aws_gateway(world, DEMO_OVERRIDES if has_demo else NO_OVERRIDES)
        queue = MemoryBatchQueue()
        batches = create_aws_batches(world, gateway, ENDPOINTS, queue)
        control = create_aws_control(world, batches.objects if batches else None)
        yield Planes(gateway, control, LocalBatches(batches, queue) if batches else None)


@asynccontextmanager
async def _open_data_folder(settings: Settings, options: StoreOptions) -> AsyncGenerator[Planes]:
    folder, has_demo, is_on = options.folder, options.has_demo, options.works_in_background
    async with (
        SqliteWorld(folder, settings) as world,
        sweep_in_background(create_folder_sweeper(world), is_on=is_on),
        roll_in_background(create_server_rollup(world.store), is_on=is_on),
    ):
        gateway = await create_aws_gateway(world, DEMO_OVERRIDES if has_demo else NO_OVERRIDES)
        drop = DropFolder(folder.objects, DEMO_WORKSPACE if has_demo else None)
        _create(drop)
        pipe, queue = options.worker and options.worker.batch_pipe, MemoryBatchQueue()
        sending = queue if pipe is None or is_on else PipedBatchQueue(pipe)
        components = create_folder_batches(world, gateway, ENDPOINTS, sending)
        batches = LocalBatches(components, queue, is_kept=True, drop_folder=drop, pipe=pipe)
        control = create_aws_control(world, components.objects)
        yield Planes(gateway, control, batches if is_on else LocalBatches(components))


def _create(drop_folder: DropFolder) -> None:
    try:
        drop_folder.create()
    except OSError as error:
        raise ConfigurationError(f"Cannot create the folder {drop_folder.path}: {error.strerror}.") from None


@asynccontextmanager
async def open_in_memory(settings: Settings, demo_keys: DemoKeys | None) -> AsyncGenerator[Planes]:
    """Open both planes in memory, with the demo tenant. No sweeper runs: an earlier process has left no call."""
    async with (
        MemoryWorld(settings, find_credentials(settings.environment)) as world,
        roll_in_background(create_memory_rollup(world)),
    ):
        overrides = NO_OVERRIDES if demo_keys is None else DEMO_OVERRIDES
        gateway, queue = await create_memory_gateway(world, overrides), MemoryBatchQueue()
        batches = create_memory_batches(world, gateway, ENDPOINTS, queue)
        planes = Planes(gateway, create_memory_control(world), LocalBatches(batches, queue))
        if demo_keys is not None:
            await seed_demo_tenant(world.tenants, world.tenants, demo_keys.key)
            await create_demo_admin(planes.control, demo_keys.admin_key)
        yield planes


def local_settings(env: Mapping[str, str], endpoint: str | None) -> Settings:
    """Read the settings in `env`, but use the local table instead of the AWS account that `env` may name."""
    local_env = {
        "AWS_REGION": REGION,
        **env,
        "TIDEGATE_TABLE": TABLE,
        "TIDEGATE_PROVIDER_SECRET": "",
        "TIDEGATE_EVENT_BUS": "",
        "TIDEGATE_REPLY_BUCKET": "",
        "TIDEGATE_BATCH_BUCKET": "",
        "TIDEGATE_BATCH_QUEUE": "",
        "TIDEGATE_REPLY_QUEUE": "",
        "TIDEGATE_TRACE_KEY": "",
    }
    return replace(Settings.from_env(local_env), aws=AwsSettings(REGION, endpoint))


def with_bucket(settings: Settings, endpoint: str) -> Settings:
    """Return the settings with the embedded AWS's buckets; another DynamoDB emulator may not offer S3."""
    return replace(
        settings, reply_bucket=BUCKET, batch_bucket=BATCH_BUCKET, aws=replace(settings.aws, s3_endpoint=endpoint)
    )

"""The table that a command works on: on AWS, in a data folder, or in a running local server; and the ports over it."""

import argparse
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager

from msgspec import Struct

from tidegate.aws.control import create_aws_control
from tidegate.aws.dynamo import DynamoError
from tidegate.aws.tenants import DynamoKeys, DynamoTenants
from tidegate.aws.world import AwsWorld
from tidegate.control.control import Control
from tidegate.errors import ConfigurationError, StoreUnavailable
from tidegate.ports import Keys, Tenants, UsageReader
from tidegate.settings import AwsSettings, Settings
from tidegate.sqlite.batch_files import FileBatchObjects
from tidegate.sqlite.folder import DATA_VARIABLE, DataFolder, RunningServer, find_data_folder
from tidegate.sqlite.world import SqliteWorld
from tidegate.transport.aws_credentials import Credentials, NoCredentials, StaticCredentials
from tidegate.transport.httptools import HttptoolsTransport
from tidegate.transport.sigv4 import AwsKey

EMBEDDED_ENDPOINT = "http://127.0.0.1:8001"
EMBEDDED_TABLE = "tidegate"
EMBEDDED_REGION = "us-east-1"

_ACCESS_ERRORS = (
    "AccessDeniedException",
    "ExpiredTokenException",
    "IncompleteSignatureException",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "UnrecognizedClientException",
)


class StoreLocation(Struct, frozen=True):
    """The table of `settings`: in the data folder, if there is one; else at DynamoDB.

    `embedded_credentials` open the embedded AWS; with None, DynamoDB is AWS's.
    """

    settings: Settings
    embedded_credentials: Credentials | None = None
    folder: DataFolder | None = None


class StorePorts(Struct, frozen=True):
    """The ports over one table, and the clock, that a command works with."""

    tenants: Tenants
    keys: Keys
    usages: UsageReader
    control: Control
    clock: Callable[[], float]


def add_store_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose the table."""
    group = parser.add_argument_group("the table to work on")
    group.add_argument(
        "--store",
        choices=("aws", "local", "embedded"),
        help="aws: a table on AWS; local: a data folder, whether a server runs or not; embedded: the embedded AWS of a "
        "running server. Default: aws if a table or endpoint is set, else that of the running server, else local",
    )
    group.add_argument("--data", metavar="DIR", help=f"the data folder; default: {DATA_VARIABLE}, or this user's own")
    group.add_argument("--table", metavar="NAME", help="the table's name; default: TIDEGATE_TABLE")
    group.add_argument("--region", help="the table's AWS region; default: AWS_REGION")
    group.add_argument(
        "--dynamodb-endpoint",
        metavar="URL",
        help="a DynamoDB endpoint instead of the region's; default: AWS_ENDPOINT_URL_DYNAMODB",
    )


def find_store(options: argparse.Namespace, env: Mapping[str, str]) -> StoreLocation:
    """Locate the table by the options, then by the environment, then by the server that runs.

    Raises `ConfigurationError` for missing settings, and if there is no such table.
    """
    table = _first_set(options.table, env.get("TIDEGATE_TABLE"))
    endpoint = _first_set(options.dynamodb_endpoint, env.get("AWS_ENDPOINT_URL_DYNAMODB"), env.get("AWS_ENDPOINT_URL"))
    region = _first_set(options.region, env.get("AWS_REGION"), env.get("AWS_DEFAULT_REGION"))
    folder = find_data_folder(options.data, env)
    server = folder.running_server()
    store = options.store or ("aws" if table or endpoint else server.store if server else "local")
    match store:
        case "embedded":
            running_endpoint = server.endpoint if server else None
            endpoint = options.dynamodb_endpoint or running_endpoint or EMBEDDED_ENDPOINT
            aws = AwsSettings(options.region or EMBEDDED_REGION, endpoint)
            credentials = StaticCredentials(AwsKey("local", "local"))
            return StoreLocation(Settings(options.table or EMBEDDED_TABLE, aws), credentials)
        case "local":
            return _data_folder_location(folder)
        case "memory":
            raise ConfigurationError(_in_memory_message(server))
        case _:
            if server and not options.store and not table:
                table, region, endpoint = server.table, region or server.region, endpoint or server.endpoint
            return _aws_location(table, region, endpoint, env)


def _data_folder_location(folder: DataFolder) -> StoreLocation:
    if not folder.database.exists():
        raise ConfigurationError(
            f"There is no data folder at {folder.path}: start `python -m tidegate serve` once, name a folder with "
            "--data, or a table on AWS with --table."
        )
    return StoreLocation(Settings(EMBEDDED_TABLE, AwsSettings(EMBEDDED_REGION)), folder=folder)


def _in_memory_message(server: RunningServer | None) -> str:
    url = server.url if server else "its URL"
    return (
        "The running server keeps its data in memory, which no other process can read. Use its admin API, "
        f"{url}/admin/v1, or start it without --ephemeral."
    )


def _aws_location(table: str | None, region: str | None, endpoint: str | None, env: Mapping[str, str]) -> StoreLocation:
    missing = [
        name
        for name, value in (("--table or TIDEGATE_TABLE", table), ("--region or AWS_REGION", region))
        if value is None
    ]
    if table is None or region is None:
        raise ConfigurationError(f"Missing settings: {'; '.join(missing)}.")
    secrets_endpoint = _first_set(env.get("AWS_ENDPOINT_URL_SECRETS_MANAGER"), env.get("AWS_ENDPOINT_URL"))
    return StoreLocation(
        Settings(
            table,
            AwsSettings(region, endpoint, secrets_endpoint),
            workspace_secrets=_first_set(env.get("TIDEGATE_WORKSPACE_SECRETS")),
            environment=env,
        )
    )


@asynccontextmanager
async def open_ports(location: StoreLocation, clock: Callable[[], float] = time.time) -> AsyncGenerator[StorePorts]:
    """Open the ports over the table; leaving the context closes the connection. Raises `ConfigurationError`."""
    async with _open_world(location, clock) as world:
        objects = FileBatchObjects(world.files.folder) if isinstance(world, SqliteWorld) else None
        control = create_aws_control(world, objects)
        yield StorePorts(DynamoTenants(world.store), DynamoKeys(world.store), control.usages, control, clock)


def _open_world(location: StoreLocation, clock: Callable[[], float]) -> AwsWorld:
    http, credentials = HttptoolsTransport(connect_seconds=2.0), location.embedded_credentials
    if location.folder is not None:
        return SqliteWorld(location.folder, location.settings, http=http, clock=clock)
    return AwsWorld(location.settings, http=http, table_credentials=credentials, clock=clock)


def explain_store_error(cause: BaseException | None, location: StoreLocation) -> str:
    """Explain in one line why the table does not answer, and what the operator can do."""
    table, aws = location.settings.table, location.settings.aws
    match cause:
        case StoreUnavailable() if location.folder:
            return cause.message
        case DynamoError(code="ResourceNotFoundException"):
            return f"The table {table!r} does not exist in {aws.region}."
        case DynamoError(code=kind) if kind in _ACCESS_ERRORS:
            return f"These AWS credentials may not use the table {table!r}."
        case NoCredentials():
            return "No AWS credentials were found: sign in, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        case _ if location.embedded_credentials:
            hint = "start `python -m tidegate serve`, or name a table with --table"
            return f"Nothing answers at {aws.dynamodb_endpoint}: {hint}."
        case _:
            address = f"at {aws.dynamodb_endpoint}" if aws.dynamodb_endpoint else f"in {aws.region}"
            return f"DynamoDB does not answer {address}."


def _first_set(*values: str | None) -> str | None:
    return next((value for value in values if value), None)

"""The table that a command works on: on AWS, or in a running local server; and the ports over it."""

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
from tidegate.errors import ConfigurationError
from tidegate.ports import Keys, Tenants, UsageReader
from tidegate.settings import AwsSettings, Settings
from tidegate.transport.aws_credentials import Credentials, NoCredentials, StaticCredentials
from tidegate.transport.reqwest import ReqwestTransport
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
    """The table of `settings`. `embedded_credentials` open the embedded AWS; with None, it is a table on AWS."""

    settings: Settings
    embedded_credentials: Credentials | None = None


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
        choices=("aws", "embedded"),
        help="aws: a table on AWS; embedded: the table of a running `python -m tidegate serve`. "
        "Default: aws if a table or endpoint is set, else embedded",
    )
    group.add_argument("--table", metavar="NAME", help="the table's name; default: TIDEGATE_TABLE")
    group.add_argument("--region", help="the table's AWS region; default: AWS_REGION")
    group.add_argument(
        "--dynamodb-endpoint",
        metavar="URL",
        help="a DynamoDB endpoint instead of the region's; default: AWS_ENDPOINT_URL_DYNAMODB",
    )


def find_store(options: argparse.Namespace, env: Mapping[str, str]) -> StoreLocation:
    """Locate the table by the options, then by the environment. Raises `ConfigurationError` for missing settings."""
    table = _first_set(options.table, env.get("TIDEGATE_TABLE"))
    endpoint = _first_set(options.dynamodb_endpoint, env.get("AWS_ENDPOINT_URL_DYNAMODB"), env.get("AWS_ENDPOINT_URL"))
    region = _first_set(options.region, env.get("AWS_REGION"), env.get("AWS_DEFAULT_REGION"))
    if (options.store or ("aws" if table or endpoint else "embedded")) == "embedded":
        aws = AwsSettings(options.region or EMBEDDED_REGION, options.dynamodb_endpoint or EMBEDDED_ENDPOINT)
        return StoreLocation(
            Settings(options.table or EMBEDDED_TABLE, aws), StaticCredentials(AwsKey("local", "local"))
        )
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
    """Open the ports over the table; leaving the context closes the connection."""
    http, credentials = ReqwestTransport(connect_seconds=2.0), location.embedded_credentials
    async with AwsWorld(location.settings, http=http, table_credentials=credentials, clock=clock) as world:
        control = create_aws_control(world)
        yield StorePorts(DynamoTenants(world.store), DynamoKeys(world.store), control.usages, control, clock)


def explain_store_error(cause: BaseException | None, location: StoreLocation) -> str:
    """Explain in one line why the table does not answer, and what the operator can do."""
    table, aws = location.settings.table, location.settings.aws
    match cause:
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

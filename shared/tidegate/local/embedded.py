"""The embedded AWS: moto in a thread of this process, with a table that has a demo tenant.

Source: https://docs.getmoto.org/en/latest/docs/server_mode.html
"""

import copy
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from decimal import Context, Decimal
from typing import cast
from wsgiref.types import StartResponse, WSGIEnvironment

from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import Table
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from msgspec.structs import replace
from werkzeug.serving import WSGIRequestHandler, make_server

from tidegate.aws.dynamo import TableClient
from tidegate.aws.store import Store
from tidegate.aws.table import CALLS_PREFIX, REPLIES_PREFIX, TURNS_PREFIX, create_table
from tidegate.aws.tenants import DynamoKeys, DynamoTenants
from tidegate.domain.keys import display_prefix, hash_secret
from tidegate.domain.workspace import VirtualKey, Workspace
from tidegate.errors import ConfigurationError
from tidegate.local.host_check import allowed_hosts
from tidegate.ports import Keys, Tenants
from tidegate.settings import AwsSettings, Settings
from tidegate.transport.aws_credentials import StaticCredentials
from tidegate.transport.sigv4 import AwsKey

DEMO_WORKSPACE = "ws_demo"
TABLE = "tidegate"
BUCKET = "tidegate-replies"
REGION = "us-east-1"
HOST = "127.0.0.1"

_HOSTS = allowed_hosts(HOST)

EMBEDDED_CREDENTIALS = StaticCredentials(AwsKey("local", "local"))
"""Credentials of the embedded AWS. The environment's own are used for Bedrock."""


def local_settings(env: Mapping[str, str], endpoint: str | None) -> Settings:
    """Read the settings in `env`, but use the local table instead of the AWS account that `env` may name."""
    local_env = {
        "AWS_REGION": REGION,
        **env,
        "TIDEGATE_TABLE": TABLE,
        "TIDEGATE_PROVIDER_SECRET": "",
        "TIDEGATE_EVENT_BUS": "",
        "TIDEGATE_REPLY_BUCKET": "",
    }
    return replace(Settings.from_env(local_env), aws=AwsSettings(REGION, endpoint))


def with_bucket(settings: Settings, endpoint: str) -> Settings:
    """Return the settings with the embedded AWS's bucket; another DynamoDB emulator may not offer S3."""
    return replace(settings, reply_bucket=BUCKET, aws=replace(settings.aws, s3_endpoint=endpoint))


@contextmanager
def embedded_aws(port: int) -> Generator[str]:
    """Run an AWS until the context is left, and yield its endpoint. Port 0 takes any free port.

    Requests of web pages are refused: whoever reaches it may write the table. It serves one request at a time: moto's
    transactions copy and restore the table, so two at once would lose writes.
    Raises `ConfigurationError` if the port is taken.
    """
    setattr(Table, "__deepcopy__", _copy_changing_items)  # noqa: B010  # moto's class has none of its own
    setattr(DynamoType, "__add__", _add_numbers)  # noqa: B010  # moto's own writes sums that it cannot read again
    application = DomainDispatcherApplication(create_backend_app)
    one_at_a_time = threading.Lock()

    def serve(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not _is_from_program(environ):
            start_response("403 Forbidden", [("content-type", "text/plain")])
            return [b"The embedded AWS is for programs on this machine, not for web pages."]
        with one_at_a_time:
            return list(application(environ, start_response))

    with listen(HOST, port) as listener:
        port = listener.getsockname()[1]
        server = make_server(
            HOST, port, serve, threaded=True, request_handler=_QuietRequestHandler, fd=listener.fileno()
        )
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://{HOST}:{port}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


_Partitions = dict[DynamoType, dict[DynamoType, Item]]

_REPLACED_PREFIXES = (CALLS_PREFIX, TURNS_PREFIX, REPLIES_PREFIX)
"""Sort keys of items that are only ever put as a whole. Moto then replaces its own, and never changes it."""


def _copy_changing_items(table: Table, memo: dict[int, object]) -> Table:
    """Copy a table for moto, which restores the copy when a transaction fails; items that never change are shared.

    Moto copies the table for each transaction. To copy 1,000 call records took 1.3 s.
    """
    # Moto's annotation of `items` is partial.
    partitions = cast("_Partitions", table.items)  # pyright: ignore[reportUnknownMemberType]
    copies: _Partitions = defaultdict(dict)
    for partition, items in partitions.items():
        copies[partition] = {
            sort_key: item if _is_only_replaced(sort_key) else copy.deepcopy(item, memo)
            for sort_key, item in items.items()
        }
    table_copy = copy.copy(table)
    # Moto's annotation of `items` is partial, also for assignment.
    setattr(table_copy, "items", copies)  # noqa: B010
    return table_copy


def _is_only_replaced(sort_key: DynamoType) -> bool:
    return str(cast("object", sort_key.value)).startswith(_REPLACED_PREFIXES)


def _add_numbers(number: DynamoType, other: DynamoType) -> DynamoType:
    """Add two numbers as DynamoDB does, with 38 digits and without an exponent.

    Moto's own writes 0.00000012 - 0.00000012 as "0E-8", takes that for an integer, and fails at the next sum.
    """
    total = Context(prec=38).add(Decimal(str(number.cast_value)), Decimal(str(other.cast_value)))
    return DynamoType({"N": f"{total:f}" if total else "0"})


def _is_from_program(environ: WSGIEnvironment) -> bool:
    """True unless a browser sent the request, or it names another host: such a name may be a web page's."""
    is_browser = "HTTP_ORIGIN" in environ or "HTTP_SEC_FETCH_SITE" in environ
    return not is_browser and _HOSTS.allow([str(environ.get("HTTP_HOST", ""))])


class _QuietRequestHandler(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:
        """Log nothing: a developer wants to see the gateway's own lines."""


def listen(host: str, port: int) -> socket.socket:
    """Open a listening socket. Raises `ConfigurationError` if the address is in use or not available."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"Cannot listen on {host}:{port}: {reason}.") from None
    return listener


async def prepare_table(client: TableClient, table: str, demo_key: str) -> None:
    """Create the table and its demo tenant unless they exist. Raises `StoreUnavailable`."""
    await create_table(client, table)
    store = Store(client, table)
    await seed_demo_tenant(DynamoTenants(store), DynamoKeys(store), demo_key)


async def seed_demo_tenant(tenants: Tenants, keys: Keys, demo_key: str) -> None:
    """Create the demo workspace and its key. Never called for a table on AWS."""
    now, key_hash = time.time(), hash_secret(demo_key)
    await tenants.put_workspace(Workspace(DEMO_WORKSPACE, "Demo", created_at=now))
    key = VirtualKey(
        id=f"key_demo_{key_hash[:8]}",
        hash=key_hash,
        prefix=display_prefix(demo_key),
        workspace_ids=(DEMO_WORKSPACE,),
        default_workspace_id=DEMO_WORKSPACE,
        name="demo",
        created_at=now,
    )
    await keys.put_key(key)

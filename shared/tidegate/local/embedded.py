"""The embedded AWS: moto in a thread of this process, and what a first call needs in its table.

Source: https://docs.getmoto.org/en/latest/docs/server_mode.html
"""

import copy
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import cast
from wsgiref.types import StartResponse, WSGIEnvironment

from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import Table
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from msgspec.structs import replace
from werkzeug.serving import WSGIRequestHandler, make_server

from tidegate.aws.dynamo import DynamoClient
from tidegate.aws.store import Store
from tidegate.aws.table import CALLS_PREFIX, create_table
from tidegate.aws.tenants import DynamoKeys, DynamoTenants
from tidegate.domain.keys import hash_secret
from tidegate.domain.workspace import VirtualKey, Workspace
from tidegate.errors import ConfigurationError
from tidegate.ports import Keys, Tenants
from tidegate.settings import AwsSettings, Settings
from tidegate.transport.aws_credentials import StaticCredentials
from tidegate.transport.sigv4 import AwsKey

DEMO_KEY = "sk-tidegate-demo"
DEMO_ADMIN = "sk-tidegate-admin-demo"
DEMO_WORKSPACE = "ws_demo"
TABLE = "tidegate"
BUCKET = "tidegate-replies"
REGION = "us-east-1"
HOST = "127.0.0.1"

EMBEDDED_CREDENTIALS = StaticCredentials(AwsKey("local", "local"))
"""Of the embedded AWS. The environment's own stay for Bedrock."""


def local_settings(env: Mapping[str, str], endpoint: str | None) -> Settings:
    """The settings in `env`, with the table here and not in the account that `env` may lead to."""
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
    """The same with the bucket of the embedded AWS, which any other DynamoDB may not have beside it."""
    return replace(settings, reply_bucket=BUCKET, aws=replace(settings.aws, s3_endpoint=endpoint))


@contextmanager
def embedded_aws(port: int) -> Generator[str]:
    """The endpoint of an AWS that lives as long as the context; port 0 takes any. Raises `ConfigurationError`.

    It takes one request at a time: moto's transactions copy the table and put it back, and two would lose writes.
    """
    setattr(Table, "__deepcopy__", _copy_without_call_records)  # noqa: B010  # moto's class has none of its own
    application = DomainDispatcherApplication(create_backend_app)
    one_at_a_time = threading.Lock()

    def serve(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
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


def _copy_without_call_records(table: Table, memo: dict[int, object]) -> Table:
    """What moto keeps of a table for taking a transaction back, once for each of its writes: a copy of its own, but for
    the records of calls. Those are written once and never changed, and copying 1,000 of them took 1.3 s."""
    # What moto says of the type of `items` is partial.
    partitions = cast("_Partitions", table.items)  # pyright: ignore[reportUnknownMemberType]
    copies: _Partitions = defaultdict(dict)
    for partition, items in partitions.items():
        copies[partition] = {
            sort_key: item if _is_call_record(sort_key) else copy.deepcopy(item, memo)
            for sort_key, item in items.items()
        }
    table_copy = copy.copy(table)
    # What moto says of the type of `items` is partial, for setting it as well.
    setattr(table_copy, "items", copies)  # noqa: B010
    return table_copy


def _is_call_record(sort_key: DynamoType) -> bool:
    return str(cast("object", sort_key.value)).startswith(CALLS_PREFIX)


class _QuietRequestHandler(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:
        """Nothing: the gateway's own lines are what a developer wants to see."""


def listen(host: str, port: int) -> socket.socket:
    """A socket that accepts connections. Raises `ConfigurationError` when the address is taken or not ours."""
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


async def prepare_table(client: DynamoClient, table: str) -> None:
    """The table and its demo tenant, unless they are there already. Raises `StoreUnavailable`."""
    await create_table(client, table)
    store = Store(client, table)
    await seed_demo_tenant(DynamoTenants(store), DynamoKeys(store))


async def seed_demo_tenant(tenants: Tenants, keys: Keys) -> None:
    """The demo workspace and its key. Never called for a table on AWS."""
    now = time.time()
    await tenants.put_workspace(Workspace(DEMO_WORKSPACE, "Demo", created_at=now))
    key = VirtualKey(
        id="key_demo",
        hash=hash_secret(DEMO_KEY),
        prefix=DEMO_KEY,
        workspace_ids=(DEMO_WORKSPACE,),
        default_workspace_id=DEMO_WORKSPACE,
        name="demo",
        created_at=now,
    )
    await keys.put_key(key)

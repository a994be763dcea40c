"""The embedded AWS: moto in a thread of this process, for `serve --store embedded` and for tests.

Source: https://docs.getmoto.org/en/latest/docs/server_mode.html
"""

import copy
import threading
from collections import defaultdict
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from decimal import Context, Decimal
from typing import cast
from wsgiref.types import StartResponse, WSGIEnvironment

from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import Table
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from tidegate.aws.table import CALLS_PREFIX, REPLIES_PREFIX, TRACES_PREFIX, TURNS_PREFIX
from tidegate.local.host_check import AllowedHosts, allowed_hosts, is_wildcard
from tidegate.local.listener import listen
from tidegate.local.repeated_transactions import RepeatedTransactions

HOST = "127.0.0.1"
"""The default, whatever address the gateway listens on: who reaches this AWS may write the table."""

CONTAINERS_NAME = "host.docker.internal"
"""The name of this machine in containers of Docker."""


@contextmanager
def embedded_aws(port: int, host: str = HOST) -> Generator[str]:
    """Run an AWS until the context is left, and yield its endpoint here. Port 0 takes any free port.

    Requests of web pages are refused: whoever reaches it may write the table. It serves one request at a time: moto's
    transactions copy and restore the table, so two at once would lose writes.
    Raises `ConfigurationError` if the port is taken.
    """
    setattr(Table, "__deepcopy__", _copy_changing_items)  # noqa: B010  # moto's class has none of its own
    setattr(DynamoType, "__add__", _add_numbers)  # noqa: B010  # moto's own writes sums that it cannot read again
    application = RepeatedTransactions(DomainDispatcherApplication(create_backend_app))
    one_at_a_time = threading.Lock()
    hosts = allowed_hosts(host, "" if host == HOST else CONTAINERS_NAME)

    def serve(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not _is_from_program(environ, hosts):
            start_response("403 Forbidden", [("content-type", "text/plain")])
            return [b"The embedded AWS is for programs on this machine, not for web pages."]
        with one_at_a_time:
            return list(application(environ, start_response))

    with listen(host, port, "--embedded-port") as listener:
        port = listener.getsockname()[1]
        server = make_server(
            host, port, serve, threaded=True, request_handler=_QuietRequestHandler, fd=listener.fileno()
        )
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://{HOST if is_wildcard(host) else host}:{port}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


_Partitions = dict[DynamoType, dict[DynamoType, Item]]

_REPLACED_PREFIXES = (CALLS_PREFIX, TURNS_PREFIX, REPLIES_PREFIX, TRACES_PREFIX)
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


def _is_from_program(environ: WSGIEnvironment, hosts: AllowedHosts) -> bool:
    """True unless a browser sent the request, or it names another host: such a name may be a web page's."""
    is_browser = "HTTP_ORIGIN" in environ or "HTTP_SEC_FETCH_SITE" in environ
    return not is_browser and hosts.allow([str(environ.get("HTTP_HOST", ""))])


class _QuietRequestHandler(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:
        """Log nothing: a developer wants to see the gateway's own lines."""

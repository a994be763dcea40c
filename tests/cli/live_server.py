"""A gateway with its dashboard in a thread of the test's process, with the demo provider."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from tests.served import served_in_thread
from tidegate.api.admin.app import build_admin
from tidegate.api.app import build_app
from tidegate.domain.server_options import ServerOptions
from tidegate.local.admin import PlaneRouter
from tidegate.local.background_batches import open_batches
from tidegate.local.demo_keys import DemoKeys
from tidegate.local.serve import open_gateway
from tidegate.local.stores import local_settings, open_in_memory

KEY, ADMIN_KEY = "sk-tidegate-live", "sk-tidegate-admin-live"


@contextmanager
def served() -> Iterator[str]:
    """A running server, and its URL."""
    settings, admin = local_settings({}, None), build_admin()
    app = build_app(
        lambda: open_gateway(open_in_memory(settings, DemoKeys(KEY, ADMIN_KEY)), admin),
        ServerOptions(),
        open_batches=lambda _: open_batches(admin.state.batches),
    )
    with served_in_thread(PlaneRouter(app, admin), socket.create_server(("127.0.0.1", 0))) as url:
        yield url

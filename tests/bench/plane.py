"""`python -m tests.bench.plane`: the data plane under our own server, on the in-memory store, and nothing else.

Prints its port.
"""

import os
import socket

from tidegate.api.app import build_app
from tidegate.domain.keys import hash_secret
from tidegate.domain.workspace import VirtualKey, Workspace
from tidegate.memory.world import open_memory_gateway
from tidegate.ports import Keys, Tenants
from tidegate.server.process import run
from tidegate.settings import Settings

# As in `tidegate.local.embedded`, which would bring moto with it.
KEY = "sk-tidegate-demo"
WORKSPACE = "ws_demo"


async def seed(tenants: Tenants, keys: Keys) -> None:
    await tenants.put_workspace(Workspace(WORKSPACE, "Demo", created_at=0))
    key = VirtualKey("key_demo", hash_secret(KEY), KEY, (WORKSPACE,), WORKSPACE, "demo", created_at=0)
    await keys.put_key(key)


def main() -> None:
    settings = Settings.from_env({**os.environ, "TIDEGATE_TABLE": "none", "AWS_REGION": "none"})
    app = build_app(lambda: open_memory_gateway(settings, seed=seed), settings.server_options())
    door = socket.create_server(("127.0.0.1", 0))
    print(door.getsockname()[1], flush=True)
    run(app, [door])


if __name__ == "__main__":
    main()

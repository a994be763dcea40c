"""`python -m tests.bench.limited memory | embedded [workspace] [key] [features]`: the data plane with those.

All limits of the workspace or the key; or all features configured, for the process and for the workspace. Its store
is in memory, or a DynamoDB (moto) in this process. Prints its port.
"""

import asyncio
import json
import os
import socket
import sys
from contextlib import AbstractAsyncContextManager, ExitStack

from msgspec.structs import replace

from tests.bench.plane import KEY, WORKSPACE
from tests.bench.tenants import ALL_LIMITS
from tidegate.api.app import build_app
from tidegate.aws.dynamo import create_dynamo_client
from tidegate.aws.gateway import open_aws_gateway
from tidegate.aws.store import Store
from tidegate.aws.table import create_table
from tidegate.aws.tenants import DynamoKeys, DynamoTenants
from tidegate.domain.guardrails import Guardrail
from tidegate.domain.keys import hash_secret
from tidegate.domain.limits import NO_LIMITS
from tidegate.domain.routes import Route, RouteTarget
from tidegate.domain.workspace import VirtualKey, Workspace
from tidegate.gateway import Gateway
from tidegate.local.embedded import embedded_aws
from tidegate.local.stores import EMBEDDED_CREDENTIALS, local_settings
from tidegate.memory.world import open_memory_gateway
from tidegate.ports import Keys, Tenants
from tidegate.server.process import run
from tidegate.settings import Settings
from tidegate.transport.choose import create_transport

_ROUTE = {"name": "fast", "targets": [{"model": "openai/gpt-4o"}, {"model": "openai/gpt-4.1"}], "by": "latency"}
FEATURES = {
    "TIDEGATE_ROUTES": json.dumps([{**_ROUTE, "fallbacks": ["openai/o4-mini"], "hedge_after_seconds": 4}]),
    "TIDEGATE_GUARDRAILS": json.dumps([{"name": "projects", "kind": "regex", "patterns": ["PRJ-[0-9]+"]}]),
    "TIDEGATE_TIMEOUTS": json.dumps({"*": {"between": 60}, "openai": {"first_byte": 60}, "openai/o*": {"total": 300}}),
}


def featured(workspace: Workspace) -> Workspace:
    """The workspace with routes, guardrails, a time and a cache of its own."""
    return replace(
        workspace,
        routes=(
            Route("steady", (RouteTarget("openai/gpt-4o"), RouteTarget("openai/gpt-4.1")), by="weight", sticky=True),
        ),
        guardrails=(Guardrail("names", "words", words=("hurricane",)), Guardrail("short", "max_input", max_tokens=9)),
        timeout_seconds=300.0,
        cache_ttl_seconds=3600,
    )


async def seed(tenants: Tenants, keys: Keys) -> None:
    key = VirtualKey("key_demo", hash_secret(KEY), KEY, (WORKSPACE,), WORKSPACE, "demo", created_at=0)
    of_workspace, of_key = (ALL_LIMITS if whose in sys.argv else NO_LIMITS for whose in ("workspace", "key"))
    workspace = Workspace(WORKSPACE, "Demo", created_at=0, limits=of_workspace)
    await tenants.put_workspace(featured(workspace) if "features" in sys.argv else workspace)
    await keys.put_key(replace(key, limits=of_key))


def on_embedded(endpoint: str) -> tuple[Settings, AbstractAsyncContextManager[Gateway]]:
    settings = local_settings(os.environ, endpoint)

    async def fill() -> None:
        http = create_transport("httpx")
        try:
            store = Store(
                create_dynamo_client(http, EMBEDDED_CREDENTIALS, settings.aws.region, endpoint), settings.table
            )
            await create_table(store.client, store.table)
            await seed(DynamoTenants(store), DynamoKeys(store))
        finally:
            await http.close()

    asyncio.run(fill())
    return settings, open_aws_gateway(settings, table_credentials=EMBEDDED_CREDENTIALS)


def main() -> None:
    with ExitStack() as stack:
        if "features" in sys.argv:
            os.environ.update(FEATURES)
        if "embedded" in sys.argv:
            settings, gateway = on_embedded(stack.enter_context(embedded_aws(0)))
        else:
            settings = Settings.from_env({**os.environ, "TIDEGATE_TABLE": "none", "AWS_REGION": "none"})
            gateway = open_memory_gateway(settings, seed=seed)
        app = build_app(lambda: gateway, settings.server_options())
        door = socket.create_server(("127.0.0.1", 0))
        print(door.getsockname()[1], flush=True)
        run(app, [door])


if __name__ == "__main__":
    main()

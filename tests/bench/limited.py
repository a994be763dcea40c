"""`python -m tests.bench.limited memory | embedded [workspace] [key]`: the data plane, where those have all limits.

Its store is in memory, or a DynamoDB (moto) in this process. Prints its port.
"""

import asyncio
import os
import socket
import sys
from contextlib import AbstractAsyncContextManager, ExitStack
from dataclasses import replace
from decimal import Decimal

import uvicorn

from tests.bench.plane import KEY, WORKSPACE
from tidegate.api.app import build_app
from tidegate.aws.compose import compose as compose_on_aws
from tidegate.aws.dynamo import connect
from tidegate.aws.store import Store
from tidegate.aws.table import create_table
from tidegate.aws.tenants import DynamoKeys, DynamoTenants
from tidegate.domain.keys import hash_secret
from tidegate.domain.limits import NO_LIMITS, Limits
from tidegate.domain.workspace import VirtualKey, Workspace
from tidegate.gateway import Gateway
from tidegate.local.embedded import CREDENTIALS, embedded_aws, settings_for
from tidegate.memory.compose import compose
from tidegate.ports import Keys, Tenants
from tidegate.settings import Settings
from tidegate.upstream.choose import transport

ALL = Limits(
    requests_per_minute=10**6,
    tokens_per_minute=10**9,
    parallel_calls=1000,
    tokens_per_day=10**12,
    tokens_per_month=10**12,
    words_per_day=10**12,
    words_per_month=10**12,
    usd_per_day=Decimal(10**6),
    usd_per_month=Decimal(10**6),
)
"""Whatever is measured, there is room for it."""


async def seed(tenants: Tenants, keys: Keys) -> None:
    key = VirtualKey("key_demo", hash_secret(KEY), KEY, (WORKSPACE,), WORKSPACE, "demo", created_at=0)
    of_workspace, of_key = (ALL if whose in sys.argv else NO_LIMITS for whose in ("workspace", "key"))
    await tenants.put_workspace(Workspace(WORKSPACE, "Demo", created_at=0, limits=of_workspace))
    await keys.put_key(replace(key, limits=of_key))


def on_embedded(endpoint: str) -> tuple[Settings, AbstractAsyncContextManager[Gateway]]:
    settings = settings_for(os.environ, endpoint)

    async def fill() -> None:
        http = transport("httpx")
        try:
            store = Store(connect(http, CREDENTIALS, settings.aws.region, endpoint), settings.table)
            await create_table(store.client, store.table)
            await seed(DynamoTenants(store), DynamoKeys(store))
        finally:
            await http.close()

    asyncio.run(fill())
    return settings, compose_on_aws(settings, table_credentials=CREDENTIALS)


def main() -> None:
    with ExitStack() as stack:
        if "embedded" in sys.argv:
            settings, gateway = on_embedded(stack.enter_context(embedded_aws(0)))
        else:
            settings = Settings.from_env({**os.environ, "TIDEGATE_TABLE": "none", "AWS_REGION": "none"})
            gateway = compose(settings, seed=seed)
        app = build_app(lambda: gateway, settings.options())
        door = socket.create_server(("127.0.0.1", 0))
        print(door.getsockname()[1], flush=True)
        uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, lifespan="on")).run(sockets=[door])


if __name__ == "__main__":
    main()

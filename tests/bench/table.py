"""`python -m tests.bench.table`: a DynamoDB (moto) with the demo tenant in it. Prints its port."""

import asyncio
import signal

from tests.bench.requests import DEMO_KEY
from tidegate.aws.dynamo import create_dynamo_client
from tidegate.aws.store import Store
from tidegate.aws.table import create_table
from tidegate.aws.tenants import DynamoKeys, DynamoTenants
from tidegate.local.demo_tenant import seed_demo_tenant
from tidegate.local.embedded import embedded_aws
from tidegate.local.stores import EMBEDDED_CREDENTIALS, REGION, TABLE
from tidegate.transport.choose import create_transport


async def fill(endpoint: str) -> None:
    http = create_transport("httpx")
    try:
        store = Store(create_dynamo_client(http, EMBEDDED_CREDENTIALS, REGION, endpoint), TABLE)
        await create_table(store.client, TABLE)
        await seed_demo_tenant(DynamoTenants(store), DynamoKeys(store), DEMO_KEY)
    finally:
        await http.close()


def main() -> None:
    with embedded_aws(0) as endpoint:
        asyncio.run(fill(endpoint))
        print(endpoint.rpartition(":")[2], flush=True)
        signal.pause()


if __name__ == "__main__":
    main()

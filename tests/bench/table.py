"""`python -m tests.bench.table`: a DynamoDB (moto) with the demo tenant in it. Prints its port."""

import asyncio
import signal

from tests.bench.requests import DEMO_KEY
from tidegate.aws.dynamo import create_dynamo_client
from tidegate.local.embedded import EMBEDDED_CREDENTIALS, REGION, TABLE, embedded_aws, prepare_table
from tidegate.transport.choose import create_transport


async def fill(endpoint: str) -> None:
    http = create_transport("httpx")
    try:
        await prepare_table(create_dynamo_client(http, EMBEDDED_CREDENTIALS, REGION, endpoint), TABLE, DEMO_KEY)
    finally:
        await http.close()


def main() -> None:
    with embedded_aws(0) as endpoint:
        asyncio.run(fill(endpoint))
        print(endpoint.rpartition(":")[2], flush=True)
        signal.pause()


if __name__ == "__main__":
    main()

"""`python -m tests.bench.table`: a DynamoDB (moto) with the demo tenant in it. Prints its port."""

import asyncio
import signal

from tidegate.aws.dynamo import connect
from tidegate.local.embedded import CREDENTIALS, REGION, TABLE, embedded_aws, prepare
from tidegate.transport.choose import transport


async def fill(endpoint: str) -> None:
    http = transport("httpx")
    try:
        await prepare(connect(http, CREDENTIALS, REGION, endpoint), TABLE)
    finally:
        await http.close()


def main() -> None:
    with embedded_aws(0) as endpoint:
        asyncio.run(fill(endpoint))
        print(endpoint.rpartition(":")[2], flush=True)
        signal.pause()


if __name__ == "__main__":
    main()

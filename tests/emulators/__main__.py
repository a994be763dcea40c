"""`python -m tests.emulators [PORT]`: the gateway model by itself, its addresses as one JSON line.

`GET /_report` tells what the runtime called and where it broke the protocol.
"""

import asyncio
import json
import sys

from tests.emulators.gateway import Gateway, running


async def main(http_port: int) -> None:
    gateway = Gateway()
    gateway.restore.set()
    async with running(gateway, http_port):
        print(json.dumps({"url": gateway.url, "runtime_api": gateway.runtime_api}), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 0))

"""`python -m tests.bench.passthrough`: what Python costs by itself. Hands each call on and its answer back, unread.

uvicorn as the server and aiohttp as the HTTP client, as many gateways have them, and nothing else. Prints its port.
"""

import os
import socket

import aiohttp
import uvicorn
from starlette.types import Receive, Scope, Send

HEADERS = {"content-type": "application/json", "authorization": "Bearer bench"}


class PassThrough:
    def __init__(self, url: str) -> None:
        self._url = url
        self._client: aiohttp.ClientSession | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._client is None:
            self._client = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        body, timeout = await _read(receive), aiohttp.ClientTimeout(total=60)
        async with self._client.post(self._url, data=body, headers=HEADERS, timeout=timeout) as answer:
            headers = [
                (name.encode(), answer.headers[name].encode())
                for name in ("content-type", "content-length")
                if name in answer.headers
            ]
            await send({"type": "http.response.start", "status": answer.status, "headers": headers})
            while piece := await answer.content.readany():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def _read(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def main() -> None:
    app = PassThrough(f"{os.environ['OPENAI_BASE_URL']}/chat/completions")
    door = socket.create_server(("127.0.0.1", 0))
    print(door.getsockname()[1], flush=True)
    config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off", timeout_keep_alive=60)
    uvicorn.Server(config).run(sockets=[door])


if __name__ == "__main__":
    main()

"""What the local server logs of a crash: where it happened, and nothing of what a caller sent."""

import asyncio
import io
import json
import logging
import socket
from typing import Any

from tidegate.aws.logs import JsonLines
from tidegate.server.server import Server, serving

GET = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"


async def test_a_crash_is_one_line_without_the_message_of_its_exception() -> None:
    prompt = "-".join(["marker", "of", "the", "prompt"])  # no line of code has it

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError(prompt)

    out = io.StringIO()
    handler, logger = logging.StreamHandler(out), logging.getLogger("tidegate")
    handler.setFormatter(JsonLines())
    logger.addHandler(handler)
    try:
        async with serving(Server(app), socket.create_server(("127.0.0.1", 0))) as (host, port):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(GET)
            received = await reader.read()
            writer.close()
    finally:
        logger.removeHandler(handler)
    [line] = [line for line in map(json.loads, out.getvalue().splitlines()) if line["level"] == "ERROR"]
    assert (line["message"], line["exception_name"]) == ("application.crashed", "ValueError")
    assert prompt not in out.getvalue() and "raise ValueError(prompt)" in line["exception"]
    assert b" 500 " in received and prompt.encode() not in received

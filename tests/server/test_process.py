"""A server as a process of its own: its event loop, its signals, and the settings of the garbage collector."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.request import urlopen

import pytest

PROGRAM = """
import asyncio, gc, json, socket, sys
from tidegate.server.process import run

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("closed", flush=True)
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["path"] == "/slow":
        print("began", flush=True)
        await asyncio.sleep(float(scope["query_string"]))
    loop = type(asyncio.get_running_loop()).__module__
    state = {"loop": loop, "thresholds": gc.get_threshold(), "frozen": gc.get_freeze_count() > 0}
    state["runs"] = gc.isenabled()
    body = json.dumps(state).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})

listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
run(app, [listener])
print("ended", flush=True)
"""


@contextmanager
def program() -> Iterator[tuple["subprocess.Popen[str]", int]]:
    command = [sys.executable, "-W", "error", "-c", PROGRAM]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


def test_it_has_the_fast_loop_and_collects_seldom() -> None:
    with program() as (process, port):
        with urlopen(f"http://127.0.0.1:{port}/", timeout=20) as reply:
            state = json.load(reply)
        assert state == {"loop": "uvloop", "thresholds": [10000, 50, 1000], "frozen": True, "runs": True}
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=20) == ("closed\nended\n", "")
        assert process.returncode == 0


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_running_request_end(ending: signal.Signals) -> None:
    with program() as (process, port), socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"GET /slow?0.5 HTTP/1.1\r\nhost: a\r\n\r\n")
        assert process.stdout is not None and process.stdout.readline() == "began\n"
        process.send_signal(ending)
        received = client.makefile("rb").read()
        assert received.startswith(b"HTTP/1.1 200 OK") and b"connection: close" in received
        assert process.communicate(timeout=20) == ("closed\nended\n", "")
        assert process.returncode == 0


def test_a_second_interrupt_ends_it_at_once() -> None:
    with program() as (process, port), socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"GET /slow?20 HTTP/1.1\r\nhost: a\r\n\r\n")
        assert process.stdout is not None and process.stdout.readline() == "began\n"
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        assert process.poll() is None
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20) == ("ended\n", "")
        assert time.monotonic() - began < 2

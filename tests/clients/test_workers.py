"""`serve --workers N`: several processes at one port, over one data folder."""

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.clients.programs import Program, finished, tidegate, until
from tests.clients.world import DEMO_KEY, get, serving

pytestmark = pytest.mark.slow

CALL = {"model": "demo/echo", "messages": [{"role": "user", "content": "Tide."}]}


@pytest.fixture
def data(tmp_path: Path) -> dict[str, str]:
    return {"TIDEGATE_DATA": str(tmp_path / "data")}


def workers_of(program: Program) -> list[int]:
    """The processes of the server's workers."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == program.process.pid and b"tidegate.local.worker" in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:  # it has ended
                continue
    return sorted(found)


def sockets_of(worker: int) -> int:
    links = [path.readlink() for path in Path(f"/proc/{worker}/fd").iterdir() if path.is_symlink()]
    return sum(str(link).startswith("socket:") for link in links)


def call(port: int) -> Any:
    headers = {"authorization": f"Bearer {DEMO_KEY}", "content-type": "application/json"}
    request = Request(f"http://127.0.0.1:{port}/v1/chat/completions", json.dumps(CALL).encode(), headers)
    with urlopen(request, timeout=30) as reply:
        return json.load(reply)


@contextmanager
def connections(port: int, count: int) -> Iterator[list[socket.socket]]:
    opened = [socket.create_connection(("127.0.0.1", port), 20) for _ in range(count)]
    try:
        yield opened
    finally:
        for each in opened:
            each.close()


def is_running(process: int) -> bool:
    return Path(f"/proc/{process}").exists()


@pytest.mark.parametrize("words", [("--store", "memory"), ("--ephemeral",), ("--store", "embedded")])
def test_several_processes_need_a_common_store(words: tuple[str, ...]) -> None:
    done = finished(*tidegate("serve", "--port", "0", "--workers", "2", *words))
    store = words[-1].replace("--ephemeral", "memory")
    expected = f"tidegate: --workers can be used with --store local or aws only: of {store}, each would have its own.\n"
    assert (done.returncode, done.stderr) == (2, expected)


def test_a_server_needs_a_worker() -> None:
    done = finished(*tidegate("serve", "--port", "0", "--workers", "0"))
    assert (done.returncode, done.stderr) == (2, "tidegate: --workers must be at least 1.\n")


def test_connections_are_dealt_out_and_all_calls_are_on_one_record(data: dict[str, str]) -> None:
    with serving("--workers", "2", env=data) as (program, port):
        until(lambda: len(workers_of(program)) == 2)
        call(port)
        workers = workers_of(program)
        before = {worker: sockets_of(worker) for worker in workers}
        with connections(port, 40) as opened:
            for each in opened:
                each.sendall(b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
                assert each.recv(15) == b"HTTP/1.1 200 OK"
            assert all(sockets_of(worker) - before[worker] >= 5 for worker in workers)
        threads = [threading.Thread(target=lambda: [call(port) for _ in range(5)]) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        until(lambda: get(f"http://127.0.0.1:{port}/v1/usage")["total"]["calls"] == 41)
        assert program.end() == 0
        assert program.err == []
        assert not any(map(is_running, workers))


@pytest.mark.parametrize("victim", [0, 1], ids=["the first", "another"])
def test_a_worker_that_dies_is_replaced_and_logged(victim: int, data: dict[str, str]) -> None:
    with serving("--workers", "2", env=data) as (program, port):
        until(lambda: len(workers_of(program)) == 2)
        call(port)
        workers = workers_of(program)
        os.kill(workers[victim], signal.SIGKILL)
        line = json.loads(program.said("worker.ended", 20))
        assert (line["level"], line["exit_code"]) == ("ERROR", -signal.SIGKILL)
        for _ in range(10):  # those that the dead one should have taken wait for the next one
            call(port)
        until(lambda: len(workers_of(program)) == 2)
        assert workers[victim] not in workers_of(program)
        assert program.end() == 0


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_and_lets_streams_settle(ending: signal.Signals, data: dict[str, str]) -> None:
    with serving("--workers", "2", env=data) as (program, port):
        until(lambda: len(workers_of(program)) == 2)
        body = json.dumps(CALL | {"stream": True, "messages": [{"role": "user", "content": "tide " * 2000}]}).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {DEMO_KEY}\r\n"
        head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        with connections(port, 4) as opened:
            for each in opened:
                each.sendall(head.encode() + body)
                assert each.recv(15) == b"HTTP/1.1 200 OK"
            workers = workers_of(program)
            assert program.end(ending) == 0
        settled = [json.loads(line) for line in program.out if '"call.settled"' in line]
        assert len(settled) == 4
        assert program.err == []
        assert not any(map(is_running, workers))


def test_workers_do_not_outlive_their_parent(data: dict[str, str]) -> None:
    with serving("--workers", "2", env=data) as (program, port):
        until(lambda: len(workers_of(program)) == 2)
        call(port)
        workers = workers_of(program)
        program.process.kill()
        until(lambda: not any(map(is_running, workers)))


def test_a_port_that_several_processes_share_is_taken(data: dict[str, str]) -> None:
    with serving("--workers", "2", env=data) as (_, port):
        done = finished(*tidegate("serve", "--workers", "2", "--port", str(port)), env=data)
        said = f"Cannot listen on 127.0.0.1:{port}: Address already in use. Choose another port with --port."
        assert (done.returncode, done.stderr) == (2, f"tidegate: {said}\n")


def test_batches_that_any_worker_takes_are_done_soon(data: dict[str, str]) -> None:
    with serving("--workers", "3", env=data) as (program, port):
        until(lambda: len(workers_of(program)) == 3)
        root = f"http://127.0.0.1:{port}/v1"
        line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": CALL}
        file_id = upload(root, json.dumps(line).encode() + b"\n")
        ids = [create_batch(root, file_id) for _ in range(8)]  # each over a connection of its own
        began = time.monotonic()
        for batch_id in ids:
            until(lambda batch_id=batch_id: get(f"{root}/batches/{batch_id}")["status"] == "completed", 30)
        assert time.monotonic() - began < 30  # without a message, the sweep would find them after a minute
        assert program.end() == 0
        assert program.err == []


def upload(root: str, content: bytes) -> str:
    parts = b'--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
    parts += (
        b'--b\r\ncontent-disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n' + content + b"\r\n--b--\r\n"
    )
    headers = {"authorization": f"Bearer {DEMO_KEY}", "content-type": "multipart/form-data; boundary=b"}
    with urlopen(Request(f"{root}/files", parts, headers), timeout=30) as reply:
        return json.load(reply)["id"]


def create_batch(root: str, file_id: str) -> str:
    body = {"input_file_id": file_id, "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    headers = {"authorization": f"Bearer {DEMO_KEY}", "content-type": "application/json"}
    with urlopen(Request(f"{root}/batches", json.dumps(body).encode(), headers), timeout=30) as reply:
        return json.load(reply)["id"]

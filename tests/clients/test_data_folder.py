"""A server on a data folder: what it acknowledged is there after a restart, and after it is killed."""

import asyncio
import json
import signal
import stat
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.clients.programs import Program, environment, finished, tidegate
from tests.clients.world import DEMO_ENV, DEMO_KEY, get, serving
from tidegate.aws.ledger import DynamoLedger
from tidegate.domain.account import AccountScope
from tidegate.domain.limits import Limits
from tidegate.local.stores import local_settings
from tidegate.server.limits import ConnectionLimits
from tidegate.sqlite.folder import DataFolder
from tidegate.sqlite.world import SqliteWorld

pytestmark = pytest.mark.slow

HELLO = {"model": "demo/echo", "messages": [{"role": "user", "content": "Hello, tide."}], "max_tokens": 8}


@pytest.fixture
def data(tmp_path: Path) -> dict[str, str]:
    return {"TIDEGATE_DATA": str(tmp_path / "data")}


def command(data: dict[str, str], *words: str) -> Any:
    done = finished(*tidegate(*words, "--json"), env=data)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def limited_key(data: dict[str, str]) -> str:
    """A key of a new workspace with limits, which no test reaches."""
    limits = ("tokens_per_month=100000000", "requests_per_minute=100000", "tokens_per_minute=100000000")
    command(data, "workspaces", "create", "Harbour", "--id", "ws_harbour", "--limits", *limits)
    return command(data, "keys", "create", "--workspace", "ws_harbour", "--default", "ws_harbour")["secret"]


async def call_often(
    port: int, key: str, clients: int, calls: int, until: Callable[[], bool] = lambda: False
) -> tuple[Counter[int], list[str]]:
    """How many calls ended with which status, and the ULIDs of those that were answered; 0 is a broken connection."""
    numbers, statuses, ids = iter(range(calls)), Counter[int](), list[str]()

    async def client(session: aiohttp.ClientSession) -> None:
        for _ in numbers:
            if until():
                return
            try:
                async with session.post("/v1/chat/completions", json=HELLO) as reply:
                    statuses[reply.status] += 1
                    if reply.status == 200:
                        ids.append((await reply.json())["id"].removeprefix("chatcmpl-")[:26])
            except aiohttp.ClientError:
                statuses[0] += 1
                return

    headers = {"authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", headers=headers) as session:
        await asyncio.gather(*(client(session) for _ in range(clients)))
    return statuses, ids


def settled_and_held(data: dict[str, str]) -> tuple[set[str], set[str]]:
    """The ids of the calls that have a record, and of those whose worst case is still booked."""

    async def read() -> tuple[set[str], set[str]]:
        async with SqliteWorld(DataFolder(Path(data["TIDEGATE_DATA"])), local_settings({}, None)) as world:
            records = await world.store.query("WS#ws_harbour", "CALL#")
            account = await DynamoLedger(world.store).account(AccountScope("workspace", "ws_harbour", Limits()))
            return {str(record["sk"]).removeprefix("CALL#") for record in records}, set(account.holds)

    return asyncio.run(read())


def test_what_one_made_survives_a_restart(data: dict[str, str]) -> None:
    with serving(env=data) as (_, port):
        key = limited_key(data)
        statuses, ids = asyncio.run(call_often(port, key, 4, 20))
        assert statuses == {200: 20}
        command(data, "plans", "create", "plan_pro", "--limits", "words_per_day=500")
        admin = command(data, "admin-keys", "create", "--name", "ops")
    assert settled_and_held(data) == (set(ids), set())  # no server runs
    with serving(env=data) as (_, port):
        for each in (key, DEMO_KEY):
            assert asyncio.run(call_often(port, each, 1, 1))[0] == {200: 1}
        assert [plan["id"] for plan in get(f"http://127.0.0.1:{port}/admin/v1/plans", admin["secret"])["data"]] == [
            "plan_pro"
        ]
    assert len(settled_and_held(data)[0]) == 21
    assert command(data, "workspaces", "show", "ws_harbour")["limits"]["requests_per_minute"] == 100000


def test_many_clients_of_a_workspace_with_limits_are_all_served(data: dict[str, str]) -> None:
    with serving(env=data) as (_, port):
        key = limited_key(data)
        statuses, ids = asyncio.run(call_often(port, key, 32, 600))
        assert statuses == {200: 600}
    assert settled_and_held(data) == (set(ids), set())


def test_a_killed_server_has_every_answered_call_on_record(data: dict[str, str]) -> None:
    with serving(env=data) as (program, port):
        key = limited_key(data)

        async def calls_until_killed() -> tuple[Counter[int], list[str]]:
            stop_at = time.monotonic() + 1.5
            calling = asyncio.create_task(call_often(port, key, 8, 10_000))
            await asyncio.sleep(stop_at - time.monotonic())
            program.process.kill()
            return await calling

        statuses, ids = asyncio.run(calls_until_killed())
        assert statuses[200] > 8
        assert set(statuses) <= {200, 0}
        program.end(signal.SIGKILL)
    # A call is settled after its answer. Until then, its worst case is booked; the sweeper records it as lost.
    settled, held = settled_and_held(data)
    assert set(ids) <= settled | held
    assert len(held) <= 8 + ConnectionLimits().max_unsettled
    with serving(env=data) as (_, port):
        assert asyncio.run(call_often(port, key, 1, 1))[0] == {200: 1}


def test_the_demo_keys_are_the_same_with_each_start_and_what_is_revoked_stays_so(data: dict[str, str]) -> None:
    def demo_key() -> str:
        program = subprocess.Popen(
            tidegate("serve", "--port", "0"),
            env=environment(data),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with program:
            started = Program(program)
            started.read()
            line = started.said("  key  ")
            started.end()
        return line.split()[1]

    first = demo_key()
    assert demo_key() == first
    path = Path(data["TIDEGATE_DATA"])
    modes = {(file.is_dir(), stat.S_IMODE(file.stat().st_mode)) for file in path.iterdir()}
    assert modes == {(False, 0o600), (True, 0o700)}
    [key] = command(data, "keys", "list", "--workspace", "ws_demo")
    command(data, "keys", "revoke", key["id"], "--workspace", "ws_demo")
    assert demo_key() == first
    assert [each["status"] for each in command(data, "keys", "list", "--workspace", "ws_demo")] == ["revoked"]


def test_an_ephemeral_server_leaves_nothing(data: dict[str, str]) -> None:
    with serving("--ephemeral", env=data) as (program, port):
        assert "lost when the server stops" in program.said("  data  ")
        assert asyncio.run(call_often(port, DEMO_KEY, 1, 1))[0] == {200: 1}
        done = finished(*tidegate("workspaces", "list"), env=data)
        assert (done.returncode, f"http://127.0.0.1:{port}/admin/v1" in done.stderr) == (2, True)
    assert not Path(data["TIDEGATE_DATA"]).exists()


def test_without_the_demo_there_is_no_key_and_no_demo_provider(data: dict[str, str]) -> None:
    with serving("--no-demo", env=data) as (program, _):
        assert "demo" not in program.said("  providers  ")
    assert command(data, "workspaces", "list") == []


def test_the_command_line_finds_an_embedded_aws_at_any_port(data: dict[str, str]) -> None:
    with serving("--store", "embedded", "--embedded-port", "0", env=data):
        assert [each["id"] for each in command(data, "workspaces", "list")] == ["ws_demo"]


@pytest.mark.parametrize("words", [("--ephemeral",), ("--data", "x")])
def test_options_that_contradict_each_other_are_refused(words: tuple[str, ...]) -> None:
    done = finished(*tidegate("serve", "--port", "0", "--store", "aws", *words), env=DEMO_ENV)
    assert (done.returncode, "can be used with --store" in done.stderr) == (2, True)

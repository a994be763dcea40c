"""Batches of `python -m tidegate serve`: submitted, dropped as a file, and through a kill of the server."""

import asyncio
import json
import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.batch.world import jsonl, request
from tests.clients.programs import Program, finished, tidegate, until
from tests.clients.world import DEMO_ENV, DEMO_WORKSPACE, serving
from tidegate.aws.ledger import DynamoLedger
from tidegate.domain.account import AccountScope
from tidegate.domain.limits import Limits
from tidegate.local.stores import local_settings
from tidegate.sqlite.folder import DataFolder
from tidegate.sqlite.world import SqliteWorld

pytestmark = pytest.mark.slow


@pytest.fixture
def data(tmp_path: Path) -> dict[str, str]:
    return {"TIDEGATE_DATA": str(tmp_path / "data")}


def batch(data: dict[str, str], *words: str) -> Any:
    done = finished(*tidegate("batch", *words), env=data)
    assert "Traceback" not in done.stderr
    return done


def shown(data: dict[str, str], batch_id: str, *words: str) -> Any:
    done = batch(data, "show", batch_id, "--json", *words)
    assert (done.returncode, done.stderr) in ((0, ""), (1, ""))
    return json.loads(done.stdout)


def entries(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


@pytest.mark.parametrize("store", [(), ("--store", "embedded", "--embedded-port", "0")], ids=["local", "embedded"])
def test_a_file_becomes_results_on_the_demo_provider(
    store: tuple[str, ...], data: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "tides.jsonl"
    padding = {"user": "x" * 250_000}  # beyond 4 MB, the file goes to the embedded bucket, or in one form to the folder
    path.write_bytes(jsonl([request(number, f"Tide {number}", "demo/echo", **padding) for number in range(20)]))
    key = {} if not store else {"TIDEGATE_API_KEY": DEMO_ENV["TIDEGATE_DEMO_KEY"]}
    with serving(*store, env=data) as (program, _):
        done = batch(data | key, "submit", str(path), "--output", str(tmp_path / "out"))
        assert done.returncode == 0, done.stderr
        assert "lines        20 (20 completed, 0 failed)" in done.stdout
        output = entries(tmp_path / "out" / "tides.output.jsonl")
        contents = [each["response"]["body"]["choices"][0]["message"]["content"] for each in output]
        assert contents == [f"Tide {number}" for number in range(20)]
        assert (program.end(), program.err) == (0, [])


def test_a_dropped_file_becomes_results(data: dict[str, str]) -> None:
    with serving(env=data) as (program, _):
        folder = Path(program.said("drop files of requests into").rpartition(" ")[2])
        output = folder.parent / "out" / "tides.jsonl" / "output.jsonl"
        (folder / "tides.part").write_bytes(jsonl([request(number, model="demo/echo") for number in range(3)]))
        (folder / "tides.part").rename(folder / "tides.jsonl")
        (folder / "bad.jsonl").write_bytes(b"Hello\n")
        until(output.exists, 30)
        until(lambda: (folder.parent / "rejected" / "bad.jsonl.reason.json").exists())
        assert [each["custom_id"] for each in entries(output)] == ["line-0", "line-1", "line-2"]


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
def test_a_batch_goes_on_after_the_server_has_ended_in_the_middle(
    ending: signal.Signals, data: dict[str, str], tmp_path: Path
) -> None:
    models = ["demo/slow" if number % 5 == 0 else "demo/echo" for number in range(2000)]
    path = tmp_path / "many.jsonl"
    path.write_bytes(jsonl([request(number, f"Tide {number}", model) for number, model in enumerate(models)]))
    with serving(env=data) as (program, _):
        limits = ("--limits", "tokens_per_month=100000000", "words_per_month=100000000")
        assert finished(*tidegate("workspaces", "set-limits", DEMO_WORKSPACE, *limits), env=data).returncode == 0
        batch_id = json.loads(batch(data, "submit", str(path), "--json").stdout)["id"]
        until(lambda: shown(data, batch_id)["request_counts"]["completed"] >= 100, 30)
        assert end(program, ending) in (0, -signal.SIGKILL)
    with serving(env=data) as (program, _):
        done = finished(*tidegate("batch", "show", batch_id, "--wait", "--json"), env=data, seconds=120)
        ended = json.loads(done.stdout)
        assert (done.returncode, ended["status"]) == (0, "completed"), done.stderr
        assert ended["request_counts"] == {"total": 2000, "completed": 2000, "failed": 0}
        assert batch(data, "results", batch_id, "--output", str(tmp_path / "out")).returncode == 0
        assert end(program, signal.SIGTERM) == 0
    output = entries(tmp_path / "out" / f"{batch_id}.output.jsonl")
    assert [each["custom_id"] for each in output] == [f"line-{number}" for number in range(2000)]
    assert max(Counter(each["id"] for each in output).values()) == 1
    tokens = sum(each["response"]["body"]["usage"]["total_tokens"] for each in output)
    assert ended["usage"]["total_tokens"] == tokens
    # Each of the four workers had 64 lines in flight, and was allowed to begin 64 more.
    assert ended["tidegate"]["lost"] <= (4 * 2 * 64 if ending == signal.SIGKILL else 0)
    assert charged_and_held(data) == (tokens, 0)


def charged_and_held(data: dict[str, str]) -> tuple[int, int]:
    """The tokens in the records of the demo workspace, and the number of its open holds."""

    async def read() -> tuple[int, int]:
        async with SqliteWorld(DataFolder(Path(data["TIDEGATE_DATA"])), local_settings({}, None)) as world:
            records = await world.store.query(f"WS#{DEMO_WORKSPACE}", "CALL#")
            account = await DynamoLedger(world.store).account(AccountScope("workspace", DEMO_WORKSPACE, Limits()))
            charged = sum(int(str(each[name])) for each in records for name in ("input_tokens", "output_tokens"))
            return charged, len(account.holds)

    return asyncio.run(read())


def end(program: Program, ending: signal.Signals) -> int:
    if ending == signal.SIGKILL:
        os.kill(program.process.pid, ending)
    return program.end(ending)

"""`tidegate calls` against a gateway in this process, with its dashboard and the demo provider."""

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tests.cli.live_server import ADMIN_KEY, KEY, served
from tests.cli.terminal import Said
from tidegate.cli import calls

Type = Callable[..., Said]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served() as url:
        yield url


@pytest.fixture
def tidegate(url: str, capsys: pytest.CaptureFixture[str]) -> Type:
    def typed(*words: str, key: str = KEY) -> Said:
        parser = argparse.ArgumentParser(prog="tidegate")
        calls.add_parser(parser.add_subparsers(required=True), "calls", "calls")
        options = parser.parse_args(["calls", *words, "--url", url, "--key", key])
        return Said(calls.run(options, {}), *capsys.readouterr())

    return typed


def make_call(url: str, text: str = "Hello, tide.", key: str = KEY, **fields: Any) -> str:
    """Make a call of the demo provider, and return its id."""
    body = {"model": "demo/echo", "messages": [{"role": "user", "content": text}], **fields}
    answer = httpx.post(f"{url}/v1/chat/completions", headers={"authorization": f"Bearer {key}"}, json=body)
    return answer.headers["x-request-id"]


def other_key(url: str) -> str:
    """A key of another workspace."""
    with httpx.Client(base_url=f"{url}/admin/v1", headers={"authorization": f"Bearer {ADMIN_KEY}"}) as admin:
        admin.post("/workspaces", json={"id": "ws_other", "name": "Other"}).raise_for_status()
        return admin.post("/keys", json={"workspace_ids": ["ws_other"]}).raise_for_status().json()["secret"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_is_shown_and_made_again(tidegate: Type, url: str, stream: bool) -> None:
    call_id = make_call(url, "High water", observability=True, stream=stream)
    shown = tidegate("show", call_id, "--trace")
    assert shown.code == 0
    assert all(text in shown.out for text in (call_id, "settled", "[user] High water", "ANSWER\nHigh water"))
    replayed: Any = tidegate("replay", call_id, "--yes", "--json").json
    assert [replayed[side]["answer"] for side in ("recorded", "replay")] == ["High water"] * 2
    records = [replayed[side]["record"] for side in ("recorded", "replay")]
    assert [each["stream"] for each in records] == [stream, stream]
    assert records[0]["id"] == call_id != records[1]["id"]


def test_a_call_without_a_trace_cannot_be_made_again(tidegate: Type, url: str) -> None:
    said = tidegate("replay", make_call(url), "--yes")
    assert (said.code, said.out) == (1, "") and '"observability": true' in said.err


def test_calls_are_exported(tidegate: Type, url: str) -> None:
    ids = {make_call(url) for _ in range(2)}
    lines = [json.loads(line)["id"] for line in tidegate("export").out.splitlines()]
    assert {*lines[:2]} == ids
    assert tidegate("export", "--format", "csv").out.count("\n") == len(lines) + 1


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_a_year_of_records_is_refused(tidegate: Type, form: str) -> None:
    said = tidegate("export", "--from", "2025-01-01", "--format", form)
    assert (said.code, said.out) == (2, "")
    assert "at most 92 days" in said.err and "/console/v1/overview" in said.err


def test_wrong_ids_keys_and_cursors_are_refused(tidegate: Type, url: str) -> None:
    foreign = other_key(url)
    call_id = make_call(url, key=foreign)
    assert tidegate("show", call_id, key=foreign).code == 0
    for said in (tidegate("show", call_id), tidegate("show", "01ARZ3NDEKTSV4RRFFQ69G5FAV"), tidegate("show", "no id")):
        assert (said.code, said.out) == (1, "") and "No call of this workspace" in said.err
    hidden = tidegate("export", "--workspace", "ws_other")
    assert (hidden.code, "no workspace 'ws_other'" in hidden.err) == (1, True)
    assert "key" in tidegate("show", call_id, key="sk-tidegate-wrong").err
    wrong = tidegate("export", "--cursor", "a-b")
    assert (wrong.code, wrong.out, "cursor" in wrong.err) == (2, "", True)


def test_an_admin_key_names_a_workspace(tidegate: Type, url: str) -> None:
    call_id = make_call(url)
    assert tidegate("show", call_id, "--workspace", "ws_demo", key=ADMIN_KEY).code == 0
    assert tidegate("replay", call_id, "--yes", key=ADMIN_KEY).code == 2


def test_calls_are_repriced(tidegate: Type) -> None:
    report: Any = tidegate("reprice", "--model", "gpt-4o-mini", "--model", "nobody/knows", "--json").json
    assert [(each["model"], each["problem"]) for each in report["models"]] == [
        ("openai/gpt-4o-mini", None),
        ("nobody/knows", "unknown_model"),
    ]


def test_a_server_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser(prog="tidegate")
    calls.add_parser(parser.add_subparsers(required=True), "calls", "calls")
    options = parser.parse_args(["calls", "tail", "--url", "http://127.0.0.1:9", "--key", "sk-x"])
    assert calls.run(options, {}) == 2
    assert "http://127.0.0.1:9/v1 does not answer: is the server running" in capsys.readouterr().err


def test_a_tail_shows_calls_live_and_ends_with_ctrl_c(url: str) -> None:
    earlier = make_call(url)
    words = ("calls", "tail", "--json", "--url", url, "--key", KEY)
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    command = (sys.executable, "-m", "tidegate", *words)
    with following(command, env) as tail:
        assert tail.stdout is not None and tail.stderr is not None
        shown = json.loads(tail.stdout.readline())["id"]
        while shown != earlier:
            shown = json.loads(tail.stdout.readline())["id"]
        later = make_call(url)
        assert json.loads(tail.stdout.readline())["id"] == later
        tail.send_signal(signal.SIGINT)
        assert (tail.wait(60), tail.stdout.read(), tail.stderr.read()) == (130, "", "")


@contextmanager
def following(command: tuple[str, ...], env: dict[str, str]) -> Iterator["subprocess.Popen[str]"]:
    """A program that hears Ctrl-C, also where a shell has started the tests in the background, which ignore it."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, preexec_fn=hear_ctrl_c
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def hear_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

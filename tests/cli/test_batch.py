"""`tidegate batch` against a scripted gateway: what it sends, prints and returns."""

import argparse
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.batch_server import STORAGE, URL, BatchServer, batch, refusal
from tests.cli.terminal import Said
from tidegate.cli import batch as batch_command
from tidegate.cli import batch_client, batch_progress
from tidegate.cli.batch_progress import Display, Watch, parse_progress

ENV = {"TIDEGATE_URL": URL, "TIDEGATE_API_KEY": "sk-tidegate-test"}
ALL_DONE = batch("completed", 2, 0, 2, output_file_id="file-out")
SOME_DONE = batch("completed", 1, 1, 2, output_file_id="file-out", error_file_id="file-err")

Type = Callable[..., Said]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_progress, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(batch_client, "REPETITION_SECONDS", (0.0, 0.0, 0.0))


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str]) -> Type:
    """Types a command for a server."""

    def run(server: BatchServer, *words: str, **env: str) -> Said:
        code = batch_command.run(parsed(*words), {**ENV, **env}, server.transport)
        return Said(code, *capsys.readouterr())

    return run


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tidegate")
    batch_command.add_parser(parser.add_subparsers(required=True), "batch", "batches")
    return parser.parse_args(["batch", *words])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "in.jsonl"
    path.write_bytes(b'{"custom_id": "a"}\n{"custom_id": "b"}\n')
    return path


def test_a_file_is_uploaded_and_becomes_a_batch(typed: Type, file: Path) -> None:
    server = BatchServer()
    words = ("submit", str(file), "--window", "2h", "--metadata", "team=ops", "--metadata", "note=a=b")
    said = typed(server, *words, "--workspace", "ws_one")
    assert said.code == 0
    assert "id           batch_1\nstatus       validating\n" in said.out
    assert said.err == (f"batch_1 was created from {file}.\nTo follow it: tidegate batch show batch_1 --wait\n")
    assert server.requests == [("POST", "/files"), ("POST", "/batches")]
    form = server.bodies[0]
    assert b'name="purpose"\r\n\r\nbatch\r\n' in form
    assert b'filename="in.jsonl"' in form and file.read_bytes() in form
    assert json.loads(server.bodies[1]) == {
        "input_file_id": "file-1",
        "endpoint": "/v1/chat/completions",
        "completion_window": "2h",
        "metadata": {"team": "ops", "note": "a=b"},
    }
    assert {(each["authorization"], each["x-workspace-id"]) for each in server.headers} == {
        ("Bearer sk-tidegate-test", "ws_one")
    }


@pytest.mark.parametrize("fault", [httpx.ReadTimeout("late"), 409, 500, 503])
def test_a_lost_answer_is_asked_for_again_with_the_same_key(typed: Type, file: Path, fault: Exception | int) -> None:
    faults = [fault, fault]

    def lose(request: httpx.Request) -> httpx.Response | None:
        if request.url.path != "/v1/batches" or not faults:
            return None
        lost = faults.pop()
        if isinstance(lost, Exception):
            raise lost
        return refusal(lost, "idempotency_in_flight" if lost == 409 else "internal_error", "Wait.")

    server = BatchServer(on_request=lose)
    assert typed(server, "submit", str(file)).code == 0
    assert server.requests == [("POST", "/files"), *[("POST", "/batches")] * 3]
    assert len(set(server.sent("/batches"))) == 1
    keys = {each["idempotency-key"] for each in server.headers[1:]}
    assert len(keys) == 1
    assert typed(server, "submit", str(file)).code == 0
    assert server.headers[-1]["idempotency-key"] not in keys


@pytest.mark.parametrize(("fault", "requests"), [(400, 1), (409, 1), (429, 1), (500, 4)])
def test_a_refused_batch_is_told(typed: Type, file: Path, fault: int, requests: int) -> None:
    def refuse(request: httpx.Request) -> httpx.Response | None:
        return refusal(fault, "some_code", "Refused.") if request.url.path == "/v1/batches" else None

    server = BatchServer(on_request=refuse)
    assert typed(server, "submit", str(file)) == Said(2, "", "tidegate: Refused.\n")
    assert len(server.sent("/batches")) == requests


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large.jsonl"
    path.write_bytes(b"".join(b'{"custom_id": "%07d"}\n' % number for number in range(400_000)))
    assert path.stat().st_size > 2 * 4 * 1024 * 1024
    return path


def test_a_large_file_goes_to_the_storage_without_the_key(typed: Type, large: Path) -> None:
    server = BatchServer(presigns=True)
    assert typed(server, "submit", str(large)).code == 0
    assert server.requests == [("POST", "/files"), ("PUT", "/object"), ("POST", "/batches")]
    size = large.stat().st_size
    assert json.loads(server.bodies[0]) == {"filename": "large.jsonl", "bytes": size, "purpose": "batch"}
    assert server.bodies[1] == large.read_bytes()
    sent = server.headers[1]
    assert (sent["host"], sent["content-length"], sent["x-checked"]) == (httpx.URL(STORAGE).host, str(size), "yes")
    assert "authorization" not in sent and "transfer-encoding" not in sent


def test_a_large_file_is_one_form_where_the_gateway_takes_it(typed: Type, large: Path) -> None:
    server = BatchServer()
    assert typed(server, "submit", str(large)).code == 0
    assert server.requests == [("POST", "/files"), ("POST", "/files"), ("POST", "/batches")]
    assert large.read_bytes() in server.bodies[1]


def test_a_file_that_is_too_large_for_a_form_is_uploaded_in_parts(typed: Type, large: Path) -> None:
    server = BatchServer(form_limit=4_400_000)
    assert typed(server, "submit", str(large)).code == 0
    parts = server.sent("/uploads/upload_1/parts")
    assert len(parts) == 3 and all(len(part) < 4_400_000 for part in parts)
    content = b"".join(part.split(b"\r\n\r\n", 1)[1].rsplit(b"\r\n--", 1)[0] for part in parts)
    assert content == large.read_bytes()
    assert json.loads(server.sent("/uploads")[0])["bytes"] == large.stat().st_size
    assert json.loads(server.sent("/uploads/upload_1/complete")[0]) == {"part_ids": ["part_1", "part_2", "part_3"]}


@pytest.mark.parametrize("status", [400, 403, 413, 503])
def test_a_refused_file_is_not_sent_again_in_another_way(typed: Type, large: Path, status: int) -> None:
    server = BatchServer(on_request=lambda _: refusal(status, "refused", "Not yours."))
    assert typed(server, "submit", str(large)) == Said(2, "", "tidegate: Not yours.\n")
    assert len(server.requests) == 1


def test_waiting_shows_the_progress_and_writes_the_results(typed: Type, file: Path, tmp_path: Path) -> None:
    server = BatchServer([batch("validating"), batch("in_progress", total=2), SOME_DONE], output=b"1\n", errors=b"2\n")
    said = typed(server, "submit", str(file), "--output", str(tmp_path / "new" / "out"))
    assert said.code == 1
    assert sorted(path.name for path in (tmp_path / "new" / "out").iterdir()) == ["in.errors.jsonl", "in.output.jsonl"]
    assert (tmp_path / "new" / "out" / "in.output.jsonl").read_bytes() == b"1\n"
    assert (tmp_path / "new" / "out" / "in.errors.jsonl").read_bytes() == b"2\n"
    assert "validating …\n" in said.err and "lines        2 (1 completed, 1 failed)" in said.out


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (ALL_DONE, 0),
        (SOME_DONE, 1),
        (batch("failed"), 2),
        (batch("cancelled", 1, 0, 2), 1),
        (batch("expired", 1, 1, 2), 1),
        (batch("cancelled"), 1),
    ],
    ids=["completed", "some", "failed", "cancelled", "expired", "cancelled at once"],
)
def test_the_exit_code_tells_how_the_batch_ended(typed: Type, file: Path, state: Any, code: int) -> None:
    assert typed(BatchServer([state]), "submit", str(file), "--wait").code == code


def test_json_is_all_that_is_printed(typed: Type, file: Path) -> None:
    said = typed(BatchServer([batch("in_progress", total=2), ALL_DONE]), "submit", str(file), "--wait", "--json")
    assert said.json == ALL_DONE
    listed = typed(BatchServer([ALL_DONE]), "list", "--json")
    assert listed.json == {"object": "list", "data": [ALL_DONE], "has_more": True}


def test_batches_are_listed_with_the_next_page(typed: Type) -> None:
    paused = batch("in_progress", 1, 0, 2, tidegate={"pause": "budget", "cost_usd": "0.25"})
    said = typed(BatchServer([paused]), "list", "--limit", "1")
    assert said.out.splitlines() == [
        "ID       CREATED                   STATUS               LINES  DONE  FAILED  COST USD",
        "batch_1  2026-11-21T12:00:00.000Z  in_progress, paused  2      1     0       0.25",
        "",
        "There are more: add --after batch_1",
    ]


def test_the_faults_of_a_failed_batch_are_shown(typed: Type) -> None:
    faults = [{"code": "invalid_json_line", "message": "Not JSON.", "line": 3, "param": None}]
    said = typed(BatchServer([batch("failed", errors={"object": "list", "data": faults})]), "show", "batch_1")
    assert said.code == 0
    assert "error        line 3: Not JSON. (invalid_json_line)" in said.out


def test_cancel_and_resume_ask_the_gateway(typed: Type) -> None:
    server = BatchServer([batch("cancelling")])
    assert typed(server, "cancel", "batch_1").code == 0
    assert typed(server, "resume", "batch_1").code == 0
    assert server.requests == [("POST", "/batches/batch_1/cancel"), ("POST", "/batches/batch_1/resume")]


def test_results_are_streams_for_other_programs(typed: Type) -> None:
    server = BatchServer([SOME_DONE], output=b'{"a":1}\n', errors=b'{"b":2}\n')
    assert typed(server, "results", "batch_1") == Said(1, '{"a":1}\n', '{"b":2}\n')


def test_results_of_a_running_batch_are_not_there_yet(typed: Type) -> None:
    said = typed(BatchServer([batch("in_progress")]), "results", "batch_1")
    assert (said.code, said.out) == (2, "")
    assert "To wait: tidegate batch show batch_1 --wait" in said.err


def test_a_download_that_breaks_off_leaves_no_file(typed: Type, tmp_path: Path) -> None:
    def cut(request: httpx.Request) -> httpx.Response | None:
        if not request.url.path.endswith("/content"):
            return None

        class Cut(httpx.SyncByteStream):
            def __iter__(self) -> Any:
                yield b"half"
                raise httpx.ReadError("reset")

        return httpx.Response(200, stream=Cut())

    said = typed(BatchServer([ALL_DONE], on_request=cut), "results", "batch_1", "--output", str(tmp_path / "out"))
    assert (said.code, list((tmp_path / "out").iterdir())) == (2, [])
    assert said.err == f"tidegate: The connection to {URL} broke off: reset.\n"


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (401, "invalid_api_key", "Wrong key. Use another key with --key, or set TIDEGATE_API_KEY."),
        (404, "not_found", "Wrong key."),
    ],
)
def test_an_error_of_the_gateway_is_one_line(typed: Type, status: int, code: str, message: str) -> None:
    server = BatchServer(on_request=lambda _: refusal(status, code, "Wrong key."))
    assert typed(server, "show", "batch_1") == Said(2, "", f"tidegate: {message}\n")


def test_another_server_is_told_apart(typed: Type) -> None:
    server = BatchServer(on_request=lambda _: httpx.Response(200, text="<html>"))
    said = typed(server, "show", "batch_1")
    assert said == Said(2, "", "tidegate: The answer is not JSON: is the URL that of a Tidegate gateway?\n")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.jsonl", "Cannot read {path}: No such file or directory."),
        ("folder", "Cannot read {path}: Is a directory."),
        ("empty.jsonl", "{path} is empty: write one request in each line."),
    ],
)
def test_a_file_that_cannot_be_sent_is_one_line(typed: Type, tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.jsonl").touch()
    path, server = tmp_path / name, BatchServer()
    assert typed(server, "submit", str(path)) == Said(2, "", f"tidegate: {message.format(path=path)}\n")
    assert server.requests == []


def test_ctrl_c_leaves_the_batch_running_and_says_how_to_go_on(typed: Type, file: Path) -> None:
    def interrupt(request: httpx.Request) -> httpx.Response | None:
        if request.method == "GET":
            raise KeyboardInterrupt
        return None

    server = BatchServer(on_request=interrupt)
    said = typed(server, "submit", str(file), "--wait")
    assert (said.code, said.out) == (130, "")
    assert "To follow it: tidegate batch show batch_1 --wait. To end it: tidegate batch cancel batch_1" in said.err
    assert ("POST", "/batches/batch_1/cancel") not in server.requests


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_bar_shows_lines_failures_tokens_cost_rate_and_time() -> None:
    usage, own = {"total_tokens": 45_678}, {"cost_usd": "0.1234", "pause": None}
    state = batch("in_progress", 600, 12, 2000, usage=usage, tidegate=own)
    assert parse_progress(state).text(20.0) == (
        "[#######.................] 612/2,000 lines · 12 failed · 45,678 tokens · $0.1234 · 20.0/s · 1:09 left"
    )
    paused = parse_progress({**state, "tidegate": {"pause": "budget"}})
    assert paused.text(20.0).endswith("45,678 tokens · paused (budget)")


def test_a_line_is_not_longer_than_the_terminal_is_wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    stream = Terminal()
    display = Display(stream)
    display.show("x" * 30)
    display.show("y" * 5)
    display.say("Done.")
    assert stream.getvalue() == "\r" + "x" * 19 + "\r" + "y" * 5 + " " * 14 + "\r     \rDone.\n"


def test_the_rate_is_that_of_the_last_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    states = [batch("in_progress", done, 0, 1000) for done in (0, 100, 200, 200)] + [batch("completed", 1000, 0, 1000)]
    monkeypatch.setenv("COLUMNS", "200")
    server, stream, now = BatchServer(states), Terminal(), [0.0]

    def sleep(_: float) -> None:
        now[0] += 10.0

    with client(server) as connection:
        Watch(connection, Display(stream), sleep, lambda: now[0]).until_ended("batch_1")
    lines = [line.rstrip() for line in stream.getvalue().split("\r")]
    assert [line.partition("lines")[2] for line in lines if "lines" in line] == [
        "",
        " · 10.0/s · 1:30 left",
        " · 10.0/s · 1:20 left",
        "",
        " · completed",
    ]


def test_a_pause_is_told_once() -> None:
    paused = batch("in_progress", 1, 0, 2, tidegate={"pause": "budget"})
    server, stream = BatchServer([paused, paused, ALL_DONE]), io.StringIO()
    with client(server) as connection:
        Watch(connection, Display(stream), lambda _: None).until_ended("batch_1")
    assert stream.getvalue().count("batch_1 is paused: the budget has no room") == 1


def test_a_server_that_is_away_for_a_while_is_waited_for() -> None:
    looks = 0

    def away(_: httpx.Request) -> httpx.Response | None:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise httpx.ConnectError("refused")
        return httpx.Response(503, json={}) if looks == 2 else None

    server = BatchServer([ALL_DONE], on_request=away)
    with client(server) as connection:
        ended = Watch(connection, Display(io.StringIO()), lambda _: None).until_ended("batch_1")
    assert (ended, looks) == (ALL_DONE, 3)


def test_a_server_that_stays_away_ends_the_command() -> None:
    def away(_: httpx.Request) -> httpx.Response | None:
        raise httpx.ConnectError("refused")

    now = [0.0]

    def sleep(_: float) -> None:
        now[0] += 60.0

    with client(BatchServer(on_request=away)) as connection:
        with pytest.raises(batch_command.TidegateError, match="does not answer"):
            Watch(connection, Display(io.StringIO()), sleep, lambda: now[0]).until_ended("batch_1")
    assert now[0] == 660.0


def client(server: BatchServer) -> Any:
    access = batch_command.find_server(parsed("list"), ENV)
    return batch_command.BatchClient(access, server.transport)

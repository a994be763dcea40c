"""`tidegate calls show | export | reprice` against a scripted gateway: what it asks, prints and returns."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.batch_server import refusal
from tests.cli.calls_server import CALL_ID, CallsServer, details, page, record, reply, run, trace
from tests.cli.terminal import Said

Type = Callable[..., Said]


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str]) -> Type:
    """Types a command for a server."""
    return lambda server, *words, **env: Said(run(server, *words, **env), *capsys.readouterr())


def test_a_call_is_shown_with_its_timeline_and_cost(typed: Type) -> None:
    server = CallsServer(details=[details(session_id="s1")])
    said = typed(server, "show", CALL_ID, "--workspace", "ws_one")
    assert (said.code, server.queries(f"/calls/{CALL_ID}")) == (0, [{"workspace": "ws_one", "trace": "false"}])
    assert "session_id           s1" in said.out
    assert f"    1.000  +1.000  {'=' * 32}|  settled" in said.out
    assert "input  1,204  $2.5        $0.003010" in said.out
    assert said.out.endswith("content: not_asked\n")


@pytest.mark.parametrize("reply_id", [f"chatcmpl-{CALL_ID}a9Z", f"gen-1795262400-{CALL_ID}", CALL_ID])
def test_a_call_is_found_by_the_id_of_its_reply(typed: Type, reply_id: str) -> None:
    server = CallsServer(details=[details()])
    shown: Any = typed(server, "show", reply_id, "--json").json
    assert shown["record"]["id"] == CALL_ID
    assert len(server.queries(f"/calls/{CALL_ID}")) == 1


def test_content_is_shown_only_if_asked_for(typed: Type) -> None:
    call = details(trace(masked=["pii"]), "kept")
    server = CallsServer(details=[call])
    said = typed(server, "show", CALL_ID, "--trace")
    assert server.queries(f"/calls/{CALL_ID}") == [{}]
    assert "Masked by pii" in said.out and "[user] Hello" in said.out and said.out.endswith("ANSWER\nHi\n")
    without: Any = typed(CallsServer(details=[call]), "show", CALL_ID, "--json").json
    assert "trace" not in without and without["trace_status"] == "kept"
    assert typed(CallsServer(details=[call]), "show", CALL_ID, "--json", "--trace").json == call


def test_a_line_of_a_batch_has_content_and_no_record(typed: Type) -> None:
    call = {"record": None, "timeline": [], "cost": None, "trace": trace(), "trace_status": "kept"}
    said = typed(CallsServer(details=[call]), "show", CALL_ID, "--trace")
    assert (said.code, said.out.startswith("REQUEST\n")) == (0, True)
    replayed = typed(CallsServer(details=[call]), "replay", CALL_ID, "--yes")
    assert (replayed.code, "does not name its endpoint" in replayed.err) == (2, True)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("not_asked", '"observability": true'),
        ("expired", "kept until 2026-11-28T12:00:00.000Z"),
        ("lost", "could not be stored"),
        ("not_yours", "with another key"),
        ("needs_scope", "scope `content`"),
    ],
)
def test_why_there_is_no_content_is_said(typed: Type, status: str, reason: str) -> None:
    call = details(None, status, trace_until="2026-11-28T12:00:00.000Z")
    for words in (("show", CALL_ID, "--trace"), ("replay", CALL_ID, "--yes")):
        said = typed(CallsServer(details=[call]), *words)
        assert said.code == 1 and reason in said.err


def test_texts_do_not_control_the_terminal(typed: Type) -> None:
    evil = "\x1b]0;owned\x07\x1b[2J\u202e"
    request = {"model": evil, "messages": [{"role": "user", "content": evil}]}
    call = details(trace(request=request, error={"code": evil, "message": evil}, answer=None), "kept", model=evil)
    call["record"] |= {"session_id": evil, "provider": None, "error_code": evil}
    call["timeline"][0] |= {"detail": evil, "deployment": evil}
    said = typed(CallsServer(details=[call]), "show", CALL_ID, "--trace")
    assert not {"\x1b", "\x07", "\u202e"} & {*said.out} and "owned" in said.out
    server = CallsServer(details=[call], answer=httpx.Response(200, json=reply(evil)))
    assert not {"\x1b", "\x07", "\u202e"} & {*typed(server, "replay", CALL_ID, "--yes").out}


def test_an_export_has_all_pages(typed: Type, tmp_path: Path) -> None:
    ids = [f"01{number:024}" for number in range(5, 0, -1)]
    first, second = page(*map(record, ids[:3]), cursor=ids[2]), page(*map(record, ids[3:]))
    server = CallsServer(pages=[first, page(cursor="01A"), second])
    path = tmp_path / "calls.jsonl"
    words = ("--from", "2026-11-01", "--to", "2026-11-02", "--app", "shop", "--slower", "2")
    said = typed(server, "export", *words, "--output", str(path))
    assert (said.code, said.out, said.err) == (0, "", "tidegate: 5 calls are written.\n")
    assert [json.loads(line)["id"] for line in path.read_text().splitlines()] == ids
    span = {"from": "2026-11-01T00:00:00.000Z", "to": "2026-11-02T00:00:00.000Z"}
    query = {"app": "shop", "slower": "2", "limit": "200", **span}
    assert server.queries() == [query, {**query, "cursor": ids[2]}, {**query, "cursor": "01A"}]


def test_an_export_that_broke_off_goes_on(typed: Type, tmp_path: Path) -> None:
    path, words = tmp_path / "calls.jsonl", ("--from", "2026-11-01", "--to", "2026-11-02")
    server = CallsServer(pages=[page(record("01B"), cursor="01B"), httpx.ConnectError("gone")])
    said = typed(server, "export", *words, "--output", str(path))
    assert said.code == 2 and "does not answer" in said.err
    advice = "--from 2026-11-01T00:00:00.000Z --to 2026-11-02T00:00:00.000Z --cursor 01B"
    assert f"1 calls are written. To go on: the same command with {advice}" in said.err
    server = CallsServer(pages=[page(record("01A"))])
    assert typed(server, "export", *advice.split(), "--output", str(path)).code == 0
    assert server.queries()[0]["cursor"] == "01B"
    assert [json.loads(line)["id"] for line in path.read_text().splitlines()] == ["01B", "01A"]


def test_an_export_that_is_interrupted_says_how_to_go_on(typed: Type) -> None:
    server = CallsServer(pages=[page(record("01B"), cursor="01B")])

    def interrupt(request: httpx.Request) -> None:
        if "cursor" in request.url.params:
            raise KeyboardInterrupt

    server.on_request = interrupt
    said = typed(server, "export")
    assert said.code == 130 and "--cursor 01B" in said.err and "Traceback" not in said.err


def test_a_spreadsheet_has_one_header(typed: Type) -> None:
    first = httpx.Response(200, text="time,id\r\nt,01B\r\n", headers={"x-next-cursor": "01B"})
    server = CallsServer(pages=[first, httpx.Response(200, text="time,id\r\nt,01A\r\n")])
    said = typed(server, "export", "--format", "csv")
    assert (said.out, said.err) == ("time,id\nt,01B\nt,01A\n", "tidegate: 2 calls are written.\n")
    assert server.queries("/calls.csv")[1]["cursor"] == "01B"


def test_an_export_is_of_a_day_unless_a_range_is_named(typed: Type) -> None:
    server = CallsServer(pages=[page()])
    typed(server, "export", "--to", "2026-11-02")
    assert server.queries()[0]["from"] == "2026-11-01T00:00:00.000Z"


def test_a_file_that_cannot_be_written_is_named(typed: Type, tmp_path: Path) -> None:
    said = typed(CallsServer(pages=[page()]), "export", "--output", str(tmp_path / "no" / "calls.jsonl"))
    assert said.code == 2 and "calls.jsonl: No such file" in said.err


REPORT = {
    "from": "2026-10-01T00:00:00.000Z",
    "to": "2026-11-01T00:00:00.000Z",
    "calls": 1_200,
    "cost_usd": "12.5",
    "recorded": [
        {"model": "openai/gpt-4o", "calls": 1_200, "tokens": {"input": 9_000}, "cost_usd": "12.5", "problem": None}
        | {"list_cost_usd": "13"}
    ],
    "models": [
        {"model": "a/cheap", "cost_usd": "2.5", "difference_usd": "-10", "problem": None},
        {"model": "a/dear", "cost_usd": "2512.5", "difference_usd": "2500", "problem": None},
        {"model": "b/c", "cost_usd": None, "difference_usd": None, "problem": "unknown_model"},
    ],
    "cautions": [{"code": "tokenizers", "message": "Tokenizers differ."}],
}


def test_a_month_is_repriced(typed: Type) -> None:
    server = CallsServer(report=REPORT)
    said = typed(server, "reprice", "--month", "2026-10", "--model", "a/cheap", "--model", "a/dear", "--model", "b/c")
    (request,) = server.requests
    assert request.url.params.get_list("model") == ["a/cheap", "a/dear", "b/c"]
    span = {"from": "2026-10-01T00:00:00.000Z", "to": "2026-11-01T00:00:00.000Z"}
    assert {name: request.url.params[name] for name in span} == span
    lines = [line.split() for line in said.out.splitlines()]
    assert ["a/cheap", "$2.500000", "$-10.000000"] in lines and ["a/dear", "$2,512.50", "+$2,500.00"] in lines
    assert ["b/c", "not", "in", "the", "catalogue"] in lines and "- Tokenizers differ." in said.out


@pytest.mark.parametrize(("month", "end"), [("2026-12", "2027-01-01"), ("2027-02", "2027-03-01")])
def test_a_month_ends_with_its_last_day(typed: Type, month: str, end: str) -> None:
    server = CallsServer(report=REPORT)
    assert typed(server, "reprice", "--month", month, "--json").json == REPORT
    assert server.requests[0].url.params["to"] == f"{end}T00:00:00.000Z"


def test_a_month_and_a_range_exclude_each_other(typed: Type) -> None:
    said = typed(CallsServer(), "reprice", "--month", "2026-10", "--from", "2026-10-01")
    assert said.code == 2 and "either --month" in said.err
    with pytest.raises(SystemExit):
        typed(CallsServer(), "reprice", "--month", "October")


def answered(answer: Any) -> httpx.Response:
    if isinstance(answer, Exception):
        raise answer
    return answer


@pytest.mark.parametrize("words", [("tail",), ("show", CALL_ID), ("export",), ("replay", CALL_ID), ("reprice",)])
def test_errors_say_what_to_do(typed: Type, words: tuple[str, ...]) -> None:
    cases = (
        (refusal(401, "invalid_api_key", "Invalid key."), 2, "Use another key with --key"),
        (refusal(404, "not_found", "There is no workspace 'ws_two'."), 1, "no workspace 'ws_two'"),
        (refusal(404, "not_found", "No such endpoint: '/console/v1'."), 1, "--console-url"),
        (httpx.Response(403, text="<html>Forbidden</html>"), 2, "--console-url"),
        (httpx.Response(200, text="<html>"), 2, "is not JSON"),
        (httpx.ConnectError("refused"), 2, "does not answer"),
    )
    for answer, code, text in cases:
        said = typed(CallsServer(on_request=lambda _, answer=answer: answered(answer)), *words)
        assert (said.code, said.out, text in said.err) == (code, "", True), said
        assert said.err.startswith("tidegate: ") and said.err.count("\n") == 1


@pytest.mark.parametrize("url", ["https://admin.test/stage", "https://admin.test/stage/console/index.html"])
def test_the_dashboard_may_be_at_another_host(typed: Type, url: str) -> None:
    server = CallsServer(on_request=lambda _: httpx.Response(200, json=page()))
    assert typed(server, "export", TIDEGATE_CONSOLE_URL=url).code == 0
    assert str(server.requests[0].url).startswith("https://admin.test/stage/console/v1/calls?")

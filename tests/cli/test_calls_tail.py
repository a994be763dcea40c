"""`tidegate calls tail`: each call once, in order, over broken connections, until Ctrl-C."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.cli.batch_server import refusal
from tests.cli.calls_server import CallsServer, page, record, run
from tests.cli.terminal import Said
from tidegate.cli import calls_tail
from tidegate.cli.calls_client import CallsClient
from tidegate.cli.calls_tail import Tail
from tidegate.cli.server_access import ServerAccess

Type = Callable[..., Said]

A, B, C, D = (f"01{letter}" for letter in "ABCD")


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Type:
    """Types a command for a server; Ctrl-C comes when its replies are used up."""
    monkeypatch.setattr(calls_tail, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(calls_tail, "LONGEST_PAUSE_SECONDS", 0.0)

    def type_tail(server: CallsServer, *words: str) -> Said:
        def interrupt(_: httpx.Request) -> None:
            if not server.pages:
                raise KeyboardInterrupt

        server.on_request = interrupt
        return Said(run(server, "tail", *words), *capsys.readouterr())

    return type_tail


def ids(said: Said) -> list[str]:
    return [json.loads(line)["id"] for line in said.out.splitlines()]


def test_the_last_calls_come_first_and_then_the_new_ones(typed: Type) -> None:
    last = page(record(B), record(A))
    server = CallsServer(pages=[page(record(B)), last, page(), page(record(D), record(C))])
    said = typed(server, "--json", "--lines", "2")
    assert (said.code, ids(said), said.err) == (130, [A, B, C, D], "")
    assert server.queries()[:3] == [{"limit": "1"}, {"limit": "2"}, {"after": B, "limit": "200"}]


def test_no_call_is_shown_twice(typed: Type) -> None:
    server = CallsServer(pages=[page(record(A)), page(record(A)), page(record(B), record(A)), page(record(B))])
    assert ids(typed(server, "--json")) == [A, B]


def test_a_line_says_what_matters(typed: Type) -> None:
    failed = record(A, status="failed", error_code="provider_timeout", session_id="s\n1", cost_usd=None)
    said = typed(CallsServer(pages=[page(), page(), page(failed)]))
    expected = f"12:00:00 failed openai/gpt-4o 1,204>88 no price 1.24s {A} provider_timeout session s 1"
    assert " ".join(said.out.split()) == expected
    assert said.out.count("\n") == 1


def test_filters_are_sent_with_each_request(typed: Type) -> None:
    server = CallsServer(pages=[page(record(A)), page(), page()])
    typed(server, "--status", "failed", "--key-id", "key_1", "--error", "timeout", "--dearer", "0.5")
    filters = {"status": "failed", "key": "key_1", "error": "timeout", "dearer": "0.5"}
    assert server.queries()[:3] == [{"limit": "1"}, {**filters, "limit": "10"}, {**filters, "after": A, "limit": "200"}]


def test_without_earlier_calls_all_new_ones_are_shown(typed: Type) -> None:
    server = CallsServer(pages=[page(record(B)), page(record(B)), page(record(C), record(B))])
    assert ids(typed(server, "--json", "--lines", "0")) == [C]


def test_a_broken_connection_is_survived(typed: Type) -> None:
    away = [httpx.ConnectError("refused"), httpx.ReadTimeout("slow"), httpx.Response(503, text="down")]
    limited = refusal(429, "rate_limit_exceeded", "Slow down.")
    server = CallsServer(pages=[page(record(A)), page(), *away, limited, page(record(B)), away[0], page(record(C))])
    said = typed(server, "--json", "--lines", "0")
    assert ids(said) == [B, C]
    assert [line.endswith("Trying again until it answers …") for line in said.err.splitlines()] == [True, False] * 2
    assert {query["after"] for query in server.queries() if "after" in query} == {A}


def test_a_key_that_is_revoked_ends_it(typed: Type) -> None:
    server = CallsServer(pages=[page(), page(), refusal(401, "invalid_api_key", "Revoked.")])
    said = typed(server)
    assert (said.code, said.err.startswith("tidegate: Revoked.")) == (2, True)


def test_a_full_page_says_that_calls_may_be_missing(typed: Type) -> None:
    many = [record(f"01{number:03}") for number in range(300, 100, -1)]
    said = typed(CallsServer(pages=[page(), page(), page(*many)]), "--json")
    assert len(ids(said)) == 200 and "some may be missing" in said.err


def test_calls_that_are_recorded_late_are_still_asked_for() -> None:
    """A call may come on record after one that began, and even ended, later."""
    now = [1_000.0]
    server = CallsServer(pages=[page(record(A)), page(), page(record(C)), page(), page(record(B)), page(record(D))])

    def sleep(_: float) -> None:
        now[0] += 3

    access = ServerAccess("https://gateway.test/v1", "sk-tidegate-test")
    with CallsClient(access, None, server.transport) as client:
        records = Tail(client, {}, 0, sleep, lambda: now[0]).records()
        found: list[Any] = [next(records)["id"] for _ in range(3)]
    assert found == [C, B, D]
    assert [query["after"] for query in server.queries() if "after" in query] == [A, A, A, C]

"""Calls, changes and reports from the command line."""

import asyncio
from typing import Any, cast

import pytest
from msgspec.structs import replace

from tests.cli.terminal import Terminal, parse
from tests.store_worlds import CREDENTIALS, NOON, REGION, outcome
from tidegate.aws.dynamo import create_dynamo_client
from tidegate.aws.meter import DynamoMeter
from tidegate.aws.store import Store
from tidegate.domain.call import FailedAttempt
from tidegate.transport.reqwest import ReqwestTransport


def said(tidegate: Terminal, *words: str) -> Any:
    return cast(Any, tidegate(*words, "--json").json)


FAILED_ATTEMPT = FailedAttempt("openai/gpt-4o", "provider_timeout", 0.5)


@pytest.fixture
def called(tidegate: Terminal, env: dict[str, str]) -> Terminal:
    """Four calls of ws_acme at noon and in the seconds after: the second failed, and the last has an application."""
    tidegate("workspaces", "create", "Acme", "--id", "ws_acme")

    async def call() -> None:
        transport = ReqwestTransport()
        client = create_dynamo_client(transport, CREDENTIALS, REGION, env["AWS_ENDPOINT_URL_DYNAMODB"])
        meter = DynamoMeter(Store(client, env["TIDEGATE_TABLE"]))
        for n in range(4):
            made = outcome(at=NOON + n, workspace_id="ws_acme")
            made = replace(made, call=replace(made.call, app_id="=app" if n == 3 else None))
            failed = replace(made, status="failed", error_code="provider_timeout", failed_attempts=(FAILED_ATTEMPT,))
            await meter.record(failed if n == 1 else made)
        await transport.close()

    asyncio.run(call())
    return tidegate


def times(page: Any) -> list[str]:
    return [call["time"][11:19] for call in page["data"]]


def test_a_failed_call_shows_its_error_and_what_failed(called: Terminal) -> None:
    _, row = called("usage", "calls", "ws_acme", "--status", "failed").out.splitlines()[:2]
    assert row.endswith(f"provider_timeout  {FAILED_ATTEMPT}")
    assert "None" not in called("usage", "calls", "ws_acme").out


ALL = ["12:00:03", "12:00:02", "12:00:01", "12:00:00"]
FILTERED: list[tuple[tuple[str, ...], list[str]]] = [
    ((), ALL),
    (("--status", "failed"), ["12:00:01"]),
    (("--status", "lost"), []),
    (("--app", "=app"), ["12:00:03"]),
    (("--key", "key_nobody"), []),
    (("--model", "nobody/nothing"), []),
    (("--from", "2026-11-21T12:00:02"), ALL[:2]),
    (("--to", "2026-11-21T12:00:02+00:00"), ALL[2:]),
    (("--from", "2026-11-21T12:00:01", "--to", "2026-11-21T12:00:03"), ALL[1:3]),
]


@pytest.mark.parametrize(("words", "expected"), FILTERED)
def test_calls_are_filtered(called: Terminal, words: tuple[str, ...], expected: list[str]) -> None:
    assert times(said(called, "usage", "calls", "ws_acme", *words)) == expected


def test_calls_are_found_by_their_key_and_model(called: Terminal) -> None:
    call = said(called, "usage", "calls", "ws_acme", "--limit", "1")["data"][0]
    assert times(said(called, "usage", "calls", "ws_acme", "--key", call["key_id"])) == ALL
    assert times(said(called, "usage", "calls", "ws_acme", "--model", call["model"])) == ALL


def test_calls_and_changes_come_in_pages(called: Terminal) -> None:
    first = said(called, "usage", "calls", "ws_acme", "--limit", "3")
    second = said(called, "usage", "calls", "ws_acme", "--limit", "3", "--cursor", first["next_cursor"])
    assert (times(first), times(second), second["next_cursor"]) == (ALL[:3], ALL[3:], None)
    shown = called("usage", "calls", "ws_acme", "--limit", "3").out
    assert shown.endswith(f"\n\nThere may be more: add --cursor {first['next_cursor']}\n")
    called("workspaces", "suspend", "ws_acme")
    newest = said(called, "usage", "audit", "--limit", "1")
    older = said(called, "usage", "audit", "--limit", "1", "--cursor", newest["next_cursor"])
    assert sorted(page["data"][0]["action"] for page in (newest, older)) == ["create", "suspend"]
    assert said(called, "usage", "audit")["next_cursor"] is None


def test_a_report_is_written_for_spreadsheets(called: Terminal) -> None:
    written = called("usage", "report", "ws_acme", "--by", "app", "--csv")
    head, *rows = written.out.splitlines()
    assert head == "app,calls,calls_failed,input_tokens,output_tokens,words,cost_usd"
    assert sorted(row.split(",")[:3] for row in rows) == [["", "3", "1"], ["'=app", "1", "0"]]
    assert "\r" not in written.out
    both = called("usage", "report", "ws_acme", "--csv", "--json")
    assert (both.code, both.err) == (2, "tidegate: Use either --csv or --json, not both.\n")


@pytest.mark.parametrize("words", [("--limit", "0"), ("--limit", "201"), ("--cursor", "no cursor")])
def test_a_page_that_makes_no_sense_is_refused(called: Terminal, words: tuple[str, str]) -> None:
    assert called("usage", "calls", "ws_acme", *words).code == 2
    assert called("usage", "audit", *words).code == 2
    assert called("usage", "calls", "ws_nobody").code == 1


def test_a_moment_that_is_none_is_refused() -> None:
    with pytest.raises(SystemExit) as caught:
        parse("usage", "calls", "ws_acme", "--from", "yesterday")
    assert caught.value.code == 2

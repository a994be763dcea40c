"""`tidegate calls replay`: what is sent, what is asked first, and how both calls stand beside each other."""

import io
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.cli.batch_server import refusal
from tests.cli.calls_server import CALL_ID, REQUEST, CallsServer, details, reply, run, trace
from tests.cli.terminal import Said
from tidegate.cli import calls_replay

NEW_ID = "01M8NEEG9HAWT57WV75QS8MQ2F"
KEPT = details(trace(), "kept")

Type = Callable[..., Said]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls_replay, "RECORD_PAUSE_SECONDS", 0.0)


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str]) -> Type:
    """Types a command for a server."""
    return lambda server, *words, **env: Said(run(server, *words, **env), *capsys.readouterr())


def answer(content: Any, status: int = 200) -> httpx.Response:
    return httpx.Response(status, json=content, headers={"x-request-id": NEW_ID})


def stream(*events: Any) -> httpx.Response:
    lines = [event if isinstance(event, str) else json.dumps(event) for event in events]
    text = ": keep-alive\n\n" + "".join(f"data: {line}\n\n" for line in lines)
    return httpx.Response(200, text=text, headers={"content-type": "text/event-stream", "x-request-id": NEW_ID})


def delta(text: str) -> dict[str, Any]:
    return {"choices": [{"delta": {"content": text}}]}


def test_the_request_of_the_trace_is_made_again(typed: Type) -> None:
    other = details(id=NEW_ID, answered_model="gpt-4o-mini", seconds=0.5, cost_usd="0.0002")
    server = CallsServer(details=[KEPT, refusal(404, "not_found", "Not yet."), other], answer=answer(reply("Hello!")))
    said = typed(server, "replay", CALL_ID, "--yes", "--model", "openai/gpt-4o-mini")
    assert said.code == 0
    assert server.sent == {**REQUEST, "model": "openai/gpt-4o-mini", "caching": False}
    (request,) = [each for each in server.requests if each.method == "POST"]
    assert (str(request.url), request.headers["x-workspace-id"]) == (
        "https://gateway.test/v1/chat/completions",
        "ws_one",
    )
    lines = [" ".join(line.split()) for line in said.out.splitlines()]
    assert "model openai/gpt-4o openai/gpt-4o-mini" in lines
    assert "cost $0.003890 $0.000200" in lines and "duration 1.24s 0.50s" in lines
    assert "Hi | Hello!" in lines
    assert {each.url.path for each in server.requests if NEW_ID in each.url.path} == {f"/console/v1/calls/{NEW_ID}"}


def test_without_another_model_the_request_is_the_same(typed: Type) -> None:
    server = CallsServer(details=[KEPT], answer=answer(reply("Hi")))
    said: Any = typed(server, "replay", CALL_ID, "--yes", "--json").json
    assert server.sent == {**REQUEST, "caching": False}
    assert (said["recorded"]["answer"], said["replay"]["answer"]) == ("Hi", "Hi")


def test_a_stream_is_put_together(typed: Type) -> None:
    tool = {"choices": [{"delta": {"tool_calls": [{"function": {"name": "tide", "arguments": '{"at"'}}]}}]}
    more = {"choices": [{"delta": {"tool_calls": [{"function": {"arguments": ":1}"}}]}}]}
    server = CallsServer(details=[KEPT], answer=stream(delta("Hel"), delta("lo"), tool, more, "[DONE]"))
    said: Any = typed(server, "replay", CALL_ID, "--yes", "--json").json
    assert said["replay"]["answer"] == 'Hello[tool call] tide {"at":1}'


def test_without_a_record_what_has_arrived_counts(typed: Type) -> None:
    usage = {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 2, "cost": 0.5}}
    missing = refusal(404, "not_found", "Not yet.")
    server = CallsServer(details=[KEPT, missing], answer=stream(delta("Hi"), usage, "[DONE]"))
    said: Any = typed(server, "replay", CALL_ID, "--yes", "--json").json
    figures = said["replay"]["record"]
    assert (figures["input_tokens"], figures["output_tokens"], figures["cost_usd"], figures["id"]) == (
        7,
        2,
        0.5,
        NEW_ID,
    )
    assert len(server.queries(f"/calls/{NEW_ID}")) == calls_replay.RECORD_LOOKS


@pytest.mark.parametrize(
    ("failure", "text"),
    [
        (answer({"error": {"message": "No budget.", "code": "insufficient_quota"}}, 429), "No budget."),
        (answer("nothing", 500), "nothing"),
        (stream(delta("Hel"), {"error": {"message": "Broken.", "code": "provider_error"}}), "Broken."),
        (stream(delta("Hel")), "the stream broke off"),
    ],
)
def test_a_replay_that_fails_is_shown_beside_the_record(typed: Type, failure: httpx.Response, text: str) -> None:
    said = typed(CallsServer(details=[KEPT], answer=failure), "replay", CALL_ID, "--yes")
    assert (said.code, text in said.out, said.err) == (2, True, "")


def test_the_answer_of_a_failed_call_is_its_error(typed: Type) -> None:
    failed = details(trace(answer=None, error={"code": "provider_timeout", "message": "Too slow."}), "kept")
    server = CallsServer(details=[failed], answer=answer(reply("Hi")))
    assert "error provider_timeout: Too slow." in typed(server, "replay", CALL_ID, "--yes").out


class Keyboard(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("answered", "code"), [("y\n", 0), ("n\n", 2), ("\n", 2), ("", 2)])
def test_it_is_asked_before_money_is_spent(
    typed: Type, monkeypatch: pytest.MonkeyPatch, answered: str, code: int
) -> None:
    monkeypatch.setattr("sys.stdin", Keyboard(answered))
    server = CallsServer(details=[KEPT], answer=answer(reply("Hi")))
    said = typed(server, "replay", CALL_ID)
    assert said.code == code
    assert "calls openai/gpt-4o with your key. The recorded call cost $0.003890." in said.err
    assert len([each for each in server.requests if each.method == "POST"]) == (1 if code == 0 else 0)


def test_without_a_terminal_the_option_is_needed(typed: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    said = typed(CallsServer(details=[KEPT]), "replay", CALL_ID)
    assert (said.code, "add --yes" in said.err) == (2, True)


def test_masked_texts_are_announced(typed: Type) -> None:
    masked = details(trace(masked=["pii"]), "kept")
    said = typed(CallsServer(details=[masked], answer=answer(reply("Hi"))), "replay", CALL_ID, "--yes")
    assert (said.code, "the masked texts are sent" in said.err) == (0, True)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (details(trace(request={"base64": "AA=="}), "kept"), "is not JSON"),
        (details(trace(request="Hello"), "kept"), "is not JSON"),
        (details(trace(), "kept", endpoint=None), "does not name its endpoint"),
    ],
)
def test_what_cannot_be_made_again_is_said(typed: Type, call: Any, text: str) -> None:
    said = typed(CallsServer(details=[call]), "replay", CALL_ID, "--yes")
    assert (said.code, text in said.err) == (2, True)


def test_an_admin_key_makes_no_calls(typed: Type) -> None:
    server = CallsServer(details=[KEPT])
    said = typed(server, "replay", CALL_ID, "--yes", TIDEGATE_API_KEY="sk-tidegate-admin-x")
    assert (said.code, server.requests) == (2, []) and "admin keys make none" in said.err

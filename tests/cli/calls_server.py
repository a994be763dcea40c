"""A gateway whose calls are scripted by the test, for `tidegate calls`."""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.cli.batch_server import refusal
from tidegate.cli import calls

URL = "https://gateway.test/v1"
ENV = {"TIDEGATE_URL": URL, "TIDEGATE_API_KEY": "sk-tidegate-test"}
CALL_ID = "01M8NEEEA007KFTSEPGXZZYXDZ"


@dataclass
class CallsServer:
    """`pages` are the replies to lists of calls, one after the other; `details` and `answer` are those of a call."""

    pages: list[Any] = field(default_factory=list[Any])
    details: list[Any] = field(default_factory=list[Any])
    answer: httpx.Response | None = None
    report: Any = None
    requests: list[httpx.Request] = field(default_factory=list[httpx.Request])
    on_request: Callable[[httpx.Request], httpx.Response | None] = lambda _: None

    @property
    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self._answer)

    def queries(self, path: str = "/calls") -> list[dict[str, str]]:
        """The queries of the requests to a path of the dashboard's API."""
        return [dict(each.url.params) for each in self.requests if each.url.path == f"/console/v1{path}"]

    @property
    def sent(self) -> Any:
        """The body of the call that was made."""
        (request,) = [each for each in self.requests if each.method == "POST"]
        return json.loads(request.content)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if (special := self.on_request(request)) is not None:
            return special
        path = request.url.path
        if request.method == "POST":
            assert self.answer is not None
            return self.answer
        if path == "/console/v1/reprice":
            return httpx.Response(200, json=self.report)
        if path in ("/console/v1/calls", "/console/v1/calls.csv"):
            return _reply(self.pages.pop(0))
        if path.startswith("/console/v1/calls/"):
            return _reply(self.details.pop(0) if len(self.details) > 1 else self.details[0])
        return refusal(404, "not_found", f"No such endpoint: {path!r}.")


def _reply(content: Any) -> httpx.Response:
    if isinstance(content, Exception):
        raise content
    return content if isinstance(content, httpx.Response) else httpx.Response(200, json=content)


def page(*records: Any, cursor: str | None = None) -> dict[str, Any]:
    """A page of the call log."""
    return {"data": list(records), "next_cursor": cursor}


def record(id: str = CALL_ID, **fields: Any) -> dict[str, Any]:
    """A record as the call log shows it."""
    return {
        "id": id,
        "time": "2026-11-21T12:00:00.000Z",
        "status": "ok",
        "model": "openai/gpt-4o",
        "provider": "openai",
        "answered_model": "gpt-4o",
        "endpoint": "/v1/chat/completions",
        "workspace_id": "ws_one",
        "input_tokens": 1_204,
        "output_tokens": 88,
        "cached_tokens": 0,
        "reasoning_tokens": 0,
        "cost_usd": "0.00389",
        "first_event_seconds": 0.31,
        "seconds": 1.24,
        **fields,
    }


REQUEST = {"model": "openai/gpt-4o", "messages": [{"role": "user", "content": "Hello"}], "stream": False}


def details(trace: Any = None, status: str = "not_asked", **fields: Any) -> dict[str, Any]:
    """A call as the dashboard's API shows it."""
    events = [
        {"at": at, "kind": kind, "detail": "", "deployment": ""} for at, kind in ((0, "received"), (1, "settled"))
    ]
    cost = [{"kind": "input", "count": 1_204, "rate_usd": "2.5", "cost_usd": "0.00301"}]
    return {"record": record(**fields), "timeline": events, "cost": cost, "trace": trace, "trace_status": status}


def trace(**fields: Any) -> dict[str, Any]:
    """A trace as the dashboard's API shows it."""
    attempt = {"deployment": "openai/gpt-4o", "reason": "first", "started": 0.01, "status": 200, "pieces": [[0.31, 90]]}
    return {"request": REQUEST, "attempts": [attempt], "answer": reply("Hi"), "error": None, "masked": [], **fields}


def reply(text: str) -> dict[str, Any]:
    usage = {"prompt_tokens": 3, "completion_tokens": 1, "cost": 0.001}
    return {"choices": [{"message": {"role": "assistant", "content": text}}], "usage": usage}


def run(server: CallsServer, *words: str, **env: str) -> int:
    """Run a command against the server, and return its exit code."""
    parser = argparse.ArgumentParser(prog="tidegate")
    calls.add_parser(parser.add_subparsers(required=True), "calls", "calls")
    return calls.run(parser.parse_args(["calls", *words]), {**ENV, **env}, server.transport)

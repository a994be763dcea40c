"""Every folder `cases/<provider>/<case>/` is a test: what a client sends us, what we send on, what comes of the reply.

`request.json` is the client's body; `sent.json` the path, the body and what is reported; `upstream.json`,
`upstream.sse`, `upstream.eventstream` or `upstream.txt` the provider's answer, with `head.json` {status, headers} where
it is no 200; `reply.json` the completion, the list of chunks, or {error}. A case without an upstream file is only about
the request.
"""

import json
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.providers.assembling import run
from tests.providers.calls import CASES, call
from tests.upstream.frames import framed
from tidegate.domain.deployment import Deployment
from tidegate.errors import TidegateError
from tidegate.providers import Registry, caller_terms
from tidegate.providers.base import Provider, StreamEvent, UpstreamRequest
from tidegate.providers.chat_translator import parse_completion

FOLDERS = sorted(path.parent for path in CASES.glob("*/*/request.json"))
REQUIRED = {"text", "stream", "tool_call", "stream_tool_call", "image", "length", "error"}
HOST = "https://host.invalid/v1"

_registry = Registry()


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_case(folder: Path) -> None:
    provider = _registry.load(folder.parent.name)
    request = _json(folder / "request.json")
    built = _built(provider, request)
    assert _sent(built) == _json(folder / "sent.json")
    if (folder / "reply.json").exists():
        assert _reply(provider, built, folder) == _json(folder / "reply.json")


def test_openai_has_every_required_case() -> None:
    assert {path.name for path in FOLDERS if path.parent.name == "openai"} >= REQUIRED


def _built(provider: Provider, body: dict[str, Any]) -> UpstreamRequest | TidegateError:
    model = body["model"].partition("/")[2]
    try:
        return provider.build_request(call(body), Deployment(provider.name, model, HOST))
    except TidegateError as error:
        return error


def _sent(built: UpstreamRequest | TidegateError) -> dict[str, Any]:
    if isinstance(built, TidegateError):
        return _error(built)
    return {"path": built.url.removeprefix(HOST), "body": json.loads(built.body), "ignored": list(built.ignored)}


def _reply(provider: Provider, built: UpstreamRequest | TidegateError, folder: Path) -> Any:
    """The reply as the caller gets it: after `caller_terms.py`."""
    assert isinstance(built, UpstreamRequest)
    try:
        if (folder / "head.json").exists():
            head = _json(folder / "head.json")
            raise provider.parse_error(head["status"], head["headers"], _body(folder))
        if (folder / "upstream.json").exists():
            completion = parse_completion(provider, built, _json(folder / "upstream.json"))
            return caller_terms.restore_completion(built, completion)
        return [chunk for batch in run(provider, [_events(folder)], built) for chunk in batch]
    except TidegateError as error:
        return _error(error)


def _events(folder: Path) -> Sequence[StreamEvent]:
    if (folder / "upstream.sse").exists():
        decoder: Any = import_module("tidegate.upstream.sse").SseDecoder()
        return [*decoder.feed((folder / "upstream.sse").read_bytes()), *decoder.end()]
    decoder = import_module("tidegate.upstream.eventstream").EventStreamDecoder()
    return [*decoder.feed(framed((folder / "upstream.eventstream").read_text())), *decoder.end()]


def _body(folder: Path) -> Any:
    if (folder / "upstream.json").exists():
        return _json(folder / "upstream.json")
    return (folder / "upstream.txt").read_text()


def _error(error: TidegateError) -> dict[str, Any]:
    said = {"kind": type(error).__name__, "message": error.message, "param": error.param}
    return {"error": {**said, "retry_after_seconds": error.retry_after_seconds}}


def _json(path: Path) -> Any:
    return json.loads(path.read_text())

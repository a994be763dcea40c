"""The shapes of replies that clients of each dialect can read: errors and streams."""

import json
import re
from typing import Any

from tests.fuzz.dialects import name_of
from tidegate.api.app import COUNTS, ENDPOINTS

_INTERNAL = (b'"internal_error"', b"The gateway has an internal error")
_RESPONSE_ENDS = ("response.completed", "response.incomplete", "response.failed")
_COMMENT = re.compile(r"^:.*\n", re.M)
_WITH_CODES = ("openai", "responses", "compaction", "completions", "embeddings", "rerank", "moderations")


def check_answer(path: str, method: str, status: int, headers: dict[str, str], body: bytes) -> None:
    """Fail for an internal error, and for a reply or a stream that a client of the path's dialect could not read."""
    assert not any(words in body for words in _INTERNAL), body
    path = path.partition("?")[0]
    name = name_of(path) if method == "POST" and path in ENDPOINTS | COUNTS else None
    content_type = headers.get("content-type", "")
    if content_type.startswith("text/event-stream"):
        _check_stream(name, body.decode())
    elif content_type.startswith("application/x-ndjson"):
        lines = [json.loads(line) for line in body.splitlines()]
        assert "error" in lines[-1] or lines[-1]["done"] is True, lines[-1]
    elif status >= 400 and method != "HEAD":
        _check_error(name, status, json.loads(body))
    elif status == 200 and name is not None:
        assert isinstance(json.loads(body), dict), body


def _check_error(name: str | None, status: int, body: Any) -> None:
    if name == "messages" or (name is None and body.get("type") == "error"):
        assert body["type"] == "error", body
        assert body["error"]["type"].endswith("_error") or body["error"]["type"] == "request_too_large", body
        assert isinstance(body["error"]["message"], str) and body["error"]["message"], body
    elif name is not None and name.startswith("ollama"):
        assert isinstance(body["error"], str) and body["error"], body
    else:
        error = body["error"]
        assert isinstance(error["message"], str) and error["message"], body
        assert name not in _WITH_CODES or {"type", "param", "code"} <= set(error), body
        assert status < 500 or error["code"], body


def _check_stream(name: str | None, text: str) -> None:
    blocks = [block for block in _COMMENT.sub("", text).split("\n\n") if block]
    if name not in ("messages", "responses"):
        assert all(block == "data: [DONE]" or json.loads(block.removeprefix("data: ")) for block in blocks)
        return
    kinds: list[str] = []
    for block in blocks:
        head, _, data = block.rpartition("data: ")
        value = json.loads(data)  # that of a provider which speaks the dialect goes out as it is
        kinds.append(str(value.get("type")) if isinstance(value, dict) else head)
    ends = ("message_stop", "error") if name == "messages" else _RESPONSE_ENDS
    assert any(kind in ends for kind in kinds), kinds

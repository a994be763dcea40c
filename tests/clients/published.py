"""Whether a reply is what OpenAI published: its SDK's types, taken strictly, and `published.json`, which is stricter.

JSON Schema counts 1.0 as an integer; three SDKs do not, so integers are also checked as they were written.
"""

import json
import re
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from openai.types import Batch, FileDeleted, FileObject, Model, Upload
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.uploads import UploadPart

from tests.clients.tap import Exchange

CHAT = "/chat/completions"
DONE = "[DONE]"

_BATCH_PATH = re.compile(r"/(?:files|uploads|batches)(?:[/?]|$)")
_OBJECTS: dict[str, Any] = {"file": FileObject, "upload": Upload, "upload.part": UploadPart, "batch": Batch}

_PUBLISHED = json.loads((Path(__file__).parent / "published.json").read_text())


def check(exchange: Exchange) -> None:
    """Raises `AssertionError` or a validation error for whatever a client could not rely on."""
    if exchange.method not in ("DELETE", "GET", "POST") or exchange.path.split("?")[0] in ("/openapi.json", "/docs"):
        return
    kind = exchange.headers["content-type"].partition(";")[0]
    if exchange.path.endswith(CHAT) or exchange.status >= 400:
        assert exchange.headers.get("x-request-id"), "no x-request-id"
    if kind == "text/event-stream":
        assert exchange.status == 200
        check_stream(exchange.body, exchange.request, complete=exchange.complete, path=exchange.path)
        return
    if kind == "application/octet-stream" and exchange.path.endswith("/content"):
        assert exchange.status in (200, 206) and exchange.headers.get("x-request-id")
        return
    assert kind == "application/json", kind
    if not exchange.complete:
        return
    body = loads(exchange.body)
    if exchange.status >= 400:
        _conforms(body, "error")
    elif exchange.path.endswith(CHAT):
        if not (exchange.request or {}).get("dry_run"):  # OpenAI has none
            check_completion(body)
    elif exchange.path.endswith("/models") and isinstance(body, dict):
        _conforms(body, "models")
        for model in body["data"]:
            Model.model_validate(model, strict=True)
    elif _BATCH_PATH.search(exchange.path):
        assert exchange.headers.get("x-request-id"), "no x-request-id"
        check_object(body)


def check_object(body: Any) -> None:
    """Check a file, an upload, a part, a batch, or a page of them."""
    if body["object"] == "list":
        assert set(body) == {"object", "data", "first_id", "last_id", "has_more"}
        for each in body["data"]:
            check_object(each)
    elif "deleted" in body:
        FileDeleted.model_validate(body, strict=True)
    else:
        _OBJECTS[body["object"]].model_validate(body, strict=True)


def check_completion(body: Any) -> None:
    _conforms(body, "completion")
    ChatCompletion.model_validate(body, strict=True)
    assert [choice["index"] for choice in body["choices"]] == list(range(len(body["choices"])))
    _adds_up(body["usage"])


def check_stream(body: bytes, request: Any, *, complete: bool = True, path: str = CHAT) -> list[Any]:
    """The stream's events. A stream that ends with an error event has neither finish nor `[DONE]` after it."""
    seen = events(body)
    chunks = [event for event in seen if isinstance(event, dict) and "error" not in event]
    failures = [event for event in seen if isinstance(event, dict) and "error" in event]
    for chunk in chunks:
        _conforms(chunk, "chunk")
        ChatCompletionChunk.model_validate(chunk, strict=True)
    assert len({(chunk["id"], chunk["created"], chunk["model"]) for chunk in chunks}) <= 1, "not one reply"
    _check_deltas(chunks)
    if not complete:
        return seen
    if failures:
        assert seen[-1] is failures[-1] and len(failures) == 1
        _conforms(failures[0], "error")
        assert not [c for chunk in chunks for c in chunk["choices"] if c["finish_reason"]], "a finish before the error"
        return seen
    assert seen[-1] == DONE and seen.count(DONE) == 1
    usages = [chunk["usage"] for chunk in chunks if "usage" in chunk]
    fields = request or {}
    asked = bool(
        (fields.get("stream_options") or {}).get("include_usage") or (fields.get("usage") or {}).get("include")
    )
    assert len(usages) == int(asked or path.startswith("/api/ds-prototypes")), "usage is there exactly when wanted"
    for usage in usages:
        assert chunks[-1].get("usage") is usage, "usage comes last"
        _adds_up(usage)
    finishes = [c["finish_reason"] for chunk in chunks for c in chunk["choices"] if c["finish_reason"]]
    assert len(finishes) == len({c["index"] for chunk in chunks for c in chunk["choices"]}), "one finish each"
    return seen


def events(body: bytes) -> list[Any]:
    """The data of each whole event, `[DONE]` as it is. Comments are left out; anything else is a failure."""
    *blocks, _ = body.decode().split("\n\n")
    seen: list[Any] = []
    for block in blocks:
        if block.startswith(":"):
            continue
        assert block.startswith("data: ") and "\n" not in block, block
        data = block.removeprefix("data: ")
        seen.append(DONE if data == DONE else loads(data))
    return seen


def loads(text: str | bytes) -> Any:
    def no_constant(name: str) -> Any:
        raise AssertionError(f"{name} is not JSON")

    return json.loads(text, parse_constant=no_constant)


def _check_deltas(chunks: list[Any]) -> None:
    roles: dict[int, bool] = {}
    named: set[tuple[int, int]] = set()
    for chunk in chunks:
        for choice in chunk["choices"]:
            delta = choice["delta"]
            assert ("role" in delta) == (choice["index"] not in roles), "the role is in the first delta, and only there"
            roles[choice["index"]] = True
            for call in delta.get("tool_calls", ()):
                place = (choice["index"], call["index"])
                has_name = "name" in call.get("function", {})
                assert has_name == (place not in named), "a call is named in its first delta, and only there"
                assert ("id" in call) == (place not in named), "a call's id is in its first delta, and only there"
                named.add(place)


def _adds_up(usage: Any) -> None:
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def _conforms(value: Any, name: str) -> None:
    schema = {"$ref": f"#/$defs/{name}", "$defs": _PUBLISHED["$defs"]}
    problems = [f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(value)]
    assert not problems, f"{name}: {problems} in {json.dumps(value)[:2000]}"
    _no_whole_floats(value)


def _no_whole_floats(value: Any) -> None:
    for field in ("created", "index", "prompt_tokens", "completion_tokens", "total_tokens", "words_used"):
        if isinstance(value, dict) and field in value:
            assert type(value[field]) is int, field
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _no_whole_floats(inner)

"""The answer of a call that a command has made: a whole reply or a stream in OpenAI's form."""

import json
import time
from collections.abc import Callable
from typing import cast

import httpx
from msgspec import Struct

from tidegate.cli.calls_text import answer_text, object_of
from tidegate.json import Json, JsonObject

_DONE = "[DONE]"


class LiveAnswer(Struct, frozen=True):
    """An answer as it has arrived. Times are seconds since its reply's head came; `call_id` may be empty."""

    call_id: str
    text: str
    failed: bool
    first_seconds: float | None
    seconds: float
    usage: JsonObject

    def figures(self, request: JsonObject) -> dict[str, object]:
        """Return what is known without the call's record, under the names of its fields."""
        return {
            "id": self.call_id,
            "model": request.get("model"),
            "status": "failed" if self.failed else "ok",
            "first_event_seconds": self.first_seconds,
            "seconds": self.seconds,
            "input_tokens": self.usage.get("prompt_tokens"),
            "output_tokens": self.usage.get("completion_tokens"),
            "cost_usd": self.usage.get("cost"),
        }


def receive_answer(reply: httpx.Response, clock: Callable[[], float] = time.monotonic) -> LiveAnswer:
    """Read the reply to its end. Other forms of streams than OpenAI's have a text without a structure."""
    begun, call_id = clock(), reply.headers.get("x-request-id", "")
    if reply.status_code < 300 and reply.headers.get("content-type", "").startswith("text/event-stream"):
        return _receive_stream(reply, call_id, begun, clock)
    content = _decoded(reply.read())
    fields = object_of(content)
    failed = reply.status_code >= 300
    text = answer_text(content, fields.get("error")) or reply.text
    usage = object_of(fields.get("usage"))
    return LiveAnswer(call_id, text, failed, None, clock() - begun, usage)


def _receive_stream(reply: httpx.Response, call_id: str, begun: float, clock: Callable[[], float]) -> LiveAnswer:
    texts, usage = list[str](), JsonObject()
    first: float | None = None
    failed, ended = False, False
    for line in reply.iter_lines():
        name, _, value = line.partition(":")
        if name != "data":
            continue
        if value.strip() == _DONE:
            ended = True
            continue
        event = object_of(_decoded(value.encode()))
        first = clock() - begun if first is None else first
        if (error := event.get("error")) is not None:
            failed = True
            texts.append(f"\n{answer_text(None, error)}")
        usage = object_of(event.get("usage")) or usage
        texts.append(_delta_text(event))
    text = "".join(texts)
    if not (ended or failed):
        failed, text = True, f"{text}\n(the stream broke off)"
    return LiveAnswer(call_id, text, failed, first, clock() - begun, usage)


def _delta_text(event: JsonObject) -> str:
    match event:
        case {"choices": [{"delta": {**delta}}, *_]}:
            content, calls = delta.get("content"), delta.get("tool_calls")
            text = content if isinstance(content, str) else ""
            return text + "".join(_tool_text(each) for each in calls) if isinstance(calls, list) else text
        case _:
            return ""


def _tool_text(call: Json) -> str:
    match call:
        case {"function": {**function}}:
            name, arguments = function.get("name"), function.get("arguments")
            return (f"[tool call] {name} " if name else "") + (str(arguments) if arguments else "")
        case _:
            return ""


def _decoded(content: bytes) -> Json:
    try:
        # json.loads has no type.
        return cast("Json", json.loads(content))
    except ValueError:
        return None

"""`tidegate calls show`: one call with its timeline and its cost, and with its content if that was kept."""

import argparse
import json
from collections.abc import Iterator

from tidegate.cli.calls_client import CallsClient
from tidegate.cli.calls_text import answer_text, cost_text, message_text, object_of, one_line, printable, timeline_text
from tidegate.cli.output import CommandOutput, pairs
from tidegate.errors import NotFound
from tidegate.json import Json, JsonObject

_HIDDEN = frozenset({"timeline"})

_REASONS = {
    "not_asked": 'It was not kept: nobody asked for it. A call with the field "observability": true is kept, and '
    "so are those of a key or workspace with a share of traces (trace_sample).",
    "expired": "It was kept until {until}, and is deleted now.",
    "lost": "It was to be kept, but could not be stored, or the workspace's key of traces has been destroyed.",
    "not_yours": "It was made with another key: only that key, or an admin key with the scope `content`, reads it.",
    "needs_scope": "This admin key lacks the scope `content`.",
}


def show_call(options: argparse.Namespace, client: CallsClient) -> int:
    """Print a call. Raises `RequestFailed`, and with `--trace` `NotFound` if its content cannot be read."""
    call = client.call(options.id, with_content=options.trace)
    if not options.trace:
        call = {name: value for name, value in call.items() if name != "trace"}
    CommandOutput(call, "\n\n".join(_sections(call))).show(options.json)
    if options.trace:
        trace_of(call)
    return 0


def trace_of(call: JsonObject) -> JsonObject:
    """Return the trace of a call. Raises `NotFound`, which says why there is none."""
    match call.get("trace"):
        case {**trace}:
            return trace
        case _:
            record = object_of(call.get("record"))
            reason = _REASONS.get(str(call.get("trace_status")), f"Its status is {call.get('trace_status')}.")
            text = reason.replace("{until}", str(record.get("trace_until")))
            raise NotFound(f"The content of call {record.get('id')} cannot be read. {text}", param="id")


def _sections(call: JsonObject) -> Iterator[str]:
    record = object_of(call.get("record"))
    if record:  # a line of a batch has none of its own
        yield from _record_sections(call, record)
    match call.get("trace"):
        case {**trace}:
            yield from (printable(text) for text in _trace_texts(trace))
        case _:
            yield f"content: {call.get('trace_status')}"


def _record_sections(call: JsonObject, record: JsonObject) -> Iterator[str]:
    shown = [(name, value) for name, value in record.items() if value is not None and name not in _HIDDEN]
    yield printable(pairs([(name, one_line(value) if isinstance(value, str) else value) for name, value in shown]))
    yield printable(timeline_text(call.get("timeline")))
    yield printable(cost_text(call.get("cost")))


def _trace_texts(trace: JsonObject) -> Iterator[str]:
    masked = trace.get("masked")
    if isinstance(masked, list) and masked:
        yield f"Masked by {', '.join(map(str, masked))}: the texts below are not what was sent."
    yield f"REQUEST\n{_request_text(trace.get('request'))}"
    attempts = trace.get("attempts")
    for number, attempt in enumerate(attempts if isinstance(attempts, list) else [], 1):
        yield f"ATTEMPT {number}\n{_attempt_text(object_of(attempt))}"
    yield f"ANSWER\n{answer_text(trace.get('answer'), trace.get('error')) or '(none)'}"


def _request_text(request: Json) -> str:
    match request:
        case {"messages": [*messages], **rest}:
            lines = [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in rest.items()]
            lines += [f"[{object_of(each).get('role')}] {message_text(each)}" for each in messages]
            return "\n".join(lines)
        case str():
            return request
        case _:
            return json.dumps(request, ensure_ascii=False, indent=2)


def _attempt_text(attempt: JsonObject) -> str:
    pieces = attempt.get("pieces")
    times = [each[0] for each in pieces if isinstance(each, list) and each] if isinstance(pieces, list) else []
    arrival = f"{len(times)}" + (f", from {times[0]} to {times[-1]} s" if times else "")
    names = ("deployment", "reason", "started", "ended", "status", "error", "url")
    shown: list[tuple[str, object]] = [(name, attempt.get(name)) for name in names if attempt.get(name) is not None]
    return pairs([*shown, ("pieces", arrival)])

"""The trace of a call as JSON, for those who may read it."""

from base64 import b64encode
from collections.abc import Callable
from datetime import datetime
from typing import TypeAlias, cast

import msgspec
from msgspec import Struct

from tidegate.domain.record import iso_time
from tidegate.domain.trace import Trace, TracedAttempt, decode_trace
from tidegate.json import Json, JsonObject, decode
from tidegate.offload import LONG_BYTES

Assemble: TypeAlias = Callable[[bytes], JsonObject | None]
"""Makes the reply of `Trace.chunks`; None if that is impossible. `chat.assemble` has it."""

MAX_READ_AT_ONCE = 16 * 1024
"""The size of a stored trace from which on it is read in a thread: it can have a thousand times as many bytes."""


def has_expired(until: str, now: float) -> bool:
    """True if a trace that is kept `until` that ISO time has expired; also if that is not a time."""
    try:
        return datetime.fromisoformat(until).timestamp() <= now
    except ValueError:
        return True


def read_trace(content: bytes | None, until: str, assemble: Assemble) -> JsonObject | None:
    """Return the trace that `encode_trace` wrote as JSON; None without a trace that can be read."""
    try:
        return None if content is None else trace_to_json(decode_trace(content), until, assemble)
    except msgspec.DecodeError:
        return None


class LineTrace(Struct, frozen=True):
    """The trace of a call without a record of its own, such as a line of a batch, and the key that made the call."""

    key_id: str
    content: JsonObject


def read_line_trace(content: bytes | None, assemble: Assemble) -> LineTrace | None:
    """Return the trace that `encode_trace` wrote; None without a trace that names its key."""
    try:
        trace = None if content is None else decode_trace(content)
    except msgspec.DecodeError:
        return None
    if trace is None or not trace.key_id:
        return None
    return LineTrace(trace.key_id, trace_to_json(trace, iso_time(trace.until), assemble))


def trace_to_json(trace: Trace, until: str, assemble: Assemble) -> JsonObject:
    """Return the trace, which is kept `until` that ISO time. Bytes that are not UTF-8 become `{"base64": …}`."""
    return {
        "request": _content_to_json(trace.request),
        "attempts": [_attempt_to_json(attempt) for attempt in trace.attempts],
        "answer": assemble(trace.chunks) if trace.chunks else _content_to_json(trace.answer),
        "error": {"code": trace.error.code, "message": trace.error.message} if trace.error else None,
        "masked": list(trace.masked),
        "until": until,
    }


def _attempt_to_json(attempt: TracedAttempt) -> JsonObject:
    return {
        "deployment": attempt.deployment,
        "reason": attempt.reason,
        "started": round(attempt.started, 6),
        "ended": None if attempt.ended is None else round(attempt.ended, 6),
        "status": attempt.status,
        "error": attempt.error,
        "url": attempt.url,
        "headers": {**attempt.headers},
        "body": _content_to_json(attempt.body),
        "reply_headers": {**attempt.reply_headers},
        "reply": _text_to_json(attempt.reply) if attempt.reply else None,
        "pieces": [[round(piece.seconds, 6), piece.size] for piece in attempt.pieces],
        "omitted_bytes": attempt.omitted_bytes,
    }


def _content_to_json(content: bytes) -> Json:
    """Return the JSON value of the content, or its text; None if it is empty."""
    if not content:
        return None
    try:
        return decode(content) if len(content) < LONG_BYTES else _long_json(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _text_to_json(content)


def _long_json(content: bytes) -> Json:
    """Return JSON that is only there to be written again: to make objects of 10 MB would take a second."""
    content.decode()  # which the next line does not check
    # The encoder writes it as it is.
    return cast(Json, msgspec.json.decode(content, type=msgspec.Raw))


def _text_to_json(content: bytes) -> Json:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return {"base64": b64encode(content).decode()}

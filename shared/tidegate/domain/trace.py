"""The trace of a call: its content, kept for a few days where somebody asked for it. Records have none of it."""

from collections.abc import Sequence

import msgspec
from msgspec import Struct, field

from tidegate.json import Json


class Piece(Struct, frozen=True, array_like=True):
    """One piece of a reply's body as it arrived: `seconds` after the call's start, and its length in bytes."""

    seconds: float
    size: int


class TracedAttempt(Struct, kw_only=True, omit_defaults=True):
    """One request to a deployment, and its reply. Times are seconds after the call's start.

    Neither `url` nor `headers` have credentials. `reply` are the body's bytes as they arrived, in `pieces`; bytes
    beyond the limits of a trace are not kept, `omitted_bytes` counts them. `error` is the code of the attempt's error.
    """

    deployment: str
    reason: str
    started: float
    ended: float | None = None
    url: str = ""
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    status: int | None = None
    reply_headers: dict[str, str] = field(default_factory=dict[str, str])
    reply: bytes = b""
    pieces: Sequence[Piece] = ()
    omitted_bytes: int = 0
    error: str | None = None


class TracedError(Struct, frozen=True):
    """The error that the caller got."""

    code: str
    message: str


class Trace(Struct, kw_only=True, omit_defaults=True):
    """The content of one call: the request as received, each attempt, and the answer or the error of the caller.

    `masked` names the detectors that have masked the texts.
    """

    call_id: str
    request: bytes
    attempts: Sequence[TracedAttempt] = ()
    answer: Json = None
    error: TracedError | None = None
    masked: tuple[str, ...] = ()


def encode_trace(trace: Trace) -> bytes:
    """Return the trace in MessagePack."""
    return msgspec.msgpack.encode(trace)


def decode_trace(content: bytes) -> Trace:
    """Return the trace that `encode_trace` wrote. Raises `msgspec.DecodeError`."""
    return msgspec.msgpack.decode(content, type=Trace)

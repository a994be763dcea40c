"""The trace of a call: its content, kept for a few days where somebody asked for it. Records have none of it."""

import hashlib
import zlib
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from tidegate.domain.folded_stream import FoldedStream, unfold

_COMPRESSION = 1
"""The level of zlib: a stream's events shrink to a tenth with any, and the first one takes half of the sixth's time."""


class Piece(Struct, frozen=True, array_like=True):
    """One piece of a reply's body as it arrived: `seconds` after the call's start, and its length in bytes."""

    seconds: float
    size: int


class TracedAttempt(Struct, kw_only=True, omit_defaults=True):
    """One request to a deployment, and its reply. Times are seconds after the call's start.

    Neither `url` nor `headers` have credentials. `reply` are the body's bytes as they arrived, in `pieces`; a masked
    trace has the pieces alone. A stored trace has them as `arrivals`, in UTC seconds, and `sizes`; the call began at
    `started_at`. It has most streams `folded`, in place of `reply` and `sizes`. `omitted_bytes` counts the bytes of
    `body` and `reply` that are beyond the limits of a trace, and not kept. `error` is the code of the attempt's error.
    """

    deployment: str
    reason: str
    started: float
    ended: float | None = None
    url: str = ""
    headers: dict[str, str] = {}
    body: bytes = b""
    status: int | None = None
    reply_headers: dict[str, str] = {}
    reply: bytes = b""
    pieces: Sequence[Piece] = ()
    started_at: float = 0.0
    arrivals: Sequence[float] = ()
    sizes: Sequence[int] = ()
    folded: FoldedStream | None = None
    omitted_bytes: int = 0
    error: str | None = None


class TracedError(Struct, frozen=True):
    """The error that the caller got."""

    code: str
    message: str


class Trace(Struct, kw_only=True, omit_defaults=True):
    """The content of one call: the request as received, each attempt, and the answer or the error of the caller.

    `key_id` is the key that made the call, and `until` the end of the trace in UTC seconds: a line of a batch has no
    record that says either. `answer` is the JSON of a whole reply, also of a stream; empty without an answer, or if the
    trace has `chunks` in its place: those of a stream, JSON arrays in lines or events of OpenAI's dialect, which are
    assembled when it is read. A stored trace has most of them `folded`.
    `masked` names the guardrails that have masked the texts; `request` is empty if one of them could not mask it.
    """

    call_id: str
    request: bytes
    key_id: str = ""
    until: float = 0.0
    attempts: Sequence[TracedAttempt] = ()
    answer: bytes = b""
    chunks: bytes = b""
    folded: FoldedStream | None = None
    error: TracedError | None = None
    masked: tuple[str, ...] = ()


def is_sampled(call_id: str, rate: float) -> bool:
    """True for a part `rate` of all calls, 0 to 1: the hash of a call's id decides."""
    return int.from_bytes(hashlib.sha256(call_id.encode()).digest()[:8]) < rate * 2**64


def encode_trace(trace: Trace) -> bytes:
    """Return the trace in MessagePack, compressed."""
    return zlib.compress(msgspec.msgpack.encode(trace), _COMPRESSION)


def decode_trace(content: bytes) -> Trace:
    """Return the trace that `encode_trace` wrote. Raises `msgspec.DecodeError`."""
    try:
        trace = msgspec.msgpack.decode(zlib.decompress(content), type=Trace)
    except zlib.error as error:
        raise msgspec.DecodeError(str(error)) from None
    if trace.folded is not None:
        trace.chunks, trace.folded = unfold(trace.folded), None
    for attempt in trace.attempts:
        if attempt.folded is not None:
            attempt.reply, attempt.sizes, attempt.folded = unfold(attempt.folded), attempt.folded.sizes, None
        if attempt.arrivals:
            sizes, began_at = attempt.sizes, attempt.started_at
            attempt.pieces = [Piece(at - began_at, size) for at, size in zip(attempt.arrivals, sizes, strict=True)]
            attempt.arrivals, attempt.sizes, attempt.started_at = (), (), 0.0
    return trace

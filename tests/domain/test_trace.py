import msgspec
import pytest

from tidegate.domain.ids import ulid
from tidegate.domain.trace import Piece, Trace, TracedAttempt, TracedError, decode_trace, encode_trace, is_sampled

ATTEMPT = TracedAttempt(
    deployment="openai/gpt-4o",
    reason="first",
    started=0.01,
    ended=1.5,
    url="/v1/chat/completions",
    headers={"content-type": "application/json"},
    body=b"{}",
    status=200,
    reply=b"data: \xff\n\n",
    pieces=(Piece(0.5, 4), Piece(1.5, 5)),
)
TRACE = Trace(
    call_id="01CALL",
    request=b'{"model": "openai/gpt-4o"}',
    attempts=(ATTEMPT,),
    answer=b'{"choices": []}',
    error=TracedError("stream_cut", "The stream broke off."),
    masked=("secrets",),
)


def test_a_trace_is_read_as_it_was_written() -> None:
    read = decode_trace(encode_trace(TRACE))
    assert (read.request, read.answer, read.error, read.masked) == (
        TRACE.request,
        TRACE.answer,
        TRACE.error,
        TRACE.masked,
    )
    [attempt] = read.attempts
    assert msgspec.structs.replace(attempt, pieces=tuple(attempt.pieces)) == ATTEMPT


def test_arrivals_are_read_as_pieces() -> None:
    stored = msgspec.structs.replace(ATTEMPT, pieces=(), started_at=1000.0, arrivals=[1000.5, 1001.5], sizes=[4, 5])
    [attempt] = decode_trace(encode_trace(msgspec.structs.replace(TRACE, attempts=[stored]))).attempts
    assert msgspec.structs.replace(attempt, pieces=tuple(attempt.pieces)) == ATTEMPT


def test_what_is_not_a_trace_is_refused() -> None:
    for content in (b"", b"{}", encode_trace(TRACE)[:-9]):
        with pytest.raises(msgspec.DecodeError):
            decode_trace(content)


def test_a_part_of_the_calls_is_chosen_by_their_ids() -> None:
    ids = [ulid(1_800_000_000 + n) for n in range(4000)]
    assert not any(is_sampled(id, 0.0) for id in ids)
    assert all(is_sampled(id, 1.0) for id in ids)
    chosen = {id for id in ids if is_sampled(id, 0.25)}
    assert 800 < len(chosen) < 1200
    assert chosen == {id for id in ids if is_sampled(id, 0.25)} > {id for id in ids if is_sampled(id, 0.1)}

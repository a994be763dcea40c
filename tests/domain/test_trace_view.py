"""A trace as JSON, whatever bytes a caller and a provider have sent."""

import json
import time

import pytest

from tidegate.chat.assemble import assemble_lines
from tidegate.domain.trace import Piece, Trace, TracedAttempt, TracedError, decode_trace, encode_trace
from tidegate.domain.trace_view import has_expired, read_trace, trace_to_json
from tidegate.json import encode
from tidegate.offload import LONG_BYTES

UNTIL = "2026-11-28T12:00:00Z"
ATTEMPT = TracedAttempt(
    deployment="demo/echo-1",
    reason="first",
    started=0.01,
    ended=0.5,
    url="https://demo.invalid/v1/chat/completions",
    headers={"content-type": "application/json"},
    body=b'{"model": "echo-1"}',
    status=200,
    reply_headers={"x-request-id": "r1"},
    reply="data: Grüße\n\n".encode(),
    pieces=(Piece(0.2, 10), Piece(0.4, 5)),
    omitted_bytes=3,
)


def test_a_trace_has_all_of_both_sides() -> None:
    error = TracedError("provider_timeout", "It took too long.")
    failed = TracedAttempt(deployment="demo/echo-2", reason="fallback", started=0.5, error="provider_timeout")
    trace = Trace(
        call_id="C", request=b'{"model": "demo/echo"}', attempts=(ATTEMPT, failed), error=error, masked=("pii",)
    )
    assert trace_to_json(decode_trace(encode_trace(trace)), UNTIL, assemble_lines) == {
        "request": {"model": "demo/echo"},
        "attempts": [
            {
                "deployment": "demo/echo-1",
                "reason": "first",
                "started": 0.01,
                "ended": 0.5,
                "status": 200,
                "error": None,
                "url": "https://demo.invalid/v1/chat/completions",
                "headers": {"content-type": "application/json"},
                "body": {"model": "echo-1"},
                "reply_headers": {"x-request-id": "r1"},
                "reply": "data: Grüße\n\n",
                "pieces": [[0.2, 10], [0.4, 5]],
                "omitted_bytes": 3,
            },
            {
                "deployment": "demo/echo-2",
                "reason": "fallback",
                "started": 0.5,
                "ended": None,
                "status": None,
                "error": "provider_timeout",
                "url": "",
                "headers": {},
                "body": None,
                "reply_headers": {},
                "reply": None,
                "pieces": [],
                "omitted_bytes": 0,
            },
        ],
        "answer": None,
        "error": {"code": "provider_timeout", "message": "It took too long."},
        "masked": ["pii"],
        "until": UNTIL,
    }


def test_a_trace_whose_end_is_not_a_time_has_expired() -> None:
    assert [has_expired(until, 0.0) for until in (UNTIL, "1970-01-01T00:00:00Z", "soon")] == [False, True, True]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"not JSON", "not JSON"),
        (b"\xff\xfe\x00", {"base64": "//4A"}),
        (b'{"a": "\xff"}', {"base64": "eyJhIjogIv8ifQ=="}),
        (rb'{"a": "\ud800"}', r'{"a": "\ud800"}'),
        (b"[NaN]", "[NaN]"),
        (b"[" * 100_000, "[" * 100_000),
        (b"null", None),
    ],
)
def test_bytes_of_any_kind_become_json(content: bytes, expected: object) -> None:
    attempt = TracedAttempt(deployment="d", reason="first", started=0.0, body=content, reply=content)
    view = trace_to_json(Trace(call_id="C", request=content, attempts=(attempt,)), UNTIL, assemble_lines)
    reply = content.decode() if isinstance(expected, str | None) else expected
    shown = view["attempts"]
    assert isinstance(shown, list) and isinstance(shown[0], dict)
    assert (view["request"], shown[0]["body"], shown[0]["reply"]) == (expected, expected, reply)
    assert encode(view).decode()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{"a": "%s"}' % (b"x" * LONG_BYTES), {"a": "x" * LONG_BYTES}),
        (b'{"a": "\xff%s"}' % (b"x" * LONG_BYTES), "base64"),
        (b"[1,]" + b" " * LONG_BYTES, "[1,]" + " " * LONG_BYTES),
        (b"[" * LONG_BYTES, "[" * LONG_BYTES),
    ],
)
def test_long_bytes_of_any_kind_become_json(content: bytes, expected: object) -> None:
    view = json.loads(encode(trace_to_json(Trace(call_id="C", request=content), UNTIL, assemble_lines)))
    shown = view["request"]
    assert (list(shown) if expected == "base64" else shown) == (["base64"] if expected == "base64" else expected)


def test_a_trace_of_a_million_values_is_read_in_a_moment() -> None:
    numbers = b'{"messages": [], "unknown": {%s}}' % b",".join(b'"%d":%d' % (n, n) for n in range(500_000))
    attempt = TracedAttempt(deployment="d", reason="first", started=0.0, body=numbers)
    stored = encode_trace(Trace(call_id="C", request=numbers, attempts=[attempt] * 3))
    started = time.process_time()
    content = encode(read_trace(stored, UNTIL, assemble_lines))
    assert time.process_time() - started < 0.5  # 0.1 s; 2.5 s with objects of all values
    assert len(content) > 4 * len(numbers)

"""The headers of W3C's Trace Context, level 1, by the rules of https://www.w3.org/TR/trace-context-1/."""

import re
import string

import pytest

from tidegate.domain.call import TraceContext
from tidegate.domain.traceparent import (
    attempt_headers,
    attempt_span_id,
    parse_trace_context,
    trace_context,
    traceparent_of,
)

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
VALID = f"00-{TRACE}-{SPAN}-01"
UNSAMPLED = f"00-{TRACE}-{SPAN}-00"


@pytest.mark.parametrize(
    ("traceparent", "is_sampled"),
    [
        (VALID, True),
        (UNSAMPLED, False),
        (f"00-{TRACE}-{SPAN}-03", True),  # level 2's flag of a random id
        (f"00-{TRACE}-{SPAN}-fe", False),
        (f"cc-{TRACE}-{SPAN}-01", True),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-brings", True),
        (f" \t{VALID}\t ", True),
    ],
)
def test_a_valid_traceparent_names_the_trace_and_the_callers_span(traceparent: str, is_sampled: bool) -> None:
    assert parse_trace_context(traceparent, None) == TraceContext(TRACE, SPAN, None, is_sampled)


@pytest.mark.parametrize(
    "traceparent",
    [
        *("", "-", VALID.upper(), VALID[:-1], f"{VALID}0", f"{VALID}.", f"{VALID}-more", f"{VALID},{VALID}"),
        *(f"ff-{TRACE}-{SPAN}-01", f".0-{TRACE}-{SPAN}-01", f"000-{TRACE}-{SPAN}-01", f"0-{TRACE}-{SPAN}-01"),
        *(
            f"00-{'0' * 32}-{SPAN}-01",
            f"00-{TRACE[1:]}-{SPAN}-01",
            f"00-{TRACE}a-{SPAN}-01",
            f"00-.{TRACE[1:]}-{SPAN}-01",
        ),
        *(
            f"00-{TRACE}-{'0' * 16}-01",
            f"00-{TRACE}-{SPAN[1:]}-01",
            f"00-{TRACE}-{SPAN}a-01",
            f"00-{TRACE}-{SPAN[1:]}.-01",
        ),
        *(f"00-{TRACE}-{SPAN}-1", f"00-{TRACE}-{SPAN}-.0", f"00-{TRACE}-{SPAN}-0.", f"cc-{TRACE}-{SPAN}-01.future"),
        *(f"00-{TRACE}-{SPAN}-٠١", f"{VALID}\n", VALID.replace("-", "_")),
    ],
)
def test_an_invalid_traceparent_is_ignored_and_its_tracestate_with_it(traceparent: str) -> None:
    assert parse_trace_context(traceparent, "vendor=1") is None


_NAME = f"{string.ascii_lowercase}{string.digits}_-*/"
_VALUE = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) not in ",=")


@pytest.mark.parametrize(
    ("tracestate", "state"),
    [
        ("vendor=1,other=2", "vendor=1,other=2"),
        ("vendor=1 \t , \t other=2,", "vendor=1,other=2"),
        ("vendor=1,,other=2", "vendor=1,other=2"),
        (f"{_NAME}={_VALUE}", f"{_NAME}={_VALUE}"),
        (f"{_NAME}@{_NAME[:14]}={_VALUE}", f"{_NAME}@{_NAME[:14]}={_VALUE}"),
        ("1tenant@vendor=1", "1tenant@vendor=1"),
        (",".join(f"m{number}=1" for number in range(32)), ",".join(f"m{number}=1" for number in range(32))),
        (f"v={'x' * 256}", f"v={'x' * 256}"),
    ],
)
def test_a_valid_tracestate_is_kept_in_its_order(tracestate: str, state: str) -> None:
    context = parse_trace_context(VALID, tracestate)
    assert context is not None
    assert context.state == state


@pytest.mark.parametrize(
    "tracestate",
    [
        *("", " ", ",", "vendor", "=1", "vendor=", "vendor =1", "VENDOR=1", "vendor.x=1", "1vendor=1"),
        *("vendor@=1,other=2", "@vendor=1", "a@@b=1", "a@b@c=1", f"a@{'b' * 15}=1", f"{'a' * 242}@b=1"),
        *("vendor=1,vendor=1", "vendor=1,vendor=2", "vendor=a=b", "vendor=\x7f", "vendor=é", "vendor=1\r\nx: y"),
        *(f"{'a' * 257}=1", f"v={'x' * 257}", ",".join(f"m{number}=1" for number in range(33))),
        ",".join(f"m{number}={'x' * 200}" for number in range(3)),  # more than 512 characters
    ],
)
def test_an_invalid_or_long_tracestate_is_left_out_and_the_trace_kept(tracestate: str) -> None:
    assert parse_trace_context(VALID, tracestate) == TraceContext(TRACE, SPAN, None, is_sampled=True)


def test_without_export_the_callers_own_headers_are_sent_on() -> None:
    assert trace_context(None, None, is_exported=False) is None
    assert trace_context("invalid", None, is_exported=False) is None
    context = trace_context(VALID, "vendor=1", is_exported=False)
    assert context is not None
    assert traceparent_of(context) == VALID
    assert attempt_headers(context, 2) == {"traceparent": VALID, "tracestate": "vendor=1"}


def test_with_export_the_call_and_each_attempt_have_a_span_of_their_own() -> None:
    context = trace_context(VALID, None, is_exported=True)
    assert context is not None
    assert context.span_id is not None
    spans = [context.span_id, attempt_span_id(context.span_id, 1), attempt_span_id(context.span_id, 2)]
    assert (context.trace_id, context.parent_id, len({SPAN, *spans})) == (TRACE, SPAN, 4)
    assert traceparent_of(context) == f"00-{TRACE}-{spans[0]}-01"
    assert attempt_headers(context, 2) == {"traceparent": f"00-{TRACE}-{spans[2]}-01"}


def test_a_trace_that_the_caller_does_not_sample_is_not_exported() -> None:
    context = trace_context(UNSAMPLED, None, is_exported=True)
    assert context == TraceContext(TRACE, SPAN, None, is_sampled=False)
    assert traceparent_of(context) == UNSAMPLED


@pytest.mark.parametrize("traceparent", [None, "invalid"])
def test_with_export_a_call_without_a_trace_begins_one(traceparent: str | None) -> None:
    contexts = [trace_context(traceparent, "vendor=1", is_exported=True) for _ in range(2)]
    for context in contexts:
        assert context is not None
        assert (context.parent_id, context.is_sampled, context.state) == (None, True, None)
        assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", traceparent_of(context))
        assert parse_trace_context(traceparent_of(context), None) is not None
    assert contexts[0] != contexts[1]


def test_no_span_id_is_zero() -> None:
    assert attempt_span_id("ffffffffffffffff", 0) == "ffffffffffffffff"
    assert attempt_span_id("ffffffffffffffff", 1) == "0000000000000001"

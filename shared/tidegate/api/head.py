"""The headers of replies to calls, and those of requests that name a trace."""

import time
from functools import lru_cache

from tidegate.api import errors
from tidegate.api.reply import HeaderLines, RawHeaders, header_list, header_pairs, latin1
from tidegate.domain.call import Call
from tidegate.gateway import Answer
from tidegate.lazy import load
from tidegate.policy.metering.reservation import UNLIMITED_HEADROOM, Headroom


def early_lines(call: Call) -> HeaderLines:
    """Return the headers that are known before there is an answer, or an error."""
    lines, call_id = b"", call.id.encode()
    for name in call.surface.request_id_headers:
        lines += _line_start(name) + call_id
    if call.trace_context is not None:
        traceparent_of = load("tidegate.domain.traceparent", "traceparent_of")
        lines += b"\r\ntraceparent: " + latin1(traceparent_of(call.trace_context))
    return lines


def early_headers(call: Call) -> RawHeaders:
    """Return `early_lines` as ASGI has them."""
    return header_pairs(early_lines(call))


def trace_headers(headers: RawHeaders) -> tuple[str | None, str | None]:
    """Return a request's `traceparent`, None if it is sent twice, and its `tracestate`, all headers of it joined."""
    traceparents = [value.decode("latin-1") for name, value in headers if name == b"traceparent"]
    states = [value.decode("latin-1") for name, value in headers if name == b"tracestate"]
    return (traceparents[0] if len(traceparents) == 1 else None), (",".join(states) or None)


def answer_lines(answer: Answer, started: float) -> HeaderLines:
    """Return the headers of an answer; `started` is when the request came, by `time.perf_counter`."""
    overhead = time.perf_counter() - started - answer.upstream_seconds
    deployment = answer.deployment
    lines = _attempt_lines(deployment.provider, deployment.model_id, answer.attempts)
    lines += b"\r\nx-tidegate-overhead-ms: %.2f" % (overhead * 1000)
    if answer.failed_attempts:
        lines += b"\r\nx-tidegate-failed-attempts: " + header_list(map(str, answer.failed_attempts), ", ")
    if deployment.label is not None:
        lines += b"\r\nx-tidegate-deployment: " + latin1(deployment.label)
    if answer.ignored:
        lines += b"\r\nx-tidegate-ignored-params: " + header_list(answer.ignored, ",")
    for name, value in answer.headers:
        lines += _answer_line(name, value)
    return lines if answer.headroom is UNLIMITED_HEADROOM else lines + _limit_lines(answer.headroom)


@lru_cache(maxsize=16)
def _line_start(name: bytes) -> bytes:
    return b"\r\n%b: " % name


@lru_cache(maxsize=256)
def _answer_line(name: str, value: str) -> HeaderLines:
    return b"\r\n%b: %b" % (latin1(name), header_list(value.split(", "), ", "))


@lru_cache(maxsize=256)
def _attempt_lines(provider: str, model_id: str, attempts: int) -> HeaderLines:
    lines = b"\r\nx-tidegate-provider: %b\r\nx-tidegate-model: %b" % (latin1(provider), latin1(model_id))
    return b"%b\r\nx-tidegate-attempts: %d" % (lines, attempts) if attempts else lines


def _limit_lines(headroom: Headroom) -> HeaderLines:
    """Return the headers of the rate limits, and of `max_tokens` if it was lowered."""
    lines = b""
    for unit, rate in headroom.rates.items():
        lines += errors.rate_limit_lines(unit, rate)
    return lines if headroom.max_tokens is None else b"%b\r\nx-tidegate-max-tokens: %d" % (lines, headroom.max_tokens)

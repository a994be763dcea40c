"""The headers of replies to calls, and those of requests that name a trace."""

import time
from functools import lru_cache

from tidegate.api import errors
from tidegate.api.reply import RawHeaders, header_list, latin1
from tidegate.domain.call import Call
from tidegate.gateway import Answer
from tidegate.lazy import load
from tidegate.policy.metering.reservation import UNLIMITED_HEADROOM, Headroom

_ONE_ATTEMPT = errors.attempt_headers(1, ())


def early_headers(call: Call) -> RawHeaders:
    """Return the headers that are known before there is an answer, or an error."""
    call_id = call.id.encode()
    headers: RawHeaders = [(name, call_id) for name in call.surface.request_id_headers]
    if call.trace_context is not None:
        traceparent_of = load("tidegate.domain.traceparent", "traceparent_of")
        headers.append((b"traceparent", traceparent_of(call.trace_context).encode()))
    return headers


def trace_headers(headers: RawHeaders) -> tuple[str | None, str | None]:
    """Return a request's `traceparent`, None if it is sent twice, and its `tracestate`, all headers of it joined."""
    traceparents = [value.decode("latin-1") for name, value in headers if name == b"traceparent"]
    states = [value.decode("latin-1") for name, value in headers if name == b"tracestate"]
    return (traceparents[0] if len(traceparents) == 1 else None), (",".join(states) or None)


def answer_headers(answer: Answer, started: float) -> RawHeaders:
    """Return the headers of an answer; `started` is when the request came, by `time.perf_counter`."""
    overhead = time.perf_counter() - started - answer.upstream_seconds
    deployment = answer.deployment
    is_first_attempt = answer.attempts == 1 and not answer.failed_attempts
    headers = [
        *_model_headers(deployment.provider, deployment.model_id),
        *(_ONE_ATTEMPT if is_first_attempt else errors.attempt_headers(answer.attempts, answer.failed_attempts)),
        (b"x-tidegate-overhead-ms", b"%.2f" % (overhead * 1000)),
    ]
    if deployment.label is not None:
        headers.append((b"x-tidegate-deployment", latin1(deployment.label)))
    if answer.ignored:
        headers.append((b"x-tidegate-ignored-params", header_list(answer.ignored, ",")))
    if answer.headers:
        headers += [_answer_header(name, value) for name, value in answer.headers]
    return headers if answer.headroom is UNLIMITED_HEADROOM else headers + _limit_headers(answer.headroom)


@lru_cache(maxsize=256)
def _answer_header(name: str, value: str) -> tuple[bytes, bytes]:
    return name.encode(), header_list(value.split(", "), ", ")


@lru_cache(maxsize=256)
def _model_headers(provider: str, model_id: str) -> tuple[tuple[bytes, bytes], ...]:
    return (b"x-tidegate-provider", provider.encode()), (b"x-tidegate-model", latin1(model_id))


def _limit_headers(headroom: Headroom) -> RawHeaders:
    """Return the headers of the rate limits, and of `max_tokens` if it was lowered."""
    headers = [pair for unit, rate in headroom.rates.items() for pair in errors.rate_limit_headers(unit, rate)]
    if headroom.max_tokens is not None:
        headers.append((b"x-tidegate-max-tokens", b"%d" % headroom.max_tokens))
    return headers

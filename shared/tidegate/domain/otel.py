"""OpenTelemetry's view of a finished call: its spans, and the table of their attributes. Pure.

A call has one span, SERVER, or INTERNAL for the lines of batches, and below it one CLIENT span for each attempt. Only
CLIENT spans have what backends sum up or price (`gen_ai.usage.*`, the model): no token is counted twice. What has no
standard name begins with `tidegate.`. Loaded with the first call that is exported.

Source: https://github.com/open-telemetry/semantic-conventions-genai (release 0.1.0, read 2026-11).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from msgspec import Struct

from tidegate.domain.call import Outcome, TraceContext, recorded_name
from tidegate.domain.call_event import CallEvent
from tidegate.domain.traceparent import attempt_span_id
from tidegate.domain.usage import TokenCounts

AttributeValue: TypeAlias = bool | int | float | str | Sequence[str]
Attributes: TypeAlias = dict[str, AttributeValue]
SpanKind = Literal["internal", "server", "client"]

PROVIDER_NAMES = {
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "moonshot": "moonshot_ai",
    "vertex": "gcp.vertex_ai",
    "xai": "x_ai",
}
"""Well-known values of `gen_ai.provider.name`, where they differ from the names of providers here."""

MAX_IGNORED = 32
"""Names of ignored fields on a span. A caller can make their list long."""

_DEPLOYMENT = re.compile(r"([^/]*)/(.*?)(?:\(([^()]+#\d+)\))?", re.DOTALL)
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Attempt(Struct, kw_only=True):
    """One attempt of a call, as its events tell it. Times are seconds after the call's start.

    `ended` is None until the attempt has ended, `error` the code of its error. `is_answering`: the caller got its reply
    or a part of it. `has_usage`: it has the usage of the whole call.
    """

    number: int
    reason: str
    provider: str
    model: str
    label: str | None
    started: float
    ended: float | None = None
    error: str | None = None
    is_answering: bool = False
    has_usage: bool = False


class Span(Struct, frozen=True, kw_only=True):
    """One span. Times are UTC seconds; `events` are time, name and attributes; `error` is the code of its error."""

    name: str
    kind: SpanKind
    span_id: str
    parent_id: str | None
    started_at: float
    ended_at: float
    attributes: Attributes
    events: Sequence[tuple[float, str, Attributes]] = ()
    error: str | None = None


_Value: TypeAlias = AttributeValue | None


def time_to_first_chunk(outcome: Outcome, attempt: Attempt) -> float | None:
    """Return the seconds from a streamed request to its first token; None for other attempts."""
    if not attempt.is_answering or not outcome.call.request.stream or outcome.first_event_seconds is None:
        return None
    return outcome.first_event_seconds - attempt.started


def _call_error(outcome: Outcome) -> str | None:
    """Return the code of the call's error. That a caller left is an error of nobody."""
    return (outcome.error_code or "_OTHER") if outcome.status in ("failed", "lost") else None


def _finish_reasons(outcome: Outcome, attempt: Attempt) -> list[str]:
    return [outcome.finish_reason] if attempt.is_answering and outcome.finish_reason else []


def _server(outcome: Outcome, attempt: Attempt) -> tuple[str | None, int | None]:
    """Return the host and the port of the provider that answered. Those of other attempts are not known."""
    if not attempt.is_answering or outcome.deployment is None:
        return None, None
    parts = urlsplit(outcome.deployment.base_url)
    return parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme)


def _tokens(count: Callable[[TokenCounts], int], *, if_any: bool = False) -> Callable[[Outcome, Attempt], int | None]:
    """Return what gives one of the call's token counts on the attempt that has them; with `if_any`, unless it is 0."""

    def value(outcome: Outcome, attempt: Attempt) -> int | None:
        tokens = outcome.bill.tokens
        has_counts = attempt.has_usage and (attempt.is_answering or tokens.input or tokens.output)
        return count(tokens) if has_counts and (count(tokens) or not if_any) else None

    return value


def _cache(outcome: Outcome) -> str | None:
    return next((event.detail for event in reversed(outcome.events) if event.kind == "cache"), None)


def _ignored(outcome: Outcome) -> list[str]:
    return [recorded_name(name) or "" for name in outcome.ignored[:MAX_IGNORED]]


def _choices(outcome: Outcome, attempt: Attempt) -> int | None:
    choices = outcome.call.request.choices
    return None if choices == 1 else choices


def _is_estimated(outcome: Outcome, attempt: Attempt) -> bool | None:
    return True if attempt.has_usage and outcome.bill.tokens.estimated else None


CALL_ATTRIBUTES: Mapping[str, Callable[[Outcome], _Value]] = {
    "http.request.method": lambda outcome: outcome.call.endpoint and "POST",
    "http.route": lambda outcome: outcome.call.endpoint,
    "error.type": _call_error,
    "gen_ai.conversation.id": lambda outcome: recorded_name(outcome.call.session_id),
    "gen_ai.agent.id": lambda outcome: recorded_name(outcome.call.agent_id),
    "tidegate.call.id": lambda outcome: outcome.call.id,
    "tidegate.status": lambda outcome: outcome.status,
    "tidegate.workspace.id": lambda outcome: outcome.call.workspace.id,
    "tidegate.key.id": lambda outcome: outcome.call.principal.key_id,
    "tidegate.app.id": lambda outcome: outcome.call.app_id,
    "tidegate.surface": lambda outcome: outcome.call.surface.name,
    "tidegate.request.model": lambda outcome: recorded_name(outcome.call.request.model),
    "tidegate.attempts": lambda outcome: outcome.attempts,
    "tidegate.cache": _cache,
    "tidegate.guardrails": lambda outcome: [f"{name}={verdict}" for name, verdict in outcome.guardrails.items()],
    "tidegate.ignored": _ignored,
    "tidegate.cost_usd": lambda outcome: None if outcome.bill.cost_usd is None else float(outcome.bill.cost_usd),
    "tidegate.held_usd": lambda outcome: None if outcome.hold is None else float(outcome.hold.amounts.usd),
    "tidegate.words": lambda outcome: outcome.bill.words.used,
    "tidegate.batch.id": lambda outcome: outcome.call.batch_id,
    "tidegate.batch.line": lambda outcome: outcome.call.batch_line,
}
"""The attributes of a call's span, by name. What is None or an empty list is left out."""

REQUEST_ATTRIBUTES: Mapping[str, tuple[str, type[int] | type[float]]] = {
    "gen_ai.request.temperature": ("temperature", float),
    "gen_ai.request.top_p": ("top_p", float),
    "gen_ai.request.top_k": ("top_k", int),
    "gen_ai.request.seed": ("seed", int),
    "gen_ai.request.frequency_penalty": ("frequency_penalty", float),
    "gen_ai.request.presence_penalty": ("presence_penalty", float),
}
"""Attributes of attempts that are numbers in the request, with their fields. Texts of the request are its content."""

ATTEMPT_ATTRIBUTES: Mapping[str, Callable[[Outcome, Attempt], _Value]] = {
    "gen_ai.operation.name": lambda outcome, attempt: outcome.call.operation.name,
    "gen_ai.provider.name": lambda outcome, attempt: PROVIDER_NAMES.get(attempt.provider, attempt.provider),
    "gen_ai.request.model": lambda outcome, attempt: recorded_name(attempt.model),
    "gen_ai.request.stream": lambda outcome, attempt: outcome.call.request.stream or None,
    "gen_ai.request.max_tokens": lambda outcome, attempt: outcome.call.request.output_limit,
    "gen_ai.request.choice.count": _choices,
    "gen_ai.output.type": lambda outcome, attempt: "json" if outcome.call.request.answer_schema() else None,
    "gen_ai.conversation.id": lambda outcome, attempt: recorded_name(outcome.call.session_id),
    "server.address": lambda outcome, attempt: _server(outcome, attempt)[0],
    "server.port": lambda outcome, attempt: _server(outcome, attempt)[1],
    "error.type": lambda outcome, attempt: attempt.error,
    "gen_ai.response.model": lambda outcome, attempt: recorded_name(attempt.model) if attempt.is_answering else None,
    "gen_ai.response.finish_reasons": _finish_reasons,
    "gen_ai.response.time_to_first_chunk": time_to_first_chunk,
    "gen_ai.usage.input_tokens": _tokens(lambda tokens: tokens.input),
    "gen_ai.usage.output_tokens": _tokens(lambda tokens: tokens.output),
    "gen_ai.usage.cache_read.input_tokens": _tokens(lambda tokens: tokens.cached, if_any=True),
    "gen_ai.usage.cache_creation.input_tokens": _tokens(lambda tokens: tokens.written, if_any=True),
    "gen_ai.usage.reasoning.output_tokens": _tokens(lambda tokens: tokens.reasoning, if_any=True),
    "tidegate.usage.estimated": _is_estimated,
    "tidegate.attempt.number": lambda outcome, attempt: attempt.number,
    "tidegate.attempt.reason": lambda outcome, attempt: attempt.reason,
    "tidegate.deployment": lambda outcome, attempt: attempt.label,
}
"""The attributes of an attempt's span, by name; those of `REQUEST_ATTRIBUTES` are added. `input_tokens` include cached
ones."""

EVENTS: Mapping[str, tuple[str, str]] = {
    "authenticated": ("tidegate.authenticated", ""),
    "received": ("tidegate.received", ""),
    "queued": ("tidegate.queued", "tidegate.queue.reason"),
    "cache": ("tidegate.cache", "tidegate.cache"),
    "guardrails": ("tidegate.guardrails", "tidegate.guardrails.stage"),
    "reserved": ("tidegate.reserved", ""),
    "shortened": ("tidegate.shortened", "tidegate.max_tokens"),
    "first_token": ("tidegate.first_token", ""),
    "last_token": ("tidegate.last_token", ""),
}
"""The events of a call's span, by the kind of `CallEvent`: name, and the attribute that has its detail."""


def spans_of(outcome: Outcome, context: TraceContext, content: Attributes | None = None) -> list[Span]:
    """Return the call's span, and one for each attempt. `context` must have a `span_id`.

    `content` are attributes with the call's content: the attempt that has the usage gets them, or else the call.
    """
    call, span_id, started = outcome.call, context.span_id or "", outcome.call.started_at
    route, attempts = call.endpoint, attempts_of(outcome)
    own_content = {} if attempts or content is None else content
    call_span = Span(
        name=f"POST {route}" if route else f"{call.operation.name} {recorded_name(call.request.model)}",
        kind="server" if route else "internal",
        span_id=span_id,
        parent_id=context.parent_id,
        started_at=started,
        ended_at=outcome.finished_at,
        attributes=_present({name: make(outcome) for name, make in CALL_ATTRIBUTES.items()}) | own_content,
        events=[_event(started, event) for event in outcome.events if event.kind in EVENTS],
        error=_call_error(outcome),
    )
    return [call_span, *(_attempt_span(outcome, attempt, span_id, content or {}) for attempt in attempts)]


def attempts_of(outcome: Outcome) -> list[Attempt]:
    """List the attempts of a call in the order in which they began."""
    attempts: list[Attempt] = []
    ended = outcome.finished_at - outcome.call.started_at
    for event in outcome.events:
        if event.kind == "attempt":
            attempts.append(_begun(event, len(attempts) + 1))
        elif event.kind == "failed":
            failed = _find_open(attempts, event.deployment)
            if failed is not None:
                failed.ended, failed.error = event.seconds, event.detail
        elif event.kind == "last_token":
            ended = event.seconds
    name = outcome.deployment.display_name if outcome.deployment else ""
    answering = None if outcome.first_event_seconds is None else _find_open(attempts, name)
    for attempt in attempts:
        if attempt.ended is None:
            attempt.ended, attempt.error = ended, _call_error(outcome)
    if answering is not None:
        answering.is_answering = True
        if outcome.status == "ok" and not outcome.call.request.stream:
            answering.ended = outcome.first_event_seconds
    if attempts:
        (answering or attempts[-1]).has_usage = True
    return attempts


def _attempt_span(outcome: Outcome, attempt: Attempt, call_span_id: str, content: Attributes) -> Span:
    started, body = outcome.call.started_at, outcome.call.request.body
    attributes: dict[str, AttributeValue] = dict(content) if attempt.has_usage else {}
    for name, (field, number_type) in REQUEST_ATTRIBUTES.items():
        number = body.get(field)
        if isinstance(number, int | float) and not isinstance(number, bool):
            attributes[name] = number_type(number)
    return Span(
        name=f"{outcome.call.operation.name} {recorded_name(attempt.model)}",
        kind="client",
        span_id=attempt_span_id(call_span_id, attempt.number),
        parent_id=call_span_id,
        started_at=started + attempt.started,
        ended_at=started + (attempt.started if attempt.ended is None else attempt.ended),
        attributes=attributes | _present({name: make(outcome, attempt) for name, make in ATTEMPT_ATTRIBUTES.items()}),
        error=attempt.error,
    )


def _begun(event: CallEvent, number: int) -> Attempt:
    found = _DEPLOYMENT.fullmatch(event.deployment)
    provider, model, label = found.groups() if found else ("", event.deployment, None)
    return Attempt(
        number=number, reason=event.detail, provider=provider, model=model, label=label, started=event.seconds
    )


def _find_open(attempts: Sequence[Attempt], display_name: str) -> Attempt | None:
    """Return the last attempt at that deployment if it has not ended."""
    for attempt in reversed(attempts):
        label = "" if attempt.label is None else f"({attempt.label})"
        if attempt.ended is None and f"{attempt.provider}/{attempt.model}{label}" == display_name:
            return attempt
    return None


def _event(started_at: float, event: CallEvent) -> tuple[float, str, Attributes]:
    name, detail = EVENTS[event.kind]
    return started_at + event.seconds, name, {detail: event.detail} if detail else {}


def _present(values: Mapping[str, _Value]) -> dict[str, AttributeValue]:
    return {name: value for name, value in values.items() if value is not None and value != []}

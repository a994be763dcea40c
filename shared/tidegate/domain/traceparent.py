"""Reads and writes the headers `traceparent` and `tracestate`: the place of a call in a distributed trace. Pure.

Source: https://www.w3.org/TR/trace-context-1/ (level 1, 2021-11-23). Loaded with the first call that has such a header,
or whose spans are exported.
"""

import re
import secrets

from tidegate.domain.call import TraceContext

MAX_STATE_MEMBERS = 32
MAX_STATE_CHARACTERS = 512
"""The size that every participant must send on. A longer state is left out."""

# Versions after 00 may have more fields, which a participant ignores.
_TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_STATE_MEMBER = re.compile(
    r"([a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})"
    r"=[ -+\--<>-~]{0,255}[!-+\--<>-~]"
)
_SPACES = " \t"
_SAMPLED = 1


def trace_context(traceparent: str | None, tracestate: str | None, *, is_exported: bool) -> TraceContext | None:
    """Return a call's place in the trace that its headers name, or in a new trace if they name none.

    `is_exported`: the gateway exports spans. If it does not, a call without a valid `traceparent` is in no trace.
    """
    context = None if traceparent is None else parse_trace_context(traceparent, tracestate)
    if not is_exported:
        return context
    if context is None:
        return TraceContext(_random_id(16), None, _random_id(8), is_sampled=True)
    span_id = _random_id(8) if context.is_sampled else None
    return TraceContext(context.trace_id, context.parent_id, span_id, context.is_sampled, context.state)


def parse_trace_context(traceparent: str, tracestate: str | None) -> TraceContext | None:
    """Return the trace that a caller's headers name, without a span of ours; None for an invalid `traceparent`."""
    found = _TRACEPARENT.fullmatch(traceparent.strip(_SPACES))
    if found is None or (found[1] == "00" and found[5]):
        return None
    return TraceContext(found[2], found[3], None, bool(int(found[4], 16) & _SAMPLED), _parse_state(tracestate or ""))


def traceparent_of(context: TraceContext, attempt: int = 0) -> str:
    """Return the `traceparent` header that names the call's span, or that of an attempt, numbered from 1.

    If the gateway exports no spans of the trace, it names the caller's span: nobody would find another one.
    """
    span_id = context.parent_id if context.span_id is None else attempt_span_id(context.span_id, attempt)
    return f"00-{context.trace_id}-{span_id}-{int(context.is_sampled):02x}"


def attempt_headers(context: TraceContext, attempt: int) -> dict[str, str]:
    """Return the headers that tell a provider its place in the trace."""
    headers = {"traceparent": traceparent_of(context, attempt)}
    return headers if context.state is None else {**headers, "tracestate": context.state}


def attempt_span_id(span_id: str, attempt: int) -> str:
    """Return the id of an attempt's span: that of the call's span, plus the attempt's number. 0 is the call's own."""
    return f"{(int(span_id, 16) + attempt - 1) % 0xFFFF_FFFF_FFFF_FFFF + 1:016x}"


def _parse_state(tracestate: str) -> str | None:
    """Return the state in its usual form; None if it is empty, invalid or too long."""
    members = [member.strip(_SPACES) for member in tracestate.split(",") if member.strip(_SPACES)]
    names = {member.partition("=")[0] for member in members}
    if len(members) > MAX_STATE_MEMBERS or len(names) < len(members):
        return None
    state = ",".join(members)
    is_valid = len(state) <= MAX_STATE_CHARACTERS and all(map(_STATE_MEMBER.fullmatch, members))
    return state if members and is_valid else None


def _random_id(size: int) -> str:
    """Return `size` random bytes as hex. An id of zeros is not valid; a first digit of 1 to f prevents it."""
    return f"{secrets.randbelow(15) + 1:x}{secrets.token_hex(size)[1:]}"

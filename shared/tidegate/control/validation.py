"""Validation of what operators write. Every check raises an `InvalidRequest` that names the field."""

import hashlib
import re
from decimal import Decimal

from tidegate.domain.gateway_fields import MAX_CACHE_TTL_SECONDS
from tidegate.domain.guardrails import BUILT_IN_GUARDRAILS, DETECTOR_KINDS
from tidegate.domain.limits import MAX_FIRST_DAY, Limits
from tidegate.domain.record import iso_time
from tidegate.domain.routes import MAX_SECONDS, check_routes
from tidegate.domain.workspace import Workspace
from tidegate.errors import InvalidRequest
from tidegate.json import encode
from tidegate.policy.guardrails import definition
from tidegate.policy.guardrails.definition import parse_guardrails

MAX_NAME_CHARACTERS = 200
MAX_COUNT = 10**12
MAX_USD = Decimal(10**9)
MAX_PATTERNS = 100
MAX_SHARDS = 512
"""Enough for 5,000 calls a second that take ten seconds each: docs/LIMITS.md."""

MAX_TRACE_DAYS = 90

MAX_ROUTES_BYTES = 64 * 1024
"""Size as JSON. Routes are read with every call, and an audit entry (a DynamoDB item: 400 KB) holds them twice."""

MAX_PAGE_ENTRIES = 200
LATEST_EXPIRY = 253_370_764_800.0
"""9999-01-01: `datetime` cannot represent years after 9999."""

_ID = re.compile(r"[A-Za-z0-9_-]{1,60}")
_MIN_USD_EXPONENT = -6


def check_id(id: str, prefix: str) -> None:
    """Check that the id is `prefix` and 1 to 60 letters, digits, - or _."""
    if not id.startswith(prefix) or not _ID.fullmatch(id.removeprefix(prefix)):
        message = f"{id[:80]!r} is not a valid id: {prefix} and 1 to 60 letters, digits, - or _."
        raise InvalidRequest(message, param="id")


def id_from_idempotency_key(prefix: str, actor_id: str, idempotency_key: str) -> str:
    """Derive a resource's id from the `Idempotency-Key`, so that repeating a request does not create it twice."""
    if not 0 < len(idempotency_key) <= MAX_NAME_CHARACTERS:
        raise InvalidRequest(f"Idempotency-Key must be 1 to {MAX_NAME_CHARACTERS} characters.", param="idempotency-key")
    return prefix + hashlib.sha256(f"{actor_id}\n{prefix}\n{idempotency_key}".encode()).hexdigest()[:32]


def check_name(name: str) -> None:
    if len(name) > MAX_NAME_CHARACTERS or not name.isprintable():
        raise InvalidRequest(f"A name must be one line of at most {MAX_NAME_CHARACTERS} characters.", param="name")


def check_expiry(expires_at: float | None, now: float) -> None:
    """Check that a key expires after `now`, and at a time that `datetime` can represent."""
    if expires_at is None:
        return
    if expires_at > LATEST_EXPIRY:
        raise InvalidRequest("The expiry must be before the year 9999; leave it out for no expiry.", param="expires_at")
    if expires_at <= now:
        expiry_text = f" ({iso_time(expires_at)})" if expires_at >= 0 else ""
        raise InvalidRequest(f"The expiry is in the past{expiry_text}: choose a later time.", param="expires_at")


def check_workspace(workspace: Workspace) -> None:
    """Check a workspace's own fields. `update_workspace` checks the change from its state before."""
    check_id(workspace.id, "ws_")
    check_name(workspace.name)
    check_limits(workspace.limits)
    if not 1 <= workspace.first_day <= MAX_FIRST_DAY:
        raise InvalidRequest(f"The first day of the months must be 1 to {MAX_FIRST_DAY}.", param="first_day")
    if not 1 <= workspace.shards <= MAX_SHARDS:
        raise InvalidRequest(f"A workspace must have 1 to {MAX_SHARDS} shards.", param="shards")
    _check_call_options(workspace)
    _check_trace_options(workspace)


def _check_call_options(workspace: Workspace) -> None:
    """Check the options of a workspace's calls: cache, timeout, webhook, routes and guardrails."""
    seconds = workspace.cache_ttl_seconds
    if seconds is not None and not 1 <= seconds <= MAX_CACHE_TTL_SECONDS:
        message = f"Replies can be cached for 1 to {MAX_CACHE_TTL_SECONDS} seconds; leave it out for no caching."
        raise InvalidRequest(message, param="cache_ttl_seconds")
    timeout = workspace.timeout_seconds
    if timeout is not None and not 0 < timeout <= MAX_SECONDS:
        message = f"The timeout must be more than 0 and at most {MAX_SECONDS:.0f} seconds"
        raise InvalidRequest(f"{message}; leave it out for the gateway's own timeout.", param="timeout_seconds")
    url = workspace.batch_webhook
    if url is not None and not definition.is_webhook_url(url):
        raise InvalidRequest("The webhook must be an https URL without credentials or fragment.", param="batch_webhook")
    check_routes(workspace.routes)
    if len(encode(workspace.routes)) > MAX_ROUTES_BYTES:
        raise InvalidRequest(f"The routes must be at most {MAX_ROUTES_BYTES} bytes of JSON.", param="routes")
    parse_guardrails([definition.guardrail_to_json(guardrail) for guardrail in workspace.guardrails])


def check_trace_sample(sample: float | None) -> None:
    if sample is not None and not 0 <= sample <= 1:
        raise InvalidRequest("The sampling rate of traces must be 0 to 1: 0.05 is 5 %.", param="trace_sample")


def _check_trace_options(workspace: Workspace) -> None:
    check_trace_sample(workspace.trace_sample)
    if not 1 <= workspace.trace_days <= MAX_TRACE_DAYS:
        raise InvalidRequest(f"Traces can be kept for 1 to {MAX_TRACE_DAYS} days.", param="trace_days")
    guardrails = {guardrail.name: guardrail for guardrail in workspace.guardrails} | BUILT_IN_GUARDRAILS
    maskable = [name for name, guardrail in guardrails.items() if guardrail.kind in DETECTOR_KINDS]
    for i, name in enumerate(workspace.trace_mask):
        if name not in maskable:
            message = f"{name!r} is not a guardrail that can mask; those are {', '.join(sorted(maskable))}."
            raise InvalidRequest(message, param=f"trace_mask[{i}]")


def check_limits(limits: Limits, path: str = "limits") -> None:
    """Check the range of the numbers, and the number and length of the patterns."""
    for name in limits.__struct_fields__:
        value: int | Decimal | tuple[str, ...] | None = getattr(limits, name)
        problem = _problem_with_patterns(value) if isinstance(value, tuple) else _problem_with_number(value)
        if problem:
            raise InvalidRequest(f"{name} {problem}.", param=f"{path}.{name}")


def check_page(limit: int) -> None:
    if not 1 <= limit <= MAX_PAGE_ENTRIES:
        raise InvalidRequest(f"A page must have 1 to {MAX_PAGE_ENTRIES} entries, not {limit}.", param="limit")


def _problem_with_number(value: int | Decimal | None) -> str | None:
    match value:
        case None:
            return None
        case Decimal() if not value.is_finite():
            return "is not a number"
        case _ if value < 0:
            return f"must not be negative: {value}"
        case int() if value > MAX_COUNT:
            return f"must be at most {MAX_COUNT}; leave it out for no limit"
        case Decimal() if value > MAX_USD:
            return f"must be at most {MAX_USD}; leave it out for no limit"
        case Decimal() if _exponent(value) < _MIN_USD_EXPONENT:
            return "must have at most 6 decimals"
        case _:
            return None


def _problem_with_patterns(patterns: tuple[str, ...]) -> str | None:
    if not 1 <= len(patterns) <= MAX_PATTERNS:
        return f"must have 1 to {MAX_PATTERNS} patterns; leave it out for no limit"
    if not all(0 < len(pattern) <= MAX_NAME_CHARACTERS and pattern.isprintable() for pattern in patterns):
        return f"must have patterns of 1 to {MAX_NAME_CHARACTERS} characters on one line"
    return None


def _exponent(value: Decimal) -> int:
    exponent = value.normalize().as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0

"""A call, before the provider is asked, and its outcome."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Generic, Literal, NamedTuple, TypeAlias, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from tidegate.domain.account import Hold
from tidegate.domain.call_event import CallEvent
from tidegate.domain.deployment import Deployment
from tidegate.domain.operation import Operation, Request
from tidegate.domain.surface import Surface
from tidegate.domain.usage import Bill, TokenCounts
from tidegate.domain.workspace import Principal, Workspace
from tidegate.errors import InvalidRequest
from tidegate.json import Json
from tidegate.lazy import late_pattern

RequestT_co = TypeVar("RequestT_co", bound=Request, covariant=True)
OutcomeStatus = Literal["ok", "cancelled", "failed", "cached", "lost", "dry_run"]


MAX_APP_ID = 128
MAX_RECORDED_NAME = 128
_IDEMPOTENCY_KEY = late_pattern(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")
_APP_ID = late_pattern(rf"[A-Za-z0-9][A-Za-z0-9 ._:/@+-]{{0,{MAX_APP_ID - 1}}}")
_REASON = late_pattern(r"[\w.:/-]{1,64}", re.ASCII)

_NOTHING: Mapping[Any, Any] = MappingProxyType({})
"""Stands for an empty mapping: msgspec would make a dictionary for each call."""

MAX_URLS = 20
"""How many URLs of media a call may name that the gateway has to fetch."""


class IdempotencyClaim(NamedTuple):
    """The claim of one call, `owner`, to an idempotency key of its workspace.

    `key_digest` is the digest of the idempotency key, `request_digest` that of the request. At `ends_at` (UTC seconds)
    the claim ends by itself, because the owner's process must have died.
    """

    workspace_id: str
    key_digest: str
    request_digest: str
    owner: str
    ends_at: float


class Media(Struct, frozen=True):
    """Bytes that were fetched for a provider, and their media type ("image/png")."""

    content_type: str
    data: bytes


class TraceContext(Struct, frozen=True):
    """The place of a call in a distributed trace, as W3C's Trace Context defines it. Ids are in hex.

    `parent_id` is the span of the caller, None if the trace begins with the call. `span_id` is the span of the call,
    None if the gateway exports no spans of the trace. `state` is the header `tracestate`.
    """

    trace_id: str
    parent_id: str | None
    span_id: str | None
    is_sampled: bool
    state: str | None = None


class CallOf(Struct, Generic[RequestT_co], frozen=True):
    """One validated request of one workspace. Times are UTC seconds; nothing may wait beyond `deadline`.

    `id` is a ULID: unique, sortable by time, the `x-request-id` of the reply and the key of the call's record.
    Calls of one workspace with the same `idempotency_key` are one call, which is made and charged once.
    `media` maps URLs to fetched bytes. `signatures` maps indexes of messages to the `reasoning_details` of their turns,
    for clients that do not send them back. The caller names its application (`app_id`) and the conversation that the
    call belongs to (`session_id`), the agent in it (`agent_id`), and the agent that has started this one
    (`parent_agent_id`). `has_own_timeout`: the deadline is the caller's or its workspace's, and earlier than the
    operator's. A call of a batch has its `batch_id` and `batch_line`, from 0; its part is logged, and not the call.
    `endpoint` is the path that was called; `authenticated_at` is None for workers.
    `trace_context` is None for a call that is in no distributed trace. `received` is the body as it came, only for a
    call that may have a trace. `ignored_options` are the gateway's own fields that this gateway does not honour.
    """

    id: str
    surface: Surface
    operation: Operation
    request: RequestT_co
    principal: Principal
    workspace: Workspace
    started_at: float
    deadline: float
    endpoint: str | None = None
    authenticated_at: float | None = None
    session_id: str | None = None
    has_own_timeout: bool = False
    received: bytes | None = None
    ignored_options: tuple[str, ...] = ()
    trace_context: TraceContext | None = None
    app_id: str | None = None
    idempotency_key: str | None = None
    agent_id: str | None = None
    parent_agent_id: str | None = None
    media: Mapping[str, Media] = _NOTHING
    signatures: Mapping[int, Json] = _NOTHING
    batch_id: str | None = None
    batch_line: int | None = None

    @property
    def ignored(self) -> tuple[str, ...]:
        """The paths of fields that the gateway ignores for every provider."""
        return self.ignored_options + self.request.ignored


Call: TypeAlias = CallOf[Request]
"""A call of any operation."""


def call_within(call: Call, deadline: float) -> Call:
    """The call with the operator's deadline for its model, if that is earlier than its own."""
    return replace(call, deadline=deadline, has_own_timeout=False) if deadline < call.deadline else call


class FailedAttempt(Struct, frozen=True):
    """One attempt that failed: its deployment, the error code, and how long it took."""

    deployment: str
    error_code: str
    seconds: float

    def __str__(self) -> str:
        """Return "openai/gpt-4o:provider_overloaded:0.512s"."""
        return f"{self.deployment}:{self.error_code}:{self.seconds:.3f}s"


class SentAttempt(Struct):
    """A request that a deployment got and did not refuse: its provider may have worked on it, and may charge for it.

    `request` is what was asked, and `body` how it was sent. Times are UTC seconds; `ended_at` is None while the
    provider may still work. `estimate` are the tokens that it is charged for, counted once it has ended. `number`
    counts the attempts of its call, from 1.
    """

    deployment: Deployment
    request: Request
    body: bytes
    started_at: float
    number: int = 0
    ended_at: float | None = None
    estimate: TokenCounts | None = None


class Outcome(Struct, frozen=True):
    """The result of a call: exactly one for each call, whatever happened. Durations are seconds.

    `native_finish_reason` is the provider's own finish reason, if it differs from `finish_reason`. Settling replaces
    `hold`, the amount that was reserved, by the bill. `attempts` counts all attempts, failed ones included.
    `events` are all that happened, in order. `ignored` are the fields that the provider cannot honour, and
    `guardrails` the verdicts of those that have checked the call. `generation_seconds` is the time from the first to
    the last token, or for a whole reply, from the request to the reply; None if the answer is not complete.
    `trace_until` is when the call's trace expires, in UTC seconds; None for a call without one.
    """

    call: Call
    status: OutcomeStatus
    deployment: Deployment | None
    attempts: int
    bill: Bill
    finished_at: float
    first_event_seconds: float | None = None
    finish_reason: str | None = None
    native_finish_reason: str | None = None
    error_code: str | None = None
    hold: Hold | None = None
    failed_attempts: tuple[FailedAttempt, ...] = ()
    events: tuple[CallEvent, ...] = ()
    ignored: tuple[str, ...] = ()
    guardrails: Mapping[str, str] = {}
    generation_seconds: float | None = None
    trace_until: float | None = None


def parse_idempotency_key(header: str | None) -> str | None:
    """Return the idempotency key; None if the header is absent. Raises `InvalidRequest`.

    Source: https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/ (06, 2025-02), except
    for its quotes: they are optional here, and part of the key if they are sent.
    """
    if header is not None and not _IDEMPOTENCY_KEY.fullmatch(header):
        message = "The idempotency-key header must have 1 to 255 printable ASCII characters."
        raise InvalidRequest(message, param="idempotency-key")
    return header


def parse_app_id(header: str) -> str:
    """Return the application that the call is attributed to. Raises `InvalidRequest`."""
    if not _APP_ID.fullmatch(header):
        raise InvalidRequest(
            f"The x-app-id header must have 1 to {MAX_APP_ID} letters, digits, spaces or any of ._:/@+-, "
            "and begin with a letter or a digit.",
            param="x-app-id",
        )
    return header


def recorded_reason(reason: str | None) -> str | None:
    """Return a provider's own finish reason as it is recorded: "other" if it is not one word, but perhaps content."""
    return reason if reason is None or _REASON.fullmatch(reason) else "other"


def recorded_name(name: str | None) -> str | None:
    """Return a name that the caller chose as it is recorded: its first 128 characters, those that can be printed."""
    if not name:
        return None
    name = name[:MAX_RECORDED_NAME]
    return name if name.isprintable() else "".join(letter if letter.isprintable() else "?" for letter in name)

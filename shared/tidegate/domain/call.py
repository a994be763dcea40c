"""One call, before the upstream and after it."""

import re
from collections.abc import Mapping
from typing import Generic, Literal, TypeAlias, TypeVar

from msgspec import Struct, field

from tidegate.domain.account import Hold
from tidegate.domain.deployment import Deployment
from tidegate.domain.operation import Operation, Request
from tidegate.domain.surface import Surface
from tidegate.domain.usage import Bill
from tidegate.domain.workspace import Principal, Workspace
from tidegate.errors import InvalidRequest
from tidegate.json import Json

RequestT_co = TypeVar("RequestT_co", bound=Request, covariant=True)
OutcomeStatus = Literal["ok", "cancelled", "failed", "cached", "lost"]


MAX_APP_ID = 128
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")
_APP_ID = re.compile(rf"[A-Za-z0-9][A-Za-z0-9 ._:/@+-]{{0,{MAX_APP_ID - 1}}}")


class Media(Struct, frozen=True):
    """Bytes that were fetched for a provider, with the type that they were found to be ("image/png")."""

    content_type: str
    data: bytes


class CallOf(Struct, Generic[RequestT_co], frozen=True):
    """One validated request of one workspace. Times are UTC seconds; nothing may wait beyond `deadline`.

    `id` is a ULID: unique, sortable by time, the `x-request-id` of the reply and the key of the call's record.
    `idempotency_key` is what makes it one call with others of its workspace, which came with the same key.
    `media` are fetched bytes by their URLs; `signatures` the `reasoning_details` of earlier turns by the ids of the
    tool calls that followed, for clients that do not send them back. `app_id` is the caller's word, see `app_of`, and
    so is `session_id`, which names the conversation that the call belongs to.
    """

    id: str
    surface: Surface
    operation: Operation
    request: RequestT_co
    principal: Principal
    workspace: Workspace
    started_at: float
    deadline: float
    app_id: str | None = None
    idempotency_key: str | None = None
    media: Mapping[str, Media] = field(default_factory=dict[str, Media])
    signatures: Mapping[str, Json] = field(default_factory=dict[str, Json])
    session_id: str | None = None


Call: TypeAlias = CallOf[Request]
"""A call of any operation."""


class FailedAttempt(Struct, frozen=True):
    """One try that gave no answer: who was asked, why it failed, and the seconds that it took."""

    deployment: str
    error_code: str
    seconds: float

    def __str__(self) -> str:
        """In one word: "openai/gpt-4o:provider_overloaded:0.512s"."""
        return f"{self.deployment}:{self.error_code}:{self.seconds:.3f}s"


class Outcome(Struct, frozen=True):
    """How a call ended: exactly one for each call, whatever happened. Durations are seconds.

    `native_finish_reason` is the provider's own word where it is another one, also one that nobody knows yet.
    `hold` is what was reserved for it, which gives way to what the bill says. `attempts` counts all tries, those in
    `failed_attempts` among them.
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


def parse_idempotency_key(header: str | None) -> str | None:
    """The key that makes calls one call, None where there is none. Raises `InvalidRequest`.

    Source: https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/ (06, 2025-02), but for its
    quotes: whether or not they are sent, the key is what the header holds.
    """
    if header is not None and not _IDEMPOTENCY_KEY.fullmatch(header):
        message = "The idempotency-key header must have 1 to 255 printable ASCII characters."
        raise InvalidRequest(message, param="idempotency-key")
    return header


def parse_app_id(header: str | None) -> str | None:
    """The application that a call is put down to, None where it names none. Raises `InvalidRequest`."""
    if header is not None and not _APP_ID.fullmatch(header):
        raise InvalidRequest(
            f"The x-app-id header must have 1 to {MAX_APP_ID} letters, digits, blanks or any of ._:/@+-, "
            "and begin with a letter or a digit.",
            param="x-app-id",
        )
    return header

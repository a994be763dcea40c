"""One call, before the upstream and after it."""

from dataclasses import dataclass
from typing import Literal

from tidegate.chat.request import ChatRequest
from tidegate.domain.model import Deployment
from tidegate.domain.usage import Bill
from tidegate.domain.workspace import Principal, Workspace

Surface = Literal["openai", "neuroflash"]
OutcomeStatus = Literal["ok", "cancelled", "failed", "cached"]


@dataclass(frozen=True, slots=True)
class Call:
    """One validated request of one workspace. Times are UTC seconds; nothing may wait beyond `deadline`.

    `id` is a ULID: unique, sortable by time, the `x-request-id` of the reply and the key of the call's record.
    """

    id: str
    surface: Surface
    request: ChatRequest
    principal: Principal
    workspace: Workspace
    started_at: float
    deadline: float
    app_id: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call ended: exactly one for each call, whatever happened. Durations are seconds."""

    call: Call
    status: OutcomeStatus
    deployment: Deployment | None
    attempts: int
    bill: Bill
    finished_at: float
    first_event_seconds: float | None = None
    finish_reason: str | None = None
    error_code: str | None = None

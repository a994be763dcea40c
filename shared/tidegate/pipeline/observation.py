"""The state of a call in progress; the one place where its outcome is decided."""

import logging
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Protocol

from msgspec.structs import replace

from tidegate.call_line import CallFields
from tidegate.domain.account import Hold
from tidegate.domain.budget_alerts import AccountSnapshot
from tidegate.domain.call import Call, FailedAttempt, Outcome, OutcomeStatus, SentAttempt, recorded_reason
from tidegate.domain.call_event import TO_WHOLE, AttemptReason, CallEvent, EventKind
from tidegate.domain.deployment import Deployment, Resolution
from tidegate.domain.guardrails import Stage
from tidegate.domain.operation import Reply, ReplyChunk, ReplyLog, Request
from tidegate.domain.record import CallRecord
from tidegate.domain.usage import ArrivedReply, Bill, GeneratedText, TokenCounts, WordCounts
from tidegate.errors import GatewayTimeout, ProviderTimeout, TidegateError, UpstreamError
from tidegate.lazy import load
from tidegate.pipeline.answer import Answer
from tidegate.pipeline.plan import Plan, Target
from tidegate.ports import CallContent
from tidegate.providers.base import UpstreamRequest
from tidegate.upstream.attempt import ResponseRecorder

log = logging.getLogger(__name__)


class CallTrace(Protocol):
    """The trace of one call in progress. `pipeline.trace` implements it."""

    def start_attempt(self, attempt: SentAttempt, request: UpstreamRequest) -> ResponseRecorder:
        """Record the request to a provider, before its credentials are added. Return what records its reply."""
        ...

    def batch_recorder(self) -> Callable[[Sequence[ReplyChunk]], None]:
        """Return what records each part of the stream; `record_answer` then leaves the stream as it is."""
        ...

    def event_recorder(self) -> Callable[[bytes], None] | None:
        """Return what records each event of OpenAI's dialect that is sent, in place of the chunks in it.

        None if the trace needs the chunks.
        """
        ...

    def record_answer(self, answer: Answer) -> Answer:
        """Return the answer; what the caller gets of it is recorded."""
        ...

    def until(self, status: OutcomeStatus) -> float | None:
        """Return when the trace of a call that ends like this expires, in UTC seconds; None if it is not kept."""
        ...

    async def write(self, observation: "Observation") -> CallContent | None:
        """Store the trace of the call, which has ended. Return its content; None if it is not kept, or lost.

        A trace that cannot be stored is lost: the log says so.
        """
        ...


class Observation(ReplyLog):
    """The facts of a call so far, from which its outcome is made. Its `status` is "cancelled" until it ends otherwise.

    `events` is the log of all that happened, to which its methods append; failed attempts stand only there, and
    `failures` is their number.
    `sent` are the attempts that are charged: a provider has the request and has not refused it. The one that answers is
    `answering`. `attempt_started_at` is the start of the last attempt, in UTC seconds. `handed_over_at` is
    set while the caller has not yet taken what it was given of a stream. `verdicts` are those of guardrails, by name.
    `headers` are those of the reply so far: what the cache, the idempotency key and guardrails did.
    `error` is the one that the caller gets. `trace` is None for a call whose content is not kept, `plan` for one whose
    steps ran elsewhere.
    """

    __slots__ = (
        *("account_snapshot", "answering", "attempt_started_at", "attempts", "bill", "call", "clock", "deployment"),
        *("error", "error_code", "events", "failures", "first_event_at", "handed_over_at", "headers"),
        *("hold", "ignored"),
        *("last_event_at", "plan", "resolution", "sent", "status", "trace", "upstream_seconds", "verdicts"),
    )

    def __init__(self, call: Call, clock: Callable[[], float] = time.time, plan: Plan | None = None) -> None:
        super().__init__()
        self.call = call
        self.clock = clock
        self.plan = plan
        self.status: OutcomeStatus = "cancelled"
        self.resolution: Resolution | None = None
        self.deployment: Deployment | None = None
        self.events: list[CallEvent] = []
        self.attempts = self.failures = 0
        self.attempt_started_at = self.upstream_seconds = 0.0
        self.first_event_at: float | None = None
        self.last_event_at: float | None = None
        self.error_code: str | None = None
        self.bill: Bill | None = None
        self.hold: Hold | None = None
        self.account_snapshot: AccountSnapshot | None = None
        self.handed_over_at: float | None = None
        self.sent: list[SentAttempt] = []
        self.answering: SentAttempt | None = None
        self.ignored: tuple[str, ...] = ()
        self.verdicts: Mapping[str, str] = {}
        self.headers: tuple[tuple[str, str], ...] = ()
        self.error: TidegateError | None = None
        self.trace: CallTrace | None = None
        started_at, authenticated_at = call.started_at, call.authenticated_at
        if authenticated_at is not None:
            self.events = [
                CallEvent(authenticated_at - started_at, "authenticated"),
                CallEvent(clock() - started_at, "received"),
            ]

    def record(self, kind: EventKind, detail: str = "", at: float | None = None) -> None:
        """Append an event to the log; `at` is its time in UTC seconds, by default now."""
        self.events.append(CallEvent((self.clock() if at is None else at) - self.call.started_at, kind, detail))

    @contextmanager
    def recording_failures(self) -> Generator[None]:
        """Record the failure that leaves the block."""
        try:
            yield
        # Raised again: a record must name each failure, also a fault of ours.
        except Exception as error:
            self.record_error(error)
            raise

    def record_error(self, error: BaseException) -> None:
        """Record the exception that ended the call. After a cancellation, the call has not failed."""
        if isinstance(error, TidegateError):
            if isinstance(error, UpstreamError):
                error.sent_first_chunk = self.first_event_at is not None
            error.attempts, error.failed_attempts = self.attempts, tuple(map(str, self.failed_attempts()))
            self.error = error
            self._set_failed(error.code or error.type)
        elif isinstance(error, Exception):
            self._set_failed("internal_error")

    def as_provider_timeout(self, error: GatewayTimeout, now: float) -> TidegateError:
        """Return `ProviderTimeout` if the call was waiting for a provider; otherwise `error`, the call's timeout."""
        if not self._is_asking or self.deployment is None:
            return error
        timeout = ProviderTimeout(f"{self.deployment.provider} did not answer in time.")
        timeout.should_retry = False  # the call's whole time is over
        self.record_failure(self.deployment, timeout.code or "", now - self.attempt_started_at, now)
        return timeout

    def record_failure(self, deployment: Deployment, code: str, lasted_seconds: float, now: float) -> None:
        """Record that an attempt failed."""
        name = deployment.display_name
        self.failures += 1
        self.events.append(CallEvent(now - self.call.started_at, "failed", code, name, lasted_seconds))

    def failed_attempts(self) -> list[FailedAttempt]:
        """List the attempts that have failed, in the order in which they did."""
        return [
            FailedAttempt(event.deployment, event.detail, event.lasted_seconds)
            for event in self.events
            if event.kind == "failed"
        ]

    def _set_failed(self, code: str) -> None:
        self.status = "failed"
        self.error_code = code

    def add_reply(self, reply: Reply) -> None:
        """Record a whole reply. The call has then succeeded."""
        self.call.operation.read_reply(reply, self)
        self.status = "ok"

    def start_attempt(
        self, deployment: Deployment, request: Request, body: bytes, now: float, *, is_hedge: bool = False
    ) -> SentAttempt:
        """Record a request that is being sent. It is charged unless `fail_attempt` takes it back."""
        number, resolution = self.attempts + 1, self.resolution
        reason: AttemptReason = "hedge" if is_hedge else "first"
        if not is_hedge and (number > 1 or (resolution is not None and resolution.is_trial)):
            reason = self._later_reason(deployment)
        self.events.append(CallEvent(now - self.call.started_at, "attempt", reason, deployment.display_name))
        self.attempt_started_at = now
        self.attempts = number
        attempt = SentAttempt(deployment, request, body, now, number)
        self.sent.append(attempt)
        return attempt

    def target_of(self, deployment: Deployment) -> Target | None:
        """Return what the plan knows of the deployment; None if it is not the plan's."""
        if self.plan is None:
            return None
        target = self.plan.target
        return target if target is not None and target.deployment is deployment else None

    def _later_reason(self, deployment: Deployment) -> AttemptReason:
        """Return the reason of an attempt that is not the first one, or a trial."""
        resolution, name = self.resolution, deployment.display_name
        if any(event.kind == "attempt" and event.deployment == name for event in self.events):
            return "retry"
        if resolution is not None and resolution.is_trial and deployment is resolution.deployments[0]:
            return "trial"
        return "fallback" if self.attempts else "first"

    def start_answer(self, attempt: SentAttempt, now: float) -> None:
        """Record the first token: the attempt is the one that answers."""
        self.answering, self.deployment, self.first_event_at = attempt, attempt.deployment, now
        self.events.append(CallEvent(now - self.call.started_at, "first_token"))

    def end_stream(self) -> None:
        """Record the last token of a stream. The call has then succeeded."""
        self.status, self.last_event_at = "ok", self.clock()
        self.record("last_token", "", self.last_event_at)

    @contextmanager
    def checking(self, verdicts: Mapping[str, str], stage: Stage) -> Generator[None]:
        """Record that guardrails check the prompt or the answer in the block; `verdicts` are those that they find."""
        self.verdicts = verdicts
        try:
            yield
        finally:
            self.record("guardrails", stage)

    def record_verdicts(self, verdicts: Mapping[str, str], stage: Stage) -> None:
        """Record that guardrails have checked the prompt or the answer."""
        self.verdicts = verdicts
        self.record("guardrails", stage)

    def fail_attempt(self, attempt: SentAttempt, error: BaseException, now: float) -> None:
        """End the attempt. It is not charged if the provider refused the request, or cannot have it."""
        attempt.ended_at = now
        if load("tidegate.policy.metering.unreported", "is_refusal")(error):
            self.sent.remove(attempt)

    @property
    def is_charged(self) -> bool:
        """True if a provider may charge for the call."""
        return bool(self.sent)

    @property
    def _is_asking(self) -> bool:
        return self.first_event_at is None and self.attempts > self.failures

    @property
    def answer(self) -> str:
        """The answer so far. With `reasoning` and `other`, an observation has the texts of `GeneratedText`."""
        return "".join(self.answer_text)

    @property
    def reasoning(self) -> str:
        return "".join(self.reasoning_text)

    @property
    def other(self) -> str:
        return "".join(self.other_text)

    def arrived_reply(self, now: float) -> ArrivedReply:
        """Return what has arrived of a reply whose usage was not reported."""
        stalled_seconds = 0.0 if self.handed_over_at is None else now - self.handed_over_at
        generated, is_complete = GeneratedText(self.answer, self.reasoning, self.other), self.status == "ok"
        return ArrivedReply(generated, is_complete, self.images, self.audio_characters, stalled_seconds)

    def outcome(self, finished_at: float) -> Outcome:
        """Return the outcome of the call, which has ended. A call without a bill has used nothing."""
        call, bill, native_reason = self.call, self.bill, self.native_finish_reason
        if bill is None:
            bill = Bill(TokenCounts(), WordCounts(0, 0, 0, call.workspace.words_method), Decimal(0))
        started_at, first_event_at, generation_seconds = call.started_at, self.first_event_at, None
        if first_event_at is not None and self.status == "ok":
            generation_seconds = self._generation_seconds(first_event_at)
        # By position, in the order of `Outcome`: names would take longer than all the rest.
        return Outcome(
            call,
            self.status,
            self.deployment,
            self.attempts,
            bill,
            finished_at,
            None if first_event_at is None else first_event_at - started_at,
            self.finish_reason,
            None if native_reason is None else recorded_reason(native_reason),
            self.error_code,
            self.hold,
            tuple(self.failed_attempts()) if self.failures else (),
            (*self.events, CallEvent(finished_at - started_at, "settled")),
            self.ignored,
            self.verdicts,
            generation_seconds,
            None if self.trace is None else self.trace.until(self.status),
        )

    def _generation_seconds(self, first_event_at: float) -> float | None:
        """Return how long a provider took to generate the answer; see `Outcome`."""
        if self.call.request.stream:
            return None if self.last_event_at is None else self.last_event_at - first_event_at
        return None if self.answering is None else first_event_at - self.answering.started_at


def log_fields(outcome: Outcome, record: CallRecord) -> CallFields:
    """Return the fields of a call's log line by its record: enough to bill it from the log, without its content.

    Durations are rounded as `record.call_record` does.
    """
    call, deployment = outcome.call, outcome.deployment
    first_event_seconds, cost_usd = outcome.first_event_seconds, outcome.bill.cost_usd
    # By position, in the order of `CallFields`: names would take longer than all the rest.
    fields = CallFields(
        call.id,
        record.workspace_id,
        record.key_id,
        record.app_id,
        record.model if deployment is None else deployment.model_id,
        record.provider,
        record.deployment,
        record.status,
        record.error_code,
        record.finish_reason,
        record.native_finish_reason,
        record.attempts,
        [str(failed) for failed in outcome.failed_attempts] if outcome.failed_attempts else [],
        record.input_tokens,
        record.output_tokens,
        record.words,
        None if cost_usd is None else str(cost_usd),
        record.estimated,
        None if first_event_seconds is None else (first_event_seconds * 1e4 + TO_WHOLE - TO_WHOLE) / 1e4,
        ((outcome.finished_at - call.started_at) * 1e4 + TO_WHOLE - TO_WHOLE) / 1e4,
        record.endpoint,
        record.session_id,
        record.agent_id,
        record.trace_id,
        record.cache,
        record.guardrails,
        record.ignored,
        record.held_usd,
        record.tokens_per_second,
        record.timeline,
    )
    if call.batch_id is None and call.parent_agent_id is None:
        return fields
    line = None if call.batch_id is None else call.batch_line
    return replace(fields, parent_agent_id=record.parent_agent_id, batch_id=record.batch_id, line=line)

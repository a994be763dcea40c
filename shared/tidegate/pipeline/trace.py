"""The trace of a call in progress: records its content, and stores it once the call is settled.

Loaded with the first call that may have a trace. What is recorded are references to bytes that the call has anyway;
they are encoded at its end.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial

from msgspec.structs import replace

from tidegate.domain.call import Call, OutcomeStatus, SentAttempt
from tidegate.domain.internal_error import internal_error
from tidegate.domain.operation import ReplyChunk
from tidegate.domain.otel import attempts_of
from tidegate.domain.trace import Trace, TracedError, encode_trace, is_sampled
from tidegate.domain.workspace import trace_rate
from tidegate.errors import GuardrailUnavailable, GuardrailViolation
from tidegate.json import encode
from tidegate.lazy import load
from tidegate.offload import offload
from tidegate.pipeline.answer import Answer
from tidegate.pipeline.components import Components
from tidegate.pipeline.observation import Observation
from tidegate.pipeline.trace_answer import AnswerRecorder
from tidegate.pipeline.trace_attempt import AttemptRecorder, RepliesRoom
from tidegate.ports import Traces
from tidegate.providers.base import UpstreamRequest

log = logging.getLogger(__name__)

DAY_SECONDS = 86_400

MAX_SENT_BYTES = 20 * 1024 * 1024
"""Bytes of the requests to providers that one trace keeps, of all attempts. A caller's request is always kept whole."""

CHAT_NAME = "chat"
"""The operation whose chunks readers assemble."""

WRITE_SECONDS = 5.0
"""The time limit for encoding and storing a trace. Nobody waits for it but the process."""

MAX_WAITING, MAX_WAITING_BYTES = 24, 128 * 1024 * 1024
"""Traces of this process that may wait for the store at once: further ones are lost, so that a store which is slow
takes neither the memory nor, on one machine, the place of calls (`server.limits.ConnectionLimits.max_unsettled`).
"""


def start_trace(components: Components, call: Call) -> "TraceRecorder | None":
    """Return the recorder of the call's trace; None if it is not chosen, or if there is no store of traces."""
    traces = components.open_traces()
    if traces is None:
        return None
    rate = trace_rate(call.principal, call.workspace)
    asks = call.request.options.observability and call.workspace.trace_callers
    is_chosen = bool(asks) or is_sampled(call.id, rate)
    if not is_chosen and not call.workspace.trace_failures:
        return None
    return TraceRecorder(components, call, traces, only_failures=not is_chosen)


_waiting: dict["TraceRecorder", int] = {}
"""The traces that are being stored, and the bytes of each."""


class TooManyTraces(Exception):
    """Too many traces wait for the store."""


class TraceRecorder:
    """Records one call: what it received, each attempt, and its answer. Implements `observation.CallTrace`."""

    def __init__(self, components: Components, call: Call, traces: Traces, *, only_failures: bool) -> None:
        self._components, self._call, self._traces = components, call, traces
        self._only_failures = only_failures
        self._attempts: list[AttemptRecorder] = []
        self._sent_room = MAX_SENT_BYTES
        self._answer = AnswerRecorder(call.operation)
        self._is_recorded = False
        self._replies_room = RepliesRoom(self._answer.limit_size)

    def start_attempt(self, attempt: SentAttempt, request: UpstreamRequest) -> AttemptRecorder:
        """Record the request to a provider, before its credentials are added. Return what records its reply."""
        size = len(request.body)
        has_room = size <= self._sent_room
        self._sent_room -= size if has_room else 0
        recorder = AttemptRecorder(self._replies_room, self._components, attempt, request, keeps_body=has_room)
        self._attempts.append(recorder)
        return recorder

    def batch_recorder(self) -> Callable[[Sequence[ReplyChunk]], None]:
        """Return what records each part of the stream; `record_answer` then leaves the stream as it is."""
        self._is_recorded = True
        return self._answer.add_line if self._may_assemble_later else self._answer.add_batch

    def event_recorder(self) -> Callable[[bytes], None] | None:
        """See `observation.CallTrace.event_recorder`."""
        return self._answer.event_recorder() if self._may_assemble_later else None

    def record_answer(self, answer: Answer) -> Answer:
        """Return the answer; what the caller gets of it is recorded."""
        self._answer.reply = answer.reply
        if answer.batches is None or self._is_recorded:
            return answer
        return replace(answer, batches=self._answer.record_stream(answer.batches))

    @property
    def _may_assemble_later(self) -> bool:
        """True if only readers of the trace need the whole answer, and can make it of the chunks."""
        is_needed = self._may_be_masked or self._components.open_telemetry is not None
        return not is_needed and self._call.operation.name == CHAT_NAME and self._call.request.origin is None

    def until(self, status: OutcomeStatus) -> float | None:
        """Return when the trace of a call that ends like this expires, in UTC seconds; None if it is not kept."""
        if self._only_failures and status != "failed":
            return None
        return self._call.started_at + self._call.workspace.trace_days * DAY_SECONDS

    async def write(self, observation: Observation) -> Trace | None:
        """Store the trace of the call, which has ended. Return it; None if it is not kept, or lost.

        A trace that cannot be stored is lost: the log says so.
        """
        until = self.until(observation.status)
        if until is None:
            return None
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                size = sum(each.size for each in self._attempts) + self._answer.size
                size += len(self._call.received or b"")
                if len(_waiting) >= MAX_WAITING or sum(_waiting.values(), size) > max(size, MAX_WAITING_BYTES):
                    raise TooManyTraces
                _waiting[self] = size
                trace = await self._masked(await offload(size, partial(self._trace, observation)), observation)
                content = await offload(size, partial(encode_trace, trace))
                await self._traces.keep(self._call.workspace.id, self._call.id, content, until)
                return await self._in_inner_dialect(trace, observation)
        # A call that is answered and settled must not fail for its trace.
        except Exception as error:
            log.warning("trace.lost", extra={"call_id": self._call.id, "reason": type(error).__name__})
            return None
        finally:
            _waiting.pop(self, None)

    async def _in_inner_dialect(self, trace: Trace, observation: Observation) -> Trace:
        """Return the trace for telemetry, which knows the request in the inner dialect alone."""
        request = self._call.request
        if self._components.open_telemetry is None or request.origin is None:
            return trace
        inner = await offload(request.size, partial(encode, request.body))
        return await self._masked(replace(trace, request=inner, attempts=()), observation)

    async def _masked(self, trace: Trace, observation: Observation) -> Trace:
        if not self._may_be_masked:
            return trace
        mask_trace = load("tidegate.pipeline.trace_mask", "mask_trace")
        return await mask_trace(trace, observation, self._components.guardrails)

    @property
    def _may_be_masked(self) -> bool:
        workspace, named = self._call.workspace, self._call.request.options.guardrails
        return bool(
            workspace.guardrails or workspace.trace_mask or named or self._components.guardrails.operator_guardrails
        )

    def _trace(self, observation: Observation) -> Trace:
        attempts = attempts_of(observation.outcome(self._components.clock()))
        for attempt in attempts:
            if attempt.is_answering and isinstance(observation.error, GuardrailViolation | GuardrailUnavailable):
                attempt.error = None  # the provider has answered, and the caller may not have it
        started_at, folds = self._call.started_at, not self._may_be_masked
        self._answer.limit_size()
        folded = self._answer.fold_events()
        return Trace(
            call_id=self._call.id,
            key_id=self._call.principal.key_id,
            until=self.until(observation.status) or 0.0,
            request=self._call.received or b"",
            attempts=[each.traced(attempts[each.number - 1], started_at, folds=folds) for each in self._attempts],
            answer=self._answer.encode_answer(),
            chunks=b"" if folded else self._answer.join_chunks(),
            folded=folded,
            error=_traced_error(observation),
        )


def _traced_error(observation: Observation) -> TracedError | None:
    if observation.status != "failed":
        return None
    error = observation.error or internal_error()
    return TracedError(error.code or error.type, error.message)

"""The steps of one call, in order. `dispatch` repeats steps 6 to 8 until a deployment begins to answer.

What they need and depends only on caller and model is decided once: `pipeline/plan.py`.

authenticate, new_call:   1. find the principal and the workspace; callers of the last minute are cached
                          2. build the call, with its deadline
run_steps:  3. claim the idempotency key   4. guardrails on the prompt   5. look up the cache
dispatch:   6. resolve the model, then each fallback: its deployments, without those that the key may not use
            7. translate for one deployment and reserve the worst case, with lower `max_tokens` if a limit requires it
            8. ask that deployment: a slow one is hedged, a temporary failure retried
run_steps:  9. stamp and bill   10. guardrails on the answer   11. store the reply   12. settle   13. budget alerts
dry_run:    count the call, report what these steps would do without asking or storing anything, and record it
count_tokens: count the call, ask its first deployment for the input tokens or estimate them, and record it
"""

from collections.abc import Awaitable, Callable, Coroutine
from types import TracebackType
from typing import TypeVar

from msgspec import Struct

from tidegate.domain.call import Call, CallOf, TraceContext, parse_app_id, parse_idempotency_key
from tidegate.domain.gateway_fields import GatewayFields
from tidegate.domain.ids import ulid
from tidegate.domain.operation import Operation, Request
from tidegate.domain.surface import Surface
from tidegate.domain.workspace import UNKNOWN_SOURCE, Principal, RequestSource, Workspace, trace_rate
from tidegate.errors import LimitReached, TidegateError
from tidegate.json import JsonObject
from tidegate.lazy import load
from tidegate.pipeline.answer import Answer
from tidegate.pipeline.attempt import OpenConnections
from tidegate.pipeline.components import CallReuse, Components, no_response_states
from tidegate.pipeline.dispatch import dispatch
from tidegate.pipeline.observation import Observation
from tidegate.pipeline.prepare import count_call
from tidegate.pipeline.respond import respond
from tidegate.pipeline.settle import send_telemetry, settle
from tidegate.pipeline.shield import run_shielded
from tidegate.policy.deadline import DeadlineScope, earliest_deadline, next_deadline, parse_deadline
from tidegate.policy.guardrails.protocol import HEADER, Guard

__all__ = ["NO_HEADERS", "Answer", "CallHeaders", "Gateway"]


class CallHeaders(Struct, frozen=True):
    """The headers of a request that concern its call, as sent; and `deadline`, Lambda's, in UTC seconds: no header."""

    app_id: str | None = None
    session_id: str | None = None
    agent_id: str | None = None
    parent_agent_id: str | None = None
    idempotency_key: str | None = None
    request_deadline: str | None = None
    deadline: float | None = None
    traceparent: str | None = None
    tracestate: str | None = None

    def deadlines(self) -> tuple[float | None, float | None]:
        """Return Lambda's deadline and the caller's, in UTC seconds. Raises `InvalidRequest`."""
        return self.deadline, parse_deadline(self.request_deadline)


NO_HEADERS = CallHeaders()

_T = TypeVar("_T")
_OBSERVABILITY = ("observability",)


class Gateway(Components, frozen=True):
    """Answers calls with the components of this process."""

    async def authenticate(
        self,
        surface: Surface,
        credential: str | None,
        workspace_id: str | None,
        *,
        source: RequestSource = UNKNOWN_SOURCE,
        headers: CallHeaders = NO_HEADERS,
    ) -> tuple[Principal, Workspace]:
        """Return the principal and the workspace. A worker that knows both can skip this step.

        Raises `TidegateError`, but not for a deadline that has passed: `answer` raises that error and records it.
        """
        needs_workspace, authenticate = surface.requires_workspace, self.authenticator.authenticate
        if headers.deadline is None and headers.request_deadline is None:
            return await authenticate(credential, workspace_id, required_workspace=needs_workspace, source=source)
        with DeadlineScope(next_deadline(self.clock(), headers.deadlines()), self.clock):
            return await authenticate(credential, workspace_id, required_workspace=needs_workspace, source=source)

    def new_call(
        self,
        principal: Principal,
        workspace: Workspace,
        surface: Surface,
        operation: Operation,
        request: Request,
        *,
        started_at: float | None = None,
        authenticated_at: float | None = None,
        endpoint: str | None = None,
        headers: CallHeaders = NO_HEADERS,
        body: bytes | None = None,
    ) -> Call:
        """Return a new call with its id and deadline. Times are UTC seconds; `endpoint` is the path of its request.

        A caller and a workspace can shorten the call's time, but not extend it. `body` is the request as it came: the
        call may have a trace, which begins with it. Raises `InvalidRequest`.
        """
        now = self.clock() if started_at is None else started_at
        options, origin = request.options, request.origin
        if origin is not None and origin.conversation is not None:
            origin.conversation.is_on = self.open_response_states is not no_response_states
        deadline, has_own_timeout = now + self.timeout_seconds, False
        if headers.deadline is not None:
            deadline = min(deadline, headers.deadline)
        timeout_seconds, request_deadline = workspace.timeout_seconds, headers.request_deadline
        if request_deadline is not None or timeout_seconds is not None or options.timeout is not None:
            own_deadline = earliest_deadline(now, (options.timeout, timeout_seconds), headers.deadlines())
            deadline, has_own_timeout = min(deadline, own_deadline), own_deadline < deadline
        session_id = headers.session_id or None
        if session_id is None and (origin is not None or not request.is_plain):
            session_id = request.session_id
        # True for whatever `_may_have_trace` may find: most calls have none of these, and need no closer look.
        may_trace = (
            workspace.trace_failures or workspace.trace_sample or principal.trace_sample or options.observability
        )
        # By position, in the order of `CallOf`: names would take longer than all the rest.
        return CallOf(
            ulid(now),
            surface,
            operation,
            request,
            principal,
            workspace,
            now,
            deadline,
            endpoint,
            authenticated_at,
            session_id,
            has_own_timeout,
            body if may_trace and _may_have_trace(options, principal, workspace) else None,
            self._ignored_options(workspace) if options.observability else (),
            self._trace_context(headers) if headers.traceparent or self.open_telemetry else None,
            None if headers.app_id is None else parse_app_id(headers.app_id),
            None if headers.idempotency_key is None else parse_idempotency_key(headers.idempotency_key),
            headers.agent_id,
            headers.parent_agent_id,
        )

    def _ignored_options(self, workspace: Workspace) -> tuple[str, ...]:
        """Return the gateway's fields that are ignored in a call that asks for a trace."""
        return () if workspace.trace_callers and self.open_traces() is not None else _OBSERVABILITY

    def _trace_context(self, headers: CallHeaders) -> TraceContext | None:
        trace_context = load("tidegate.domain.traceparent", "trace_context")
        return trace_context(headers.traceparent, headers.tracestate, is_exported=self.open_telemetry is not None)

    def answer(self, call: Call) -> "AnswerContext":
        """Answer a call. Leaving the context settles it: a call has one outcome and one record, also if it failed.

        Raises `TidegateError`; once a stream has begun, its batches raise it.
        """
        plan = self.plans.plan_of(self, call)
        observation = Observation(call, self.clock, plan)
        if call.received is not None:
            observation.trace = load("tidegate.pipeline.trace", "start_trace")(self, call)
        may_reuse = plan.is_cached or call.idempotency_key is not None or not call.request.is_plain
        return AnswerContext(self, observation, self.reuse.for_call(call) if may_reuse else None, OpenConnections())

    async def run_steps(
        self, observation: Observation, call_reuse: CallReuse | None, connections: OpenConnections
    ) -> Answer:
        """Run the steps 3 to 11 that the call needs, and return the answer. Closing `connections` ends it."""
        call, plan = observation.call, observation.plan
        guard_run: Guard | None = None
        if plan is None or plan.is_guarded or not call.request.is_plain:
            guard_run = self.guardrails.for_call(call)
        if call_reuse is not None and call.idempotency_key is not None:
            stored_answer = await call_reuse.replay(self, observation)
            if stored_answer is not None:
                return stored_answer
        if guard_run is not None and not guard_run.is_quick:
            await count_call(self, observation)  # other calls are counted when a quick check has refused them
        try:
            if guard_run is not None:
                call = observation.call = await _check_prompt(guard_run, observation)
            if call_reuse is not None:
                stored_answer = await call_reuse.lookup(self, call, observation, guard_run)
                if stored_answer is not None:
                    return stored_answer
            dispatched = await dispatch(self, call, observation, connections)
        except TidegateError as error:
            if not isinstance(error, LimitReached):  # a call that no provider got is work as well
                await count_call(self, observation)
            raise
        answer = await respond(self, dispatched, observation, is_checked=guard_run is not None)
        if guard_run is not None:
            check_answer = load("tidegate.pipeline.check_output", "check_answer")
            answer = await check_answer(self, guard_run, answer, observation)
        return answer if call_reuse is None else call_reuse.record_answer(dispatched.request, answer)

    async def dry_run(self, call: Call) -> JsonObject:
        """Report what a call would do, as JSON. No provider is asked. The dry run counts as a call and is recorded."""
        return await self._inquire(call, load("tidegate.pipeline.dry_run.dry_run", "dry_run"))

    async def count_tokens(self, call: Call) -> int:
        """Return the input tokens of the call. It is not answered and costs nothing, but is counted and recorded."""
        return await self._inquire(call, load("tidegate.pipeline.count_tokens", "count_tokens"))

    async def _inquire(self, call: Call, find: Callable[[Components, Call], Awaitable[_T]]) -> _T:
        observation = Observation(call, self.clock, self.plans.plan_of(self, call))
        try:
            with observation.recording_failures():
                await count_call(self, observation)
                found = await find(self, call)
                observation.status = "dry_run"
                return found
        finally:
            await _finish(self, observation, None)


class AnswerContext(Struct, eq=False):
    """The context of `Gateway.answer`."""

    gateway: Gateway
    observation: Observation
    call_reuse: CallReuse | None
    connections: OpenConnections

    async def __aenter__(self) -> Answer:
        gateway, observation = self.gateway, self.observation
        try:
            with DeadlineScope(observation.call.deadline, gateway.clock, observation.as_provider_timeout):
                answer = await gateway.run_steps(observation, self.call_reuse, self.connections)
        except BaseException as error:
            observation.record_error(error)
            await self.__aexit__(None, None, None)
            raise
        return answer if observation.trace is None else observation.trace.record_answer(answer)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if self.connections.closers:
                await self.connections.close()
        finally:
            await _finish(self.gateway, self.observation, self.call_reuse)


async def _check_prompt(guard_run: Guard, observation: Observation) -> Call:
    observation.headers = ((HEADER, guard_run.header),)
    try:
        return await guard_run.check_prompt(observation.call)
    finally:
        observation.record_verdicts(guard_run.verdicts, "input")


def _finish(
    components: Components, observation: Observation, call_reuse: CallReuse | None
) -> Coroutine[object, object, object]:
    """Return the work that ends a call, which no cancellation interrupts: most calls are only settled."""
    is_reported = observation.trace is not None or components.open_telemetry is not None
    if is_reported or observation.call.request.origin is not None:
        return run_shielded(_store_and_settle(components, observation, call_reuse))
    has_bill = observation.bill is not None or not observation.sent
    at_once = has_bill and components.meter.records_at_once
    at_once = at_once and (call_reuse is None or call_reuse.stores_at_once(observation))
    if call_reuse is None:
        work = settle(components, observation, is_shielded=not at_once)
    else:
        work = _store_and_settle(components, observation, call_reuse, is_shielded=not at_once)
    return work if at_once else run_shielded(work)  # what waits for nothing needs no task that shields it


async def _store_and_settle(
    components: Components, observation: Observation, call_reuse: CallReuse | None, *, is_shielded: bool = True
) -> None:
    """Store the reply where it is wanted again. Then, even if that failed, settle and report the call: see `settle`."""
    origin = observation.call.request.origin
    try:
        if call_reuse is not None:
            await call_reuse.store(observation)
        if origin is not None and origin.conversation is not None and origin.conversation.is_on:
            keep_response = load("tidegate.pipeline.kept_responses", "keep_response")
            await keep_response(components, observation.call, origin.conversation)
    finally:
        outcome = await settle(components, observation, is_shielded=is_shielded)
        content = None if observation.trace is None else await observation.trace.write(observation)
        if components.open_telemetry is not None:
            await send_telemetry(components.open_telemetry, outcome, content)


def _may_have_trace(options: GatewayFields, principal: Principal, workspace: Workspace) -> bool:
    asks = options.observability
    if asks is False:
        return False
    return workspace.trace_failures or trace_rate(principal, workspace) > 0 or bool(asks and workspace.trace_callers)

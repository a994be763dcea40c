"""One attempt: one request to one deployment; and what attempts have opened."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

from msgspec import Struct
from msgspec.structs import replace

from tidegate.domain.call import Call, SentAttempt, TraceContext
from tidegate.domain.deployment import Deployment
from tidegate.errors import NotConfigured, ProviderTimeout, TidegateError, UpstreamError
from tidegate.lazy import load
from tidegate.pipeline.components import Components
from tidegate.pipeline.observation import Observation
from tidegate.pipeline.prepare import PreparedCall
from tidegate.providers.base import UpstreamRequest
from tidegate.upstream.attempt import ProviderConnection


class Hedge(Struct, frozen=True):
    """The deployment that gets a second request if the first has not answered after `after_seconds`."""

    deployment: Deployment
    after_seconds: float


class AttemptTimedOut(ProviderTimeout):
    """The deployment did not answer within the share of the call's time that this attempt had."""


def attempt_timed_out(deployment: Deployment) -> AttemptTimedOut:
    return AttemptTimedOut(f"{deployment.provider} did not answer within its share of the call's time.")


def record_failure(
    components: Components,
    call: Call,
    observation: Observation,
    deployment: Deployment,
    error: TidegateError,
    seconds: float,
) -> None:
    """Record the failed attempt, in the observation and, if the deployment was at fault, in its health."""
    if isinstance(error, UpstreamError | NotConfigured):
        observation.upstream_seconds += seconds
        observation.record_failure(deployment, error.code or error.type, seconds, components.clock())
    if observation.resolution is not None:
        call_timed_out = isinstance(error, AttemptTimedOut) or components.clock() >= call.deadline
        components.balancer.record_failure(
            deployment,
            observation.resolution,
            call,
            error,
            waited_seconds=seconds,
            call_timed_out=call_timed_out,
        )


def start_attempt(
    components: Components,
    prepared: PreparedCall,
    observation: Observation,
    now: float,
    seconds: float,
    *,
    is_hedge: bool = False,
) -> tuple[SentAttempt, ProviderConnection]:
    """Record that the request is being sent at `now`, in UTC seconds; return the attempt, and the context of its reply.

    The reply must end within `seconds`. Enter and leave the context in one task.
    """
    call, deployment, request = prepared.call, prepared.deployment, prepared.request
    components.retries.earn(deployment.provider)
    attempt = observation.start_attempt(deployment, call.request, request.body, now, is_hedge=is_hedge)
    if call.trace_context is not None:
        request = _in_trace(request, call.trace_context, attempt.number)
    target, upstream, trace = prepared.target, components.upstream, observation.trace
    if target is None:
        workspace_keys = components.workspace_keys.secrets_for(call.workspace, deployment.secret)
        timeouts = components.timeout_rules.timeouts_for(deployment.model_id)
    else:
        workspace_keys, timeouts = target.workspace_keys, target.timeouts
    connection = ProviderConnection(
        upstream,
        prepared.translator,
        request,
        deployment.secret,
        call.request.stream,
        seconds,
        workspace_keys or upstream.secrets,
        timeouts,
        None if trace is None else trace.start_attempt(attempt, request),
    )
    return attempt, connection


def _in_trace(request: UpstreamRequest, context: TraceContext, number: int) -> UpstreamRequest:
    """Return the request of the attempt with that number; it names its place in the call's trace."""
    headers = load("tidegate.domain.traceparent", "attempt_headers")(context, number)
    return replace(request, headers={**request.headers, **headers})


class OpenConnections(Struct, eq=False):
    """Connections to providers, and the readers of their replies, that are open. `close` closes the newest first.

    `closers` is empty while nothing is open. `contextlib.AsyncExitStack` would take five times as long.
    """

    closers: list[Callable[[None, None, None], Awaitable[object]]] = []

    def add_context(self, entered: AbstractAsyncContextManager[object]) -> None:
        """Let `close` leave a context that is entered."""
        self.closers.append(entered.__aexit__)

    def add(self, closer: Callable[[], Awaitable[object]]) -> None:
        """Let `close` await `closer()`."""

        def leave(*_: object) -> Awaitable[object]:
            return closer()

        self.closers.append(leave)

    async def close(self) -> None:
        """Close all of them, also if one raises an exception."""
        while self.closers:
            try:
                await self.closers.pop()(None, None, None)
            except BaseException:
                await self.close()
                raise

"""One attempt of one deployment."""

from contextlib import AbstractAsyncContextManager

from msgspec import Struct

from tidegate.domain.call import Call, FailedAttempt
from tidegate.domain.deployment import Deployment
from tidegate.errors import NotConfigured, ProviderTimeout, TidegateError, UpstreamError
from tidegate.pipeline.components import Components
from tidegate.pipeline.observation import Observation
from tidegate.pipeline.prepare import Ready
from tidegate.upstream.attempt import Reply


class Hedge(Struct, frozen=True):
    """The next deployment, which is asked as well after so many seconds without an answer."""

    deployment: Deployment
    after_seconds: float


class NoTimeLeft(ProviderTimeout):
    """It was the call that gave a deployment no more time, and not the deployment that had had enough."""


def note(
    parts: Components, call: Call, seen: Observation, deployment: Deployment, error: TidegateError, seconds: float
) -> None:
    """What failed is on record, and counts against the deployment where it is the deployment that failed."""
    if isinstance(error, UpstreamError | NotConfigured):
        seen.waited += seconds
        seen.failed_attempts.append(FailedAttempt(deployment.shown, error.code or error.type, seconds))
    if seen.plan is not None:
        is_over = isinstance(error, NoTimeLeft) or parts.clock() >= call.deadline
        parts.balancing.failed(deployment, seen.plan, seen.call, error, waited=seconds, is_over=is_over)


def opening(parts: Components, ready: Ready, seconds: float) -> AbstractAsyncContextManager[Reply]:
    """The deployment's reply within that time, for whoever enters it, and leaves it in the same task."""
    return parts.upstream.open(
        ready.provider,
        ready.request,
        secret=ready.deployment.secret,
        stream=ready.call.request.stream,
        seconds=seconds,
        own=parts.own_keys.of(ready.call.workspace, ready.deployment.secret),
        patience=parts.timetable.of(ready.deployment.model_id),
    )

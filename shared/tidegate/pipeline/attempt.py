"""One attempt of one deployment."""

from contextlib import AbstractAsyncContextManager

from msgspec import Struct

from tidegate.domain.call import Call, FailedAttempt
from tidegate.domain.deployment import Deployment
from tidegate.errors import NotConfigured, ProviderTimeout, TidegateError, UpstreamError
from tidegate.pipeline.components import Components
from tidegate.pipeline.observation import Observation
from tidegate.pipeline.prepare import PreparedCall
from tidegate.upstream.attempt import ProviderReply


class Hedge(Struct, frozen=True):
    """The next deployment, which is asked as well after so many seconds without an answer."""

    deployment: Deployment
    after_seconds: float


class AttemptTimedOut(ProviderTimeout):
    """It was the call that gave a deployment no more time, and not the deployment that had had enough."""


def record_failure(
    components: Components,
    call: Call,
    observation: Observation,
    deployment: Deployment,
    error: TidegateError,
    seconds: float,
) -> None:
    """What failed is on record, and counts against the deployment where it is the deployment that failed."""
    if isinstance(error, UpstreamError | NotConfigured):
        observation.upstream_seconds += seconds
        observation.failed_attempts.append(FailedAttempt(deployment.display_name, error.code or error.type, seconds))
    if observation.resolution is not None:
        is_over = isinstance(error, AttemptTimedOut) or components.clock() >= call.deadline
        components.balancer.record_failure(
            deployment, observation.resolution, observation.call, error, waited_seconds=seconds, call_timed_out=is_over
        )


def open_attempt(
    components: Components, prepared: PreparedCall, seconds: float
) -> AbstractAsyncContextManager[ProviderReply]:
    """The deployment's reply within that time, for whoever enters it, and leaves it in the same task."""
    return components.upstream.open(
        prepared.translator,
        prepared.request,
        secret=prepared.deployment.secret,
        stream=prepared.call.request.stream,
        seconds=seconds,
        workspace_keys=components.workspace_keys.secrets_for(prepared.call.workspace, prepared.deployment.secret),
        timeouts=components.timeout_rules.timeouts_for(prepared.deployment.model_id),
    )

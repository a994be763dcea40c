"""Which deployment of a plan is tried next, after one has failed."""

from collections.abc import Sequence
from functools import reduce

from tidegate.domain.deployment import Deployment
from tidegate.errors import (
    ContextLengthExceeded,
    InvalidRequest,
    ModelUnpriced,
    NotConfigured,
    QuotaExhausted,
    TidegateError,
    UpstreamError,
)
from tidegate.policy.routing import fallback
from tidegate.policy.routing.retry import is_deployment_fault, is_retryable

_MODEL_ERRORS = (ContextLengthExceeded, InvalidRequest, ModelUnpriced, QuotaExhausted)
"""What another model may do: a longer prompt, a field that this one's provider does not know, the same for less."""


class AttemptOrder:
    """Each deployment has one try, in their order; then it is the turn of the one that opens the soonest, `again`.

    `deployment` is the one to try now, `is_fresh` says that it was not tried before.
    """

    def __init__(self, deployments: Sequence[Deployment]) -> None:
        self.deployment, *self._untried = deployments
        self.is_first_attempt = True
        self.retries = 0
        self._failures: dict[Deployment, tuple[TidegateError, float]] = {}

    @property
    def has_untried(self) -> bool:
        """Whether there are others that were not tried."""
        return bool(self._untried)

    @property
    def next_untried(self) -> Deployment | None:
        """The next one that was not tried."""
        return self._untried[0] if self._untried else None

    def start_hedge(self) -> Deployment:
        """The same, which is tried from now on beside the other one."""
        return self._untried.pop(0)

    def record_failure(self, deployment: Deployment, error: TidegateError, *, at: float) -> None:
        """One of two that were tried at a time has failed; the other one goes on."""
        self._failures[deployment] = error, at + (error.retry_after_seconds or 0.0)

    @property
    def best_error(self) -> TidegateError:
        """What the caller hears: the failure of the first deployment, or a more hopeful one."""
        first, *others = (error for error, _ in self._failures.values())
        return reduce(fallback.best_error, others, first)

    def fail_over(self, error: TidegateError, *, at: float, may_move: bool = True) -> None:
        """The deployment failed `at` UTC seconds. Where there is one that may do better, that is the next."""
        self.record_failure(self.deployment, error, at=at)
        self._untried = [each for each in self._untried if _may_succeed(each, error, self.deployment)]
        self.is_first_attempt = may_move and self.has_untried
        if self.is_first_attempt:
            self.deployment = self._untried.pop(0)

    def next_retry(self) -> TidegateError:
        """How the deployment failed that may be asked again the soonest, which is now the one to try."""
        self.deployment = min(self._failures, key=self._available_at)
        return self._failures[self.deployment][0]

    def _available_at(self, deployment: Deployment) -> tuple[bool, float]:
        error, at = self._failures[deployment]
        return not (isinstance(error, UpstreamError) and is_retryable(error)), at


def _may_succeed(other: Deployment, error: TidegateError, failed: Deployment) -> bool:
    """Whether the other one may do what this one did not."""
    if isinstance(error, _MODEL_ERRORS):
        return other.model_id != failed.model_id
    return isinstance(error, NotConfigured) or (isinstance(error, UpstreamError) and is_deployment_fault(error))

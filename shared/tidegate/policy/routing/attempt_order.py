"""The order of the attempts of a call: the next deployment to try after one has failed."""

from functools import reduce

from msgspec import Struct

from tidegate.domain.deployment import Deployment
from tidegate.domain.operation import Request
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
from tidegate.policy.routing.retry import cannot_read_reasoning, is_deployment_fault, is_retryable

_MODEL_ERRORS = (ContextLengthExceeded, InvalidRequest, ModelUnpriced, QuotaExhausted)
"""Errors of the model: another model may take a longer prompt, know the field, or cost less."""


class AttemptOrder(Struct, eq=False):
    """Gives each deployment one attempt, in order; then retries the deployment that is available first.

    `deployment` is the current one, which those that are `untried` follow. `is_first_attempt` is True until it has
    failed. The caller increments `retries`.
    """

    deployment: Deployment
    untried: tuple[Deployment, ...] = ()
    is_first_attempt: bool = True
    retries: int = 0
    _failures: dict[Deployment, tuple[TidegateError, float]] = {}

    @property
    def next_untried(self) -> Deployment | None:
        """The next deployment that was not tried, None if all were."""
        return self.untried[0] if self.untried else None

    def start_hedge(self) -> Deployment:
        """Take the next untried deployment as the hedge of the current one."""
        hedge, self.untried = self.untried[0], self.untried[1:]
        return hedge

    def record_failure(self, deployment: Deployment, error: TidegateError, *, at: float) -> None:
        """Note that one of two hedged deployments failed `at` UTC seconds, while the other one goes on."""
        self._failures[deployment] = error, at + (error.retry_after_seconds or 0.0)

    @property
    def best_error(self) -> TidegateError:
        """The error for the caller: the first deployment's, unless a retry may help with a later one only."""
        first, *others = (error for error, _ in self._failures.values())
        return reduce(fallback.best_error, others, first)

    def unread_reasoning(self, request: Request) -> TidegateError | None:
        """Return the error of a deployment that could answer if the request came without reasoning of another one."""
        errors = (error for error, _ in self._failures.values() if isinstance(error, UpstreamError))
        found = next(filter(cannot_read_reasoning, errors), None)
        return None if found is None or fallback.without_sealed_reasoning(request) is None else found

    def fail_over(self, error: TidegateError, *, at: float, may_move: bool = True) -> None:
        """Note that the current deployment failed `at` UTC seconds, and move to the next that may succeed, if any."""
        self.record_failure(self.deployment, error, at=at)
        self.untried = tuple(each for each in self.untried if _may_succeed(each, error, self.deployment))
        self.is_first_attempt = may_move and bool(self.untried)
        if self.is_first_attempt:
            self.deployment, self.untried = self.untried[0], self.untried[1:]

    def next_retry(self) -> TidegateError:
        """Make the deployment that is available first the current one, and return its last error."""
        self.deployment = min(self._failures, key=self._available_at)
        return self._failures[self.deployment][0]

    def _available_at(self, deployment: Deployment) -> tuple[bool, float]:
        error, at = self._failures[deployment]
        return not (isinstance(error, UpstreamError) and is_retryable(error)), at


def _may_succeed(other: Deployment, error: TidegateError, failed: Deployment) -> bool:
    """True if `other` may succeed although `failed` failed with `error`."""
    if isinstance(error, _MODEL_ERRORS):
        return other.model_id != failed.model_id
    return isinstance(error, NotConfigured) or (isinstance(error, UpstreamError) and is_deployment_fault(error))

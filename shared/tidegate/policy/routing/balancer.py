"""Balances calls over a route's deployments; loads `ordering` and `health` with the first route that has a choice."""

import time
from collections.abc import Callable, Mapping
from typing import Protocol

from tidegate.catalog import Catalog
from tidegate.domain.call import Call, OutcomeStatus
from tidegate.domain.deployment import Cooldown, Deployment, Resolution
from tidegate.domain.workspace import Workspace
from tidegate.errors import ProviderTimeout, StreamCut, TidegateError
from tidegate.lazy import load

_PROVIDER_FAULTS = frozenset(
    {
        *("provider_error", "provider_malformed_response", "provider_overloaded"),
        *("provider_stream_cut", "provider_timeout", "provider_unreachable"),
    }
)
"""Codes of a stream's error that are the provider's fault."""


class CircuitBreakers(Protocol):
    """The health of all deployments that a process asked. `policy.routing.health` implements it."""

    pending_announcements: list[Cooldown]

    def merge_remote(self, workspace_id: str | None, cooldown_ends: Mapping[str, float]) -> None: ...


class RouteOrdering(Protocol):
    """Orders and watches the deployments of routes. `policy.routing.ordering` implements it."""

    @property
    def health(self) -> CircuitBreakers: ...

    def order(self, resolution: Resolution, call: Call) -> Resolution: ...

    def peek_order(self, resolution: Resolution, call: Call) -> Resolution: ...

    def cooldown_ends_at(
        self, deployment: Deployment, resolution: Resolution, workspace: Workspace
    ) -> float | None: ...

    def is_healthy(self, deployment: Deployment, resolution: Resolution, call: Call) -> bool: ...

    def record_first_event(
        self, deployment: Deployment, resolution: Resolution, call: Call, seconds: float
    ) -> None: ...

    def record_success(self, deployment: Deployment, resolution: Resolution, call: Call) -> None: ...

    def record_failure(
        self,
        deployment: Deployment,
        resolution: Resolution,
        call: Call,
        error: TidegateError,
        *,
        waited_seconds: float,
        call_timed_out: bool,
    ) -> None: ...


class Balancer:
    """Orders the deployments of routes, and records how they fare, in this process. Ignores other models.

    `ordering` is None until a call has a choice of deployments, or another process tells of a cooldown.
    """

    def __init__(self, catalog: Catalog, clock: Callable[[], float] = time.time) -> None:
        self._catalog = catalog
        self._clock = clock
        self.ordering: RouteOrdering | None = None

    def order(self, resolution: Resolution, call: Call) -> Resolution:
        """Sort the deployments into the order of attempts. May start a trial, see `Ordering.order`."""
        return self._load_ordering().order(resolution, call) if _has_choice(resolution) else resolution

    def peek_order(self, resolution: Resolution, call: Call) -> Resolution:
        """Sort the deployments like `order`, without starting a trial (for dry runs)."""
        return self._load_ordering().peek_order(resolution, call) if _has_choice(resolution) else resolution

    def cooldown_ends_at(self, deployment: Deployment, resolution: Resolution, workspace: Workspace) -> float | None:
        """Return the end of the deployment's cooldown in UTC seconds, None if it does not cool down."""
        if self.ordering is None or not _has_choice(resolution):
            return None
        return self.ordering.cooldown_ends_at(deployment, resolution, workspace)

    def is_healthy(self, deployment: Deployment, resolution: Resolution, call: Call) -> bool:
        """True if the deployment may be a hedge: its circuit is closed, neither in cooldown nor in need of a trial."""
        return self._load_ordering().is_healthy(deployment, resolution, call)

    def record_first_event(self, deployment: Deployment, resolution: Resolution, call: Call, seconds: float) -> None:
        """Record the seconds to the deployment's first event."""
        if _has_choice(resolution):
            self._load_ordering().record_first_event(deployment, resolution, call, seconds)

    def record_failure(
        self,
        deployment: Deployment,
        resolution: Resolution,
        call: Call,
        error: TidegateError,
        *,
        waited_seconds: float,
        call_timed_out: bool,
    ) -> None:
        """Record that it did not answer. `call_timed_out`: the time of the call or the attempt was over."""
        if _has_choice(resolution):
            self._load_ordering().record_failure(
                deployment, resolution, call, error, waited_seconds=waited_seconds, call_timed_out=call_timed_out
            )

    def record_end(
        self, deployment: Deployment, resolution: Resolution, call: Call, status: OutcomeStatus, error_code: str | None
    ) -> None:
        """Record the end of a call for which the deployment had begun to answer."""
        if resolution.route is None or not _has_choice(resolution):
            return
        ordering = self._load_ordering()
        if status == "failed" and error_code in _PROVIDER_FAULTS:
            error, timed_out = StreamCut("The provider's stream ended before the answer was complete."), False
            if error_code == ProviderTimeout.code:
                error, timed_out = (
                    ProviderTimeout("The provider's stream took too long."),
                    self._clock() >= call.deadline,
                )
            seconds = self._clock() - call.started_at if timed_out else 0.0
            ordering.record_failure(
                deployment, resolution, call, error, waited_seconds=seconds, call_timed_out=timed_out
            )
        else:
            ordering.record_success(deployment, resolution, call)

    def merge_remote(self, workspace_id: str | None, cooldown_ends: Mapping[str, float]) -> None:
        """Merge cooldowns of other processes: their ends (UTC seconds) by deployment id."""
        now = self._clock()
        if any(until > now for until in cooldown_ends.values()):
            self._load_ordering().health.merge_remote(workspace_id, cooldown_ends)

    def take_announcements(self) -> list[Cooldown]:
        """Return the cooldowns that began since the last call of this method, to be announced to other processes."""
        if self.ordering is None or not self.ordering.health.pending_announcements:
            return []
        announcements, self.ordering.health.pending_announcements = self.ordering.health.pending_announcements, []
        return announcements

    def _load_ordering(self) -> RouteOrdering:
        ordering = self.ordering
        if ordering is None:
            health = load("tidegate.policy.routing.health", "Health")(self._clock)
            sessions = load("tidegate.policy.routing.sessions", "Sessions")(self._clock)
            load_ordering = load("tidegate.policy.routing.ordering", "Ordering")
            ordering = self.ordering = load_ordering(self._catalog, health, sessions=sessions)
        return ordering


def _has_choice(resolution: Resolution) -> bool:
    return resolution.route is not None and len(resolution.deployments) > 1

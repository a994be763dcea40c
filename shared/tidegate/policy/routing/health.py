"""A circuit breaker for each deployment of a route, and its latency to the first event.

After `cooldown_failures` in a row a deployment cools down (its circuit is open): others are tried before it. After the
cooldown the circuit is half-open: one call at a time tries the deployment; if it fails again, it cools down twice as
long. The state is this process's, merged with the cooldowns that other processes announce, read together with keys.

A failure that a caller may have brought about counts for the workspace of that caller alone, in a state of its own.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

from msgspec import Struct, field

from tidegate.domain.call import Call
from tidegate.domain.deployment import Cooldown, Deployment, DeploymentKey, Resolution
from tidegate.domain.routes import Route
from tidegate.domain.workspace import Workspace
from tidegate.errors import (
    NotConfigured,
    ProviderAuth,
    ProviderFailed,
    ProviderModelNotFound,
    ProviderOverloaded,
    ProviderRateLimited,
    ProviderTimeout,
    TidegateError,
)

LONGEST_COOLDOWN_SECONDS = 600.0
"""The limit of doubled cooldowns. A route's own `cooldown_seconds` may be longer."""

LONGEST_REQUESTED_COOLDOWN_SECONDS = 3_600.0
"""The limit of cooldowns that a provider asks for (retry-after), or that another process announces."""

CONCLUSIVE_WAIT_SECONDS = 10.0
"""A call that times out sooner says nothing about the deployment, and is not counted as its failure."""

TRIAL_SECONDS = 30.0
"""How long a trial keeps other calls away from the deployment, if neither success nor failure is recorded."""

LATENCY_TTL_SECONDS = 300.0
"""An older latency counts as unknown."""

MAX_DEPLOYMENTS = 10_000

_FAILURES = (
    *(ProviderFailed, ProviderTimeout, ProviderOverloaded, ProviderRateLimited),
    *(ProviderAuth, ProviderModelNotFound, NotConfigured),
)

_DECAY_SECONDS, _LEAST_WEIGHT = 60.0, 0.3


class Latency(NamedTuple):
    """A moving average of the seconds to the first event, updated at `at` UTC seconds."""

    seconds: float
    at: float


class CircuitState(Struct):
    """The state of one deployment; times in UTC seconds. `latencies` are apart for streamed calls (True) and others."""

    failures: int = 0
    cooldowns_in_a_row: int = 0
    open_until: float = 0.0
    trial_until: float = 0.0
    latencies: dict[bool, Latency] = field(default_factory=dict[bool, Latency])


_CLOSED = CircuitState()


class Health(Struct):
    """The circuits and latencies of all deployments. Other processes were not told of `pending_announcements` yet."""

    clock: Callable[[], float] = time.time
    pending_announcements: list[Cooldown] = field(default_factory=list[Cooldown])
    _states: OrderedDict[DeploymentKey, CircuitState] = field(default_factory=OrderedDict[DeploymentKey, CircuitState])

    def cooldown_ends_at(self, deployment_key: DeploymentKey) -> float | None:
        """Return the end of the cooldown in UTC seconds, None if the deployment does not cool down."""
        ends_at = self._state_of(deployment_key).open_until
        return ends_at if ends_at > self.clock() else None

    def is_half_open(self, deployment_key: DeploymentKey) -> bool:
        """True if the deployment has not answered since its last cooldown began, and so needs a trial after it."""
        return self._state_of(deployment_key).cooldowns_in_a_row > 0

    def has_trial_running(self, deployment_key: DeploymentKey) -> bool:
        """True if another call is trying the deployment."""
        return self._state_of(deployment_key).trial_until > self.clock()

    def start_trial(self, deployment_key: DeploymentKey) -> None:
        """Let one call try the deployment; others prefer the rest for `TRIAL_SECONDS`."""
        self._state_to_change(deployment_key).trial_until = self.clock() + TRIAL_SECONDS

    def end_trial(self, deployment_key: DeploymentKey) -> None:
        """Let another call try the deployment, after a trial that told nothing about it."""
        state = self._states.get(deployment_key)
        if state is not None:
            state.trial_until = 0.0

    def first_event_seconds(self, deployment_key: DeploymentKey, stream: bool) -> float | None:
        """Return the usual seconds to the first event, None if unknown or too old."""
        latency = self._state_of(deployment_key).latencies.get(stream)
        return None if latency is None or self.clock() - latency.at > LATENCY_TTL_SECONDS else latency.seconds

    def record_first_event(self, deployment_key: DeploymentKey, seconds: float, stream: bool) -> None:
        """Update the average seconds to the first event; for calls that do not stream, to the whole answer."""
        state, now = self._state_to_change(deployment_key), self.clock()
        previous = state.latencies.get(stream)
        if previous is not None:
            weight = max(_LEAST_WEIGHT, 1 - math.exp((previous.at - now) / _DECAY_SECONDS))
            seconds = previous.seconds + weight * (seconds - previous.seconds)
        state.latencies[stream] = Latency(seconds, now)

    def record_success(self, deployment_key: DeploymentKey) -> None:
        """Close the circuit after a complete answer."""
        state = self._states.get(deployment_key)
        if state is not None:
            state.failures = state.cooldowns_in_a_row = 0
            state.open_until = state.trial_until = 0.0

    def record_failure(
        self,
        deployment_key: DeploymentKey,
        error: TidegateError,
        route: Route,
        name: str,
        *,
        waited_seconds: float,
        call_timed_out: bool,
        announced: bool = True,
    ) -> None:
        """Count a failure, and open the circuit if that was one too many. Ignores errors that are the caller's fault.

        `call_timed_out`: the call's own time was over after `waited_seconds`, not the provider's. A cooldown that is
        not `announced` is this process's alone.
        """
        state, now = self._state_to_change(deployment_key), self.clock()
        state.trial_until = 0.0
        if not _is_deployment_fault(error, waited_seconds, call_timed_out) or state.open_until > now:
            return
        state.failures += 1
        retry_after = error.retry_after_seconds
        is_lasting = retry_after is not None or state.cooldowns_in_a_row > 0 or _is_lasting(error)
        if not is_lasting and state.failures < route.cooldown_failures:
            return
        # A provider that names the delay knows it: nothing is doubled then.
        doubled = min(route.cooldown_seconds * 2 ** min(state.cooldowns_in_a_row, 10), LONGEST_COOLDOWN_SECONDS)
        wanted = doubled if retry_after is None else min(retry_after, LONGEST_REQUESTED_COOLDOWN_SECONDS)
        seconds = max(route.cooldown_seconds, wanted)
        state.failures, state.cooldowns_in_a_row, state.open_until = 0, state.cooldowns_in_a_row + 1, now + seconds
        if announced:
            self.pending_announcements.append(Cooldown(deployment_key, state.open_until, name))

    def merge_remote(self, workspace_id: str | None, cooldown_ends: Mapping[str, float]) -> None:
        """Merge cooldowns of other processes: ids and ends (UTC seconds), the gateway's if `workspace_id` is None."""
        now = self.clock()
        for id, ends_at in cooldown_ends.items():
            if ends_at > now:
                state = self._state_to_change(DeploymentKey(workspace_id, id))
                state.open_until = max(state.open_until, min(ends_at, now + LONGEST_REQUESTED_COOLDOWN_SECONDS))
                state.cooldowns_in_a_row = max(state.cooldowns_in_a_row, 1)

    def _state_of(self, deployment_key: DeploymentKey) -> CircuitState:
        return self._states.get(deployment_key) or _CLOSED

    def _state_to_change(self, deployment_key: DeploymentKey) -> CircuitState:
        state = self._states.get(deployment_key)
        if state is None:
            state = self._states[deployment_key] = CircuitState()
            if len(self._states) > MAX_DEPLOYMENTS:
                self._states.popitem(last=False)
        return state


def deployment_key_of(deployment: Deployment, resolution: Resolution, workspace: Workspace) -> DeploymentKey:
    """Return the key of the deployment's state. A workspace's own routes and keys have a state of their own."""
    has_own_key = deployment.secret is not None and workspace.has_credential(deployment.secret)
    workspace_id = workspace.id if resolution.is_workspace_route or has_own_key else None
    return DeploymentKey(workspace_id, _digest(deployment.identity))


def may_be_callers_doing(error: TidegateError, call: Call, *, call_timed_out: bool) -> bool:
    """True if the caller may have brought the failure about, e.g. by a short timeout; other callers may fare better.

    Whoever names fallbacks leaves each attempt a smaller share of the call's time. Some providers answer 403 or 404
    because of what a request says.
    """
    if isinstance(error, ProviderTimeout):
        options = call.request.options
        return call_timed_out and (call.has_own_timeout or bool(options.fallbacks or options.models))
    return isinstance(error, ProviderModelNotFound | ProviderAuth) and not _is_lasting(error)


@lru_cache(maxsize=4096)
def _digest(identity: str) -> str:
    return sha256(identity.encode()).hexdigest()[:16]


def _is_deployment_fault(error: TidegateError, waited_seconds: float, call_timed_out: bool) -> bool:
    """True if the deployment is at fault: not the caller's request, nor a wait too brief to tell."""
    if call_timed_out and isinstance(error, ProviderTimeout):
        return waited_seconds >= CONCLUSIVE_WAIT_SECONDS
    return isinstance(error, _FAILURES)


def _is_lasting(error: TidegateError) -> bool:
    """True if one such error opens the circuit: it does not pass. Other refusals (403, 404) may concern one request."""
    return isinstance(error, NotConfigured) or (isinstance(error, ProviderAuth) and error.upstream_status == 401)

"""How the deployments of routes fare: which of them cool down, and how soon each begins to answer.

A deployment that fails so many times in a row cools down: others are asked before it. When that is over, one call at a
time asks it again; if it fails once more, it cools down twice as long. What is known is this process's, and what other
processes said of cooldowns when a key was last read.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

from msgspec import Struct, field

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
"""Seconds. A route that says more has its own."""

LONGEST_REQUESTED_COOLDOWN_SECONDS = 3_600.0
CONCLUSIVE_WAIT_SECONDS = 10.0
"""A caller who waits less than that for a deployment shows nothing about it."""

TRIAL_SECONDS = 30.0
"""How long a deployment is left to the call that tries it, should nothing more be heard of that."""

LATENCY_TTL_SECONDS = 300.0
"""After that, nobody knows how fast a deployment is."""

MAX_DEPLOYMENTS = 10_000

_FAILURES = (
    *(ProviderFailed, ProviderTimeout, ProviderOverloaded, ProviderRateLimited),
    *(ProviderAuth, ProviderModelNotFound, NotConfigured),
)

_DECAY_SECONDS, _LEAST_WEIGHT = 60.0, 0.3


class Latency(NamedTuple):
    """Seconds to the first event, the later ones counting more, as they were `at` UTC seconds."""

    seconds: float
    at: float


class CircuitState(Struct):
    """What is known of one deployment. `rounds` are the cooldowns in a row; `speeds` are by whether a call streams."""

    failures: int = 0
    cooldowns_in_a_row: int = 0
    open_until: float = 0.0
    trial_until: float = 0.0
    latencies: dict[bool, Latency] = field(default_factory=dict[bool, Latency])


_CLOSED = CircuitState()


class Health(Struct):
    """What this process knows of deployments. `news` are cooldowns that no other process was told of yet."""

    clock: Callable[[], float] = time.time
    pending_announcements: list[Cooldown] = field(default_factory=list[Cooldown])
    _states: OrderedDict[DeploymentKey, CircuitState] = field(default_factory=OrderedDict[DeploymentKey, CircuitState])

    def cooldown_ends_at(self, deployment_key: DeploymentKey) -> float | None:
        """UTC seconds, None where it does not cool down."""
        until = self._state_of(deployment_key).open_until
        return until if until > self.clock() else None

    def is_half_open(self, deployment_key: DeploymentKey) -> bool:
        """Whether it has cooled down, and did not answer since."""
        return self._state_of(deployment_key).cooldowns_in_a_row > 0

    def has_trial_running(self, deployment_key: DeploymentKey) -> bool:
        """Whether a call tries it at this moment, for the others as well."""
        return self._state_of(deployment_key).trial_until > self.clock()

    def start_trial(self, deployment_key: DeploymentKey) -> None:
        """Try it for the others as well."""
        self._state_to_change(deployment_key).trial_until = self.clock() + TRIAL_SECONDS

    def first_event_seconds(self, deployment_key: DeploymentKey, stream: bool) -> float | None:
        """How soon it begins to answer, None where nobody knows any more."""
        latency = self._state_of(deployment_key).latencies.get(stream)
        return None if latency is None or self.clock() - latency.at > LATENCY_TTL_SECONDS else latency.seconds

    def record_first_event(self, deployment_key: DeploymentKey, seconds: float, stream: bool) -> None:
        """Its first event came after so many seconds; without a stream, that is the whole answer."""
        state, now = self._state_to_change(deployment_key), self.clock()
        previous = state.latencies.get(stream)
        if previous is not None:
            weight = max(_LEAST_WEIGHT, 1 - math.exp((previous.at - now) / _DECAY_SECONDS))
            seconds = previous.seconds + weight * (seconds - previous.seconds)
        state.latencies[stream] = Latency(seconds, now)

    def record_success(self, deployment_key: DeploymentKey) -> None:
        """It has answered to the end: what was before is forgotten."""
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
    ) -> None:
        """It did not answer, or not to the end. `waited` are seconds; `is_over`: it was the call that had no more time.

        What is the caller's fault changes nothing.
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
        # Who says how long knows it: nothing is doubled then.
        doubled = min(route.cooldown_seconds * 2 ** min(state.cooldowns_in_a_row, 10), LONGEST_COOLDOWN_SECONDS)
        wanted = doubled if retry_after is None else min(retry_after, LONGEST_REQUESTED_COOLDOWN_SECONDS)
        seconds = max(route.cooldown_seconds, wanted)
        state.failures, state.cooldowns_in_a_row, state.open_until = 0, state.cooldowns_in_a_row + 1, now + seconds
        self.pending_announcements.append(Cooldown(deployment_key, state.open_until, name))

    def merge_remote(self, workspace_id: str | None, cooldown_ends: Mapping[str, float]) -> None:
        """What other processes said: when the deployments of that home open again, by their ids."""
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
    """Under whose credentials it is. What a workspace chose is its own affair: its mistakes are nobody else's."""
    is_workspace_owned = resolution.is_workspace_route or (
        deployment.secret is not None and workspace.has_credential(deployment.secret)
    )
    return DeploymentKey(workspace.id if is_workspace_owned else None, _digest(deployment.identity))


@lru_cache(maxsize=4096)
def _digest(identity: str) -> str:
    return sha256(identity.encode()).hexdigest()[:16]


def _is_deployment_fault(error: TidegateError, waited_seconds: float, call_timed_out: bool) -> bool:
    """Whether it is the deployment that failed, and not the caller's request or the caller's patience."""
    if call_timed_out and isinstance(error, ProviderTimeout):
        return waited_seconds >= CONCLUSIVE_WAIT_SECONDS
    return isinstance(error, _FAILURES)


def _is_lasting(error: TidegateError) -> bool:
    """What does not pass by itself: one is enough. Other refusals (403, 404) may be about what a request asks for."""
    return isinstance(error, NotConfigured) or (isinstance(error, ProviderAuth) and error.upstream_status == 401)

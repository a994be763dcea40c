"""The order in which the deployments of a route are tried, by the route's `by`.

`order` keeps the listed order; `weight` draws at random by weight; `latency` puts the fastest first event first, and
before it deployments with unknown latency; `price` puts the lowest cost of this call first. By latency and by price, an
agent's session stays with the deployment that has answered it. In every order the deployments in cooldown come last,
sorted by the end of their cooldown.
"""

import math
import random
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from itertools import count

from msgspec import Struct, field
from msgspec.structs import replace

from tidegate.catalog import Catalog, call_cost
from tidegate.domain.call import Call
from tidegate.domain.deployment import Deployment, DeploymentKey, Resolution
from tidegate.domain.routes import Route
from tidegate.domain.usage import TokenCounts
from tidegate.domain.workspace import Workspace
from tidegate.errors import TidegateError
from tidegate.policy.routing.health import Health, deployment_key_of, may_be_callers_doing
from tidegate.policy.routing.sessions import Sessions

USUAL_ANSWER_TOKENS = 500
"""Tokens of answer by which prices are compared when the caller sets no limit."""


class Ordering(Struct, frozen=True):
    """Sorts deployments by prices and health. `draw` returns random numbers from 0 (included) to 1 (excluded)."""

    catalog: Catalog
    health: Health = field(default_factory=Health)
    draw: Callable[[], float] = random.random
    sessions: Sessions = field(default_factory=lambda: Sessions(time.time))

    def order(self, resolution: Resolution, call: Call) -> Resolution:
        """Sort a route's deployments. Starts a trial of the first if it is half-open or its latency is unknown."""
        route = resolution.route
        if route is None or len(resolution.deployments) < 2:
            return resolution
        resolution = self.peek_order(resolution, call)
        first, own = _keys_of(resolution.deployments[0], resolution, call.workspace)
        is_unknown = route.by == "latency" and self.health.first_event_seconds(first, call.request.stream) is None
        on_trial = [first] if is_unknown or self.health.is_half_open(first) else []
        on_trial += [own] if self.health.is_half_open(own) else []
        for deployment_key in on_trial:
            self.health.start_trial(deployment_key)
        return replace(resolution, is_trial=True) if on_trial else resolution

    def peek_order(self, resolution: Resolution, call: Call) -> Resolution:
        """Sort the deployments without starting a trial (for dry runs)."""
        deployments = resolution.deployments
        pairs = [_keys_of(deployment, resolution, call.workspace) for deployment in deployments]
        scores = self._scores(resolution, call, [deployment_key for deployment_key, _ in pairs])
        if resolution.route is not None and _remembers_sessions(resolution.route, call):
            kept_id = self.sessions.find_deployment_id(resolution.route, call)
            scores = [-math.inf if pair[0].id == kept_id else each for pair, each in zip(pairs, scores, strict=True)]
        availabilities = [max(map(self._availability, pair)) for pair in pairs]
        ranked = sorted(zip(availabilities, scores, count(), deployments, strict=False))
        return replace(resolution, deployments=tuple(deployment for *_, deployment in ranked))

    def cooldown_ends_at(self, deployment: Deployment, resolution: Resolution, workspace: Workspace) -> float | None:
        """Return the end of the deployment's cooldown in UTC seconds, None if it does not cool down."""
        ends = map(self.health.cooldown_ends_at, _keys_of(deployment, resolution, workspace))
        return max((ends_at for ends_at in ends if ends_at is not None), default=None)

    def is_healthy(self, deployment: Deployment, resolution: Resolution, call: Call) -> bool:
        """True if the deployment's circuit is closed: neither open (in cooldown) nor half-open (it needs a trial)."""
        if self.cooldown_ends_at(deployment, resolution, call.workspace) is not None:
            return False
        return not any(map(self.health.is_half_open, _keys_of(deployment, resolution, call.workspace)))

    def record_first_event(self, deployment: Deployment, resolution: Resolution, call: Call, seconds: float) -> None:
        deployment_key = deployment_key_of(deployment, resolution, call.workspace)
        self.health.record_first_event(deployment_key, seconds, call.request.stream)

    def record_success(self, deployment: Deployment, resolution: Resolution, call: Call) -> None:
        shared, own = _keys_of(deployment, resolution, call.workspace)
        for deployment_key in (shared, own):
            self.health.record_success(deployment_key)
        if resolution.route is not None and _remembers_sessions(resolution.route, call):
            self.sessions.remember(resolution.route, call, shared.id)

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
        route, name = resolution.route, deployment.display_name
        if route is None:
            return
        shared, own = _keys_of(deployment, resolution, call.workspace)
        is_callers = may_be_callers_doing(error, call, call_timed_out=call_timed_out)
        self.health.end_trial(shared if is_callers else own)
        self.health.record_failure(
            own if is_callers else shared,
            error,
            route,
            name,
            waited_seconds=waited_seconds,
            call_timed_out=call_timed_out,
            announced=not is_callers or shared == own,
        )

    def _scores(self, resolution: Resolution, call: Call, deployment_keys: Sequence[DeploymentKey]) -> list[float]:
        """Return a score for each deployment by the route's order; the lowest is tried first."""
        route, deployments = resolution.route, resolution.deployments
        match route and route.by:
            case "weight" if route is not None and (route.sticky or call.request.origin is not None):
                # Sessions of agents carry reasoning that only the account that has encrypted it can read.
                session = call.request.session_key(call.session_id)
                chances = [_hash_fraction(call.workspace.id, session, key.id) for key in deployment_keys]
                return [_weighted_draw(each.weight, chance) for each, chance in zip(deployments, chances, strict=True)]
            case "weight":
                return [_weighted_draw(each.weight, 1.0 - self.draw()) for each in deployments]
            case "latency":
                return [self._latency(key, call.request.stream) for key in deployment_keys]
            case "price":
                return self._prices(deployments, call)
            case _:
                return [0.0] * len(deployments)

    def _availability(self, deployment_key: DeploymentKey) -> tuple[int, float]:
        """Sort key: 0 for available deployments, 1 during another call's trial, 2 in cooldown, by its end."""
        ends_at = self.health.cooldown_ends_at(deployment_key)
        if ends_at is not None:
            return 2, ends_at
        is_on_trial = self.health.is_half_open(deployment_key) and self.health.has_trial_running(deployment_key)
        return int(is_on_trial), 0.0

    def _latency(self, deployment_key: DeploymentKey, stream: bool) -> float:
        """Return seconds; -1 (first) if unknown, infinity (last) if unknown and another call is finding out."""
        seconds = self.health.first_event_seconds(deployment_key, stream)
        if seconds is not None:
            return seconds
        return math.inf if self.health.has_trial_running(deployment_key) else -1.0

    def _prices(self, deployments: Sequence[Deployment], call: Call) -> list[float]:
        """Return costs in USD; infinity (last) without a price."""
        request = call.request
        answer = request.output_limit or USUAL_ANSWER_TOKENS
        tokens = TokenCounts(request.estimate_prompt(), answer * request.choices)
        prices: list[float] = []
        for deployment in deployments:
            model = self.catalog.find_model(deployment.model_id)
            price = None if model is None else call_cost(model, tokens, call.started_at)
            prices.append(math.inf if price is None else float(price))
        return prices


def _remembers_sessions(route: Route, call: Call) -> bool:
    """True for a call of an agent on a route whose order changes by itself."""
    return route.by in ("latency", "price") and call.request.origin is not None


def _keys_of(
    deployment: Deployment, resolution: Resolution, workspace: Workspace
) -> tuple[DeploymentKey, DeploymentKey]:
    """Return the keys of the deployment's state and of its state for the caller's workspace, which may be the same."""
    shared = deployment_key_of(deployment, resolution, workspace)
    if shared.workspace_id is not None:
        return shared, shared
    return shared, DeploymentKey(workspace.id, f"shared#{shared.id}")


def _weighted_draw(weight: int, chance: float) -> float:
    """Return a score; the lowest one is each deployment's as often as its weight says. `chance` is in (0, 1].

    Source: Efraimidis and Spirakis, Weighted random sampling with a reservoir (2006). With chances from a hash, it is
    weighted rendezvous hashing: removing a deployment changes the first choice of its own sessions only.
    """
    return -math.log(chance) / weight if weight else math.inf


def _hash_fraction(workspace_id: str, session: bytes, deployment_id: str) -> float:
    digest = sha256(b"\n".join((workspace_id.encode(), deployment_id.encode(), session))).digest()
    return (int.from_bytes(digest[:7], "big") + 1) / 2**56

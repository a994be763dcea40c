"""In which order the deployments of a route are tried.

`order` is the one in which they are listed; `weight` draws them by lot; `latency` begins with the one that begins to
answer soonest, and tries those of which nothing is known; `price` with the one at which the call would cost least.
Whatever the order, those that cool down come last, the one that opens soonest first.
"""

import math
import random
from collections.abc import Callable, Sequence
from hashlib import sha256
from itertools import count

from msgspec import Struct, field
from msgspec.structs import replace

from tidegate.catalog import Catalog, call_cost
from tidegate.domain.call import Call
from tidegate.domain.deployment import Deployment, DeploymentKey, Resolution
from tidegate.domain.usage import TokenCounts
from tidegate.errors import TidegateError
from tidegate.policy.routing.health import Health, deployment_key_of

USUAL_ANSWER_TOKENS = 500
"""Tokens, to compare prices by where the caller sets no limit."""


class Ordering(Struct, frozen=True):
    """What orders are made of. `draw` gives numbers from 0 up to 1 by chance."""

    catalog: Catalog
    health: Health = field(default_factory=Health)
    draw: Callable[[], float] = random.random

    def order(self, resolution: Resolution, call: Call) -> Resolution:
        """The plan with its deployments in the order in which they are tried; of a route, that is.

        A first one that is on trial, or of which nothing is known, is this call's to try: others leave it alone.
        """
        route = resolution.route
        if route is None or len(resolution.deployments) < 2:
            return resolution
        resolution = self.peek_order(resolution, call)
        first = deployment_key_of(resolution.deployments[0], resolution, call.workspace)
        is_unknown = route.by == "latency" and self.health.first_event_seconds(first, call.request.stream) is None
        if is_unknown or self.health.is_half_open(first):
            self.health.start_trial(first)
        return resolution

    def peek_order(self, resolution: Resolution, call: Call) -> Resolution:
        """The same, and nothing is this call's to try."""
        deployment_keys = [
            deployment_key_of(deployment, resolution, call.workspace) for deployment in resolution.deployments
        ]
        scores = self._scores(resolution, call, deployment_keys)
        ranked = sorted(
            zip(map(self._availability, deployment_keys), scores, count(), resolution.deployments, strict=False)
        )
        return replace(resolution, deployments=tuple(deployment for *_, deployment in ranked))

    def cooldown_ends_at(self, deployment: Deployment, resolution: Resolution, call: Call) -> float | None:
        """UTC seconds, None where it does not cool down."""
        return self.health.cooldown_ends_at(deployment_key_of(deployment, resolution, call.workspace))

    def is_healthy(self, deployment: Deployment, resolution: Resolution, call: Call) -> bool:
        """Whether nothing speaks against it: it does not cool down, and has not just done so."""
        deployment_key = deployment_key_of(deployment, resolution, call.workspace)
        return self.health.cooldown_ends_at(deployment_key) is None and not self.health.is_half_open(deployment_key)

    def record_first_event(self, deployment: Deployment, resolution: Resolution, call: Call, seconds: float) -> None:
        self.health.record_first_event(
            deployment_key_of(deployment, resolution, call.workspace), seconds, call.request.stream
        )

    def record_success(self, deployment: Deployment, resolution: Resolution, call: Call) -> None:
        self.health.record_success(deployment_key_of(deployment, resolution, call.workspace))

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
        if resolution.route is not None:
            deployment_key = deployment_key_of(deployment, resolution, call.workspace)
            self.health.record_failure(
                deployment_key,
                error,
                resolution.route,
                deployment.display_name,
                waited_seconds=waited_seconds,
                call_timed_out=call_timed_out,
            )

    def _scores(self, resolution: Resolution, call: Call, deployment_keys: Sequence[DeploymentKey]) -> list[float]:
        """By the route's order, what each deployment has: the least is asked first."""
        route, deployments = resolution.route, resolution.deployments
        match route and route.by:
            case "weight" if route is not None and route.sticky:
                session = call.request.session_key(call.session_id)
                chances = [_hash_fraction(call.workspace.id, session, place.id) for place in deployment_keys]
                return [_weighted_draw(each.weight, chance) for each, chance in zip(deployments, chances, strict=True)]
            case "weight":
                return [_weighted_draw(each.weight, 1.0 - self.draw()) for each in deployments]
            case "latency":
                return [self._latency(place, call.request.stream) for place in deployment_keys]
            case "price":
                return self._prices(deployments, call)
            case _:
                return [0.0] * len(deployments)

    def _availability(self, deployment_key: DeploymentKey) -> tuple[int, float]:
        """0 for those that may be asked, then those that another call tries, then those that cool down."""
        until = self.health.cooldown_ends_at(deployment_key)
        if until is not None:
            return 2, until
        return (
            1 if self.health.is_half_open(deployment_key) and self.health.has_trial_running(deployment_key) else 0
        ), 0.0

    def _latency(self, deployment_key: DeploymentKey, stream: bool) -> float:
        """Seconds; what is not known comes first, and last what another call finds out."""
        seconds = self.health.first_event_seconds(deployment_key, stream)
        if seconds is not None:
            return seconds
        return math.inf if self.health.has_trial_running(deployment_key) else -1.0

    def _prices(self, deployments: Sequence[Deployment], call: Call) -> list[float]:
        """In USD; what has no price comes last."""
        request = call.request
        tokens = TokenCounts(request.estimate_prompt(), (request.output_limit or USUAL_ANSWER_TOKENS) * request.choices)
        prices: list[float] = []
        for deployment in deployments:
            model = self.catalog.find_model(deployment.model_id)
            price = None if model is None else call_cost(model, tokens, call.started_at)
            prices.append(math.inf if price is None else float(price))
        return prices


def _weighted_draw(weight: int, chance: float) -> float:
    """Who waits the shortest, with a chance from above 0 up to 1 for each, is each as often as its weight says.

    Source: Efraimidis and Spirakis, Weighted random sampling with a reservoir (2006). With chances from a hash, it is
    weighted rendezvous hashing: a deployment that leaves changes the first choice of its own sessions only.
    """
    return -math.log(chance) / weight if weight else math.inf


def _hash_fraction(workspace_id: str, session: bytes, deployment_id: str) -> float:
    digest = sha256(b"\n".join((workspace_id.encode(), deployment_id.encode(), session))).digest()
    return (int.from_bytes(digest[:7], "big") + 1) / 2**56

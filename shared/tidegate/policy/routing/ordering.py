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

from tidegate.catalog import Catalog, cost
from tidegate.chat.estimate import estimate_prompt
from tidegate.chat.messages import UserMessage
from tidegate.chat.request import ChatRequest
from tidegate.domain.call import Call
from tidegate.domain.deployment import Deployment, Plan
from tidegate.domain.usage import Tokens
from tidegate.errors import TidegateError
from tidegate.json import encode
from tidegate.policy.routing.health import Health, Place, place_of

USUAL_ANSWER = 500
"""Tokens, to compare prices by where the caller sets no limit."""


class Balance(Struct, frozen=True):
    """What orders are made of. `draw` gives numbers from 0 up to 1 by chance."""

    catalog: Catalog
    health: Health = field(default_factory=Health)
    draw: Callable[[], float] = random.random

    def arrange(self, plan: Plan, call: Call) -> Plan:
        """The plan with its deployments in the order in which they are tried; of a route, that is.

        A first one that is on trial, or of which nothing is known, is this call's to try: others leave it alone.
        """
        route = plan.route
        if route is None or len(plan.deployments) < 2:
            return plan
        plan = self.ordered(plan, call)
        first = place_of(plan.deployments[0], plan, call.workspace)
        is_unknown = route.by == "latency" and self.health.seconds(first, call.request.stream) is None
        if is_unknown or self.health.is_on_trial(first):
            self.health.claim(first)
        return plan

    def ordered(self, plan: Plan, call: Call) -> Plan:
        """The same, and nothing is this call's to try."""
        places = [place_of(deployment, plan, call.workspace) for deployment in plan.deployments]
        delays = self._delays(plan, call, places)
        ranked = sorted(zip(map(self._rank, places), delays, count(), plan.deployments, strict=False))
        return replace(plan, deployments=tuple(deployment for *_, deployment in ranked))

    def cools_until(self, deployment: Deployment, plan: Plan, call: Call) -> float | None:
        """UTC seconds, None where it does not cool down."""
        return self.health.cools_until(place_of(deployment, plan, call.workspace))

    def is_ready(self, deployment: Deployment, plan: Plan, call: Call) -> bool:
        """Whether nothing speaks against it: it does not cool down, and has not just done so."""
        place = place_of(deployment, plan, call.workspace)
        return self.health.cools_until(place) is None and not self.health.is_on_trial(place)

    def began(self, deployment: Deployment, plan: Plan, call: Call, seconds: float) -> None:
        self.health.began(place_of(deployment, plan, call.workspace), seconds, call.request.stream)

    def succeeded(self, deployment: Deployment, plan: Plan, call: Call) -> None:
        self.health.succeeded(place_of(deployment, plan, call.workspace))

    def failed(
        self, deployment: Deployment, plan: Plan, call: Call, error: TidegateError, *, waited: float, is_over: bool
    ) -> None:
        if plan.route is not None:
            place = place_of(deployment, plan, call.workspace)
            self.health.failed(place, error, plan.route, deployment.shown, waited=waited, is_over=is_over)

    def _delays(self, plan: Plan, call: Call, places: Sequence[Place]) -> list[float]:
        """By the route's order, what each deployment has: the least is asked first."""
        route, deployments = plan.route, plan.deployments
        match route and route.by:
            case "weight" if route is not None and route.sticky:
                session = session_of(call.request, call.session_id)
                chances = [_by_hash(call.workspace.id, session, place.id) for place in places]
                return [_wait(each.weight, chance) for each, chance in zip(deployments, chances, strict=True)]
            case "weight":
                return [_wait(each.weight, 1.0 - self.draw()) for each in deployments]
            case "latency":
                return [self._slowness(place, call.request.stream) for place in places]
            case "price":
                return self._prices(deployments, call)
            case _:
                return [0.0] * len(deployments)

    def _rank(self, place: Place) -> tuple[int, float]:
        """0 for those that may be asked, then those that another call tries, then those that cool down."""
        until = self.health.cools_until(place)
        if until is not None:
            return 2, until
        return (1 if self.health.is_on_trial(place) and self.health.is_claimed(place) else 0), 0.0

    def _slowness(self, place: Place, stream: bool) -> float:
        """Seconds; what is not known comes first, and last what another call finds out."""
        seconds = self.health.seconds(place, stream)
        if seconds is not None:
            return seconds
        return math.inf if self.health.is_claimed(place) else -1.0

    def _prices(self, deployments: Sequence[Deployment], call: Call) -> list[float]:
        """In USD; what has no price comes last."""
        fields = call.request.fields
        tokens = Tokens(estimate_prompt(fields), (call.request.output_limit or USUAL_ANSWER) * (fields.n or 1))
        found: list[float] = []
        for deployment in deployments:
            model = self.catalog.find(deployment.model_id)
            price = None if model is None else cost(model, tokens, call.started_at)
            found.append(math.inf if price is None else float(price))
        return found


def _wait(weight: int, chance: float) -> float:
    """Who waits the shortest, with a chance from above 0 up to 1 for each, is each as often as its weight says.

    Source: Efraimidis and Spirakis, Weighted random sampling with a reservoir (2006). With chances from a hash, it is
    weighted rendezvous hashing: a deployment that leaves changes the first choice of its own sessions only.
    """
    return -math.log(chance) / weight if weight else math.inf


def session_of(request: ChatRequest, session_id: str | None) -> bytes:
    """What calls of one session have alike: `prompt_cache_key`, the session's id, `user`, or how it began."""
    key = request.body.get("prompt_cache_key")
    named = (key if isinstance(key, str) else None) or session_id or request.fields.user
    if named:
        return b"named:" + named.encode("utf-8", "surrogatepass")
    messages = request.fields.messages
    begun = next((i for i, each in enumerate(messages, 1) if isinstance(each, UserMessage)), len(messages))
    return b"began:" + encode(messages[:begun])


def _by_hash(workspace_id: str, session: bytes, place_id: str) -> float:
    digest = sha256(b"\n".join((workspace_id.encode(), place_id.encode(), session))).digest()
    return (int.from_bytes(digest[:7], "big") + 1) / 2**56

"""In which order the deployments of a route are tried.

`order` is the one in which they are listed; `weight` draws them by lot; `latency` begins with the one that begins to
answer soonest, and tries those of which nothing is known; `price` with the one at which the call would cost least.
Whatever the order, those that cool down come last, the one that opens soonest first.
"""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from hashlib import sha256

from tidegate.catalog import Catalog, cost
from tidegate.chat.json import encode
from tidegate.chat.messages import UserMessage
from tidegate.chat.request import ChatRequest
from tidegate.domain.call import Call
from tidegate.domain.estimate import estimate_prompt
from tidegate.domain.model import Deployment, Plan
from tidegate.domain.usage import Tokens
from tidegate.errors import TidegateError
from tidegate.policy.health import Health, Place, place_of

USUAL_ANSWER = 500
"""Tokens, to compare prices by where the caller sets no limit."""


@dataclass(frozen=True, slots=True)
class Balance:
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
        places = {deployment: place_of(deployment, plan, call.workspace) for deployment in plan.deployments}
        ordered = self._ordered(plan, call, places)
        rest = {deployment: self._rank(place) for deployment, place in places.items()}
        ordered.sort(key=rest.__getitem__)
        return replace(plan, deployments=tuple(ordered))

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
            self.health.failed(place, error, plan.route, waited=waited, is_over=is_over)

    def _ordered(self, plan: Plan, call: Call, places: dict[Deployment, Place]) -> list[Deployment]:
        match plan.route and plan.route.by:
            case "weight" if plan.route is not None and plan.route.sticky:
                session = session_of(call.request, call.session_id)
                return drawn(plan.deployments, lambda each: _by_hash(call.workspace.id, session, places[each].id))
            case "weight":
                return drawn(plan.deployments, lambda _: 1.0 - self.draw())
            case "latency":
                return sorted(plan.deployments, key=lambda each: self._slowness(places[each], call.request.stream))
            case "price":
                prices = self._prices(plan.deployments, call)
                return sorted(plan.deployments, key=prices.__getitem__)
            case _:
                return list(plan.deployments)

    def _rank(self, place: Place) -> tuple[int, float]:
        """0 for those that may be asked, then those that another call tries, then those that cool down."""
        until = self.health.cools_until(place)
        if until is not None:
            return 2, until
        return (1 if self.health.is_on_trial(place) and self.health.is_claimed(place) else 0), 0.0

    def _slowness(self, place: Place, stream: bool) -> tuple[int, float]:
        seconds = self.health.seconds(place, stream)
        if seconds is not None:
            return 1, seconds
        return (2 if self.health.is_claimed(place) else 0), 0.0

    def _prices(self, deployments: Sequence[Deployment], call: Call) -> dict[Deployment, Decimal]:
        fields = call.request.fields
        tokens = Tokens(estimate_prompt(fields), (call.request.output_limit or USUAL_ANSWER) * (fields.n or 1))
        found: dict[Deployment, Decimal] = {}
        for deployment in deployments:
            model = self.catalog.find(deployment.model_id)
            price = None if model is None else cost(model, tokens, call.started_at)
            found[deployment] = Decimal("Infinity") if price is None else price
        return found


def drawn(deployments: Sequence[Deployment], draw: Callable[[Deployment], float]) -> list[Deployment]:
    """By lot: `draw` gives each a number above 0 and up to 1, and so each is first as often as its weight says.

    Source: Efraimidis and Spirakis, Weighted random sampling with a reservoir (2006). With numbers from a hash, it is
    weighted rendezvous hashing: a deployment that leaves changes the first choice of its own sessions only.
    """
    waits = {each: -math.log(draw(each)) / each.weight if each.weight else math.inf for each in deployments}
    return sorted(deployments, key=waits.__getitem__)


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

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

from tidegate.domain.deployment import Deployment, Plan
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

LONGEST_COOLDOWN = 600.0
"""Seconds. A route that says more has its own."""

LONGEST_RETRY_AFTER = 3_600.0
PATIENT_SECONDS = 10.0
"""A caller who waits less than that for a deployment shows nothing about it."""

CLAIM_SECONDS = 30.0
"""How long a deployment is left to the call that tries it, should nothing more be heard of that."""

REMEMBERED_SECONDS = 300.0
"""After that, nobody knows how fast a deployment is."""

MAX_PLACES = 10_000

_FAILURES = (
    *(ProviderFailed, ProviderTimeout, ProviderOverloaded, ProviderRateLimited),
    *(ProviderAuth, ProviderModelNotFound, NotConfigured),
)

_HALVING, _LEAST_SHARE = 60.0, 0.3


class Place(NamedTuple):
    """A deployment under some credentials: `home` is the workspace whose they are, None for the gateway's."""

    home: str | None
    id: str


class Cooling(NamedTuple):
    """A deployment that has begun to cool down, `until` UTC seconds, under the `name` that people know it by."""

    place: Place
    until: float
    name: str


class Speed(NamedTuple):
    """Seconds to the first event, the later ones counting more, as they were `at` UTC seconds."""

    seconds: float
    at: float


class Standing(Struct):
    """What is known of one deployment. `rounds` are the cooldowns in a row; `speeds` are by whether a call streams."""

    failures: int = 0
    rounds: int = 0
    until: float = 0.0
    claimed_until: float = 0.0
    speeds: dict[bool, Speed] = field(default_factory=dict[bool, Speed])


_UNKNOWN = Standing()


class Health(Struct):
    """What this process knows of deployments. `news` are cooldowns that no other process was told of yet."""

    clock: Callable[[], float] = time.time
    news: list[Cooling] = field(default_factory=list[Cooling])
    _known: OrderedDict[Place, Standing] = field(default_factory=OrderedDict[Place, Standing])

    def cools_until(self, place: Place) -> float | None:
        """UTC seconds, None where it does not cool down."""
        until = self._of(place).until
        return until if until > self.clock() else None

    def is_on_trial(self, place: Place) -> bool:
        """Whether it has cooled down, and did not answer since."""
        return self._of(place).rounds > 0

    def is_claimed(self, place: Place) -> bool:
        """Whether a call tries it at this moment, for the others as well."""
        return self._of(place).claimed_until > self.clock()

    def claim(self, place: Place) -> None:
        """Try it for the others as well."""
        self._kept(place).claimed_until = self.clock() + CLAIM_SECONDS

    def seconds(self, place: Place, stream: bool) -> float | None:
        """How soon it begins to answer, None where nobody knows any more."""
        speed = self._of(place).speeds.get(stream)
        return None if speed is None or self.clock() - speed.at > REMEMBERED_SECONDS else speed.seconds

    def began(self, place: Place, seconds: float, stream: bool) -> None:
        """Its first event came after so many seconds; without a stream, that is the whole answer."""
        standing, now = self._kept(place), self.clock()
        before = standing.speeds.get(stream)
        if before is not None:
            share = max(_LEAST_SHARE, 1 - math.exp((before.at - now) / _HALVING))
            seconds = before.seconds + share * (seconds - before.seconds)
        standing.speeds[stream] = Speed(seconds, now)

    def succeeded(self, place: Place) -> None:
        """It has answered to the end: what was before is forgotten."""
        standing = self._known.get(place)
        if standing is not None:
            standing.failures = standing.rounds = 0
            standing.until = standing.claimed_until = 0.0

    def failed(
        self, place: Place, error: TidegateError, route: Route, name: str, *, waited: float, is_over: bool
    ) -> None:
        """It did not answer, or not to the end. `waited` are seconds; `is_over`: it was the call that had no more time.

        What is the caller's fault changes nothing.
        """
        standing, now = self._kept(place), self.clock()
        standing.claimed_until = 0.0
        if not _counts(error, waited, is_over) or standing.until > now:
            return
        standing.failures += 1
        after = error.retry_after_seconds
        lasting = after is not None or standing.rounds > 0 or _is_lasting(error)
        if not lasting and standing.failures < route.cooldown_failures:
            return
        # Who says how long knows it: nothing is doubled then.
        longer = min(route.cooldown_seconds * 2 ** min(standing.rounds, 10), LONGEST_COOLDOWN)
        told = longer if after is None else min(after, LONGEST_RETRY_AFTER)
        seconds = max(route.cooldown_seconds, told)
        standing.failures, standing.rounds, standing.until = 0, standing.rounds + 1, now + seconds
        self.news.append(Cooling(place, standing.until, name))

    def learn(self, home: str | None, untils: Mapping[str, float]) -> None:
        """What other processes said: when the deployments of that home open again, by their ids."""
        now = self.clock()
        for id, until in untils.items():
            if until > now:
                standing = self._kept(Place(home, id))
                standing.until = max(standing.until, min(until, now + LONGEST_RETRY_AFTER))
                standing.rounds = max(standing.rounds, 1)

    def _of(self, place: Place) -> Standing:
        return self._known.get(place) or _UNKNOWN

    def _kept(self, place: Place) -> Standing:
        standing = self._known.get(place)
        if standing is None:
            standing = self._known[place] = Standing()
            if len(self._known) > MAX_PLACES:
                self._known.popitem(last=False)
        return standing


def place_of(deployment: Deployment, plan: Plan, workspace: Workspace) -> Place:
    """Under whose credentials it is. What a workspace chose is its own affair: its mistakes are nobody else's."""
    is_own = plan.is_own or (deployment.secret is not None and workspace.owns(deployment.secret))
    return Place(workspace.id if is_own else None, _id(deployment.place))


@lru_cache(maxsize=4096)
def _id(place: str) -> str:
    return sha256(place.encode()).hexdigest()[:16]


def _counts(error: TidegateError, waited: float, is_over: bool) -> bool:
    """Whether it is the deployment that failed, and not the caller's request or the caller's patience."""
    if is_over and isinstance(error, ProviderTimeout):
        return waited >= PATIENT_SECONDS
    return isinstance(error, _FAILURES)


def _is_lasting(error: TidegateError) -> bool:
    """What does not pass by itself: one is enough. Other refusals (403, 404) may be about what a request asks for."""
    return isinstance(error, NotConfigured) or (isinstance(error, ProviderAuth) and error.upstream_status == 401)

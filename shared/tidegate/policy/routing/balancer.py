"""Routes on the path of a call. What orders and watches their deployments is loaded when a call first asks for one."""

import time
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from tidegate.catalog import Catalog
from tidegate.domain.call import Call, OutcomeStatus
from tidegate.domain.deployment import Deployment, Plan
from tidegate.errors import StreamCut, TidegateError

if TYPE_CHECKING:
    from tidegate.policy.routing.health import Cooling
    from tidegate.policy.routing.ordering import Balance

_CUT = frozenset(
    {
        "provider_error",
        "provider_malformed_response",
        "provider_overloaded",
        "provider_stream_cut",
        "provider_timeout",
        "provider_unreachable",
    }
)
"""How a stream may end that is its provider's fault."""


class Balancing:
    """One process's view of the deployments of routes. Models that are no routes leave no trace in it."""

    def __init__(self, catalog: Catalog, clock: Callable[[], float] = time.time) -> None:
        self._catalog = catalog
        self._clock = clock
        self._made: Balance | None = None

    def arrange(self, plan: Plan, call: Call) -> Plan:
        """The plan in the order in which its deployments are tried."""
        return self._balance().arrange(plan, call) if _is_choice(plan) else plan

    def foreseen(self, plan: Plan, call: Call) -> Plan:
        """The same for a call that is not made: it tries nothing for others."""
        return self._balance().ordered(plan, call) if _is_choice(plan) else plan

    def cools_until(self, deployment: Deployment, plan: Plan, call: Call) -> float | None:
        """UTC seconds, None where it does not cool down."""
        return self._balance().cools_until(deployment, plan, call) if _is_choice(plan) else None

    def is_ready(self, deployment: Deployment, plan: Plan, call: Call) -> bool:
        """Whether it may be asked beside another one: it does not cool down, and needs no trial."""
        return self._balance().is_ready(deployment, plan, call)

    def began(self, deployment: Deployment, plan: Plan, call: Call, seconds: float) -> None:
        """Its first event came after so many seconds."""
        if _is_choice(plan):
            self._balance().began(deployment, plan, call, seconds)

    def failed(
        self, deployment: Deployment, plan: Plan, call: Call, error: TidegateError, *, waited: float, is_over: bool
    ) -> None:
        """It did not answer within `waited` seconds. `is_over`: the call gave it no more than that."""
        if _is_choice(plan):
            self._balance().failed(deployment, plan, call, error, waited=waited, is_over=is_over)

    def ended(
        self, deployment: Deployment, plan: Plan, call: Call, status: OutcomeStatus, error_code: str | None
    ) -> None:
        """How a call ended to which it had begun to answer."""
        if not _is_choice(plan):
            return
        if status == "failed" and error_code in _CUT:
            cut = StreamCut("The answer broke off.")
            self._balance().failed(deployment, plan, call, cut, waited=0.0, is_over=False)
        else:
            self._balance().succeeded(deployment, plan, call)

    def learn(self, home: str | None, untils: Mapping[str, float]) -> None:
        """What other processes said of cooldowns, by deployments' ids, in UTC seconds."""
        now = self._clock()
        if any(until > now for until in untils.values()):
            self._balance().health.learn(home, untils)

    def news(self) -> "list[Cooling]":
        """The cooldowns that have begun since this was asked before."""
        if self._made is None or not self._made.health.news:
            return []
        told, self._made.health.news = self._made.health.news, []
        return told

    def _balance(self) -> "Balance":
        made = self._made
        if made is None:
            health = import_module("tidegate.policy.routing.health").Health(self._clock)
            made = self._made = import_module("tidegate.policy.routing.ordering").Balance(self._catalog, health)
        return made


def _is_choice(plan: Plan) -> bool:
    return plan.route is not None and len(plan.deployments) > 1

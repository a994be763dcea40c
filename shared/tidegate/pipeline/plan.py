"""The plan of a call: what is decided once for all calls of one caller to one model.

    plan = plans.plan_of(components, call)

| part | decided once | the call decides instead |
|---|---|---|
| `target` | the one deployment of the name: translator, price, timeouts, keys | for a route, and with fallbacks |
| `accounts` | those of the workspace and the key that hold a worst case: none, if neither has limits | |
| `is_guarded` | False if neither workspace nor operator has guardrails | for a request that is not plain |
| `is_cached` | False if the workspace has no cache | for a request that is not plain, or has an idempotency key |

A plain request (`is_plain`) has no option of the gateway, so that it can ask for none of these steps.
A plan is as fresh as its principal and workspace, which the authenticator remembers for a minute: a changed key, limit,
route or credential makes new ones, and these have no plan yet. Settings and the catalogue do not change in a process.
"""

from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from tidegate.catalog import Catalog, CatalogModel
from tidegate.domain.account import AccountScope
from tidegate.domain.call import Call
from tidegate.domain.deployment import Deployment, Resolution
from tidegate.domain.timeouts import ProviderTimeouts, TimeoutRules
from tidegate.domain.workspace import Principal, Workspace
from tidegate.errors import TidegateError
from tidegate.policy.auth.workspace_keys import WorkspaceKeys
from tidegate.policy.guardrails.selection import GuardrailSelection
from tidegate.policy.metering import reservation
from tidegate.policy.routing.router import Router
from tidegate.ports import Secrets
from tidegate.providers import Registry
from tidegate.providers.base import Translator

MAX_PLANS = 4_096
"""The most plans of one process. When there are more, all are dropped: to make one takes 5 µs."""


class Target(Struct, frozen=True):
    """The one deployment that a model's name leads to, and what a request to it needs.

    `model` is its row in the catalogue, None if that has none. `workspace_keys` is None for the operator's credentials.
    """

    resolution: Resolution
    deployment: Deployment
    translator: Translator
    model: CatalogModel | None
    timeouts: ProviderTimeouts
    workspace_keys: Secrets | None


class Plan(Struct, frozen=True):
    """The plan of all calls of `principal` in `workspace` to one model. Each call looks for a part that is None."""

    principal: Principal
    workspace: Workspace
    accounts: tuple[AccountScope, ...] | None
    target: Target | None
    is_guarded: bool = True
    is_cached: bool = True

    def general(self) -> "Plan":
        """Return the plan that decides nothing. It gives the same answers and records, and only takes longer."""
        return Plan(self.principal, self.workspace, None, None)


class PlanSources(Protocol):
    """The parts of `Components` that plans depend on."""

    @property
    def router(self) -> Router: ...
    @property
    def providers(self) -> Registry: ...
    @property
    def catalog(self) -> Catalog: ...
    @property
    def timeout_rules(self) -> TimeoutRules: ...
    @property
    def workspace_keys(self) -> WorkspaceKeys: ...
    @property
    def guardrails(self) -> GuardrailSelection: ...


def compile_plan(sources: PlanSources, call: Call) -> Plan:
    """Return the plan of the call, and of all others that have its principal, workspace, operation and model."""
    principal, workspace = call.principal, call.workspace
    return Plan(
        principal,
        workspace,
        accounts=tuple(reservation.scopes(principal, workspace)),
        target=_find_target(sources, call),
        is_guarded=bool(workspace.guardrails or sources.guardrails.operator_guardrails),
        is_cached=workspace.cache_ttl_seconds is not None,
    )


def _find_target(sources: PlanSources, call: Call) -> Target | None:
    """Return the target of the call; None for a route, and for a model that this caller cannot have."""
    try:
        resolution = sources.router.resolve(call.request.model, call.workspace, call.principal.limits)
        if resolution.route is not None:
            return None
        resolution = reservation.allowed_deployments(call, resolution)
        (deployment,) = resolution.deployments
        translator = sources.providers.translator(deployment.provider, call.operation.name)
    except TidegateError:  # dispatch raises it, after the steps that come before
        return None
    return Target(
        resolution,
        deployment,
        translator,
        sources.catalog.find_model(deployment.model_id),
        sources.timeout_rules.timeouts_for(deployment.model_id),
        sources.workspace_keys.secrets_for(call.workspace, deployment.secret),
    )


class Plans:
    """The plans of one process, by caller, operation and model."""

    def __init__(self, change: Callable[[Plan], Plan] | None = None) -> None:
        """`change` is for tests: it replaces each plan, such as by `Plan.general`."""
        self._change = change
        self._plans: dict[tuple[int, int, str, str], Plan] = {}

    @property
    def size(self) -> int:
        return len(self._plans)

    def plan_of(self, sources: PlanSources, call: Call) -> Plan:
        """Return the call's plan; makes it for the first call."""
        key = (id(call.principal), id(call.workspace), call.operation.name, call.request.model)
        plan = self._plans.get(key)
        # A plan holds its principal and workspace, so that no other objects can have their ids.
        return self._add(key, compile_plan(sources, call)) if plan is None else plan

    def _add(self, key: tuple[int, int, str, str], plan: Plan) -> Plan:
        if len(self._plans) >= MAX_PLANS:
            self._plans.clear()
        if self._change is not None:
            plan = self._change(plan)
        self._plans[key] = plan
        return plan

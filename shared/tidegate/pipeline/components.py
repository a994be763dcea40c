"""Everything that a call needs, composed once per process."""

import time
from collections.abc import Callable
from typing import Protocol

from msgspec import Struct, field

from tidegate.catalog import Catalog
from tidegate.domain.call import Call
from tidegate.domain.operation import Request
from tidegate.domain.timeouts import TimeoutRules
from tidegate.pipeline.answer import Answer
from tidegate.pipeline.observation import Observation
from tidegate.pipeline.plan import Plans
from tidegate.policy.auth.authenticator import Authenticator
from tidegate.policy.auth.workspace_keys import WorkspaceKeys
from tidegate.policy.guardrails.protocol import Guard
from tidegate.policy.guardrails.selection import GuardrailSelection
from tidegate.policy.routing.balancer import Balancer
from tidegate.policy.routing.retry import Retries
from tidegate.policy.routing.router import Router
from tidegate.ports import (
    BudgetAlerts,
    Cooldowns,
    IdempotencyClaims,
    Ledger,
    Meter,
    ReasoningSignatures,
    ResponseStates,
    Telemetry,
    Traces,
    UrlFetcher,
    UsageReader,
)
from tidegate.providers import Registry
from tidegate.upstream.attempt import Upstream


class CallReuse(Protocol):
    """The cache and the idempotency key of one call. `pipeline.reuse.reuse` implements it."""

    async def replay(self, components: "Components", observation: Observation) -> Answer | None:
        """Return the answer that is stored for the call's idempotency key; None if the call must be made."""
        ...

    async def lookup(
        self, components: "Components", call: Call, observation: Observation, guard_run: Guard | None
    ) -> Answer | None:
        """Return the answer to an equal call, from the cache or from a call in progress; None if there is none."""
        ...

    def record_answer(self, request: Request, answer: Answer) -> Answer:
        """Return `answer`, the answer to `request`; record it for `store` as the caller reads it."""
        ...

    def stores_at_once(self, observation: Observation) -> bool:
        """Return whether `store` waits for nothing, so that no cancellation can interrupt it."""
        ...

    async def store(self, observation: Observation) -> None:
        """Store the recorded reply; without one, release the idempotency key and the equal calls that wait."""
        ...


class Reuse(Protocol):
    """The cache and the idempotency keys of one process."""

    def for_call(self, call: Call) -> CallReuse | None:
        """Return the call's `CallReuse`; None if it uses neither the cache nor an idempotency key."""
        ...

    def open_claims(self) -> IdempotencyClaims:
        """Return the store of idempotency keys, for requests that are not calls."""
        ...


def no_traces() -> None:
    """Return no store of traces: none are kept."""


def no_response_states() -> None:
    """Return no store of responses: none are kept."""


class Components(Struct, frozen=True):
    """The ports, policies and settings of one process. `open_…` loads a port that few calls need."""

    authenticator: Authenticator
    router: Router
    providers: Registry
    upstream: Upstream
    meter: Meter
    ledger: Ledger
    open_usages: Callable[[], UsageReader]
    open_signatures: Callable[[], ReasoningSignatures]
    open_fetcher: Callable[[], UrlFetcher]
    catalog: Catalog
    balancer: Balancer
    cooldowns: Cooldowns
    reuse: Reuse
    plans: Plans
    open_budget_alerts: Callable[[], BudgetAlerts]
    timeout_seconds: float = 600.0
    timeout_rules: TimeoutRules = field(default_factory=TimeoutRules)
    clock: Callable[[], float] = time.time
    guardrails: GuardrailSelection = field(default_factory=GuardrailSelection)
    workspace_keys: WorkspaceKeys = field(default_factory=WorkspaceKeys)
    retries: Retries = field(default_factory=Retries)
    keeps_reasoning: bool = True
    open_traces: Callable[[], Traces | None] = no_traces
    open_response_states: Callable[[], ResponseStates | None] = no_response_states
    shows_upstream_urls: bool = False
    open_telemetry: Callable[[], Telemetry] | None = None

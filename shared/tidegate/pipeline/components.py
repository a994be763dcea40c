"""What a call's path is made of, composed once per process."""

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
from tidegate.policy.auth.authenticator import Authenticator
from tidegate.policy.auth.workspace_keys import WorkspaceKeys
from tidegate.policy.guardrails.protocol import Guard
from tidegate.policy.guardrails.selection import GuardrailSelection
from tidegate.policy.metering.alerts import LogBudgetAlerts
from tidegate.policy.routing.balancer import Balancer
from tidegate.policy.routing.retry import Retries
from tidegate.policy.routing.router import Router
from tidegate.ports import BudgetAlerts, Cooldowns, Ledger, Meter, ReasoningSignatures, UsageReader
from tidegate.providers import Registry
from tidegate.transport.media_fetcher import MediaFetcher
from tidegate.upstream.attempt import Upstream


class CallReuse(Protocol):
    """What one call may be given again, and what is stored of its answer. `pipeline.reuse.reuse` implements it."""

    async def replay(self, observation: Observation) -> Answer | None:
        """Return what the call's idempotency key led to before."""
        ...

    async def lookup(
        self, components: "Components", call: Call, observation: Observation, guard_run: Guard | None
    ) -> Answer | None:
        """Return the answer to an equal call, which the cache has or which is under way."""
        ...

    def record_answer(self, request: Request, answer: Answer) -> Answer:
        """Return the answer of a call that was made with `request`; what the caller gets of it is recorded."""
        ...

    async def store(self, observation: Observation) -> None:
        """Store what was recorded; where there is nothing, release the idempotency key and the single flight."""
        ...


class Reuse(Protocol):
    """The cache and the idempotency keys of one process."""

    def for_call(self, call: Call) -> CallReuse | None:
        """Return what the call may reuse; None where it wants neither the cache nor an idempotency key."""
        ...


class Components(Struct, frozen=True):
    """Everything that a call needs."""

    authenticator: Authenticator
    router: Router
    providers: Registry
    upstream: Upstream
    meter: Meter
    ledger: Ledger
    usages: UsageReader
    signatures: ReasoningSignatures
    fetcher: MediaFetcher
    catalog: Catalog
    balancer: Balancer
    cooldowns: Cooldowns
    reuse: Reuse
    events: BudgetAlerts = field(default_factory=LogBudgetAlerts)
    timeout_seconds: float = 600.0
    timeout_rules: TimeoutRules = field(default_factory=TimeoutRules)
    clock: Callable[[], float] = time.time
    guardrails: GuardrailSelection = field(default_factory=GuardrailSelection)
    workspace_keys: WorkspaceKeys = field(default_factory=WorkspaceKeys)
    retries: Retries = field(default_factory=Retries)

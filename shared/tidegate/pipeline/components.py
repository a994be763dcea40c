"""What a call's path is made of, composed once per process."""

import time
from collections.abc import Callable

from msgspec import Struct, field

from tidegate.catalog import Catalog
from tidegate.domain.timeouts import TimeoutRules
from tidegate.pipeline.lazy_reuse import ReuseLoader
from tidegate.policy.auth.authenticator import Authenticator
from tidegate.policy.auth.workspace_keys import WorkspaceKeys
from tidegate.policy.guardrails.selection import GuardrailSelection
from tidegate.policy.metering.alerts import LogBudgetAlerts
from tidegate.policy.routing.balancer import Balancer
from tidegate.policy.routing.retry import Retries
from tidegate.policy.routing.router import Router
from tidegate.ports import BudgetAlerts, Cooldowns, Ledger, Meter, ReasoningSignatures, UsageReader
from tidegate.providers import Registry
from tidegate.transport.media_fetcher import MediaFetcher
from tidegate.upstream.attempt import Upstream


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
    reuse: ReuseLoader
    events: BudgetAlerts = field(default_factory=LogBudgetAlerts)
    timeout_seconds: float = 600.0
    timeout_rules: TimeoutRules = field(default_factory=TimeoutRules)
    clock: Callable[[], float] = time.time
    guardrails: GuardrailSelection = field(default_factory=GuardrailSelection)
    workspace_keys: WorkspaceKeys = field(default_factory=WorkspaceKeys)
    retries: Retries = field(default_factory=Retries)

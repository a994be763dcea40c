"""What a call's path is made of, composed once per process."""

import time
from collections.abc import Callable

from msgspec import Struct, field

from tidegate.catalog import Catalog
from tidegate.domain.timeouts import Timetable
from tidegate.pipeline.lazy_reuse import Reuse
from tidegate.policy.auth.authenticator import Authenticator
from tidegate.policy.auth.workspace_keys import OwnKeys
from tidegate.policy.guardrails.selection import Guards
from tidegate.policy.metering.alerts import LogEvents
from tidegate.policy.routing.balancer import Balancing
from tidegate.policy.routing.retry import Retries
from tidegate.policy.routing.router import Router
from tidegate.ports import Cooldowns, Events, Ledger, Meter, Signatures, Usages
from tidegate.providers import Registry
from tidegate.transport.media_fetcher import Fetcher
from tidegate.upstream.attempt import Upstream


class Components(Struct, frozen=True):
    """Everything that a call needs."""

    authenticator: Authenticator
    router: Router
    providers: Registry
    upstream: Upstream
    meter: Meter
    ledger: Ledger
    usages: Usages
    signatures: Signatures
    fetcher: Fetcher
    catalog: Catalog
    balancing: Balancing
    cooldowns: Cooldowns
    reuse: Reuse
    events: Events = field(default_factory=LogEvents)
    timeout_seconds: float = 600.0
    timetable: Timetable = field(default_factory=Timetable)
    clock: Callable[[], float] = time.time
    guards: Guards = field(default_factory=Guards)
    own_keys: OwnKeys = field(default_factory=OwnKeys)
    retries: Retries = field(default_factory=Retries)

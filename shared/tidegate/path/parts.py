"""What a call's path is made of, composed once per process."""

import time
from collections.abc import Callable
from typing import TypeVar

from anyio import to_thread
from msgspec import Struct, field

from tidegate.catalog import Catalog
from tidegate.domain.call import Call
from tidegate.domain.timeouts import Timetable
from tidegate.path.reuse import Reuse
from tidegate.policy.authenticate import Authenticator
from tidegate.policy.balancing import Balancing
from tidegate.policy.guards import Guards
from tidegate.policy.own import OwnKeys
from tidegate.policy.retry import Retries
from tidegate.policy.route import Router
from tidegate.policy.warn import LogEvents
from tidegate.ports import Cooldowns, Events, Ledger, Meter, Signatures, Usages
from tidegate.providers import Registry
from tidegate.transport.media_fetcher import Fetcher
from tidegate.upstream.attempt import Upstream

LONG_BYTES = 256 * 1024
"""Other calls should not wait until a longer request is translated and its words are counted."""

_T = TypeVar("_T")


class Parts(Struct, frozen=True):
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


async def aside(call: Call, work: Callable[[], _T]) -> _T:
    """What pure `work` gives. That of a long request is done in a thread, beside the other calls."""
    return await beside(call.request.size, work) if call.request.size > LONG_BYTES else work()


async def beside(size: int, work: Callable[[], _T]) -> _T:
    """The same of anything of that `size` in bytes."""
    return await to_thread.run_sync(work) if size > LONG_BYTES else work()

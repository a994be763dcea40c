"""A process's memory of full shards, so that a busy workspace's calls do not try all shards before they are refused.

This memory never refuses a call by itself: some of the full shards are tried anyway.
"""

from collections import OrderedDict
from typing import NamedTuple

from msgspec import Struct, field

from tidegate.domain.account import AccountScope, Hold
from tidegate.domain.limits import ExceededLimit, Number, Unit

TRUST_SECONDS = 1.0
"""How long a shard is taken to be full. Short, because calls that end in other processes free headroom, too."""

FULL_SHARDS_TRIED = 4
"""How many full shards a call tries after all others, so that freed headroom is noticed soon."""

MAX_REMEMBERED = 10_000


class _FullShard(NamedTuple):
    scope: AccountScope
    exceeded: ExceededLimit
    since: float
    until: float


class FullShards(Struct, frozen=True):
    """The full shards that this process knows of; the oldest is forgotten first. Times are UTC seconds."""

    _shards: OrderedDict[tuple[str, int], _FullShard] = field(default_factory=OrderedDict[tuple[str, int], _FullShard])

    def remember(self, scope: AccountScope, exceeded: ExceededLimit, at: float) -> None:
        """Record that a shard has only `exceeded.remaining` left: for a second, or until a limit of requests resets."""
        until = exceeded.resets_at
        if exceeded.limit != "requests_per_minute":
            until = min(until, at + TRUST_SECONDS)
        self._shards[scope.id, scope.shard] = _FullShard(scope, exceeded, at, until)
        if len(self._shards) > MAX_REMEMBERED:
            self._shards.popitem(last=False)

    def forget(self, workspace_id: str, shard: int) -> None:
        """Record that a shard may have headroom again."""
        self._shards.pop((workspace_id, shard), None)

    def is_full(self, scope: AccountScope, hold: Hold) -> bool:
        """True if the shard is known to have no headroom for the hold under the same limits."""
        full_shard = self._shards.get((scope.id, scope.shard))
        if full_shard is None or full_shard.scope != scope or not full_shard.since <= hold.at < full_shard.until:
            return False
        return _needed_amount(hold, full_shard.exceeded.limit) > full_shard.exceeded.remaining


def choose_exceeded_limit(refusals: list[ExceededLimit]) -> ExceededLimit:
    """The limit to report for a sharded workspace: the one that resets first, with the most remaining."""
    soonest = min(exceeded.resets_at for exceeded in refusals)
    return max((exceeded for exceeded in refusals if exceeded.resets_at == soonest), key=lambda each: each.remaining)


def _needed_amount(hold: Hold, limit: str) -> Number:
    unit, _, span = limit.partition("_per_")
    units: dict[str, Unit] = {"tokens": "tokens", "words": "words", "usd": "usd"}
    return hold.amounts.of(units[unit]) if span and unit in units else 1

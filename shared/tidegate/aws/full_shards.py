"""Which shards of a workspace were full a moment ago, so that calls that are refused do not ask them all each time.

What is known here never refuses a call by itself: some of those shards are asked all the same.
"""

from collections import OrderedDict
from typing import NamedTuple

from msgspec import Struct, field

from tidegate.domain.account import AccountScope, ExceededLimit, Hold
from tidegate.domain.limits import Number, Unit

TRUST_SECONDS = 1.0
"""Calls that end give room back, also those of other processes."""

FULL_SHARDS_TRIED = 4
"""Shards known to be full that a call asks after all the others, so that no room is missed for long."""

MAX_REMEMBERED = 10_000


class _FullShard(NamedTuple):
    scope: AccountScope
    exceeded: ExceededLimit
    since: float
    until: float


class FullShards(Struct, frozen=True):
    """Of this process, the longest known forgotten first. Times are UTC seconds."""

    _full_shards: OrderedDict[tuple[str, int], _FullShard] = field(
        default_factory=OrderedDict[tuple[str, int], _FullShard]
    )

    def remember(self, scope: AccountScope, exceeded: ExceededLimit, at: float) -> None:
        """A shard has no room for more than `why.left`, for a second, or until a minute's requests begin anew."""
        until = (
            exceeded.resets_at
            if exceeded.limit == "requests_per_minute"
            else min(exceeded.resets_at, at + TRUST_SECONDS)
        )
        self._full_shards[scope.id, scope.shard] = _FullShard(scope, exceeded, at, until)
        if len(self._full_shards) > MAX_REMEMBERED:
            self._full_shards.popitem(last=False)

    def forget(self, workspace_id: str, shard: int) -> None:
        """Room was given back there."""
        self._full_shards.pop((workspace_id, shard), None)

    def is_full(self, scope: AccountScope, hold: Hold) -> bool:
        """Whether that shard is known to have no room for the hold, with the same limits."""
        full_shard = self._full_shards.get((scope.id, scope.shard))
        if full_shard is None or full_shard.scope != scope or not full_shard.since <= hold.at < full_shard.until:
            return False
        return _needed_amount(hold, full_shard.exceeded.limit) > full_shard.exceeded.remaining


def choose_exceeded_limit(refusals: list[ExceededLimit]) -> ExceededLimit:
    """Of those of a workspace's shards: one that passes by itself if there is one, with the most room left."""
    soonest = min(why.resets_at for why in refusals)
    return max((why for why in refusals if why.resets_at == soonest), key=lambda why: why.remaining)


def _needed_amount(hold: Hold, limit: str) -> Number:
    unit, _, span = limit.partition("_per_")
    units: dict[str, Unit] = {"tokens": "tokens", "words": "words", "usd": "usd"}
    return hold.amounts.of(units[unit]) if span and unit in units else 1

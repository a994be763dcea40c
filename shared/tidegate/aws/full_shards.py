"""Which shards of a workspace were full a moment ago, so that calls that are refused do not ask them all each time.

What is known here never refuses a call by itself: some of those shards are asked all the same.
"""

from collections import OrderedDict
from typing import NamedTuple

from msgspec import Struct, field

from tidegate.domain.account import Hold, Refusal, Scope
from tidegate.domain.limits import Number, Unit

BELIEVED_SECONDS = 1.0
"""Calls that end give room back, also those of other processes."""

ASKED_AGAIN = 4
"""Shards known to be full that a call asks after all the others, so that no room is missed for long."""

MAX_KNOWN = 10_000


class _Full(NamedTuple):
    scope: Scope
    why: Refusal
    since: float
    until: float


class FullShards(Struct, frozen=True):
    """Of this process, the longest known forgotten first. Times are UTC seconds."""

    _known: OrderedDict[tuple[str, int], _Full] = field(default_factory=OrderedDict[tuple[str, int], _Full])

    def remember(self, scope: Scope, why: Refusal, at: float) -> None:
        """A shard has no room for more than `why.left`, for a second, or until a minute's requests begin anew."""
        believed = why.resets_at if why.limit == "requests_per_minute" else min(why.resets_at, at + BELIEVED_SECONDS)
        self._known[scope.id, scope.shard] = _Full(scope, why, at, believed)
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)

    def forget(self, workspace_id: str, shard: int) -> None:
        """Room was given back there."""
        self._known.pop((workspace_id, shard), None)

    def knows(self, scope: Scope, hold: Hold) -> bool:
        """Whether that shard is known to have no room for the hold, with the same limits."""
        known = self._known.get((scope.id, scope.shard))
        if known is None or known.scope != scope or not known.since <= hold.at < known.until:
            return False
        return _needed(hold, known.why.limit) > known.why.left


def most_helpful(refusals: list[Refusal]) -> Refusal:
    """Of those of a workspace's shards: one that passes by itself if there is one, with the most room left."""
    soonest = min(why.resets_at for why in refusals)
    return max((why for why in refusals if why.resets_at == soonest), key=lambda why: why.left)


def _needed(hold: Hold, limit: str) -> Number:
    unit, _, span = limit.partition("_per_")
    units: dict[str, Unit] = {"tokens": "tokens", "words": "words", "usd": "usd"}
    return hold.amounts.of(units[unit]) if span and unit in units else 1

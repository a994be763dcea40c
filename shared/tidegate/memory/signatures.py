"""Signed reasoning in a dictionary of bounded size, for a day."""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

from tidegate.json import Json
from tidegate.ports import SIGNATURE_SECONDS

MAX_ENTRIES = 10_000


class MemoryReasoningSignatures:
    """The port `ReasoningSignatures`. The oldest entries are dropped first."""

    def __init__(self, max_entries: int = MAX_ENTRIES, clock: Callable[[], float] = time.time) -> None:
        self._max_entries = max_entries
        self._clock = clock
        self._entries: OrderedDict[tuple[str, str], tuple[float, list[Json]]] = OrderedDict()

    async def find(self, workspace_id: str, turns: Sequence[str]) -> dict[str, list[Json]]:
        """See `ReasoningSignatures.find`."""
        found = {turn: self._find(workspace_id, turn) for turn in turns}
        return {turn: details for turn, details in found.items() if details}

    async def keep(self, workspace_id: str, turn: str, details: list[Json]) -> None:
        """See `ReasoningSignatures.keep`."""
        earlier = self._find(workspace_id, turn)
        is_unique = earlier is None or earlier == details
        self._entries[workspace_id, turn] = self._clock() + SIGNATURE_SECONDS, details if is_unique else []
        self._entries.move_to_end((workspace_id, turn))
        while len(self._entries) > self._max_entries or next(iter(self._entries.values()))[0] <= self._clock():
            self._entries.popitem(last=False)

    def _find(self, workspace_id: str, turn: str) -> list[Json] | None:
        """Return the details; an empty list if two conversations have the turn, None if it is not stored."""
        expires_at, details = self._entries.get((workspace_id, turn), (0.0, None))
        return details if expires_at > self._clock() else None

"""Signed reasoning in a dictionary of bounded size."""

from collections import OrderedDict
from collections.abc import Sequence

from tidegate.json import Json

MAX_KEPT = 10_000


class MemorySignatures:
    """The port `Signatures`; the oldest go first."""

    def __init__(self, max_kept: int = MAX_KEPT) -> None:
        self._max_kept = max_kept
        self._kept: OrderedDict[tuple[str, str], list[Json]] = OrderedDict()

    async def find(self, workspace_id: str, tool_call_ids: Sequence[str]) -> dict[str, list[Json]]:
        """See `Signatures.find`."""
        places = ((tool_call_id, (workspace_id, tool_call_id)) for tool_call_id in tool_call_ids)
        return {tool_call_id: self._kept[place] for tool_call_id, place in places if place in self._kept}

    async def keep(self, workspace_id: str, tool_call_id: str, details: list[Json]) -> None:
        """See `Signatures.keep`."""
        self._kept[workspace_id, tool_call_id] = details
        if len(self._kept) > self._max_kept:
            self._kept.popitem(last=False)

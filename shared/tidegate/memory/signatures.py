"""Signed reasoning in a dictionary of bounded size."""

from collections import OrderedDict
from collections.abc import Sequence

from tidegate.json import Json

MAX_ENTRIES = 10_000


class MemoryReasoningSignatures:
    """The port `ReasoningSignatures`. The oldest entries are dropped first."""

    def __init__(self, max_entries: int = MAX_ENTRIES) -> None:
        self._max_entries = max_entries
        self._details: OrderedDict[tuple[str, str], list[Json]] = OrderedDict()

    async def find(self, workspace_id: str, tool_call_ids: Sequence[str]) -> dict[str, list[Json]]:
        """See `ReasoningSignatures.find`."""
        keys = ((tool_call_id, (workspace_id, tool_call_id)) for tool_call_id in tool_call_ids)
        return {tool_call_id: self._details[key] for tool_call_id, key in keys if key in self._details}

    async def keep(self, workspace_id: str, tool_call_id: str, details: list[Json]) -> None:
        """See `ReasoningSignatures.keep`."""
        self._details[workspace_id, tool_call_id] = details
        if len(self._details) > self._max_entries:
            self._details.popitem(last=False)

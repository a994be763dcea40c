"""Traces of calls, and stored responses, in dictionaries of bounded size.

They are in this process alone, and so not encrypted.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

MAX_BYTES = 64 * 1024 * 1024
"""Limit for all traces together. The oldest are dropped first."""


class _StoredTrace(NamedTuple):
    content: bytes
    expires_at: float


class MemoryTraces:
    """The ports `Traces`, `TraceReader` and `ResponseStates`."""

    def __init__(self, clock: Callable[[], float] = time.time, max_bytes: int = MAX_BYTES) -> None:
        self._clock, self._max_bytes, self._bytes = clock, max_bytes, 0
        self._traces: OrderedDict[tuple[str, str], _StoredTrace] = OrderedDict()

    async def keep(self, workspace_id: str, call_id: str, content: bytes, expires_at: float) -> None:
        """See `Traces.keep`."""
        self._remove((workspace_id, call_id))
        self._traces[workspace_id, call_id] = _StoredTrace(content, expires_at)
        self._bytes += len(content)
        while self._bytes > self._max_bytes:
            self._remove(next(iter(self._traces)))

    async def find(self, workspace_id: str, call_id: str) -> bytes | None:
        """See `Traces.find`."""
        stored = self._traces.get((workspace_id, call_id))
        return stored.content if stored is not None and stored.expires_at > self._clock() else None

    async def destroy_key(self, workspace_id: str) -> None:
        """See `TraceReader.destroy_key`. There is no key: the traces are deleted."""
        for name in [each for each in self._traces if each[0] == workspace_id]:
            self._remove(name)

    async def delete_all(self, workspace_id: str) -> None:
        """See `TraceReader.delete_all`."""
        await self.destroy_key(workspace_id)

    async def delete(self, workspace_id: str, response_id: str) -> None:
        """See `ResponseStates.delete`."""
        self._remove((workspace_id, response_id))

    def _remove(self, name: tuple[str, str]) -> None:
        removed = self._traces.pop(name, None)
        self._bytes -= len(removed.content) if removed else 0

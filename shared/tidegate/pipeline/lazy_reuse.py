"""Calls that may get what was answered before. What that needs is loaded with the first of them."""

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from tidegate.domain.call import Call
from tidegate.ports import Claims, Replies

if TYPE_CHECKING:
    from tidegate.pipeline.reuse.reuse import Desk, Reusing


class Reuse:
    """The cache and the idempotency keys of one process; `rooms` opens where they are kept."""

    __slots__ = ("_desk", "_rooms")

    def __init__(self, rooms: Callable[[], tuple[Replies, Claims]]) -> None:
        self._rooms = rooms
        self._desk: Desk | None = None

    def of(self, call: Call) -> "Reusing | None":
        """What may be given again to the call, or kept of it; None for one that wants neither."""
        fields = call.request.fields
        wants_cache = fields.caching or fields.cache is not None or call.workspace.cache_ttl_seconds is not None
        if not wants_cache and call.idempotency_key is None:
            return None
        desk = self._desk
        if desk is None:
            made: Desk = import_module("tidegate.pipeline.reuse.reuse").Desk(*self._rooms())
            desk = self._desk = made
        return desk.of(call)

"""Calls that may get what was answered before. What that needs is loaded with the first of them."""

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from tidegate.domain.call import Call
from tidegate.ports import IdempotencyClaims, ReplyStore

if TYPE_CHECKING:
    from tidegate.pipeline.reuse.reuse import CallReuse, ReuseService


class ReuseLoader:
    """The cache and the idempotency keys of one process; `rooms` opens where they are kept."""

    __slots__ = ("_open_stores", "_service")

    def __init__(self, open_stores: Callable[[], tuple[ReplyStore, IdempotencyClaims]]) -> None:
        self._open_stores = open_stores
        self._service: ReuseService | None = None

    def for_call(self, call: Call) -> "CallReuse | None":
        """What may be given again to the call, or kept of it; None for one that wants neither."""
        fields = call.request.fields
        wants_cache = fields.caching or fields.cache is not None or call.workspace.cache_ttl_seconds is not None
        if not wants_cache and call.idempotency_key is None:
            return None
        desk = self._service
        if desk is None:
            made: ReuseService = import_module("tidegate.pipeline.reuse.reuse").ReuseService(*self._open_stores())
            desk = self._service = made
        return desk.for_call(call)

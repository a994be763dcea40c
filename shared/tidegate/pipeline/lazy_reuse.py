"""Loads the cache and idempotency keys with the first call that uses either."""

from collections.abc import Callable
from typing import Protocol

from tidegate.domain.call import Call
from tidegate.lazy import load
from tidegate.pipeline.components import CallReuse
from tidegate.ports import IdempotencyClaims, ReplyStore


class ReuseService(Protocol):
    """The cache and the idempotency keys of one process. `pipeline.reuse.reuse` implements it."""

    claims: IdempotencyClaims

    def for_call(self, call: Call) -> CallReuse: ...


class ReuseLoader:
    """The `Reuse` of one process; `open_stores` opens its stores when a call first needs them."""

    __slots__ = ("_open_stores", "_service")

    def __init__(self, open_stores: Callable[[], tuple[ReplyStore, IdempotencyClaims]]) -> None:
        self._open_stores = open_stores
        self._service: ReuseService | None = None

    def for_call(self, call: Call) -> CallReuse | None:
        """See `Reuse.for_call`."""
        request = call.request
        may_skip = call.workspace.cache_ttl_seconds is None and call.idempotency_key is None
        if may_skip and (request.is_plain or not request.options.asks_for_cache):
            return None
        service = self._service
        return (self._open_service() if service is None else service).for_call(call)

    def open_claims(self) -> IdempotencyClaims:
        """See `Reuse.open_claims`."""
        return self._open_service().claims

    def _open_service(self) -> ReuseService:
        service = self._service
        if service is None:
            make: Callable[..., ReuseService] = load("tidegate.pipeline.reuse.reuse", "StoreReuseService")
            service = self._service = make(*self._open_stores())
        return service

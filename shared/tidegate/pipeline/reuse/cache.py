"""A call's place in the cache: what is found there, or comes of an equal call under way, and what is kept there."""

import asyncio
import logging
from functools import partial

from tidegate.domain.call import Call
from tidegate.domain.deployment import Resolution
from tidegate.domain.operation import Reply, Request
from tidegate.domain.stored_reply import StoredReply, unpack_reply
from tidegate.errors import GatewayTimeout, ModelNotAllowed, StoreUnavailable
from tidegate.pipeline.components import Components
from tidegate.pipeline.observation import Observation
from tidegate.pipeline.offload import offload, offload_call
from tidegate.policy.caching.cache_key import CachePolicy, cache_key_of
from tidegate.policy.guardrails.protocol import Guard
from tidegate.policy.metering import reservation
from tidegate.policy.routing import fallback
from tidegate.policy.single_flight import SingleFlight
from tidegate.ports import ReplyStore

log = logging.getLogger(__name__)

LOOKUP_SECONDS = 2.0
"""A store that takes longer saves no time: the call is made."""

NO_ANSWER = b""
"""What comes of a flight that is no answer to those who wait."""


class CachedCall:
    """One call's. `told` is "hit", "miss", or "bypass" for one that was not looked up; None without a wish."""

    def __init__(
        self, replies: ReplyStore, flights: SingleFlight[str, bytes], call: Call, wish: CachePolicy | None
    ) -> None:
        self._replies = replies
        self._single_flight = flights
        self._call = call
        self._policy = wish
        self._key: str | None = None
        self._cacheable_request: Request | None = None
        self._is_leader = False
        self.status = None if wish is None else "bypass"

    async def lookup(
        self, components: Components, call: Call, observation: Observation, guard_run: Guard | None
    ) -> StoredReply | None:
        """An equal call's reply, of before or of one that is under way; None where this call has to be made.

        Raises `GatewayTimeout` when the one under way does not end in this one's time, and what naming a model raises.
        """
        policy = self._policy
        if policy is None or not (policy.reads or policy.ttl_seconds):
            return None
        find_candidates = partial(
            fallback.candidates, call.request, components.router, components.catalog, call.workspace
        )
        first = (await offload_call(call, find_candidates))[0]
        if first.resolution is None:
            return None
        self._cacheable_request = first.request
        guardrails = guard_run.fingerprint if guard_run else None
        make_key = partial(cache_key_of, first.request, _model_key(first.resolution), policy.namespace, guardrails)
        self._key = key = await offload_call(call, make_key)
        if not policy.reads:
            return None
        stored = await self._join_flight(components, call, observation) if policy.ttl_seconds else None
        stored = stored or await self._find_stored(key, components.clock())
        if stored is None or not _is_allowed(call, first.resolution, stored):
            return None
        self.status = "hit"
        return stored

    async def _join_flight(self, components: Components, call: Call, observation: Observation) -> StoredReply | None:
        """What an equal call comes to that is under way; None where there is none, and this one leads."""
        started_at = components.clock()
        try:
            packed = await self._single_flight.join(self._flight_key, call.deadline - started_at)
        except TimeoutError:
            raise GatewayTimeout("An equal call that was under way did not end in this one's time.") from None
        self._is_leader = packed is None
        observation.upstream_seconds += components.clock() - started_at
        return None if packed is None else self._if_fresh(unpack_reply(packed), components.clock())

    async def _find_stored(self, key: str, now: float) -> StoredReply | None:
        """What an equal call came to before. A store that is down, or slow, is a cache that is empty."""
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                packed = await self._replies.find(self._call.workspace.id, key)
        except (StoreUnavailable, TimeoutError):
            log.warning("cache.unavailable", extra={"call_id": self._call.id})
            return None
        self.status = "miss"
        if packed is None:
            return None
        stored = self._if_fresh(await offload(len(packed), partial(unpack_reply, packed)), now)
        if self._is_leader and stored is not None:
            self._single_flight.resolve(self._flight_key, packed)
        return stored

    def _if_fresh(self, stored: StoredReply | None, now: float) -> StoredReply | None:
        max_age_seconds = self._policy.max_age_seconds if self._policy else None
        return None if stored is None or (max_age_seconds is not None and now - stored.at > max_age_seconds) else stored

    async def store(self, answered_request: Request | None, reply: Reply, packed: bytes) -> None:
        """Keep what was said to `answered`. Before it is written, those who wait have it.

        What a fallback says, or a shortened call, or what a filter has left, is no answer to an equal call.
        """
        if self._key is None or self._policy is None:
            return
        is_answer = answered_request == self._cacheable_request and self._call.operation.is_storable(reply)
        if self._is_leader:
            self._single_flight.resolve(self._flight_key, packed if is_answer else NO_ANSWER)
        if not is_answer or not self._policy.ttl_seconds:
            return
        log_fields = {"call_id": self._call.id, "bytes": len(packed)}
        try:
            if not await self._replies.keep(self._call.workspace.id, self._key, packed, self._policy.ttl_seconds):
                log.warning("cache.too_large", extra=log_fields)
        except StoreUnavailable:
            log.warning("cache.unavailable", extra=log_fields)

    def leave(self) -> None:
        """Let the next of those who wait make the call, where there is nothing for them."""
        if self._is_leader:
            self._is_leader = False
            self._single_flight.leave(self._flight_key)

    @property
    def _flight_key(self) -> str:
        return f"{self._call.workspace.id}/{self._key}"


def _model_key(resolution: Resolution) -> str:
    """What a call's model stands for: a model, or a route and what it may lead to now."""
    ids = sorted({deployment.model_id for deployment in resolution.deployments})
    return ",".join(ids) if resolution.route is None else f"{resolution.route.name}={','.join(ids)}"


def _is_allowed(call: Call, resolution: Resolution, stored: StoredReply) -> bool:
    """Whether the call may have what that model said. One that may not is refused when it is made."""
    try:
        deployments = reservation.allowed_deployments(call, resolution).deployments
    except ModelNotAllowed:
        return False
    return f"{stored.provider}/{stored.model}" in {deployment.model_id for deployment in deployments}

"""One call and the cache: looks up a stored reply, joins an equal call in progress, and stores the reply."""

import asyncio
import logging
from functools import partial

from tidegate.domain.call import Call
from tidegate.domain.deployment import Resolution
from tidegate.domain.operation import Reply, Request
from tidegate.domain.stored_reply import StoredReply, unpack_reply
from tidegate.errors import GatewayTimeout, StoreUnavailable
from tidegate.offload import LONG_BYTES, offload
from tidegate.pipeline.components import Components
from tidegate.pipeline.observation import Observation
from tidegate.pipeline.reuse.stored_answer import may_use_model_of
from tidegate.policy.caching.cache_key import CachePolicy, cache_key_of
from tidegate.policy.guardrails.protocol import Guard
from tidegate.policy.routing import fallback
from tidegate.policy.single_flight import SingleFlight
from tidegate.ports import ReplyStore

log = logging.getLogger(__name__)

LOOKUP_SECONDS = 2.0
"""Time limit of a lookup: beyond it the cache saves no time, and the call is made."""

NO_ANSWER = b""
"""Tells the waiting calls that the leader's reply is not an answer to them."""


class CachedCall:
    """The cache for one call. `status` is "hit", "miss", or "bypass" without a lookup; None if caching is off.

    `key` is None if the call neither gets nor stores a reply.
    """

    __slots__ = (
        "_cacheable_request",
        "_call",
        "_flight_key",
        "_is_leader",
        "_policy",
        "_replies",
        "_single_flight",
        "key",
        "status",
    )

    def __init__(
        self, replies: ReplyStore, single_flight: SingleFlight[str, bytes], call: Call, policy: CachePolicy | None
    ) -> None:
        self._replies = replies
        self._single_flight = single_flight
        self._call = call
        self._policy = policy
        self.key: str | None = None
        self._flight_key = ""
        self._cacheable_request: Request | None = None
        self._is_leader = False
        self.status: str | None = None if policy is None else "bypass"

    async def lookup(
        self, components: Components, call: Call, observation: Observation, guard_run: Guard | None
    ) -> StoredReply | None:
        """Return the reply to an equal call, stored or in progress; None if this call has to be made.

        Raises `GatewayTimeout` if the equal call in progress does not end in time, and the errors of resolving a model.
        """
        policy = self._policy
        if policy is None or not (policy.reads or policy.ttl_seconds):
            return None
        request, resolution = call.request, _planned_resolution(call, observation)
        if resolution is None:
            request, resolution = await _first_candidate(components, call)
        if resolution is None:
            return None
        self._cacheable_request = request
        guardrails = guard_run.fingerprint if guard_run else None
        model_key, namespace = _model_key(resolution), policy.namespace
        if request.size <= LONG_BYTES:
            key = cache_key_of(request, model_key, namespace, guardrails)
        else:
            key = await offload(request.size, partial(cache_key_of, request, model_key, namespace, guardrails))
        self.key = key
        self._flight_key = flight_key = f"{call.workspace.id}/{key}"
        if not policy.reads:
            return None
        stored: StoredReply | None = None
        if policy.ttl_seconds:
            self._is_leader = self._single_flight.lead(flight_key)
            if not self._is_leader:
                stored = await self._join_flight(components, call, observation)
        stored = stored or await self._find_stored(components, key)
        if stored is None or not may_use_model_of(call, resolution, stored):
            return None
        self.status = "hit"
        return stored

    async def _join_flight(self, components: Components, call: Call, observation: Observation) -> StoredReply | None:
        """Return the reply to an equal call in progress; None if it cannot be used, or if this call leads now."""
        started_at = components.clock()
        try:
            packed = await self._single_flight.join(self._flight_key, call.deadline - started_at)
        except TimeoutError:
            raise GatewayTimeout("The call timed out while it waited for an equal call in progress.") from None
        self._is_leader = packed is None
        if not self._is_leader:
            observation.record("queued", "equal_call", at=started_at)
        observation.upstream_seconds += components.clock() - started_at
        if packed is None:
            return None
        return self._if_fresh(unpack_reply(packed, self._call.operation.is_reply), components.clock())

    async def _find_stored(self, components: Components, key: str) -> StoredReply | None:
        """Return the stored reply to an equal call. A store that is down or slow counts as a miss."""
        try:
            if self._replies.answers_at_once:
                packed = await self._replies.find(self._call.workspace.id, key)
            else:
                async with asyncio.timeout(LOOKUP_SECONDS):
                    packed = await self._replies.find(self._call.workspace.id, key)
        except (StoreUnavailable, TimeoutError):
            log.warning("cache.unavailable", extra={"call_id": self._call.id})
            return None
        self.status = "miss"
        if packed is None:
            return None
        now, is_reply = components.clock(), self._call.operation.is_reply
        if len(packed) <= LONG_BYTES:
            unpacked = unpack_reply(packed, is_reply)
        else:
            unpacked = await offload(len(packed), partial(unpack_reply, packed, is_reply))
        stored = self._if_fresh(unpacked, now)
        if self._is_leader and stored is not None:
            self._single_flight.resolve(self._flight_key, packed)
        return stored

    def _if_fresh(self, stored: StoredReply | None, now: float) -> StoredReply | None:
        max_age_seconds = self._policy.max_age_seconds if self._policy else None
        return None if stored is None or (max_age_seconds is not None and now - stored.at > max_age_seconds) else stored

    @property
    def answers_at_once(self) -> bool:
        """True if the store of replies waits for nothing."""
        return self._replies.answers_at_once

    async def store(self, answered_request: Request | None, reply: Reply, packed: bytes) -> None:
        """Give the reply to the waiting calls, then store it.

        The reply of a fallback, of a shortened call, or one that was filtered does not answer an equal call.
        """
        if self.key is None or self._policy is None:
            return
        cacheable = self._cacheable_request
        is_equal = answered_request is cacheable or answered_request == cacheable
        is_answer = is_equal and self._call.operation.is_storable(reply)
        if self._is_leader:
            self._single_flight.resolve(self._flight_key, packed if is_answer else NO_ANSWER)
        if not is_answer or not self._policy.ttl_seconds:
            return
        fault: str | None = None
        try:
            if not await self._replies.keep(self._call.workspace.id, self.key, packed, self._policy.ttl_seconds):
                fault = "cache.too_large"
        except StoreUnavailable:
            fault = "cache.unavailable"
        if fault is not None:
            log.warning(fault, extra={"call_id": self._call.id, "bytes": len(packed)})

    def leave(self) -> None:
        """If nothing was resolved, let the next waiting call take the lead."""
        if self._is_leader:
            self._is_leader = False
            self._single_flight.leave(self._flight_key)


def _planned_resolution(call: Call, observation: Observation) -> Resolution | None:
    """Return where the requested model leads to; None if the call's plan does not know, or the call names others."""
    target = None if observation.plan is None else observation.plan.target
    if target is None or (not call.request.is_plain and fallback.names_other_models(call.request.options)):
        return None
    return target.resolution


async def _first_candidate(components: Components, call: Call) -> tuple[Request, Resolution | None]:
    """Return the request for the model that is asked first, and where that model leads to.

    Raises the errors of resolving the models that the call names.
    """
    find_candidates = partial(fallback.candidates, call.request, components.router, components.catalog, call.workspace)
    first = (await offload(call.request.size, find_candidates))[0]
    return first.request, first.resolution


def _model_key(resolution: Resolution) -> str:
    """Return the model part of the cache key: the model, or the route with the models that it leads to now."""
    if resolution.route is None and len(resolution.deployments) == 1:
        return resolution.deployments[0].model_id
    ids = sorted({deployment.model_id for deployment in resolution.deployments})
    return ",".join(ids) if resolution.route is None else f"{resolution.route.name}={','.join(ids)}"

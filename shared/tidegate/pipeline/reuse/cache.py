"""A call's place in the cache: what is found there, or comes of an equal call under way, and what is kept there."""

import asyncio
import logging
from functools import partial

from tidegate.chat.completion import Completion
from tidegate.chat.request import ChatRequest
from tidegate.domain.call import Call
from tidegate.domain.deployment import Plan
from tidegate.domain.stored_reply import Kept, unpack
from tidegate.errors import GatewayTimeout, ModelNotAllowed, StoreUnavailable
from tidegate.pipeline.components import Components
from tidegate.pipeline.observation import Observation
from tidegate.pipeline.offload import beside, offload_call
from tidegate.policy.caching.cache_key import Wish, key_of
from tidegate.policy.caching.single_flight import Flights
from tidegate.policy.guardrails.protocol import Guard
from tidegate.policy.metering import reservation
from tidegate.policy.routing import fallback
from tidegate.ports import Replies

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
"""A store that takes longer saves no time: the call is made."""

NO_ANSWER = b""
"""What comes of a flight that is no answer to those who wait."""


class Caching:
    """One call's. `told` is "hit", "miss", or "bypass" for one that was not looked up; None without a wish."""

    def __init__(self, replies: Replies, flights: Flights, call: Call, wish: Wish | None) -> None:
        self._replies = replies
        self._flights = flights
        self._call = call
        self._wish = wish
        self._key: str | None = None
        self._asked: ChatRequest | None = None
        self._leads = False
        self.told = None if wish is None else "bypass"

    async def look(self, parts: Components, call: Call, seen: Observation, guard: Guard | None) -> Kept | None:
        """An equal call's reply, of before or of one that is under way; None where this call has to be made.

        Raises `GatewayTimeout` when the one under way does not end in this one's time, and what naming a model raises.
        """
        wish = self._wish
        if wish is None or not (wish.looks or wish.keep_seconds):
            return None
        named = partial(fallback.candidates, call.request, parts.router, parts.catalog, call.workspace)
        first = (await offload_call(call, named))[0]
        if first.plan is None:
            return None
        self._asked = first.request
        guardrails = guard.fingerprint if guard else None
        made = partial(key_of, first.request, _named(first.plan), wish.namespace, guardrails)
        self._key = key = await offload_call(call, made)
        if not wish.looks:
            return None
        kept = await self._joined(parts, call, seen) if wish.keep_seconds else None
        kept = kept or await self._found(key, parts.clock())
        if kept is None or not _is_allowed(call, first.plan, kept):
            return None
        self.told = "hit"
        return kept

    async def _joined(self, parts: Components, call: Call, seen: Observation) -> Kept | None:
        """What an equal call comes to that is under way; None where there is none, and this one leads."""
        began = parts.clock()
        try:
            packed = await self._flights.join(self._place, call.deadline - began)
        except TimeoutError:
            raise GatewayTimeout("An equal call that was under way did not end in this one's time.") from None
        self._leads = packed is None
        seen.waited += parts.clock() - began
        return None if packed is None else self._fresh(unpack(packed), parts.clock())

    async def _found(self, key: str, now: float) -> Kept | None:
        """What an equal call came to before. A store that is down, or slow, is a cache that is empty."""
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                packed = await self._replies.find(self._call.workspace.id, key)
        except (StoreUnavailable, TimeoutError):
            log.warning("cache.unavailable", extra={"call_id": self._call.id})
            return None
        self.told = "miss"
        if packed is None:
            return None
        kept = self._fresh(await beside(len(packed), partial(unpack, packed)), now)
        if self._leads and kept is not None:
            self._flights.land(self._place, packed)
        return kept

    def _fresh(self, kept: Kept | None, now: float) -> Kept | None:
        most = self._wish.max_age_seconds if self._wish else None
        return None if kept is None or (most is not None and now - kept.at > most) else kept

    async def keep(self, answered: ChatRequest | None, completion: Completion, packed: bytes) -> None:
        """Keep what was said to `answered`. Before it is written, those who wait have it.

        What a fallback says, or a shortened call, or what a filter has left, is no answer to an equal call.
        """
        if self._key is None or self._wish is None:
            return
        is_answer = answered == self._asked and not _is_filtered(completion)
        if self._leads:
            self._flights.land(self._place, packed if is_answer else NO_ANSWER)
        if not is_answer or not self._wish.keep_seconds:
            return
        told = {"call_id": self._call.id, "bytes": len(packed)}
        try:
            if not await self._replies.keep(self._call.workspace.id, self._key, packed, self._wish.keep_seconds):
                log.warning("cache.too_large", extra=told)
        except StoreUnavailable:
            log.warning("cache.unavailable", extra=told)

    def end(self) -> None:
        """Let the next of those who wait make the call, where there is nothing for them."""
        if self._leads:
            self._leads = False
            self._flights.end(self._place)

    @property
    def _place(self) -> str:
        return f"{self._call.workspace.id}/{self._key}"


def _named(plan: Plan) -> str:
    """What a call's model stands for: a model, or a route and what it may lead to now."""
    ids = sorted({deployment.model_id for deployment in plan.deployments})
    return ",".join(ids) if plan.route is None else f"{plan.route.name}={','.join(ids)}"


def _is_allowed(call: Call, plan: Plan, kept: Kept) -> bool:
    """Whether the call may have what that model said. One that may not is refused when it is made."""
    try:
        deployments = reservation.permitted(call, plan).deployments
    except ModelNotAllowed:
        return False
    return f"{kept.provider}/{kept.model}" in {deployment.model_id for deployment in deployments}


def _is_filtered(completion: Completion) -> bool:
    return any(choice["finish_reason"] == "content_filter" for choice in completion["choices"])

"""The cache and idempotency keys: a call gets what was answered before, or its own answer is kept.

A cached reply is another one: it has a new id, costs nothing, and may be that of any equal call. What an idempotency
key gives again is the same reply: the call had been made, and only its answer had not arrived.
"""

import zlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial

from msgspec.structs import replace

from tidegate.chat.assemble import Assembly
from tidegate.chat.completion import Chunk, Completion
from tidegate.chat.request import ChatRequest
from tidegate.domain.call import Call
from tidegate.domain.stored_reply import Kept
from tidegate.json import encode
from tidegate.pipeline.check_output import HEADER
from tidegate.pipeline.components import Components
from tidegate.pipeline.dispatch import Asked
from tidegate.pipeline.observation import Observation
from tidegate.pipeline.offload import beside
from tidegate.pipeline.respond import Answer, keep_signed
from tidegate.pipeline.reuse.cache import Caching
from tidegate.pipeline.reuse.idempotency import Claiming
from tidegate.pipeline.reuse.stored_answer import given, renewed
from tidegate.policy import reasoning_signatures
from tidegate.policy.caching.cache_key import wish_of
from tidegate.policy.caching.single_flight import Flights
from tidegate.policy.guardrails.protocol import Guard
from tidegate.policy.metering.billing import to_wire
from tidegate.ports import Claims, Replies

SIGNED_SECONDS = 43_200
"""The age from which on a hit keeps the reasoning that it holds anew."""


class Desk:
    """Where the calls of one process ask. `flights` are the equal ones that are under way."""

    def __init__(self, replies: Replies, claims: Claims) -> None:
        self.replies = replies
        self.claims = claims
        self.flights = Flights()

    def of(self, call: Call) -> "Reusing":
        return Reusing(self, call)


class Reusing:
    """One call, from its idempotency key to what is kept of its answer."""

    def __init__(self, desk: Desk, call: Call) -> None:
        self._call = call
        self._claiming = Claiming(desk.claims, call)
        self._caching = Caching(desk.replies, desk.flights, call, wish_of(call))
        self._answered: ChatRequest | None = None
        self._ignored: tuple[str, ...] = ()
        self._completion: Completion | None = None
        self._assembly: Assembly | None = None

    async def replay(self, seen: Observation) -> Answer | None:
        """What was answered to the call's idempotency key. See `Claiming.replay`."""
        kept = await self._claiming.replay()
        if kept is None:
            return None
        return given(self._call, seen, kept, kept.completion, (("idempotent-replayed", "true"),))

    async def look(self, parts: Components, call: Call, seen: Observation, guard: Guard | None) -> Answer | None:
        """What was answered to an equal call. See `Caching.look`."""
        kept = await self._caching.look(parts, call, seen, guard)
        if kept is None:
            return None
        self._completion, self._ignored = renewed(call, kept), kept.ignored
        age = max(0, int(parts.clock() - kept.at))
        if age > SIGNED_SECONDS:  # what the next turn needs was kept for a day, and the reply is kept for longer
            await keep_signed(parts, call, reasoning_signatures.of_completion(kept.completion))
        passed = ((HEADER, guard.header),) if guard else ()  # what is kept has passed the same guardrails
        return given(call, seen, kept, self._completion, (*self._headers, ("age", str(age)), *passed))

    def keeping(self, asked: Asked, answer: Answer) -> Answer:
        """The answer of a call that was made: what the caller gets of it is kept."""
        own = asked.request.ignored
        self._answered, self._ignored = asked.request, tuple(name for name in answer.ignored if name not in own)
        headers = (*answer.headers, *self._headers)
        if answer.batches is None:
            self._completion = answer.completion
            return replace(answer, headers=headers)
        return replace(answer, headers=headers, batches=self._heard(answer.batches))

    async def _heard(self, batches: AsyncGenerator[list[Chunk]]) -> AsyncGenerator[list[Chunk]]:
        self._assembly = assembly = Assembly()
        async with aclosing(batches):
            async for batch in batches:
                for chunk in batch:
                    assembly.add(chunk)
                yield batch

    async def end(self, seen: Observation) -> None:
        """Keep what there is to keep; where there is nothing, let others have the key, and the call."""
        packed: bytes | None = None
        try:
            kept = self._kept(seen)
            if kept is not None:
                text = encode(kept)
                packed = await beside(len(text), partial(zlib.compress, text))
                if seen.status == "ok":
                    await self._caching.keep(self._answered, kept.completion, packed)
        finally:
            self._caching.end()
            await self._claiming.settle(packed)

    def _kept(self, seen: Observation) -> Kept | None:
        """The reply as the caller got it, with its usage also where that was not asked for; None for a part or none."""
        completion, deployment = self._completion, seen.deployment
        if completion is None and self._assembly is not None and self._assembly.is_whole:
            completion = self._assembly.completion()
            if seen.bill is not None:
                completion["usage"] = to_wire(seen.usage, seen.bill)
        if seen.status not in ("ok", "cached") or completion is None or deployment is None:
            return None
        return Kept(completion, deployment.provider, deployment.model, self._call.started_at, self._ignored)

    @property
    def _headers(self) -> tuple[tuple[str, str], ...]:
        return (("x-tidegate-cache", self._caching.told),) if self._caching.told else ()

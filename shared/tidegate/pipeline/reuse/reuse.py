"""The cache and idempotency keys: a call gets a stored answer, or its own answer is stored.

A reply from the cache is a new reply: it has a new id and costs nothing. An idempotency key replays the original reply
unchanged, with its id and cost: the call had been made, and only its answer had not arrived.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from functools import partial

from msgspec.structs import replace

from tidegate.domain.call import Call
from tidegate.domain.operation import Assembler, Reply, ReplyChunk, Request
from tidegate.domain.origin import NATIVE
from tidegate.domain.stored_reply import StoredReply, pack_reply
from tidegate.offload import LONG_BYTES, offload
from tidegate.pipeline.answer import Answer
from tidegate.pipeline.components import Components
from tidegate.pipeline.observation import Observation
from tidegate.pipeline.respond import store_reasoning
from tidegate.pipeline.reuse.cache import CachedCall
from tidegate.pipeline.reuse.idempotency import IdempotentCall
from tidegate.pipeline.reuse.stored_answer import as_new_reply, stored_answer
from tidegate.policy.caching.cache_key import cache_policy
from tidegate.policy.guardrails.protocol import Guard
from tidegate.policy.metering.billing import usage_with_cost
from tidegate.policy.single_flight import SingleFlight
from tidegate.ports import IdempotencyClaims, ReplyStore

SIGNED_REASONING_SECONDS = 43_200
"""If a stored reply is older than this, a hit stores its signed reasoning again."""


class StoreReuseService:
    """The cache and the idempotency keys of one process. `single_flight`: equal calls share one reply."""

    def __init__(self, replies: ReplyStore, claims: IdempotencyClaims) -> None:
        self.replies = replies
        self.claims = claims
        self.single_flight = SingleFlight[str, bytes]()

    def for_call(self, call: Call) -> "StoreCallReuse":
        return StoreCallReuse(self, call)


class StoreCallReuse:
    """One call, from its idempotency key to the stored answer."""

    __slots__ = (
        "_answered_request",
        "_assembler",
        "_cached_call",
        "_call",
        "_idempotent_call",
        "_ignored",
        "_reply",
    )

    def __init__(self, service: StoreReuseService, call: Call) -> None:
        self._call = call
        self._idempotent_call = None if call.idempotency_key is None else IdempotentCall(service.claims, call)
        self._cached_call = CachedCall(service.replies, service.single_flight, call, cache_policy(call))
        self._answered_request: Request | None = None
        self._ignored: tuple[str, ...] = ()
        self._reply: Reply | None = None
        self._assembler: Assembler | None = None

    async def replay(self, components: Components, observation: Observation) -> Answer | None:
        """Return the answer stored for the idempotency key. See `IdempotentCall.replay`."""
        if self._idempotent_call is None:
            return None
        stored = await self._idempotent_call.replay(components)
        if stored is None:
            return None
        observation.record("cache", "replay")
        observation.headers = (("idempotent-replayed", "true"),)
        return stored_answer(self._call, observation, stored, stored.completion)

    async def lookup(
        self, components: Components, call: Call, observation: Observation, guard_run: Guard | None
    ) -> Answer | None:
        """Return the answer to an equal call. See `CachedCall.lookup`."""
        cached_call = self._cached_call
        stored = await cached_call.lookup(components, call, observation, guard_run)
        if cached_call.status:
            observation.record("cache", cached_call.status)
            observation.headers += (("x-tidegate-cache", cached_call.status),)
        if stored is None:
            return None
        self._reply, self._ignored = as_new_reply(call, stored), stored.ignored
        age = max(0, int(components.clock() - stored.at))
        # Signed reasoning is stored for a day, replies for longer.
        if age > SIGNED_REASONING_SECONDS and components.keeps_reasoning:
            collector = call.operation.reasoning_collector(call.request)
            collector.add_reply(stored.completion)
            await store_reasoning(components, call, collector)
        # The stored reply has passed the guardrails that the headers name: their fingerprint is part of the cache key.
        observation.headers += (("age", str(age)),)
        return stored_answer(call, observation, stored, self._reply)

    def record_answer(self, request: Request, answer: Answer) -> Answer:
        """Return `answer`, the answer to `request`; record it for `store` as the caller reads it."""
        self._answered_request = request
        if answer.ignored:
            ignored = self._call.ignored_options + request.ignored
            self._ignored = tuple(name for name in answer.ignored if name not in ignored)
        if answer.batches is None:
            reply = answer.reply
            self._reply = _translated(reply) if reply is not None and NATIVE in reply else reply
            return answer
        return replace(answer, batches=self._record_stream(answer.batches))

    async def _record_stream(
        self, batches: AsyncGenerator[Sequence[ReplyChunk]]
    ) -> AsyncGenerator[Sequence[ReplyChunk]]:
        self._assembler = assembler = self._call.operation.assembler()
        async with aclosing(batches):
            async for batch in batches:
                for chunk in batch:
                    assembler.add(chunk)
                yield batch

    def stores_at_once(self, observation: Observation) -> bool:
        """See `CallReuse.stores_at_once`: a short reply, in memory."""
        return self._idempotent_call is None and self._cached_call.answers_at_once and _size(observation) <= LONG_BYTES

    async def store(self, observation: Observation) -> None:
        """Store a complete reply; without one, release the idempotency key and the equal calls that wait."""
        packed: bytes | None = None
        try:
            is_new = observation.status == "ok" and self._cached_call.key is not None
            # A reply from the cache is there already.
            stored = self._stored_reply(observation) if is_new or self._idempotent_call is not None else None
            if stored is not None:
                size = _size(observation)
                packed = pack_reply(stored) if size <= LONG_BYTES else await offload(size, partial(pack_reply, stored))
                if is_new:
                    await self._cached_call.store(self._answered_request, stored.completion, packed)
        finally:
            self._cached_call.leave()
            if self._idempotent_call is not None:
                await self._idempotent_call.settle(packed)

    def _stored_reply(self, observation: Observation) -> StoredReply | None:
        """Return the reply as the caller got it, always with its usage; None if it is incomplete."""
        reply, deployment = self._reply, observation.deployment
        if reply is None and self._assembler is not None and self._assembler.is_complete:
            reply = self._assembler.reply()
            if observation.bill is not None:
                reply = {**reply, "usage": usage_with_cost(observation.usage, observation.bill)}
        if observation.status not in ("ok", "cached") or reply is None or deployment is None:
            return None
        return StoredReply(reply, deployment.provider, deployment.model, self._call.started_at, self._ignored)


def _size(observation: Observation) -> int:
    """Return the characters of the answer, which are most of a reply's size."""
    size = observation.audio_characters + sum(map(len, observation.answer_text))
    return size + sum(map(len, observation.reasoning_text)) if observation.reasoning_text else size


def _translated(reply: Reply) -> Reply:
    """Return the reply without the provider's own one, which only callers with its dialect can read."""
    return {name: value for name, value in reply.items() if name != NATIVE}

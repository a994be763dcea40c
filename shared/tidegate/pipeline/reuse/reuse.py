"""The cache and idempotency keys: a call gets what was answered before, or its own answer is kept.

A cached reply is another one: it has a new id, costs nothing, and may be that of any equal call. What an idempotency
key gives again is the same reply: the call had been made, and only its answer had not arrived.
"""

import zlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from functools import partial

from msgspec.structs import replace

from tidegate.domain.call import Call
from tidegate.domain.operation import Assembler, Reply, ReplyChunk, Request
from tidegate.domain.stored_reply import StoredReply
from tidegate.json import encode
from tidegate.pipeline.answer import Answer
from tidegate.pipeline.check_output import HEADER
from tidegate.pipeline.components import Components
from tidegate.pipeline.observation import Observation
from tidegate.pipeline.offload import offload
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
"""The age from which on a hit keeps the reasoning that it holds anew."""


class ReuseService:
    """Where the calls of one process ask. `flights` are the equal ones that are under way."""

    def __init__(self, replies: ReplyStore, claims: IdempotencyClaims) -> None:
        self.replies = replies
        self.claims = claims
        self.single_flight = SingleFlight[str, bytes]()

    def for_call(self, call: Call) -> "CallReuse":
        return CallReuse(self, call)


class CallReuse:
    """One call, from its idempotency key to what is kept of its answer."""

    def __init__(self, desk: ReuseService, call: Call) -> None:
        self._call = call
        self._idempotent_call = IdempotentCall(desk.claims, call)
        self._cached_call = CachedCall(desk.replies, desk.single_flight, call, cache_policy(call))
        self._answered_request: Request | None = None
        self._ignored: tuple[str, ...] = ()
        self._reply: Reply | None = None
        self._assembler: Assembler | None = None

    async def replay(self, observation: Observation) -> Answer | None:
        """What was answered to the call's idempotency key. See `Claiming.replay`."""
        stored = await self._idempotent_call.replay()
        if stored is None:
            return None
        return stored_answer(self._call, observation, stored, stored.completion, (("idempotent-replayed", "true"),))

    async def lookup(
        self, components: Components, call: Call, observation: Observation, guard_run: Guard | None
    ) -> Answer | None:
        """What was answered to an equal call. See `Caching.look`."""
        stored = await self._cached_call.lookup(components, call, observation, guard_run)
        if stored is None:
            return None
        self._reply, self._ignored = as_new_reply(call, stored), stored.ignored
        age = max(0, int(components.clock() - stored.at))
        if (
            age > SIGNED_REASONING_SECONDS
        ):  # what the next turn needs was kept for a day, and the reply is kept for longer
            collector = call.operation.reasoning_collector()
            collector.add_reply(stored.completion)
            await store_reasoning(components, call, collector)
        guard_headers = (
            ((HEADER, guard_run.header),) if guard_run else ()
        )  # what is kept has passed the same guardrails
        return stored_answer(
            call, observation, stored, self._reply, (*self._headers, ("age", str(age)), *guard_headers)
        )

    def record_answer(self, request: Request, answer: Answer) -> Answer:
        """The answer of a call that was made: what the caller gets of it is kept."""
        own = request.ignored
        self._answered_request, self._ignored = (
            request,
            tuple(name for name in answer.ignored if name not in own),
        )
        headers = (*answer.headers, *self._headers)
        if answer.batches is None:
            self._reply = answer.reply
            return replace(answer, headers=headers)
        return replace(answer, headers=headers, batches=self._record_stream(answer.batches))

    async def _record_stream(
        self, batches: AsyncGenerator[Sequence[ReplyChunk]]
    ) -> AsyncGenerator[Sequence[ReplyChunk]]:
        self._assembler = assembler = self._call.operation.assembler()
        async with aclosing(batches):
            async for batch in batches:
                for chunk in batch:
                    assembler.add(chunk)
                yield batch

    async def store(self, observation: Observation) -> None:
        """Keep what there is to keep; where there is nothing, let others have the key, and the call."""
        packed: bytes | None = None
        try:
            stored = self._stored_reply(observation)
            if stored is not None:
                text = encode(stored)
                packed = await offload(len(text), partial(zlib.compress, text))
                if observation.status == "ok":
                    await self._cached_call.store(self._answered_request, stored.completion, packed)
        finally:
            self._cached_call.leave()
            await self._idempotent_call.settle(packed)

    def _stored_reply(self, observation: Observation) -> StoredReply | None:
        """The reply as the caller got it, with its usage also where that was not asked for; None for a part or none."""
        reply, deployment = self._reply, observation.deployment
        if reply is None and self._assembler is not None and self._assembler.is_complete:
            reply = self._assembler.reply()
            if observation.bill is not None:
                reply = {**reply, "usage": usage_with_cost(observation.usage, observation.bill)}
        if observation.status not in ("ok", "cached") or reply is None or deployment is None:
            return None
        return StoredReply(reply, deployment.provider, deployment.model, self._call.started_at, self._ignored)

    @property
    def _headers(self) -> tuple[tuple[str, str], ...]:
        return (("x-tidegate-cache", self._cached_call.status),) if self._cached_call.status else ()

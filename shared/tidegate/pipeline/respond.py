"""Turns a provider's reply into the caller's: stamped, billed, without the reasoning that the caller excluded."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from typing import Any

from tidegate.domain.call import Call
from tidegate.domain.operation import ReasoningCollector, Reply, ReplyChunk, Stamp
from tidegate.domain.usage import Bill, Usage
from tidegate.errors import StoreUnavailable, TidegateError
from tidegate.offload import LONG_BYTES, offload
from tidegate.pipeline.answer import Answer
from tidegate.pipeline.components import Components
from tidegate.pipeline.dispatch import Dispatched
from tidegate.pipeline.observation import Observation
from tidegate.pipeline.settle import update_bill, update_short_bill
from tidegate.policy.metering.billing import usage_with_cost

log = logging.getLogger(__name__)


async def respond(
    components: Components, dispatched: Dispatched, observation: Observation, *, is_checked: bool = False
) -> Answer:
    """Return the answer to a call whose provider has sent the whole reply, or its first events.

    `is_checked`: guardrails may change the answer, so that a trace records it after them.
    """
    provider_reply = dispatched.reply
    observation.ignored = dispatched.ignored
    reply, provider_batches = provider_reply.reply, provider_reply.batches
    batches: AsyncGenerator[Sequence[ReplyChunk]] | None = None
    if provider_batches is not None:
        record = None if is_checked or observation.trace is None else observation.trace.batch_recorder()
        collector = _reasoning_collector(components, dispatched, observation.call)
        batches = StampedStream(components, provider_batches, observation, collector, record)
    elif reply is not None:
        observation.add_reply(reply)
        # Reasoning is stored with a tool call alone, and a reply that calls tools has their arguments in `other_text`.
        if observation.other_text:
            reply = await _stamp_with_reasoning(components, reply, dispatched, observation)
        elif observation.call.request.size <= LONG_BYTES:
            reply = _stamp_reply(observation, reply, update_short_bill(components, observation))
        else:
            reply = _stamp_reply(observation, reply, await update_bill(components, observation))
    return Answer(
        reply,
        batches,
        dispatched.deployment,
        observation.attempts,
        tuple(observation.failed_attempts()) if observation.failures else (),
        dispatched.ignored,
        observation.upstream_seconds,
        dispatched.headroom,
        observation.headers,
    )


def _reasoning_collector(components: Components, dispatched: Dispatched, call: Call) -> ReasoningCollector | None:
    """Return what collects the signed reasoning of the reply; None if none is signed, or none is stored."""
    if components.keeps_reasoning and dispatched.translator.signs_reasoning(call, dispatched.deployment):
        return call.operation.reasoning_collector(call.request)
    return None


async def _stamp_with_reasoning(
    components: Components, reply: Reply, dispatched: Dispatched, observation: Observation
) -> Reply:
    """Return the reply as the caller gets it, and store its signed reasoning, if it has any."""
    collector = _reasoning_collector(components, dispatched, observation.call)
    if collector is not None:  # before `stamp_reply` strips reasoning
        collector.add_reply(reply)
    stamped = _stamp_reply(observation, reply, await update_bill(components, observation))
    await store_reasoning(components, observation.call, collector)
    return stamped


def _stamp_reply(observation: Observation, reply: Reply, bill: Bill) -> Reply:
    call = observation.call
    usage = usage_with_cost(observation.usage, bill)
    return call.operation.stamp_reply(reply, call.request, stamp_of(observation), usage)


class StampedStream(AsyncGenerator[Sequence[ReplyChunk]]):
    """The provider's chunks, stamped; usage is held back for the chunk that ends the stream.

    They are pulled, as from any generator, or pushed: then no task wakes up for each of them.
    """

    __slots__ = (
        *("_batches", "_collector", "_components", "_generator", "_observation", "_record", "_stamper", "_write"),
    )
    _write: Callable[[Sequence[ReplyChunk]], bool]
    """Set while they are pushed."""

    def __init__(
        self,
        components: Components,
        batches: AsyncIterator[Sequence[ReplyChunk]],
        observation: Observation,
        collector: ReasoningCollector | None,
        record: Callable[[Sequence[ReplyChunk]], None] | None,
    ) -> None:
        call = observation.call
        self._components = components
        self._batches = batches
        self._observation = observation
        self._collector = collector
        self._record = record
        self._stamper = call.operation.stamper(call.request, stamp_of(observation), observation, collector)
        self._generator: AsyncGenerator[Sequence[ReplyChunk]] | None = None

    def asend(self, value: None) -> Coroutine[Any, Any, Sequence[ReplyChunk]]:
        """See `AsyncGenerator.asend`."""
        if self._generator is None:
            self._generator = self._pull()
        return self._generator.asend(value)

    async def athrow(self, *error: Any) -> Sequence[ReplyChunk]:
        """See `AsyncGenerator.athrow`."""
        return await (self._generator or self._pull()).athrow(*error)

    async def aclose(self) -> None:
        """See `AsyncGenerator.aclose`."""
        if self._generator is not None:
            await self._generator.aclose()

    async def push(self, write: Callable[[Sequence[ReplyChunk]], bool], drain: Callable[[], Awaitable[None]]) -> None:
        """Call `write` with each batch as it arrives. When it returns False, go on after `drain()`."""
        observation = self._observation
        push = getattr(self._batches, "push", None)
        if push is None:  # a generator, as of hedged attempts
            async for batch in self:
                if not write(batch):
                    await drain()
            return
        self._write = write
        try:
            try:
                while await push(self._receive):
                    observation.handed_over_at = self._components.clock()
                    await drain()
                    observation.handed_over_at = None
                await self._store_reasoning()
            except TidegateError as error:
                await self._add_usage(error)
                raise
            last = await self._end()
        except BaseException as error:
            observation.record_error(error)  # which tells a failure from a cancellation
            raise
        write(last)

    def event_recorder(self) -> Callable[[bytes], None] | None:
        """Return what records each event that is sent, whose chunks are then not recorded; None if they must be.

        For a sender that sends the chunks as they are, in OpenAI's dialect.
        """
        trace = self._observation.trace
        record = None if self._record is None or trace is None else trace.event_recorder()
        if record is not None:
            self._record = None
        return record

    def _receive(self, batch: Sequence[ReplyChunk]) -> bool:
        stamped = self._stamper.stamp(batch)
        if stamped and self._record is not None:
            self._record(stamped)
        return self._write(stamped)

    async def _pull(self) -> AsyncGenerator[Sequence[ReplyChunk]]:
        observation = self._observation
        with observation.recording_failures():
            try:
                async for batch in self._batches:
                    stamped = self._stamper.stamp(batch)
                    if stamped:
                        if self._record is not None:
                            self._record(stamped)
                        observation.handed_over_at = self._components.clock()
                        yield stamped
                        observation.handed_over_at = None
                await self._store_reasoning()
            except TidegateError as error:
                await self._add_usage(error)
                raise
            last = await self._end()
        if last:
            yield last

    async def _store_reasoning(self) -> None:
        await store_reasoning(self._components, self._observation.call, self._collector)

    async def _usage(self) -> Usage:
        return usage_with_cost(self._observation.usage, await update_bill(self._components, self._observation))

    async def _add_usage(self, error: TidegateError) -> None:
        error.usage = dict(await self._usage())

    async def _end(self) -> list[ReplyChunk]:
        """Record the end of the stream. Return its last batch, which is empty if the caller wants no usage."""
        self._observation.end_stream()
        usage = await self._usage()
        if not wants_usage(self._observation.call):
            return []
        last = [self._stamper.usage_chunk(usage)]
        if self._record is not None:
            self._record(last)
        return last


async def store_reasoning(components: Components, call: Call, collector: ReasoningCollector | None) -> None:
    """Store the signed reasoning that led to a tool call, for clients that do not send it back."""
    signed = await offload(call.request.size, collector.signed_reasoning) if collector is not None else None
    if signed is None:
        return
    try:
        await components.open_signatures().keep(call.workspace.id, *signed)
    except StoreUnavailable:
        log.warning("signatures.lost", extra={"call_id": call.id})


def stamp_of(observation: Observation) -> Stamp:
    """Return the id, time and model that the call's reply, or each of its chunks, is stamped with.

    The model is the one that was asked last; before the first attempt, the requested one.
    """
    call, deployment = observation.call, observation.deployment
    model = call.request.model if deployment is None else deployment.model_id
    return Stamp(call.surface.reply_id(call.id, call.started_at), int(call.started_at), model)


def wants_usage(call: Call) -> bool:
    """True if a stream must end with a usage chunk."""
    return call.surface.always_includes_usage or call.request.includes_usage

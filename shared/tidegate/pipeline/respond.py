"""Turns a provider's reply into the caller's: stamped, billed, without the reasoning that the caller excluded."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence

from tidegate.domain.call import Call
from tidegate.domain.operation import ReasoningCollector, Reply, ReplyChunk, Stamp
from tidegate.errors import StoreUnavailable, TidegateError
from tidegate.offload import offload
from tidegate.pipeline.answer import Answer
from tidegate.pipeline.components import Components
from tidegate.pipeline.dispatch import Dispatched
from tidegate.pipeline.observation import Observation
from tidegate.pipeline.settle import update_bill
from tidegate.policy.metering.billing import usage_with_cost

log = logging.getLogger(__name__)


async def respond(
    components: Components, dispatched: Dispatched, observation: Observation, *, is_checked: bool = False
) -> Answer:
    """Return the answer to a call whose provider has sent the whole reply, or its first events.

    `is_checked`: guardrails may change the answer, so that a trace records it after them.
    """
    call, provider_reply = observation.call, dispatched.reply
    observation.ignored = dispatched.ignored
    reply: Reply | None = None
    batches: AsyncGenerator[Sequence[ReplyChunk]] | None = None
    if provider_reply.reply is not None:
        reply = await _stamp_reply(components, provider_reply.reply, dispatched, observation)
    else:
        # A reply is either whole or in batches.
        assert provider_reply.batches is not None  # noqa: S101
        record = None if is_checked or observation.trace is None else observation.trace.batch_recorder()
        collector = _reasoning_collector(components, dispatched, call)
        batches = _stamp_stream(components, provider_reply.batches, observation, collector, record)
    return Answer(
        reply,
        batches,
        dispatched.deployment,
        observation.attempts,
        tuple(observation.failed_attempts()),
        dispatched.ignored,
        observation.upstream_seconds,
        dispatched.headroom,
    )


def _reasoning_collector(components: Components, dispatched: Dispatched, call: Call) -> ReasoningCollector | None:
    """Return what collects the signed reasoning of the reply; None if it has none, or the operator keeps none."""
    if components.keeps_reasoning and dispatched.translator.signs_reasoning(call, dispatched.deployment):
        return call.operation.reasoning_collector(call.request)
    return None


async def _stamp_reply(components: Components, reply: Reply, dispatched: Dispatched, observation: Observation) -> Reply:
    observation.add_reply(reply)
    call = observation.call
    # Without a tool call, no reasoning is kept.
    collector = _reasoning_collector(components, dispatched, call) if observation.other_text else None
    if collector is not None:  # before the stamper strips reasoning
        collector.add_reply(reply)
    usage = usage_with_cost(observation.usage, await update_bill(components, observation))
    stamped = call.operation.stamper(call.request, stamp_of(observation)).reply(reply, usage)
    if collector is not None:
        await store_reasoning(components, call, collector)
    return stamped


async def _stamp_stream(
    components: Components,
    batches: AsyncIterator[Sequence[ReplyChunk]],
    observation: Observation,
    collector: ReasoningCollector | None,
    record: Callable[[Sequence[ReplyChunk]], None] | None,
) -> AsyncGenerator[Sequence[ReplyChunk]]:
    """Yield the provider's chunks, stamped; usage is held back for the chunk that ends the stream."""
    call = observation.call
    stamper = call.operation.stamper(call.request, stamp_of(observation))
    with observation.recording_failures():
        try:
            async for batch in batches:
                stamped: list[ReplyChunk] = []
                for chunk in batch:
                    observation.add_chunk(chunk)
                    if collector is not None:
                        collector.add_chunk(chunk)
                    stamped_chunk = stamper.chunk(chunk)
                    if stamped_chunk is not None:
                        stamped.append(stamped_chunk)
                if stamped:
                    if record is not None:
                        record(stamped)
                    observation.handed_over_at = components.clock()
                    yield stamped
                    observation.handed_over_at = None
            await store_reasoning(components, call, collector)
        except TidegateError as error:
            error.usage = dict(usage_with_cost(observation.usage, await update_bill(components, observation)))
            raise
        observation.end_stream()
        usage = usage_with_cost(observation.usage, await update_bill(components, observation))
    if wants_usage(call):
        last = [stamper.usage_chunk(usage)]
        if record is not None:
            record(last)
        yield last


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
    """Return the id, time and model that the call's reply, or each of its chunks, is stamped with."""
    call = observation.call
    return Stamp(call.surface.reply_id(call.id, call.started_at), int(call.started_at), observation.model_id)


def wants_usage(call: Call) -> bool:
    """True if a stream must end with a usage chunk."""
    return call.surface.always_includes_usage or call.request.includes_usage

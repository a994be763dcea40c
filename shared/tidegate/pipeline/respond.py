"""From a provider's reply to the caller's: under our name, billed, without what the caller did not want to see."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator
from typing import cast

from msgspec import Struct

from tidegate.chat.completion import Chunk, Completion, CompletionMessage, Delta
from tidegate.domain.call import Call, FailedAttempt
from tidegate.domain.deployment import Deployment
from tidegate.domain.ids import completion_id
from tidegate.errors import StoreUnavailable, TidegateError
from tidegate.json import Json
from tidegate.pipeline.components import Components
from tidegate.pipeline.dispatch import Dispatched
from tidegate.pipeline.observation import Observation
from tidegate.pipeline.settle import update_bill
from tidegate.policy import reasoning_signatures
from tidegate.policy.metering.billing import usage_with_cost
from tidegate.policy.metering.reservation import UNLIMITED_HEADROOM, Headroom

log = logging.getLogger(__name__)


class Answer(Struct, frozen=True):
    """What the caller gets: a whole `completion`, or `batches` of chunks. `upstream_seconds` were spent waiting,
    `headers` say where it comes from.
    """

    completion: Completion | None
    batches: AsyncGenerator[list[Chunk]] | None
    deployment: Deployment
    attempts: int
    failed_attempts: tuple[FailedAttempt, ...]
    ignored: tuple[str, ...]
    upstream_seconds: float
    headroom: Headroom = UNLIMITED_HEADROOM
    headers: tuple[tuple[str, str], ...] = ()


async def respond(components: Components, dispatched: Dispatched, observation: Observation) -> Answer:
    """The answer to a call, of which its provider has given the whole, or the first events."""
    call, provider_reply = observation.call, dispatched.reply
    completion: Completion | None = None
    batches: AsyncGenerator[list[Chunk]] | None = None
    if provider_reply.completion is not None:
        # Before anything is waited for again, what the provider charges is known; and what is kept, not hidden yet.
        signed = (
            reasoning_signatures.reasoning_to_store(provider_reply.completion)
            if dispatched.provider.signs_reasoning
            else None
        )
        completion = await _finish_completion(components, provider_reply.completion, observation)
        await store_signed(components, call, signed)
    else:
        # A reply is one or the other.
        assert provider_reply.batches is not None  # noqa: S101
        chunks = (
            _collect_signed(components, call, provider_reply.batches)
            if dispatched.provider.signs_reasoning
            else provider_reply.batches
        )
        batches = _stamp_stream(components, chunks, observation)
    failed_attempts = tuple(observation.failed_attempts)
    return Answer(
        completion,
        batches,
        dispatched.deployment,
        observation.attempts,
        failed_attempts,
        dispatched.ignored,
        observation.upstream_seconds,
        dispatched.headroom,
    )


async def _finish_completion(components: Components, completion: Completion, observation: Observation) -> Completion:
    observation.add_completion(completion)
    completion["usage"] = usage_with_cost(observation.usage, await update_bill(components, observation))
    if _hides_reasoning(observation.call):
        for choice in completion["choices"]:
            _strip_reasoning(choice["message"])
    stamp = _stamp(observation, "chat.completion")
    return cast(Completion, {**stamp, **completion, **stamp})


async def _stamp_stream(
    components: Components, batches: AsyncIterator[list[Chunk]], observation: Observation
) -> AsyncGenerator[list[Chunk]]:
    """The provider's chunks under our name; usage is held back for the one chunk that ends the stream."""
    stamp = _stamp(observation, "chat.completion.chunk")
    envelope = {**stamp, "system_fingerprint": None}  # strict clients want the key, and few providers have one
    hides_reasoning = _hides_reasoning(observation.call)
    fingerprint: str | None = None
    with observation.recording_failures():
        try:
            async for batch in batches:
                stamped: list[Chunk] = []
                for chunk in batch:
                    observation.add_chunk(chunk)
                    fingerprint = chunk.get("system_fingerprint") or fingerprint
                    if not chunk["choices"]:
                        continue
                    if hides_reasoning:
                        for choice in chunk["choices"]:
                            _strip_reasoning(choice["delta"])
                    stamped.append(cast(Chunk, {**envelope, **chunk, **stamp}))
                if stamped:
                    yield stamped
        except TidegateError as error:
            error.usage = dict(usage_with_cost(observation.usage, await update_bill(components, observation)))
            raise
        observation.status = "ok"
        usage = usage_with_cost(observation.usage, await update_bill(components, observation))
    if wants_usage(observation.call):
        yield [cast(Chunk, {**stamp, "choices": [], "usage": usage, "system_fingerprint": fingerprint})]


async def _collect_signed(
    components: Components, call: Call, batches: AsyncIterator[list[Chunk]]
) -> AsyncGenerator[list[Chunk]]:
    collector = reasoning_signatures.ReasoningCollector()
    async for batch in batches:
        for chunk in batch:
            for choice in chunk["choices"]:
                if choice["index"] == 0:
                    collector.add(choice["delta"])
        yield batch
    await store_signed(components, call, collector.to_store())


async def store_signed(components: Components, call: Call, signed: tuple[str, list[Json]] | None) -> None:
    """Keep the reasoning that led to a tool call, for clients that do not send it back."""
    if signed is None:
        return
    try:
        await components.signatures.keep(call.workspace.id, *signed)
    except StoreUnavailable:
        log.warning("signatures.lost", extra={"call_id": call.id})


def _stamp(observation: Observation, kind: str) -> dict[str, object]:
    """What the gateway, and not the provider, says of a reply: the same for all chunks of a stream."""
    call = observation.call
    return {
        "id": completion_id(call.surface, call.started_at),
        "object": kind,
        "created": int(call.started_at),
        "model": observation.model_id,
    }


def _hides_reasoning(call: Call) -> bool:
    return call.request.reasoning is not None and call.request.reasoning.exclude


def wants_usage(call: Call) -> bool:
    """Whether a stream is to end with a chunk of its usage."""
    options = call.request.fields.stream_options
    return call.surface == "neuroflash" or bool(options and options.include_usage)


def _strip_reasoning(holder: CompletionMessage | Delta) -> None:
    for name in ("reasoning", "reasoning_content", "reasoning_details"):
        holder.pop(name, None)

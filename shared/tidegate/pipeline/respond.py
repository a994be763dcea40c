"""From a provider's reply to the caller's: under our name, billed, without what the caller did not want to see."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator
from typing import cast

from msgspec import Struct

from tidegate.chat.completion import Chunk, Completion, Delta, Message
from tidegate.domain.call import Call, FailedAttempt
from tidegate.domain.deployment import Deployment
from tidegate.domain.ids import completion_id
from tidegate.errors import StoreUnavailable, TidegateError
from tidegate.json import Json
from tidegate.pipeline.components import Components
from tidegate.pipeline.dispatch import Asked
from tidegate.pipeline.observation import Observation
from tidegate.pipeline.settle import billed
from tidegate.policy import reasoning_signatures
from tidegate.policy.metering.billing import to_wire
from tidegate.policy.metering.reservation import NO_LIMITS, Room

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
    room: Room = NO_LIMITS
    headers: tuple[tuple[str, str], ...] = ()


async def reply(parts: Components, asked: Asked, seen: Observation) -> Answer:
    """The answer to a call, of which its provider has given the whole, or the first events."""
    call, given = seen.call, asked.reply
    completion: Completion | None = None
    batches: AsyncGenerator[list[Chunk]] | None = None
    if given.completion is not None:
        # Before anything is waited for again, what the provider charges is known; and what is kept, not hidden yet.
        signed = reasoning_signatures.of_completion(given.completion) if asked.provider.signs_reasoning else None
        completion = await _completed(parts, given.completion, seen)
        await keep_signed(parts, call, signed)
    else:
        # A reply is one or the other.
        assert given.batches is not None  # noqa: S101
        chunks = _kept(parts, call, given.batches) if asked.provider.signs_reasoning else given.batches
        batches = _streamed(parts, chunks, seen)
    tried = tuple(seen.failed_attempts)
    return Answer(completion, batches, asked.deployment, seen.attempts, tried, asked.ignored, seen.waited, asked.room)


async def _completed(parts: Components, completion: Completion, seen: Observation) -> Completion:
    seen.saw_completion(completion)
    completion["usage"] = to_wire(seen.usage, await billed(parts, seen))
    if _hides_reasoning(seen.call):
        for choice in completion["choices"]:
            _without_reasoning(choice["message"])
    stamp = _stamp(seen, "chat.completion")
    return cast(Completion, {**stamp, **completion, **stamp})


async def _streamed(
    parts: Components, batches: AsyncIterator[list[Chunk]], seen: Observation
) -> AsyncGenerator[list[Chunk]]:
    """The provider's chunks under our name; usage is held back for the one chunk that ends the stream."""
    stamp = _stamp(seen, "chat.completion.chunk")
    bare = {**stamp, "system_fingerprint": None}  # strict clients want the key, and few providers have one
    hides_reasoning = _hides_reasoning(seen.call)
    fingerprint: str | None = None
    with seen.failing():
        try:
            async for batch in batches:
                passed: list[Chunk] = []
                for chunk in batch:
                    seen.saw_chunk(chunk)
                    fingerprint = chunk.get("system_fingerprint") or fingerprint
                    if not chunk["choices"]:
                        continue
                    if hides_reasoning:
                        for choice in chunk["choices"]:
                            _without_reasoning(choice["delta"])
                    passed.append(cast(Chunk, {**bare, **chunk, **stamp}))
                if passed:
                    yield passed
        except TidegateError as error:
            error.usage = dict(to_wire(seen.usage, await billed(parts, seen)))
            raise
        seen.status = "ok"
        usage = to_wire(seen.usage, await billed(parts, seen))
    if wants_usage(seen.call):
        yield [cast(Chunk, {**stamp, "choices": [], "usage": usage, "system_fingerprint": fingerprint})]


async def _kept(parts: Components, call: Call, batches: AsyncIterator[list[Chunk]]) -> AsyncGenerator[list[Chunk]]:
    collector = reasoning_signatures.Collector()
    async for batch in batches:
        for chunk in batch:
            for choice in chunk["choices"]:
                if choice["index"] == 0:
                    collector.add(choice["delta"])
        yield batch
    await keep_signed(parts, call, collector.to_keep())


async def keep_signed(parts: Components, call: Call, signed: tuple[str, list[Json]] | None) -> None:
    """Keep the reasoning that led to a tool call, for clients that do not send it back."""
    if signed is None:
        return
    try:
        await parts.signatures.keep(call.workspace.id, *signed)
    except StoreUnavailable:
        log.warning("signatures.lost", extra={"call_id": call.id})


def _stamp(seen: Observation, kind: str) -> dict[str, object]:
    """What the gateway, and not the provider, says of a reply: the same for all chunks of a stream."""
    call = seen.call
    return {
        "id": completion_id(call.surface, call.started_at),
        "object": kind,
        "created": int(call.started_at),
        "model": seen.model_id,
    }


def _hides_reasoning(call: Call) -> bool:
    return call.request.reasoning is not None and call.request.reasoning.exclude


def wants_usage(call: Call) -> bool:
    """Whether a stream is to end with a chunk of its usage."""
    options = call.request.fields.stream_options
    return call.surface == "neuroflash" or bool(options and options.include_usage)


def _without_reasoning(holder: Message | Delta) -> None:
    for name in ("reasoning", "reasoning_content", "reasoning_details"):
        holder.pop(name, None)

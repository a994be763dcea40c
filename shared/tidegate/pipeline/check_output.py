"""Guardrails over the answer of a call: what does not pass has been produced all the same, and is billed."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from msgspec.structs import replace

from tidegate.chat.completion import Chunk
from tidegate.errors import TidegateError
from tidegate.pipeline.components import Components
from tidegate.pipeline.observation import Observation
from tidegate.pipeline.respond import Answer
from tidegate.pipeline.settle import billed
from tidegate.policy.guardrails.protocol import Guard
from tidegate.policy.metering.billing import to_wire

HEADER = "x-tidegate-guardrails"


async def guarded(parts: Components, guard: Guard, answer: Answer, seen: Observation) -> Answer:
    """The answer as it may be passed on, and in its headers what ran.

    Raises `GuardrailViolation` and `GuardrailUnavailable`, also from the batches.
    """
    headers = (*answer.headers, (HEADER, guard.header))
    if answer.completion is not None:
        return replace(answer, completion=await guard.completion(answer.completion), headers=headers)
    # An answer is one or the other.
    assert answer.batches is not None  # noqa: S101
    batches = _streamed(parts, guard, answer.batches, seen)
    if guard.holds:  # then what does not pass is refused by the reply's status, like an answer that does not stream
        batches = _resumed(await anext(batches, None), batches)
    return replace(answer, batches=batches, headers=headers)


async def _streamed(
    parts: Components, guard: Guard, batches: AsyncGenerator[list[Chunk]], seen: Observation
) -> AsyncGenerator[list[Chunk]]:
    with seen.failing():
        try:
            async with aclosing(batches), aclosing(guard.stream(batches)) as passed:
                async for batch in passed:
                    yield batch
        except TidegateError as error:
            if error.usage is None and seen.is_charged:
                error.usage = dict(to_wire(seen.usage, await billed(parts, seen)))
            raise


async def _resumed(first: list[Chunk] | None, rest: AsyncGenerator[list[Chunk]]) -> AsyncGenerator[list[Chunk]]:
    async with aclosing(rest):
        if first is not None:
            yield first
        async for batch in rest:
            yield batch

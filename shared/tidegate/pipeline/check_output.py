"""Guardrails on the answer. A blocked answer was still generated, so it is billed."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from msgspec.structs import replace

from tidegate.domain.operation import ReplyChunk
from tidegate.errors import TidegateError
from tidegate.pipeline.answer import Answer
from tidegate.pipeline.components import Components
from tidegate.pipeline.observation import Observation
from tidegate.pipeline.settle import update_bill
from tidegate.policy.guardrails.protocol import Guard
from tidegate.policy.metering.billing import usage_with_cost


async def check_answer(components: Components, guard_run: Guard, answer: Answer, observation: Observation) -> Answer:
    """Return the answer that the caller may have.

    Raises `GuardrailViolation` and `GuardrailUnavailable`, also from the batches.
    """
    if answer.reply is not None:
        try:
            reply = await guard_run.check_reply(answer.reply)
        finally:
            observation.record_verdicts(guard_run.verdicts, "output")
        return answer if reply is answer.reply else replace(answer, reply=reply)
    # An answer has either a reply or batches.
    assert answer.batches is not None  # noqa: S101
    batches = _check_stream(components, guard_run, answer.batches, observation)
    if guard_run.buffers_stream:  # check it before the reply begins: a violation can then still set the status
        batches = _chain(await anext(batches, None), batches)
    return replace(answer, batches=batches)


async def _check_stream(
    components: Components, guard_run: Guard, batches: AsyncGenerator[Sequence[ReplyChunk]], observation: Observation
) -> AsyncGenerator[Sequence[ReplyChunk]]:
    with observation.recording_failures(), observation.checking(guard_run.verdicts, "output"):
        try:
            async with aclosing(batches), aclosing(guard_run.check_stream(batches)) as checked:
                async for batch in checked:
                    yield batch
        except TidegateError as error:
            if error.usage is None and observation.is_charged:
                error.usage = dict(usage_with_cost(observation.usage, await update_bill(components, observation)))
            raise


async def _chain(
    first: Sequence[ReplyChunk] | None, remaining: AsyncGenerator[Sequence[ReplyChunk]]
) -> AsyncGenerator[Sequence[ReplyChunk]]:
    async with aclosing(remaining):
        if first is not None:
            yield first
        async for batch in remaining:
            yield batch

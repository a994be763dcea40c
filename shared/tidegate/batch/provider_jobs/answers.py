"""The provider's result of a line as the caller's: translated, stamped, checked by guardrails and billed as live."""

from typing import NamedTuple

from msgspec import Raw, Struct
from msgspec.structs import replace

from tidegate.batch.lines import BatchLine, parse_line
from tidegate.batch.part_meter import line_usage
from tidegate.batch.provider_jobs.job_context import JobContext
from tidegate.batch.provider_jobs.prepared_parts import PreparedLine, SentRequest, new_call
from tidegate.batch.results import CANCELLED, EXPIRED, Result, answered, not_asked
from tidegate.domain.batch import BatchUsage, ProviderJob
from tidegate.domain.call import Call
from tidegate.errors import ProviderMalformed, StoreUnavailable, TidegateError
from tidegate.json import decode, encode
from tidegate.lazy import load
from tidegate.pipeline.dispatch import Dispatched
from tidegate.pipeline.observation import Observation
from tidegate.pipeline.respond import respond
from tidegate.pipeline.settle import update_bill
from tidegate.policy.metering.reservation import UNLIMITED_HEADROOM
from tidegate.providers.batch_jobs.protocol import CANCELLED_RESULT, EXPIRED_RESULT, JobResult
from tidegate.upstream.attempt import ProviderReply


class AnsweredLine(NamedTuple):
    """The entry of a line in one of the two files, and its usage."""

    result: Result
    usage: BatchUsage


class LineResult(Struct, frozen=True, array_like=True):
    """A result as it is stored until its part is collected. See `JobResult`."""

    line: int
    status: int
    body: Raw


async def answer_line(
    context: JobContext, job: ProviderJob, number: int, data: bytes, prepared: PreparedLine, result: LineResult | None
) -> AnsweredLine:
    """Return the entry of line `number`, whose input is `data`. Raises `StoreUnavailable`."""
    batch = context.batch
    if bytes(prepared.refused):
        return AnsweredLine(Result(number, "e", bytes(prepared.refused)), BatchUsage(failed=1))
    line = parse_line(data, batch.endpoint, context.components.endpoints)
    if prepared.sent is None or not isinstance(line, BatchLine):  # the input has changed meanwhile
        fault = ("invalid_json_line", "This line was modified after the batch was created.")
        return AnsweredLine(not_asked(batch.id, number, prepared.custom_id, *fault), BatchUsage(failed=1))
    custom_id = line.custom_id
    unanswered = _unanswered(context, job, result)
    if unanswered is not None:
        return AnsweredLine(not_asked(batch.id, number, custom_id, *unanswered), BatchUsage(failed=1))
    body = bytes(prepared.masked) or line.body
    call = replace(new_call(context, number, context.surface.parse(context.operation, body)), id=prepared.sent.call_id)
    call = replace(call, started_at=job.created_at)
    status, reply, usage = await _answer(context, call, prepared.sent, body, result)
    return AnsweredLine(answered(batch.id, number, custom_id, status, call.id, reply), usage)


def _unanswered(context: JobContext, job: ProviderJob, result: LineResult | None) -> tuple[str, str] | None:
    """Return the code and the message for a line that the provider did not answer in time; None for another one."""
    if result is not None and result.status not in (EXPIRED_RESULT, CANCELLED_RESULT):
        return None
    if context.batch.status == "cancelling":
        return CANCELLED
    kind = (
        result.status
        if result is not None
        else {"expired": EXPIRED_RESULT, "cancelled": CANCELLED_RESULT}.get(job.ending or "")
    )
    if kind == EXPIRED_RESULT or context.batch.expires_at <= context.components.clock():
        return EXPIRED
    return CANCELLED if kind == CANCELLED_RESULT else None


async def _answer(
    context: JobContext, call: Call, sent: SentRequest, body: bytes, result: LineResult | None
) -> tuple[int, bytes, BatchUsage]:
    """Return the status and the body of the reply, and what it is charged."""
    observation = Observation(call)
    observation.deployment = context.deployment
    try:
        with observation.recording_failures():
            reply = await _respond(context, observation, sent, body, result)
        status, text = 200, context.surface.reply(reply, call.request)
    except StoreUnavailable:
        raise
    except TidegateError as error:
        status, text = error.status, context.surface.error(error)
    if observation.bill is None and observation.is_charged:
        await update_bill(context.gateway, observation)
    usage = line_usage(observation.outcome(context.components.clock()))
    return status, text, replace(usage, completed=int(status < 400), failed=int(status >= 400))


async def _respond(
    context: JobContext, observation: Observation, sent: SentRequest, body: bytes, result: LineResult | None
) -> dict[str, object]:
    """Return the caller's reply. A line that the provider answered with an error is not charged."""
    call, translator = observation.call, context.translator
    if result is None:
        raise ProviderMalformed(f"{context.deployment.provider} returned no result for this request.")
    reply_body = decode(bytes(result.body))
    if not 200 <= result.status < 300:
        content = reply_body if isinstance(reply_body, dict | list) else str(reply_body)
        raise translator.parse_error(result.status, {}, content)
    now = context.components.clock()
    attempt = observation.start_attempt(context.deployment, call.request, body, now)
    try:
        reply = translator.parse_reply(sent.request(), reply_body)
    except TidegateError as error:
        observation.fail_attempt(attempt, error, now)
        raise
    observation.answering, observation.first_event_at = attempt, now
    dispatched = Dispatched(
        translator, context.deployment, ProviderReply(reply, None), (), UNLIMITED_HEADROOM, call.request
    )
    answer = await respond(context.gateway, dispatched, observation)
    guard = context.gateway.guardrails.for_call(call)
    if guard is not None:
        check_answer = load("tidegate.pipeline.check_output", "check_answer")
        answer = await check_answer(context.gateway, guard, answer, observation)
    return dict(answer.reply or {})


def stored_result(result: JobResult, line: int) -> LineResult:
    return LineResult(line, result.status, Raw(encode(result.body)))

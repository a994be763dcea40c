"""Turns a stored reply into the answer to a call: whole, or as a stream. Checks that the call may use its model."""

from collections.abc import AsyncGenerator, Sequence

from tidegate.domain.call import Call
from tidegate.domain.deployment import Deployment, Resolution
from tidegate.domain.operation import Reply, ReplyChunk, ReplyLog, Stamp
from tidegate.domain.stored_reply import StoredReply
from tidegate.errors import ModelNotAllowed
from tidegate.pipeline.answer import Answer
from tidegate.pipeline.observation import Observation
from tidegate.pipeline.respond import wants_usage
from tidegate.policy.metering import reservation


def stored_answer(call: Call, observation: Observation, stored: StoredReply, reply: Reply) -> Answer:
    """Return the stored reply as an `Answer`, and mark the call as cached: no provider was asked."""
    observation.status = "cached"
    observation.deployment = deployment = Deployment(stored.provider, stored.model, "")
    log = ReplyLog()
    call.operation.read_reply(reply, log)
    observation.finish_reason = log.finish_reason
    whole_reply, batches = (None, _stream_chunks(call, reply)) if call.request.stream else (reply, None)
    observation.ignored = ignored = call.ignored + stored.ignored
    seconds, headers = observation.upstream_seconds, observation.headers
    return Answer(whole_reply, batches, deployment, 0, (), ignored, seconds, headers=headers)


def as_new_reply(call: Call, stored: StoredReply) -> Reply:
    """Return the stored reply with a new id and at no cost."""
    stamp = Stamp(call.surface.reply_id(call.id, call.started_at), int(call.started_at), stored.model)
    return call.operation.renew(stored.completion, stamp)


async def _stream_chunks(call: Call, reply: Reply) -> AsyncGenerator[Sequence[ReplyChunk]]:
    operation = call.operation
    chunks = operation.replay(reply)
    yield [chunk for chunk in chunks if not operation.is_usage_chunk(chunk)]
    if wants_usage(call):
        yield [chunk for chunk in chunks if operation.is_usage_chunk(chunk)]


def may_use_model_of(call: Call, resolution: Resolution, stored: StoredReply) -> bool:
    """True if `resolution` leads the call to the model that gave the stored reply, and the call may use it."""
    try:
        deployments = reservation.allowed_deployments(call, resolution).deployments
    except ModelNotAllowed:
        return False
    return stored.model_id in {deployment.model_id for deployment in deployments}

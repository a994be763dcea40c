"""A kept reply as the answer to a call, in JSON or as a stream, whichever is asked for."""

from collections.abc import AsyncGenerator
from typing import cast

from tidegate.chat.completion import Chunk, Completion
from tidegate.chat.replay import completion_chunks
from tidegate.domain.call import Call
from tidegate.domain.deployment import Deployment
from tidegate.domain.ids import completion_id
from tidegate.domain.stored_reply import StoredReply
from tidegate.pipeline.observation import Observation
from tidegate.pipeline.respond import Answer, wants_usage


def stored_answer(
    call: Call,
    observation: Observation,
    stored: StoredReply,
    completion: Completion,
    headers: tuple[tuple[str, str], ...],
) -> Answer:
    """The answer, and the call as one that no provider was asked for."""
    observation.status = "cached"
    observation.deployment = deployment = Deployment(stored.provider, stored.model, "")
    observation.finish_reason = completion["choices"][-1]["finish_reason"]
    json_completion, batches = (None, _stream_chunks(call, completion)) if call.request.stream else (completion, None)
    ignored = call.request.ignored + stored.ignored
    return Answer(json_completion, batches, deployment, 0, (), ignored, observation.upstream_seconds, headers=headers)


def as_new_reply(call: Call, stored: StoredReply) -> Completion:
    """The reply to another call: under its own id, and nothing to pay."""
    completion = stored.completion
    return cast(
        Completion,
        {
            **completion,
            "id": completion_id(call.surface, call.started_at),
            "created": int(call.started_at),
            "usage": {**completion.get("usage", {}), "words_used": 0, "cost": 0},
        },
    )


async def _stream_chunks(call: Call, completion: Completion) -> AsyncGenerator[list[Chunk]]:
    all_chunks = list(completion_chunks(completion))
    yield [chunk for chunk in all_chunks if chunk["choices"]]
    if wants_usage(call):
        yield [chunk for chunk in all_chunks if not chunk["choices"]]

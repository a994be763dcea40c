"""A kept reply as the answer to a call, in JSON or as a stream, whichever is asked for."""

from collections.abc import AsyncGenerator
from typing import cast

from tidegate.chat.completion import Chunk, Completion
from tidegate.chat.replay import chunks
from tidegate.domain.call import Call
from tidegate.domain.deployment import Deployment
from tidegate.domain.ids import completion_id
from tidegate.domain.stored_reply import Kept
from tidegate.pipeline.observation import Observation
from tidegate.pipeline.respond import Answer, wants_usage


def given(
    call: Call, seen: Observation, kept: Kept, completion: Completion, headers: tuple[tuple[str, str], ...]
) -> Answer:
    """The answer, and the call as one that no provider was asked for."""
    seen.status = "cached"
    seen.deployment = deployment = Deployment(kept.provider, kept.model, "")
    seen.finish_reason = completion["choices"][-1]["finish_reason"]
    whole, batches = (None, _streamed(call, completion)) if call.request.stream else (completion, None)
    ignored = call.request.ignored + kept.ignored
    return Answer(whole, batches, deployment, 0, (), ignored, seen.waited, headers=headers)


def renewed(call: Call, kept: Kept) -> Completion:
    """The reply to another call: under its own id, and nothing to pay."""
    completion = kept.completion
    return cast(
        Completion,
        {
            **completion,
            "id": completion_id(call.surface, call.started_at),
            "created": int(call.started_at),
            "usage": {**completion.get("usage", {}), "words_used": 0, "cost": 0},
        },
    )


async def _streamed(call: Call, completion: Completion) -> AsyncGenerator[list[Chunk]]:
    said = list(chunks(completion))
    yield [chunk for chunk in said if chunk["choices"]]
    if wants_usage(call):
        yield [chunk for chunk in said if not chunk["choices"]]

"""A reply of generateContent as a completion.

Source: https://ai.google.dev/api/generate-content#generatecontentresponse (2026-11).
"""

from tidegate.chat.completion import Choice, Completion
from tidegate.errors import ProviderMalformed
from tidegate.json import Json, JsonObject
from tidegate.providers.gemini import failure, logprobs, usage
from tidegate.providers.gemini.choice_stream import GeminiChoiceStream


def parse(provider: str, body: Json) -> Completion:
    """Return the completion in `body`. Raises `UpstreamError`, also for an error inside a 200."""
    if failure.is_error(body):
        raise failure.from_reply(provider, 200, {}, body)
    if not isinstance(body, dict):
        raise ProviderMalformed(f"{provider} returned an invalid reply.")
    raw_candidates = body.get("candidates")
    listed = raw_candidates if isinstance(raw_candidates, list) else [raw_candidates]
    candidates = [candidate for candidate in listed if isinstance(candidate, dict)]
    block_reason = parse_block_reason(body)
    if not candidates and block_reason is None:
        raise ProviderMalformed(f"{provider} returned a reply without candidates.")
    queries: set[str] = set()
    choices = [_choice(candidate, index, body.get("responseId"), queries) for index, candidate in enumerate(candidates)]
    completion: Completion = {
        "object": "chat.completion",
        "choices": choices if block_reason is None or choices else [_blocked_choice(block_reason)],
        "system_fingerprint": None,
    }
    usage_metadata = parse_usage_metadata(body)
    if usage_metadata is not None:
        searches = usage.billed_searches(usage_metadata, queries, body.get("modelVersion"))
        completion["usage"] = usage.normalise(usage_metadata, searches)
        if (tier := usage.service_tier(usage_metadata)) is not None:
            completion["service_tier"] = tier
    return completion


def parse_usage_metadata(body: JsonObject) -> JsonObject | None:
    """Return the reply's token counts, None if there are none."""
    match body.get("usageMetadata"):
        case dict(usage_metadata) if "promptTokenCount" in usage_metadata or "totalTokenCount" in usage_metadata:
            return usage_metadata
        case _:
            return None


def parse_block_reason(body: JsonObject) -> tuple[str, str | None] | None:
    """Return the reason for a blocked prompt, as Google's code and message; None if it was not blocked."""
    match body.get("promptFeedback"):
        case {"blockReason": str(reason), **rest} if reason not in ("", "BLOCKED_REASON_UNSPECIFIED"):
            message = rest.get("blockReasonMessage")
            return reason, message if isinstance(message, str) and message else None
        case _:
            return None


def _choice(candidate: JsonObject, position: int, response_id: Json, queries: set[str]) -> Choice:
    choice_stream = GeminiChoiceStream()
    delta = choice_stream.add(candidate, response_id)
    queries |= choice_stream.queries
    finish_fields = choice_stream.finish_fields()
    calls = delta.pop("tool_calls", None)
    text = delta.pop("content", None)
    if text is None and not calls and finish_fields["finish_reason"] != "content_filter":
        text = ""
    message: JsonObject = {"role": "assistant", "content": text, "refusal": choice_stream.refusal, **delta}
    if isinstance(calls, list):
        message["tool_calls"] = [_without_index(call) for call in calls]
    annotations = choice_stream.annotations()
    if annotations:
        message["annotations"] = annotations
    index = candidate.get("index")
    choice: JsonObject = {
        "index": index if isinstance(index, int) else position,
        "message": message,
        "logprobs": logprobs.parse_logprobs(candidate.get("logprobsResult")),
        **finish_fields,
    }
    return choice  # pyright: ignore[reportReturnType]  # Google's own fields pass through a TypedDict


def _without_index(call: Json) -> Json:
    return {name: value for name, value in call.items() if name != "index"} if isinstance(call, dict) else call


def _blocked_choice(block_reason: tuple[str, str | None]) -> Choice:
    reason, message = block_reason
    return {
        "index": 0,
        "message": {"role": "assistant", "content": None, "refusal": message},
        "logprobs": None,
        "finish_reason": "content_filter",
        "native_finish_reason": reason,
    }

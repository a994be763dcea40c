"""A whole reply of generateContent as a completion.

Source: https://ai.google.dev/api/generate-content#generatecontentresponse (2026-11).
"""

from tidegate.chat.completion import Choice, Completion
from tidegate.errors import ProviderMalformed
from tidegate.json import Json, JsonObject
from tidegate.providers.gemini import failure, logprobs, usage
from tidegate.providers.gemini.choice_stream import Voice


def parse(provider: str, body: Json) -> Completion:
    """The completion in `body`. Raises `UpstreamError`, also for an error inside a 200."""
    if failure.is_error(body):
        raise failure.from_reply(provider, 200, {}, body)
    if not isinstance(body, dict):
        raise ProviderMalformed(f"{provider} answered with something that is no reply of generateContent.")
    found = body.get("candidates")
    candidates = found if isinstance(found, list) else []
    blocked = block(body)
    if not candidates and blocked is None:
        raise ProviderMalformed(f"{provider} answered without a candidate.")
    queries: set[str] = set()
    choices = [_choice(candidate, place, body.get("responseId"), queries) for place, candidate in enumerate(candidates)]
    completion: Completion = {
        "object": "chat.completion",
        "choices": choices if blocked is None or choices else [_refused(blocked)],
        "system_fingerprint": None,
    }
    counted = counts(body)
    if counted is not None:
        completion["usage"] = usage.read(counted, usage.searches(counted, queries, body.get("modelVersion")))
        if (tier := usage.tier(counted)) is not None:
            completion["service_tier"] = tier
    return completion


def counts(body: JsonObject) -> JsonObject | None:
    """The reply's counts of tokens, None where there are none."""
    match body.get("usageMetadata"):
        case dict(counted) if "promptTokenCount" in counted or "totalTokenCount" in counted:
            return counted
        case _:
            return None


def block(body: JsonObject) -> tuple[str, str | None] | None:
    """Why the prompt was blocked, in Google's word and its sentence."""
    match body.get("promptFeedback"):
        case {"blockReason": str(reason), **rest} if reason and reason != "BLOCKED_REASON_UNSPECIFIED":
            message = rest.get("blockReasonMessage")
            return reason, message if isinstance(message, str) and message else None
        case _:
            return None


def _choice(candidate: Json, place: int, response_id: Json, queries: set[str]) -> Choice:
    if not isinstance(candidate, dict):
        raise ProviderMalformed("The provider's candidate is not an object.")
    voice = Voice()
    said = voice.hear(candidate, response_id)
    queries |= voice.queries
    ending = voice.ending()
    calls = said.pop("tool_calls", None)
    text = said.pop("content", None)
    if text is None and not calls and ending["finish_reason"] != "content_filter":
        text = ""
    message: JsonObject = {"role": "assistant", "content": text, "refusal": voice.refusal, **said}
    if isinstance(calls, list):
        message["tool_calls"] = [_without_index(call) for call in calls]
    noted = voice.annotations()
    if noted:
        message["annotations"] = noted
    index = candidate.get("index")
    choice: JsonObject = {
        "index": index if isinstance(index, int) else place,
        "message": message,
        "logprobs": logprobs.read(candidate.get("logprobsResult")),
        **ending,
    }
    return choice  # pyright: ignore[reportReturnType]  # Google's own fields pass through a TypedDict


def _without_index(call: Json) -> Json:
    return {name: value for name, value in call.items() if name != "index"} if isinstance(call, dict) else call


def _refused(blocked: tuple[str, str | None]) -> Choice:
    reason, message = blocked
    return {
        "index": 0,
        "message": {"role": "assistant", "content": None, "refusal": message},
        "logprobs": None,
        "finish_reason": "content_filter",
        "native_finish_reason": reason,
    }

"""A whole reply of Cohere's as a chat completion.

Source: https://docs.cohere.com/reference/chat (2026-11) and replies recorded up to 2026-07.
"""

from tidegate.chat.completion import Completion
from tidegate.errors import ProviderMalformed
from tidegate.json import Json, JsonObject
from tidegate.providers.cohere import normalise
from tidegate.providers.openai import failure, toolcalls


def parse(body: Json) -> Completion:
    """The completion in `body`. Raises `UpstreamError`, also for an error inside a 200."""
    match body:
        case {"message": dict(raw)}:
            pass
        case {"message": str()} | {"error": _}:
            raise failure.from_reply("cohere", 200, {}, body)
        case _:
            raise ProviderMalformed("Cohere answered with something that is no completion.")
    message = _message(raw)
    reason, native = normalise.finish_reason(body.get("finish_reason"), bool(message.get("tool_calls")))
    choice: JsonObject = {"index": 0, "message": message, "logprobs": normalise.parse_logprobs(body.get("logprobs"))}
    choice["finish_reason"] = reason
    if native is not None:
        choice["native_finish_reason"] = native
    completion: JsonObject = {"object": "chat.completion", "choices": [choice], "system_fingerprint": None}
    if isinstance(body.get("id"), str):
        completion["id"] = body["id"]
    counted = normalise.normalise_usage(body.get("usage"))
    if counted is not None:
        completion["usage"] = counted  # pyright: ignore[reportArgumentType]  # a TypedDict is JSON
    return completion  # pyright: ignore[reportReturnType]  # unknown fields pass through a TypedDict


def _message(raw: JsonObject) -> JsonObject:
    texts, thought = _contents(raw.get("content"))
    text = "".join(texts.values())
    message: JsonObject = {"role": "assistant", "content": text, "refusal": None}
    plan = raw.get("tool_plan")
    details: list[Json] = []
    for said, form in ((thought, normalise.THINKING_FORMAT), (plan, normalise.PLAN_FORMAT)):
        if isinstance(said, str) and said:
            details.append({"type": "reasoning.text", "text": said, "format": form, "index": len(details)})
    if details:
        whole = thought + (plan if isinstance(plan, str) else "")
        message |= {"reasoning": whole, "reasoning_content": whole, "reasoning_details": details}
    calls = toolcalls.parse_tool_calls(raw.get("tool_calls"))
    if calls:
        message["content"] = text or None
        message["tool_calls"] = calls  # pyright: ignore[reportArgumentType]  # TypedDicts are JSON
    _cite(message, raw.get("citations"), texts)
    return message


def _contents(raw: Json) -> tuple[dict[int, str], str]:
    """The texts by their places in the list of contents, and the thinking."""
    texts: dict[int, str] = {}
    thought = ""
    if isinstance(raw, str):
        return {0: raw}, ""
    for place, part in enumerate(raw if isinstance(raw, list) else []):
        match part:
            case {"type": "text", "text": str(text)}:
                texts[place] = text
            case {"type": "thinking", "thinking": str(text)}:
                thought += text
            case {"type": str()}:
                pass
            case _:
                raise ProviderMalformed("Cohere's content holds something that is no part.")
    return texts, thought


def _cite(message: JsonObject, raw: Json, texts: dict[int, str]) -> None:
    cited: list[Json] = []
    notes: list[Json] = []
    for one in raw if isinstance(raw, list) else []:
        place = one.get("content_index") if isinstance(one, dict) else None
        before = sum(len(text) for at, text in texts.items() if isinstance(place, int) and at < place)
        more, found = normalise.parse_citations(one, before)
        cited += more
        notes += found
    if notes:
        message["annotations"] = notes
    if cited:
        message["citations"] = cited

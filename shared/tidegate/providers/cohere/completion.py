"""Translates a complete reply from Cohere into a chat completion.

Source: https://docs.cohere.com/reference/chat (2026-11) and replies recorded up to 2026-07.
"""

from tidegate.chat.completion import Completion
from tidegate.errors import ProviderMalformed
from tidegate.json import Json, JsonObject
from tidegate.providers.cohere import normalise
from tidegate.providers.openai import failure, toolcalls


def parse(body: Json) -> Completion:
    """Return the completion in `body`. Raises `UpstreamError`, also for an error inside a 200."""
    match body:
        case {"message": dict(raw)}:
            pass
        case {"message": str()} | {"error": str() | dict()}:
            raise failure.from_reply("cohere", 200, {}, body)
        case _:
            raise ProviderMalformed("Cohere answered with something that is not a chat completion.")
    message = _message(raw)
    if not isinstance(body.get("finish_reason"), str) and not (message["content"] or message.get("tool_calls")):
        raise ProviderMalformed("Cohere answered without content.")
    reason, native = normalise.finish_reason(body.get("finish_reason"), bool(message.get("tool_calls")))
    choice: JsonObject = {"index": 0, "message": message, "logprobs": normalise.parse_logprobs(body.get("logprobs"))}
    choice["finish_reason"] = reason
    if native is not None:
        choice["native_finish_reason"] = native
    completion: JsonObject = {"object": "chat.completion", "choices": [choice], "system_fingerprint": None}
    if isinstance(body.get("id"), str):
        completion["id"] = body["id"]
    usage = normalise.normalise_usage(body.get("usage"))
    if usage is not None:
        completion["usage"] = usage  # pyright: ignore[reportArgumentType]  # a TypedDict is JSON
    return completion  # pyright: ignore[reportReturnType]  # unknown fields pass through a TypedDict


def _message(raw: JsonObject) -> JsonObject:
    texts, thinking = _contents(raw.get("content"))
    text = "".join(texts.values())
    message: JsonObject = {"role": "assistant", "content": text, "refusal": None}
    plan = raw.get("tool_plan")
    details: list[Json] = []
    for detail, detail_format in ((thinking, normalise.THINKING_FORMAT), (plan, normalise.PLAN_FORMAT)):
        if isinstance(detail, str) and detail:
            details.append({"type": "reasoning.text", "text": detail, "format": detail_format, "index": len(details)})
    if details:
        reasoning = thinking + (plan if isinstance(plan, str) else "")
        message |= {"reasoning": reasoning, "reasoning_content": reasoning, "reasoning_details": details}
    calls = toolcalls.parse_tool_calls(raw.get("tool_calls"))
    if calls:
        message["content"] = text or None
        message["tool_calls"] = calls  # pyright: ignore[reportArgumentType]  # TypedDicts are JSON
    _add_citations(message, raw.get("citations"), texts)
    return message


def _contents(raw: Json) -> tuple[dict[int, str], str]:
    """Return the texts, by their index in the content list, and the thinking."""
    texts: dict[int, str] = {}
    thinking = ""
    if isinstance(raw, str):
        return {0: raw}, ""
    for index, part in enumerate(raw if isinstance(raw, list) else []):
        match part:
            case {"type": "text", "text": str(text)}:
                texts[index] = text
            case {"type": "thinking", "thinking": str(text)}:
                thinking += text
            case str(text):
                texts[index] = text
            case _:
                pass
    return texts, thinking


def _add_citations(message: JsonObject, raw: Json, texts: dict[int, str]) -> None:
    cited: list[Json] = []
    annotations: list[Json] = []
    for citation in raw if isinstance(raw, list) else []:
        index = citation.get("content_index") if isinstance(citation, dict) else None
        offset = sum(len(text) for i, text in texts.items() if isinstance(index, int) and i < index)
        citations, found = normalise.parse_citations(citation, offset)
        cited += citations
        annotations += found
    if annotations:
        message["annotations"] = annotations
    if cited:
        message["citations"] = cited

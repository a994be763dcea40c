"""A reply of Converse as a completion.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseResponse.html (2026), and
recorded replies.
"""

from msgspec import Struct

from tidegate.chat.completion import Choice, Completion, CompletionMessage, FunctionCall, ToolCall
from tidegate.chat.reasoning_order import Place
from tidegate.errors import ProviderMalformed
from tidegate.json import Json, JsonObject, encode
from tidegate.providers.bedrock import failure, normalise, reasoning_replay


class _ReplyContent(Struct):
    """The content of a reply, collected from its blocks."""

    text: list[str] = []
    reasoning: list[str] = []
    reasoning_details: list[Json] = []
    calls: list[ToolCall] = []
    annotations: list[Json] = []
    images: list[Json] = []
    searches: int = 0


def parse(body: Json) -> Completion:
    """Return the completion in `body`. Raises `UpstreamError`, also for an error inside a 200."""
    match body:
        case {"output": {"message": dict(message)}}:
            blocks = message.get("content")
        case {"output": _}:
            raise ProviderMalformed("bedrock returned a reply without a message.")
        case _:
            raise failure.from_reply(200, {}, body)
    content = _ReplyContent()
    for block in blocks if isinstance(blocks, list) else ():
        if isinstance(block, dict):
            _add_block(content, block)
    if not isinstance(body.get("stopReason"), str) and content == _ReplyContent():
        raise ProviderMalformed("bedrock returned a reply without content.")
    choice = _choice(content, body.get("stopReason"))
    completion: Completion = {"object": "chat.completion", "choices": [choice], "system_fingerprint": None}
    if isinstance(raw_usage := body.get("usage"), dict):
        completion["usage"] = normalise.normalise_usage(raw_usage, content.searches)
    native_fields: JsonObject = normalise.service_tier_fields(body.get("serviceTier"))
    native_fields |= {name: body[name] for name in ("additionalModelResponseFields", "trace") if body.get(name)}
    return {**completion, **native_fields}  # pyright: ignore[reportReturnType]  # unknown fields pass through a TypedDict


def _add_block(content: _ReplyContent, block: JsonObject) -> None:
    match block:
        case {"text": str(text)}:
            content.text.append(text)
        case {"toolUse": {"type": "server_tool_use"} as tool_use}:
            content.searches += normalise.is_web_search(tool_use)  # run by Bedrock; the text contains the results
        case {"toolUse": {"name": str(name), **tool_use}} if name:
            arguments = encode(tool_use.get("input") or {}).decode()
            function: FunctionCall = {"name": name, "arguments": arguments}
            call_id = normalise.call_id(tool_use.get("toolUseId"), len(content.calls), name)
            content.calls.append({"id": call_id, "type": "function", "function": function})
        case {"reasoningContent": {"reasoningText": {"text": str(text), **rest}}}:
            signature = rest.get("signature")
            content.reasoning.append(text)
            signed = signature if isinstance(signature, str) else None
            index = len(content.reasoning_details)
            detail = reasoning_replay.reasoning_text_detail(text, signed, index, _place(content))
            content.reasoning_details.append(detail)
        case {"reasoningContent": {"redactedContent": str(blob)}}:
            index = len(content.reasoning_details)
            content.reasoning_details.append(reasoning_replay.encrypted_detail(blob, index, _place(content)))
        case {"citationsContent": dict(citations_content)}:
            _add_cited_text(content, citations_content)
        case {"image": dict(raw)} if (image := normalise.image_part(raw)) is not None:
            content.images.append(image)
        case _:
            pass


def _place(content: _ReplyContent) -> Place:
    return Place(sum(map(len, content.text)), len(content.calls))


def _add_cited_text(content: _ReplyContent, citations_content: JsonObject) -> None:
    """Add a cited text and its sources. Claude's citations contain their text, Nova's follow it."""
    start = sum(map(len, content.text))
    pieces, sources = citations_content.get("content"), citations_content.get("citations")
    for piece in pieces if isinstance(pieces, list) else ():
        match piece:
            case {"text": str(text)}:
                content.text.append(text)
            case _:
                pass
    end = sum(map(len, content.text))
    for source in sources if isinstance(sources, list) else ():
        annotation = normalise.annotation(source, start, end)
        if annotation is not None:
            content.annotations.append(annotation)


def _choice(content: _ReplyContent, stop_reason: Json) -> Choice:
    text = "".join(content.text) or (None if content.calls else "")
    message: CompletionMessage = {"role": "assistant", "content": text, "refusal": None}
    if content.reasoning:
        message["reasoning"] = message["reasoning_content"] = "".join(content.reasoning)
    if content.reasoning_details:
        message["reasoning_details"] = content.reasoning_details
    if content.calls:
        message["tool_calls"] = content.calls
    if content.annotations:
        message["annotations"] = content.annotations
    if content.images:
        message["images"] = content.images
    finish_reason = normalise.finish_reason(stop_reason, bool(content.calls))
    choice: Choice = {"index": 0, "message": message, "finish_reason": finish_reason, "logprobs": None}
    if isinstance(stop_reason, str) and stop_reason != finish_reason:
        choice["native_finish_reason"] = stop_reason
    return choice

"""A whole reply of Converse as a completion.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseResponse.html (2026), and
recorded replies.
"""

from msgspec import Struct, field

from tidegate.chat.completion import Choice, Completion, Message, ToolCall
from tidegate.errors import ProviderMalformed
from tidegate.json import Json, JsonObject, encode
from tidegate.providers.bedrock import failure, normalise, reasoning_replay


class _Said(Struct):
    text: list[str] = field(default_factory=list[str])
    thought: list[str] = field(default_factory=list[str])
    details: list[Json] = field(default_factory=list[Json])
    calls: list[ToolCall] = field(default_factory=list[ToolCall])
    annotations: list[Json] = field(default_factory=list[Json])
    images: list[Json] = field(default_factory=list[Json])
    searches: int = 0


def parse(body: Json) -> Completion:
    """The completion in `body`. Raises `UpstreamError`, also for an error inside a 200."""
    match body:
        case {"output": {"message": {"content": list(blocks)}}}:
            pass
        case {"output": _}:
            raise ProviderMalformed("bedrock answered without a message.")
        case _:
            raise failure.from_reply(200, {}, body)
    said = _Said()
    for block in blocks:
        if not isinstance(block, dict):
            raise ProviderMalformed("bedrock answered with a block that is no object.")
        _hear(said, block)
    completion: Completion = {
        "object": "chat.completion",
        "choices": [_choice(said, body.get("stopReason"))],
        "system_fingerprint": None,
    }
    if "usage" in body:
        completion["usage"] = normalise.usage(body["usage"], said.searches)
    rest: JsonObject = normalise.tier(body.get("serviceTier"))
    rest |= {name: body[name] for name in ("additionalModelResponseFields", "trace") if body.get(name)}
    return {**completion, **rest}  # pyright: ignore[reportReturnType]  # unknown fields pass through a TypedDict


def _hear(said: _Said, block: JsonObject) -> None:
    match block:
        case {"text": str(text)}:
            said.text.append(text)
        case {"toolUse": {"type": "server_tool_use"} as use}:
            said.searches += normalise.is_search(use)  # Bedrock runs it, and says what came of it in the text
        case {"toolUse": {"toolUseId": str(given), "name": str(name), **rest}}:
            arguments = encode(rest.get("input") or {}).decode()
            said.calls.append({"id": given, "type": "function", "function": {"name": name, "arguments": arguments}})
        case {"toolUse": _}:
            raise ProviderMalformed("bedrock called a tool without an id or a name.")
        case {"reasoningContent": {"reasoningText": {"text": str(text), **rest}}}:
            signature = rest.get("signature")
            said.thought.append(text)
            signed = signature if isinstance(signature, str) else None
            said.details.append(reasoning_replay.text_details(text, signed, len(said.details)))
        case {"reasoningContent": {"redactedContent": str(blob)}}:
            said.details.append(reasoning_replay.redacted_details(blob, len(said.details)))
        case {"citationsContent": dict(cited)}:
            _hear_cited(said, cited)
        case {"image": dict(raw)} if (image := normalise.image(raw)) is not None:
            said.images.append(image)
        case _:
            pass


def _hear_cited(said: _Said, cited: JsonObject) -> None:
    """Claude's sources come with their text, Nova's behind it."""
    start = sum(map(len, said.text))
    content, sources = cited.get("content"), cited.get("citations")
    for piece in content if isinstance(content, list) else ():
        match piece:
            case {"text": str(text)}:
                said.text.append(text)
            case _:
                pass
    end = sum(map(len, said.text))
    for source in sources if isinstance(sources, list) else ():
        made = normalise.annotation(source, start, end)
        if made is not None:
            said.annotations.append(made)


def _choice(said: _Said, native: Json) -> Choice:
    text = "".join(said.text)
    message: Message = {"role": "assistant", "content": text or (None if said.calls else ""), "refusal": None}
    if said.thought:
        message["reasoning"] = message["reasoning_content"] = "".join(said.thought)
    if said.details:
        message["reasoning_details"] = said.details
    if said.calls:
        message["tool_calls"] = said.calls
    if said.annotations:
        message["annotations"] = said.annotations
    if said.images:
        message["images"] = said.images
    reason = normalise.finish(native, bool(said.calls))
    choice: Choice = {"index": 0, "message": message, "finish_reason": reason, "logprobs": None}
    if isinstance(native, str) and native != reason:
        choice["native_finish_reason"] = native
    return choice

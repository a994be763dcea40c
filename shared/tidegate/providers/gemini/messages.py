"""Messages as Gemini's `systemInstruction` and `contents`: alternating turns of user and model, tool results together.

Sources: https://ai.google.dev/api/generate-content, https://ai.google.dev/gemini-api/docs/function-calling (2026-11),
and recorded requests.
"""

from typing import Literal

from msgspec import Struct

from tidegate.chat.messages import (
    AssistantMessage,
    Content,
    DeveloperMessage,
    FunctionMessage,
    SystemMessage,
    TextPart,
    ToolMessage,
    UserMessage,
)
from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject, decode_bounded_or_none
from tidegate.providers.gemini import media, reasoning_replay
from tidegate.providers.gemini.request_builder import GeminiRequestBuilder

_AFTER_TOOL_RESULTS = 1 << 20


class _GeminiTurn(Struct):
    """One turn. Each of the `parts` has an order: tool results come first, in the order of their calls."""

    role: Literal["user", "model"]
    parts: list[tuple[int, JsonObject]] = []

    def to_json(self) -> JsonObject:
        parts: list[Json] = [part for _, part in sorted(self.parts, key=lambda entry: entry[0])]
        if self.role == "user" and all("inlineData" in part or "fileData" in part for _, part in self.parts):
            parts.append({"text": " "})  # some models require text beside media, all require a part
        return {"role": self.role, "parts": parts}


class _GeminiHistory(Struct):
    """The conversation. `calls_by_id` are the order and the tool's name of each call."""

    system: list[JsonObject] = []
    turns: list[_GeminiTurn] = []
    calls_by_id: dict[str, tuple[int, str]] = {}

    def add(self, role: Literal["user", "model"], parts: list[JsonObject], order: int = _AFTER_TOOL_RESULTS) -> None:
        if not self.turns or self.turns[-1].role != role:
            self.turns.append(_GeminiTurn(role))
        self.turns[-1].parts.extend((order, part) for part in parts)


def write(builder: GeminiRequestBuilder) -> None:
    """Write `systemInstruction` and `contents`. Raises `InvalidRequest` for unsupported content."""
    builder.take("messages")
    history = _GeminiHistory()
    for i, message in enumerate(builder.call.request.fields.messages):
        path = f"messages[{i}]"
        if message.name and not isinstance(message, ToolMessage | FunctionMessage):
            builder.ignored.append(f"{path}.name")
        match message:
            case SystemMessage() | DeveloperMessage():
                history.system.extend(_system_parts(builder, message.content, path))
            case UserMessage():
                history.add("user", _content_parts(builder, message.content, path))
            case AssistantMessage():
                _add_assistant(builder, history, message, i)
            case ToolMessage():
                _add_tool_result(builder, history, message, path)
            case FunctionMessage():
                function_response: JsonObject = {"name": builder.tool_names.provider_name(message.name)}
                function_response["response"] = _response_object(message.content or "")
                history.add("user", [{"functionResponse": function_response}], order=0)
    if not history.turns:  # Gemini requires a turn beside the instructions
        history.add("user", history.system)
        history.system = []
    if history.system:
        builder.body["systemInstruction"] = {"parts": list[Json](history.system)}
    builder.body["contents"] = [turn.to_json() for turn in history.turns]


def _system_parts(builder: GeminiRequestBuilder, content: Content, path: str) -> list[JsonObject]:
    if not isinstance(content, str):
        for j, part in enumerate(content):
            if not isinstance(part, TextPart):
                raise InvalidRequest("A system message must contain only text.", param=f"{path}.content[{j}]")
    return _content_parts(builder, content, path)


def _content_parts(builder: GeminiRequestBuilder, content: Content, path: str) -> list[JsonObject]:
    if isinstance(content, str):
        return [{"text": content}] if content else []
    translated = (media.gemini_parts(builder, part, f"{path}.content[{j}]") for j, part in enumerate(content))
    return [part for parts in translated for part in parts if not reasoning_replay.is_empty_part(part)]


def _add_assistant(builder: GeminiRequestBuilder, history: _GeminiHistory, message: AssistantMessage, i: int) -> None:
    text_parts = _content_parts(builder, message.content or message.refusal or "", f"messages[{i}]")
    parts = reasoning_replay.model_parts(builder, message, text_parts, i)
    if parts:
        history.add("model", parts)
    for order, call in enumerate(message.tool_calls or ()):
        history.calls_by_id[call.id] = order, reasoning_replay.tool_name(call)


def _add_tool_result(builder: GeminiRequestBuilder, history: _GeminiHistory, message: ToolMessage, path: str) -> None:
    order, name = history.calls_by_id.get(message.tool_call_id, (0, message.name))
    if not name:
        text = f"No earlier message has a tool call with the id {message.tool_call_id!r}."
        raise InvalidRequest(text, param=f"{path}.tool_call_id")
    function_response: JsonObject = {"name": builder.tool_names.provider_name(name)}
    if builder.capabilities.is_gemini_3_plus:
        function_response["id"] = message.tool_call_id
    media_parts: list[JsonObject] = []
    if isinstance(message.content, str):
        function_response["response"] = _response_object(message.content)
    else:
        parts = _content_parts(builder, message.content, path)
        texts = [text for part in parts if isinstance(text := part.get("text"), str)]
        media_parts = [part for part in parts if "text" not in part]
        function_response["response"] = _response_object("\n".join(texts))
    if media_parts and builder.capabilities.is_gemini_3_plus:
        function_response["parts"] = list[Json](media_parts)
        media_parts = []
    history.add("user", [{"functionResponse": function_response}], order)
    history.add("user", media_parts)


def _response_object(content: Content) -> Json:
    """Return a tool's result as an object, which Gemini requires."""
    text = content if isinstance(content, str) else "".join(p.text for p in content if isinstance(p, TextPart))
    value = decode_bounded_or_none(text)
    if isinstance(value, dict):
        return value
    return {"result": text if value is None and text.strip() != "null" else value}

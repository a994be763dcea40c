"""Messages as Gemini's `systemInstruction` and `contents`: two roles, in turns, with the tools' answers together.

Sources: https://ai.google.dev/api/generate-content, https://ai.google.dev/gemini-api/docs/function-calling (2026-11),
and recorded requests.
"""

from typing import Literal

import msgspec
from msgspec import Struct, field

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
from tidegate.json import Json, JsonObject, decode
from tidegate.providers.gemini import media, reasoning_replay
from tidegate.providers.gemini.request_builder import Draft

_LAST = 1 << 20


class _Turn(Struct):
    """`parts` with their order: answers of tools stand in the order of the calls, before all else."""

    role: Literal["user", "model"]
    parts: list[tuple[int, JsonObject]] = field(default_factory=list[tuple[int, JsonObject]])

    def written(self) -> JsonObject:
        parts: list[Json] = [part for _, part in sorted(self.parts, key=lambda entry: entry[0])]
        if self.role == "user" and all("inlineData" in part or "fileData" in part for _, part in self.parts):
            parts.append({"text": " "})  # some models want a text beside media, and none takes a turn without parts
        return {"role": self.role, "parts": parts}


class _History(Struct):
    system: list[JsonObject] = field(default_factory=list[JsonObject])
    turns: list[_Turn] = field(default_factory=list[_Turn])
    called: dict[str, tuple[int, str]] = field(default_factory=dict[str, tuple[int, str]])

    def add(self, role: Literal["user", "model"], parts: list[JsonObject], order: int = _LAST) -> None:
        if not self.turns or self.turns[-1].role != role:
            self.turns.append(_Turn(role))
        self.turns[-1].parts.extend((order, part) for part in parts)


def write(draft: Draft) -> None:
    draft.take("messages")
    history = _History()
    for i, message in enumerate(draft.call.request.fields.messages):
        path = f"messages[{i}]"
        if message.name and not isinstance(message, ToolMessage | FunctionMessage):
            draft.ignored.append(f"{path}.name")
        match message:
            case SystemMessage() | DeveloperMessage():
                history.system.extend(_system(draft, message.content, path))
            case UserMessage():
                history.add("user", _parts(draft, message.content, path))
            case AssistantMessage():
                _add_model(draft, history, message, i)
            case ToolMessage():
                _add_answer(draft, history, message, path)
            case FunctionMessage():
                answer: JsonObject = {"name": draft.names.spell(message.name)}
                answer["response"] = _response(message.content or "")
                history.add("user", [{"functionResponse": answer}], order=0)
    if not history.turns:  # only instructions: someone has to speak first
        history.add("user", history.system)
        history.system = []
    if history.system:
        draft.body["systemInstruction"] = {"parts": list[Json](history.system)}
    draft.body["contents"] = [turn.written() for turn in history.turns]


def _system(draft: Draft, content: Content, path: str) -> list[JsonObject]:
    if not isinstance(content, str):
        for j, part in enumerate(content):
            if not isinstance(part, TextPart):
                raise InvalidRequest("Instructions of the system must be text.", param=f"{path}.content[{j}]")
    return _parts(draft, content, path)


def _parts(draft: Draft, content: Content, path: str) -> list[JsonObject]:
    if isinstance(content, str):
        return [{"text": content}] if content else []
    return [new for j, part in enumerate(content) for new in media.native(draft, part, f"{path}.content[{j}]")]


def _add_model(draft: Draft, history: _History, message: AssistantMessage, place: int) -> None:
    path = f"messages[{place}]"
    said = _parts(draft, message.content or message.refusal or "", path)
    parts = reasoning_replay.parts(draft, message, said, place)
    if parts:
        history.add("model", parts)
    for order, call in enumerate(message.tool_calls or ()):
        history.called[call.id] = order, reasoning_replay.name(call)


def _add_answer(draft: Draft, history: _History, message: ToolMessage, path: str) -> None:
    order, name = history.called.get(message.tool_call_id, (0, message.name))
    if not name:
        raise InvalidRequest(
            f"No earlier message calls a tool with the id {message.tool_call_id!r}.", param=f"{path}.tool_call_id"
        )
    answer: JsonObject = {"name": draft.names.spell(name)}
    if draft.model.since_3:
        answer["id"] = message.tool_call_id
    shown: list[JsonObject] = []
    if isinstance(message.content, str):
        answer["response"] = _response(message.content)
    else:
        parts = _parts(draft, message.content, path)
        texts = [text for part in parts if isinstance(text := part.get("text"), str)]
        shown = [part for part in parts if "text" not in part]
        answer["response"] = _response("\n".join(texts))
    if shown and draft.model.since_3:
        answer["parts"] = list[Json](shown)
        shown = []
    history.add("user", [{"functionResponse": answer}], order)
    history.add("user", shown)


def _response(content: Content) -> Json:
    """The answer as the object that Gemini wants."""
    text = content if isinstance(content, str) else "".join(p.text for p in content if isinstance(p, TextPart))
    try:
        value = decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        value = text
    return value if isinstance(value, dict) else {"result": value}

"""The answers of the demo provider's models. One word counts as one token."""

import re
import secrets
from collections.abc import Callable, Iterator
from typing import Literal

import msgspec
from msgspec import Struct

from tidegate.json import Json, JsonObject, encode
from tidegate.local.demo.media import describe_media
from tidegate.local.demo.schema_values import value_for

_WORDS = re.compile(r"\S+\s*")

_THOUGHTS = (
    "The user has sent a message. ",
    "The demo model cannot think, but it can show where a thought stands. ",
    "It repeats the message, as this is always right. ",
)
_EFFORT_THOUGHTS = {"minimal": 1, "low": 1, "medium": 2}

Kind = Literal["reasoning", "content", "arguments"]


class Answer(Struct, frozen=True):
    """An answer: its reasoning and content, or the call of a tool; and how the provider sends it.

    `first_pause` and `pause` multiply the usual pause: before the first byte, and before each word of a stream.
    """

    content: str = ""
    reasoning: str = ""
    tool_name: str = ""
    arguments: str = ""
    first_pause: int = 0
    pause: int = 1
    is_silent: bool = False
    is_cut: bool = False

    def pieces(self, limit: int | None) -> list[tuple[Kind, str]]:
        """Return the words, each with its kind; at most `limit`."""
        reasoning, content = _pieces("reasoning", self.reasoning), _pieces("content", self.content)
        return [*reasoning, *content, *_pieces("arguments", self.arguments)][:limit]


def _pieces(kind: Kind, text: str) -> list[tuple[Kind, str]]:
    return [(kind, word) for word in split_words(text)]


def split_words(text: str) -> list[str]:
    return _WORDS.findall(text)


def new_tool_call_id() -> str:
    return f"call_{secrets.token_hex(12)}"


def prompt_text(request: JsonObject) -> str:
    """Return the text of the last user message."""
    messages = request.get("messages")
    for message in reversed(messages if isinstance(messages, list) else []):
        match message:
            case {"role": "user", "content": str(text)}:
                return text
            case {"role": "user", "content": list(parts)}:
                return " ".join(str(part["text"]) for part in parts if isinstance(part, dict) and "text" in part)
            case _:
                pass
    return ""


def _echo(request: JsonObject) -> Answer:
    text = prompt_text(request)
    return Answer(text if split_words(text) else "(nothing to say)")


def _slow(request: JsonObject) -> Answer:
    return Answer(_echo(request).content, first_pause=150, pause=25)


def _cut(request: JsonObject) -> Answer:
    return Answer(_echo(request).content, is_cut=True)


def _silence(request: JsonObject) -> Answer:
    return Answer(is_silent=True, first_pause=150)


def _vision(request: JsonObject) -> Answer:
    return Answer(describe_media(request))


def _reasoning(request: JsonObject) -> Answer:
    effort = str(request.get("reasoning_effort"))
    thoughts = "" if effort == "none" else "".join(_THOUGHTS[: _EFFORT_THOUGHTS.get(effort, len(_THOUGHTS))])
    return Answer(_echo(request).content, reasoning=thoughts)


def _json(request: JsonObject) -> Answer:
    match request:
        case {"response_format": {"type": "json_schema", "json_schema": {"schema": schema}}}:
            value = value_for(schema)
        case {"structured_outputs": {"json": dict(schema)}}:
            value = value_for(schema)
        case _:
            value: Json = {"answer": prompt_text(request)}
    return Answer(_encode_with_spaces(value))


def _tools(request: JsonObject) -> Answer:
    results = list(_tool_results(request))
    if results:
        return Answer(" ".join(f"The tool answered: {result}" for result in results))
    for name, parameters in _offered_tools(request):
        return Answer(tool_name=name, arguments=_encode_with_spaces(value_for(parameters) if parameters else {}))
    return Answer("I have no tools: send some in the field tools, and I call the first one.")


def _tool_results(request: JsonObject) -> Iterator[str]:
    """Yield the results of tools at the end of the conversation."""
    messages = request.get("messages")
    tail: list[str] = []
    for message in reversed(messages if isinstance(messages, list) else []):
        match message:
            case {"role": "tool", "content": content}:
                tail.append(content if isinstance(content, str) else prompt_text({"messages": [_as_user(content)]}))
            case _:
                break
    yield from reversed(tail)


def _as_user(content: Json) -> Json:
    return {"role": "user", "content": content}


def _offered_tools(request: JsonObject) -> Iterator[tuple[str, Json]]:
    """Yield name and parameters of the functions that the tool choice allows."""
    allowed = list(_chosen_names(request.get("tool_choice")))
    tools = request.get("tools")
    for tool in tools if isinstance(tools, list) else []:
        match tool:
            case {"type": "function", "function": {"name": str(name), **definition}} if not allowed or name in allowed:
                yield name, definition.get("parameters")
            case _:
                pass


def _chosen_names(choice: Json) -> Iterator[str]:
    match choice:
        case {"type": "function", "function": {"name": str(name)}}:
            yield name
        case {"type": "allowed_tools", "allowed_tools": {"tools": list(tools)}}:
            for tool in tools:
                yield from _chosen_names(tool)
        case _:
            pass


def _encode_with_spaces(value: Json) -> str:
    """Encode as JSON with a space after each comma and colon, so that a stream has several words."""
    return msgspec.json.format(encode(value), indent=0).decode()


MODELS: dict[str, Callable[[JsonObject], Answer]] = {
    "echo": _echo,
    "tools": _tools,
    "json": _json,
    "vision": _vision,
    "reasoning": _reasoning,
    "slow": _slow,
    "timeouts": _silence,
    "cut": _cut,
}
"""The models that answer, by name. Models named `error-<status>` fail instead: see `faults`."""

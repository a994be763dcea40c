"""Messages as Converse wants them: users and assistants in turns, system texts apart, tool results with the user.

Sources: https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference-call.html,
…/tool-use-inference-call.html (2026), and refusals recorded up to 2026-08.
"""

from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject
from tidegate.providers.bedrock import reasoning_replay
from tidegate.providers.bedrock.parts import blocks, cache_point
from tidegate.providers.bedrock.request_builder import IDS, Draft
from tidegate.providers.toolnames import arguments, call_id

NOTHING = "(empty)"
"""What stands for a turn without content, since Converse refuses blank texts."""

_BESIDE = "See the attached document."
"""A document must have a text beside it."""


def write(draft: Draft) -> None:
    """Write `messages` and `system`. Raises `InvalidRequest` for what cannot be said."""
    messages = draft.take("messages")
    neutral = draft.left.get("tool_choice") == "none"  # Converse knows no such choice: without tools, calls are words
    turns = _Turns()
    for i, message in enumerate(messages if isinstance(messages, list) else ()):
        if isinstance(message, dict):
            _write(draft, turns, message, f"messages[{i}]", neutral)
    if not turns.made:
        raise InvalidRequest("There must be a message that is not the system's.", param="messages")
    if turns.made[0][0] == "assistant" and not draft.family.claude:  # Claude may begin (recorded); others refuse to
        turns.made.insert(0, ("user", []))
    draft.body["messages"] = [{"role": role, "content": _content(said)} for role, said in turns.made]
    if turns.system:
        draft.body["system"] = turns.system
    _check_end(draft, len(messages) - 1 if isinstance(messages, list) else 0)


class _Turns:
    def __init__(self) -> None:
        self.system: list[Json] = []
        self.made: list[tuple[str, list[JsonObject]]] = []

    def add(self, role: str, said: list[JsonObject]) -> None:
        if self.made and self.made[-1][0] == role:
            self.made[-1][1].extend(said)
        else:
            self.made.append((role, said))


def _write(draft: Draft, turns: _Turns, message: JsonObject, path: str, neutral: bool) -> None:
    role = message.get("role")
    if message.get("name") and role not in ("tool", "function"):
        draft.ignored.append(f"{path}.name")
    match role:
        case "system" | "developer":
            turns.system += _texts(blocks(draft, message, path), path)
        case "assistant":
            said = reasoning_replay.replayed(draft, message) + blocks(draft, message, path)
            if not said and isinstance(message.get("refusal"), str):
                said.append({"text": message["refusal"]})
            turns.add("assistant", said + _calls(draft, message, path, neutral))
        case "tool":
            turns.add("user", _result(draft, message, path, neutral))
        case _:
            turns.add("user", blocks(draft, message, path))


def _texts(said: list[JsonObject], path: str) -> list[JsonObject]:
    if any(block.keys().isdisjoint(("text", "cachePoint")) for block in said):
        raise InvalidRequest("A system message holds nothing but text.", param=f"{path}.content")
    return _without_blanks(said)


def _calls(draft: Draft, message: JsonObject, path: str, neutral: bool) -> list[JsonObject]:
    calls = message.get("tool_calls")
    made: list[JsonObject] = []
    for j, call in enumerate(calls if isinstance(calls, list) else ()):
        match call:
            case {"id": str(given), "function": {"name": str(name), **rest}}:
                words = rest.get("arguments")
                words = words if isinstance(words, str) else ""
                sent: Json = arguments(words, f"{path}.tool_calls[{j}].function.arguments")
            case {"id": str(given), "custom": {"name": str(name), "input": str(words)}}:
                sent = {"input": words}
            case _:
                raise InvalidRequest("A tool call needs an id and a function.", param=f"{path}.tool_calls[{j}]")
        if neutral:
            made.append({"text": f"[I called {name} with {words or '{}'}]"})
            continue
        spelt = draft.names.spell(name)
        draft.used_tools.append(spelt)
        made.append({"toolUse": {"toolUseId": call_id(given, IDS), "name": spelt, "input": sent}})
        made += cache_point(draft, call, f"{path}.tool_calls[{j}]")
    return made


def _result(draft: Draft, message: JsonObject, path: str, neutral: bool) -> list[JsonObject]:
    said = blocks(draft, message, path)
    marks = [block for block in said if "cachePoint" in block]
    said = [block for block in _without_blanks(said) if "cachePoint" not in block] or [{"text": NOTHING}]
    if any("audio" in block for block in said):
        raise InvalidRequest("Bedrock takes no audio in a tool's result.", param=f"{path}.content")
    if neutral:
        return [{"text": "[The tool answered:]"}, *said, *marks[:1]]
    content: list[Json] = [*said]
    result: JsonObject = {"toolUseId": call_id(message.get("tool_call_id"), IDS), "content": content}
    return [{"toolResult": result}, *marks[:1]]


def _content(said: list[JsonObject]) -> list[Json]:
    kept = _without_blanks(said)
    if any("document" in block for block in kept) and not any("text" in block for block in kept):
        kept.append({"text": _BESIDE})
    # Claude wants results first in the turn that answers its calls; the sort keeps all other order.
    if any("toolResult" in block for block in kept) and not any("cachePoint" in block for block in kept):
        kept.sort(key=lambda block: "toolResult" not in block)
    return [*kept] or [{"text": NOTHING}]


def _without_blanks(said: list[JsonObject]) -> list[JsonObject]:
    """Blank texts are refused, and so is a cache point behind nothing."""
    kept: list[JsonObject] = []
    for block in said:
        text = block.get("text")
        if isinstance(text, str) and not text.strip():
            continue
        if "cachePoint" in block and (not kept or "cachePoint" in kept[-1]):
            continue
        kept.append(block)
    return kept


def _check_end(draft: Draft, last: int) -> None:
    """An assistant's message at the end is one to go on with: models take it without trailing blanks, or not at all."""
    match draft.body["messages"]:
        case [*_, {"role": "assistant", "content": [*_, {"text": str(text)} as block]}]:
            if not draft.family.prefill:
                raise InvalidRequest(
                    "This model goes on with no assistant's message: end with a user's.", param=f"messages[{last}]"
                )
            block["text"] = text.rstrip()
        case _:
            pass

"""The input of the Responses API as messages of chat completions.

| item | becomes |
|---|---|
| message | a message of its role; an assistant's is part of its turn |
| reasoning, calls | parts of the assistant's turn |
| results of calls | messages of the role `tool`, right after their turn |
| agent_message | a user's message that names both agents |
| additional_tools, results of a tool search | further tools |
| compaction of this gateway's | a user's message with the summary |
| compaction_trigger, at the end | a user's message that asks for a summary |
| what OpenAI's own tools did, what is not known | nothing; its path is reported |

Source: https://platform.openai.com/docs/api-reference/responses/create (`input`, 2026-11), and what Codex 0.171 sends.
"""

from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject
from tidegate.surfaces import sealed_details
from tidegate.surfaces.content_parts import as_content
from tidegate.surfaces.responses.calls import read_call
from tidegate.surfaces.responses.parts import content_parts
from tidegate.surfaces.responses.results import OUTPUTS, call_id, is_hosted_search, result_parts
from tidegate.surfaces.responses.summaries import PROMPT, SUMMARY_TYPES, own_summary
from tidegate.surfaces.responses.tools import Tools
from tidegate.surfaces.responses.turns import AssistantTurn

_ROLES = ("user", "system", "developer")


class Conversation:
    """The messages of a request, item by item.

    `refusals` are the paths of items without which no other provider can go on, each with the reason: see `Origin`.
    """

    def __init__(self, tools: Tools) -> None:
        self.ignored: list[str] = []
        self.refusals: dict[str, str] = {}
        self.effort: Json = None
        self.has_own_reasoning = False
        self.compacts = False
        self._tools = tools
        self._turns: list[AssistantTurn | JsonObject] = []
        self._turns_by_call: dict[str, AssistantTurn] = {}

    def add_text(self, role: str, text: Json) -> None:
        """Add a message with one text: the instructions, or an input that is a text."""
        if isinstance(text, str) and text:
            self._turns.append({"role": role, "content": text})

    def add(self, item: Json, path: str) -> None:
        """Add an item of the input. Raises `InvalidRequest` for one that is malformed."""
        if not isinstance(item, dict):
            raise InvalidRequest(f"Invalid type for '{path}': expected an object.", param=path)
        kind = item.get("type")
        if kind is not None and not isinstance(kind, str):
            raise InvalidRequest(f"Invalid type for '{path}.type': expected a string.", param=f"{path}.type")
        if kind == "message" or (kind is None and "role" in item):
            self._add_message(item, path)
        elif kind == "reasoning":
            self._add_reasoning(item, path)
        elif is_hosted_search(item):
            self._tools.add(item.get("tools"), f"{path}.tools", self.ignored)
            self.ignored.append(path)
        elif kind in OUTPUTS:
            self._add_result(item, path)
        elif (call := read_call(item)) is not None:
            target, arguments = call
            name = self._tools.names.function_name(target)
            turn, new_id = self._turn(), _required_id(item, path)
            turn.add_call(new_id, name, arguments, path)
            self._turns_by_call[new_id] = turn  # some providers use an id again in a later turn
        else:
            self._add_other(item, path)

    def _add_message(self, item: JsonObject, path: str) -> None:
        role, content = item.get("role"), item.get("content")
        if not isinstance(role, str):
            raise InvalidRequest(f"Invalid type for '{path}.role': expected a string.", param=f"{path}.role")
        if role not in (*_ROLES, "assistant"):
            supported = "'assistant', 'system', 'developer', and 'user'"
            self.refusals[f"{path}.role"] = f"{role[:80]!r} is not one of {supported}"
            role = "user"
        if not isinstance(content, str | list):
            raise InvalidRequest(f"Missing required parameter: '{path}.content'.", param=f"{path}.content")
        parts = content_parts(content, f"{path}.content", self.ignored)
        if role != "assistant":
            self._turns.append({"role": role, "content": as_content(parts)})
        elif parts:
            last = self._turns[-1] if self._turns else None
            if isinstance(last, AssistantTurn) and last.is_open and last.ends_with_text:
                self._turns.append(AssistantTurn())  # two messages in a row stay two
            self._turn().add_text(parts)

    def _add_reasoning(self, item: JsonObject, path: str) -> None:
        """Add reasoning with what this gateway put into it. That of OpenAI's own can only go back to OpenAI."""
        sealed = item.get("encrypted_content")
        details = sealed_details.unpack(sealed)
        self.has_own_reasoning |= details is not None
        if details is None and sealed:
            self.ignored.append(path)
        text = "\n\n".join(_texts(item.get("summary")) or _texts(item.get("content")))
        if text or details:
            self._turn().add_reasoning(text, details or [])

    def _add_result(self, item: JsonObject, path: str) -> None:
        found_id = call_id(item)
        turn = self._turns_by_call.get(found_id or "")
        if turn is None or found_id is None:
            message = f"No tool call found for function call output with call_id {str(found_id)[:80]}."
            raise InvalidRequest(message, param="input")
        turn.add_result(found_id, result_parts(item, path, self.ignored))
        if item.get("type") == "tool_search_output":
            self._tools.add(item.get("tools"), f"{path}.tools", self.ignored)

    def _add_other(self, item: JsonObject, path: str) -> None:
        match item:
            case {"type": "additional_tools"}:
                pass  # `translate` has added them before
            case {"type": "agent_message"}:
                names = " to ".join(str(item[name]) for name in ("author", "recipient") if item.get(name))
                parts = content_parts(item.get("content"), f"{path}.content", self.ignored)
                head: Json = {"type": "text", "text": f"Message from {names}:"}
                self._turns.append({"role": "user", "content": [head, *parts]})
            case {"type": "configuration_update"}:
                match item.get("reasoning"):
                    case {"effort": str(effort)}:
                        self.effort = effort
                    case _:
                        self.ignored.append(path)
            case {"type": str(kind)} if kind in SUMMARY_TYPES:
                self._add_compaction(item, path)
            case {"type": "compaction_trigger"}:
                self.refusals[path] = "only at the end of a conversation can other models than OpenAI's compact it"
            case _:
                self.ignored.append(path)

    def _add_compaction(self, item: JsonObject, path: str) -> None:
        summary = own_summary(item)
        if summary is None:
            self.refusals[path] = "only its maker can read this summary of the conversation"
        else:
            self.has_own_reasoning = True
            self._turns.append({"role": "user", "content": summary})

    def ask_for_summary(self) -> bool:
        """Add the message that asks for a summary; False if there is nothing to summarise."""
        self.compacts = any(isinstance(turn, AssistantTurn) or turn["role"] == "user" for turn in self._turns)
        if self.compacts:
            self._turns.append({"role": "user", "content": PROMPT})
        return self.compacts

    def _turn(self) -> AssistantTurn:
        """Return the turn that the next item of an assistant belongs to."""
        last = self._turns[-1] if self._turns else None
        if not isinstance(last, AssistantTurn) or not last.is_open:
            last = AssistantTurn()
            self._turns.append(last)
        return last

    def messages(self) -> list[Json]:
        """Return all messages. Raises `InvalidRequest` for a call without its result."""
        messages: list[Json] = []
        for turn in self._turns:
            messages += turn.messages() if isinstance(turn, AssistantTurn) else [turn]
        return messages


def _texts(parts: Json) -> list[str]:
    listed = parts if isinstance(parts, list) else []
    return [str(part["text"]) for part in listed if isinstance(part, dict) and part.get("text")]


def _required_id(item: JsonObject, path: str) -> str:
    found = item.get("call_id") or item.get("id")
    if not isinstance(found, str):
        raise InvalidRequest(f"Missing required parameter: '{path}.call_id'.", param=f"{path}.call_id")
    return found

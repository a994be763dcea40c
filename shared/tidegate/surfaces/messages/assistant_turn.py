"""An assistant's turn as a message: texts, tool calls, and thinking with its place among them."""

from tidegate.chat.completion import citation_fields
from tidegate.chat.reasoning_order import Place, place_fields
from tidegate.json import Json, JsonObject, encode
from tidegate.surfaces import sealed_details
from tidegate.surfaces.messages import blocks

ANTHROPIC = "anthropic-claude-v1"
"""The format of `reasoning_details` that hold Anthropic's own thinking."""


def assistant_message(listed: list[Json], path: str, ignored: list[str]) -> JsonObject:
    """Return the message for the blocks of a turn. Never without content: its results would have no call."""
    turn = _Turn()
    for number, block in enumerate(listed):
        turn.add(block, f"{path}.content[{number}]", ignored)
    return turn.message()


class _Turn:
    def __init__(self) -> None:
        self._parts: list[Json] = []
        self._calls: list[Json] = []
        self._details: list[Json] = []
        self._thoughts: list[str] = []
        self._characters = 0
        self._cited: list[tuple[Json, int, int]] = []

    def add(self, block: Json, path: str, ignored: list[str]) -> None:
        match block:
            case {"type": "text"}:
                start = self._characters
                self._add_text(str(block.get("text") or ""), blocks.cache_control(block))
                citations = block.get("citations")
                for citation in citations if isinstance(citations, list) else ():
                    self._cited.append((citation, start, self._characters))
            case {"type": "thinking"}:
                text = str(block.get("thinking") or "")
                self._thoughts.append(text)
                self._add_thinking(block.get("signature"), {"type": "reasoning.text", "text": text})
            case {"type": "redacted_thinking", "data": str(data)}:
                self._add_thinking(data, {"type": "reasoning.encrypted", "data": data})
            case {"type": "tool_use", "id": str(call_id), "name": str(name)}:
                arguments = block.get("input")
                function: JsonObject = {"name": name, "arguments": _arguments(arguments)}
                marks = blocks.cache_control(block)
                self._calls.append({**marks, "id": call_id, "type": "function", "function": function})
            case {"type": "server_tool_use" | "mcp_tool_use"}:
                pass  # its result follows in the same turn
            case {"type": str(kind)} if kind.endswith("_tool_result"):
                sources = _sources(block.get("content"))
                self._add_text(sources and f"{sources}\n", {})
            case _:
                part = blocks.unknown(block, path, ignored)
                self._add_text(str(part["text"]) if isinstance(part, dict) else "", {})

    def _add_text(self, text: str, marks: JsonObject) -> None:
        if text:
            self._parts.append({**marks, "type": "text", "text": text})
            self._characters += len(text)

    def _add_thinking(self, signature: Json, detail: JsonObject) -> None:
        """Add the details that a signature of ours holds, or else Anthropic's thinking with its own signature."""
        if sealed_details.is_ours(signature):
            self._details += sealed_details.unpack(signature) or []
            return
        placed = place_fields(Place(self._characters, len(self._calls)))
        signed: JsonObject = {}
        if detail["type"] == "reasoning.text" and isinstance(signature, str) and signature:
            signed["signature"] = signature
        self._details.append({**detail, **signed, **placed, "format": ANTHROPIC, "index": len(self._details)})

    def message(self) -> JsonObject:
        message: JsonObject = {"role": "assistant", "content": self._content(), **citation_fields(self._cited)}
        if any(self._thoughts):
            message["reasoning"] = "".join(self._thoughts)
        if self._details:
            message["reasoning_details"] = self._details
        if self._calls:
            message["tool_calls"] = self._calls
        return message

    def _content(self) -> Json:
        if not self._parts:
            return None if self._calls else ""
        texts = [part["text"] for part in self._parts if isinstance(part, dict) and part.keys() == {"type", "text"}]
        return "".join(map(str, texts)) if len(texts) == len(self._parts) else self._parts


def _arguments(arguments: Json) -> str:
    return encode(arguments).decode() if isinstance(arguments, dict) else "{}"


def _sources(content: Json) -> str:
    """Return the results of a tool that Anthropic ran as text: a line for each source, or the JSON of the rest."""
    if not isinstance(content, list):
        return "" if content is None else encode(content).decode()
    lines: list[str] = []
    for each in content:
        match each:
            case {"url": str(url)}:
                lines.append(f"{each.get('title') or 'Source'}: {url}")
            case {"text": str(text)}:
                lines.append(text)
            case _:
                lines.append(encode(each).decode())
    return "\n".join(lines)

"""An assistant's turn: the reasoning, texts and calls of one reply as one message, and the results of its calls.

All results follow their calls at once, as every provider requires. Images and documents in results go into a user's
message after all of them, since few providers take them there.
"""

from collections.abc import Iterator

from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject
from tidegate.surfaces.content_parts import as_content, without_media


class AssistantTurn:
    """One turn, to which items are added in their order."""

    def __init__(self) -> None:
        self._parts: list[Json] = []
        self._calls: dict[str, Json] = {}
        self._details: list[Json] = []
        self._thoughts: list[str] = []
        self._results: dict[str, list[Json]] = {}
        self._ends_with_text = False

    @property
    def is_open(self) -> bool:
        """False once a call has its result: what follows is another reply."""
        return not self._results

    @property
    def ends_with_text(self) -> bool:
        return self._ends_with_text

    def add_text(self, parts: list[Json]) -> None:
        self._parts += parts
        self._ends_with_text = True

    def add_call(self, call_id: str, name: str, arguments: str, path: str) -> None:
        """Add a call. Raises `InvalidRequest` if the turn has one with this id."""
        if call_id in self._calls:
            raise InvalidRequest(f"Duplicate call_id {call_id[:80]!r} in {path}.", param=path)
        function: JsonObject = {"name": name, "arguments": arguments}
        self._calls[call_id] = {"id": call_id, "type": "function", "function": function}
        self._ends_with_text = False

    def add_reasoning(self, text: str, details: list[Json]) -> None:
        if text:
            self._thoughts.append(text)
        self._details += details
        self._ends_with_text = False

    def add_result(self, call_id: str, parts: list[Json]) -> None:
        """Add the result of a call; a second one replaces the first."""
        self._results[call_id] = parts

    def messages(self) -> Iterator[Json]:
        """Yield the assistant's message, and those of the results. Raises `InvalidRequest` for a call without one."""
        if not (self._parts or self._calls):
            return  # reasoning alone: there is nothing that it led to
        message: JsonObject = {"role": "assistant", "content": as_content(self._parts) or None}
        if not self._calls and message["content"] is None:
            message["content"] = ""
        if self._thoughts:
            message["reasoning"] = "".join(self._thoughts)
        if self._details:
            message["reasoning_details"] = self._details
        if self._calls:
            message["tool_calls"] = [*self._calls.values()]
        yield message
        yield from self._result_messages()

    def _result_messages(self) -> Iterator[Json]:
        attached: list[Json] = []
        for call_id in self._calls:
            if call_id not in self._results:
                raise InvalidRequest(f"No tool output found for function call {call_id[:80]}.", param="input")
            texts, media = without_media(self._results[call_id], call_id)
            attached += media
            yield {"role": "tool", "tool_call_id": call_id, "content": as_content(texts)}
        if attached:
            yield {"role": "user", "content": attached}

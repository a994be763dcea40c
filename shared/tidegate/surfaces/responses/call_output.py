"""A call of a tool as it is streamed, in the terms in which the caller offered the tool."""

from collections.abc import Callable
from typing import TypeAlias

from tidegate.chat.completion import ToolCall
from tidegate.json import JsonObject
from tidegate.surfaces.responses.calls import ID_PREFIXES, CallNames, CallTarget, write_call
from tidegate.surfaces.responses.event_log import EventLog, delta_head

NextItem: TypeAlias = Callable[[str], tuple[str, int]]
"""Returns the id and the index of the next item, given the prefix of its id."""

_EMPTY = {"function_call": "arguments", "custom_tool_call": "input"}
"""The calls whose item begins before their arguments are complete, and the field that has these."""


class CallOutput:
    """One call. Its item begins with the name of the tool, or at its end if only complete arguments make an item."""

    def __init__(self, log: EventLog, names: CallNames, call_id: str) -> None:
        """`call_id` is for providers that give none."""
        self.has_ended = False
        self._log = log
        self._names = names
        self._call_id = call_id
        self._name = ""
        self._pieces: list[str] = []
        self._target: CallTarget | None = None
        self._place: JsonObject = {}
        self._head = b""

    @property
    def arguments(self) -> str:
        return "".join(self._pieces)

    def add(self, delta: ToolCall, next_item: NextItem) -> None:
        """Add a piece. Those that come after the end are too late for the caller, and left out."""
        if self.has_ended:
            return
        function = delta.get("function") or delta.get("custom") or {}
        self._call_id = delta.get("id") or self._call_id if self._target is None else self._call_id
        piece = str(function.get("arguments") or function.get("input") or "")
        if piece:
            self._pieces.append(piece)
        if self._target is None:
            self._name = self._name or str(function.get("name") or "")
            if self._name:
                self._target = self._names.target(self._name)
                self._begin(self._target, next_item)
                piece = self.arguments
        if piece and self._head:
            self._log.write_delta(self._head, piece)

    def _begin(self, target: CallTarget, next_item: NextItem) -> None:
        if target.type not in _EMPTY:
            return
        item_id, index = next_item(ID_PREFIXES[target.type])
        self._place = {"item_id": item_id, "output_index": index}
        empty = write_call(target, self._call_id, self._name, "")
        item: JsonObject = {"id": item_id, **empty, _EMPTY[target.type]: "", "status": "in_progress"}
        self._log.write("response.output_item.added", output_index=index, item=item)
        if target.type == "function_call":
            self._head = delta_head("response.function_call_arguments.delta", self._place)

    def end(self, status: str, next_item: NextItem) -> tuple[int, JsonObject]:
        """Return the index and the complete item."""
        self.has_ended = True
        arguments = self.arguments
        target = self._target or self._names.target(self._name)
        fields = write_call(target, self._call_id, self._name, arguments)
        if fields["type"] not in _EMPTY:
            return self._add_whole(fields, status, next_item)
        if fields["type"] != target.type:  # the arguments do not fit the tool
            target = CallTarget("function_call", self._name)
        has_begun = bool(self._place)
        if not has_begun:
            self._begin(target, next_item)
        if target.type == "function_call":
            self._end_arguments(fields, has_begun=has_begun)
        else:
            self._end_input(str(fields["input"]))
        return self._finish(str(self._place["item_id"]), fields, status, int(str(self._place["output_index"])))

    def _end_arguments(self, fields: JsonObject, *, has_begun: bool) -> None:
        arguments = str(fields["arguments"])
        if arguments and not has_begun:
            self._log.write_delta(self._head, arguments)
        if not arguments:  # clients parse them as JSON
            arguments = fields["arguments"] = "{}"
            self._log.write_delta(self._head, arguments)
        kind = "response.function_call_arguments.done"
        self._log.write(kind, **self._place, arguments=arguments, name=fields["name"])

    def _end_input(self, text: str) -> None:
        if text:
            self._log.write_delta(delta_head("response.custom_tool_call_input.delta", self._place), text)
        self._log.write("response.custom_tool_call_input.done", **self._place, input=text)

    def _add_whole(self, fields: JsonObject, status: str, next_item: NextItem) -> tuple[int, JsonObject]:
        """Add an item that is complete at once: a call of a shell, a patch, a search of tools."""
        item_id, index = next_item(ID_PREFIXES[str(fields["type"])])
        item: JsonObject = {"id": item_id, **fields, "status": "in_progress"}
        self._log.write("response.output_item.added", output_index=index, item=item)
        return self._finish(item_id, fields, status, index)

    def _finish(self, item_id: str, fields: JsonObject, status: str, index: int) -> tuple[int, JsonObject]:
        item: JsonObject = {"id": item_id, **fields, "status": status}
        self._log.write("response.output_item.done", output_index=index, item=item)
        return index, item

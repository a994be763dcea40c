"""A reasoning item as it is streamed: its text as a summary, and what the provider wants back as encrypted content."""

from tidegate.chat.assemble import CompletionAssembler
from tidegate.chat.completion import Completion
from tidegate.json import Json, JsonObject
from tidegate.surfaces import sealed_details
from tidegate.surfaces.responses.event_log import EventLog, delta_head


class ReasoningOutput:
    """One reasoning item. Its summary has one part, which begins with the first text."""

    def __init__(self, log: EventLog, item_id: str, index: int) -> None:
        self.index = index
        self._log = log
        self._id = item_id
        self._texts: list[str] = []
        self._details: list[Json] = []
        self._place: JsonObject = {"item_id": item_id, "output_index": index, "summary_index": 0}
        self._head = b""
        log.write("response.output_item.added", output_index=index, item=self._item([], None, "in_progress"))

    def add(self, text: str, details: list[Json]) -> None:
        self._details += details
        if not text:
            return
        if not self._texts:
            part: JsonObject = {"type": "summary_text", "text": ""}
            self._log.write("response.reasoning_summary_part.added", **self._place, part=part)
            self._head = delta_head("response.reasoning_summary_text.delta", self._place)
        self._texts.append(text)
        self._log.write_delta(self._head, text)

    def end(self, status: str) -> JsonObject:
        """Return the complete item."""
        text = "".join(self._texts)
        parts: list[Json] = []
        if text:
            part: JsonObject = {"type": "summary_text", "text": text}
            self._log.write("response.reasoning_summary_text.done", **self._place, text=text)
            self._log.write("response.reasoning_summary_part.done", **self._place, part=part)
            parts.append(part)
        details = _whole(self._details) or [{"type": "reasoning.text", "text": text}]
        item = self._item(parts, sealed_details.pack(details), status)
        self._log.write("response.output_item.done", output_index=self.index, item=item)
        return item

    def _item(self, summary: list[Json], sealed: str | None, status: str) -> JsonObject:
        item: JsonObject = {"id": self._id, "type": "reasoning", "summary": summary, "status": status}
        return {**item, "encrypted_content": sealed}


def _whole(pieces: list[Json]) -> list[Json]:
    """Return the details that were streamed in pieces."""
    if not pieces:
        return []
    assembler = CompletionAssembler()
    assembler.add({"choices": [{"index": 0, "delta": {"reasoning_details": pieces}, "finish_reason": None}]})
    completion: Completion = assembler.reply()
    return completion["choices"][0]["message"].get("reasoning_details") or []

"""The output of a response that compacts its conversation: one item, which has what the model says as its summary.

Source: https://github.com/openai/codex (core/src/compact_remote_v2.rs, 2026-11), which reads exactly one such item.
"""

from tidegate.chat.completion import Delta
from tidegate.json import Json
from tidegate.surfaces.responses.output import ResponseOutput
from tidegate.surfaces.responses.summaries import summary_item


class SummaryOutput(ResponseOutput):
    """The item of one reply. A reply without a text, or with a part of it, has none: the caller keeps what it has."""

    _text = ""

    def add(self, delta: Delta, logprobs: Json = None) -> None:
        """Add the next delta of the reply."""
        self._text += delta.get("content") or ""

    def end(self, status: str) -> None:
        """End the item."""
        if self._text and status == "completed":
            item_id, index = self._next("cmp")
            item = summary_item(item_id, self._text)
            self._log.write("response.output_item.added", output_index=index, item=item)
            self._items[index] = item
            self._log.write("response.output_item.done", output_index=index, item=item)

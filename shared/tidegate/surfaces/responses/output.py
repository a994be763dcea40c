"""The output items of a reply, built from its deltas, and the events that tell of them.

An item's index is its place among the items that were added. Texts, refusals and reasoning end where another item
begins; a call ends there if its arguments are complete, and otherwise with the reply: pieces of parallel calls may come
in turns.

Source: https://platform.openai.com/docs/api-reference/responses-streaming (2026-11).
"""

from tidegate.chat.completion import Delta, ToolCall
from tidegate.json import Json, JsonObject, decode_or_none
from tidegate.surfaces.responses.call_output import CallOutput
from tidegate.surfaces.responses.calls import CallNames
from tidegate.surfaces.responses.event_log import EventLog
from tidegate.surfaces.responses.message_output import MessageOutput
from tidegate.surfaces.responses.reasoning_output import ReasoningOutput


class ResponseOutput:
    """The items of one reply. `items` are those that are complete, by their index."""

    def __init__(self, suffix: str, names: CallNames, log: EventLog) -> None:
        self._suffix = suffix
        self._names = names
        self._log = log
        self._open: MessageOutput | ReasoningOutput | None = None
        self._calls: dict[int, CallOutput] = {}
        self._latest: CallOutput | None = None
        self._items: dict[int, Json] = {}
        self._count = 0
        self._characters = 0
        self._annotations: list[Json] = []

    @property
    def items(self) -> list[Json]:
        return [item for _, item in sorted(self._items.items())]

    def add(self, delta: Delta, logprobs: Json = None) -> None:
        """Add the next delta of the reply."""
        if "content" in delta and len(delta) == 1 and not self._annotations:  # the common case
            self._add_text(delta["content"], logprobs)
            return
        thought, details = delta.get("reasoning"), delta.get("reasoning_details")
        if thought or details:
            self._reasoning().add(thought or "", details or [])
        self._annotations += delta.get("annotations") or ()
        self._add_text(delta.get("content"), logprobs)
        refusal = delta.get("refusal")
        if refusal:
            self._message().add_refusal(refusal)
        if self._annotations and isinstance(self._open, MessageOutput):
            self._open.add_annotations(self._annotations)
            self._annotations = []
        for image in delta.get("images") or ():
            self._add_image(image)
        for call in delta.get("tool_calls") or ():
            self._add_call(call)

    def end(self, status: str) -> None:
        """End all items; the last one has the reply's status, "completed" or "incomplete"."""
        self._close_open(status)
        for call in self._calls.values():
            self._end_call(call, status)

    def _add_text(self, text: str | None, logprobs: Json) -> None:
        if text:
            message = self._open if type(self._open) is MessageOutput else self._message()
            message.add_text(text, logprobs)
            self._characters += len(text)

    def _message(self) -> MessageOutput:
        if not isinstance(self._open, MessageOutput):
            self._make_room()
            self._open = MessageOutput(self._log, *self._next("msg"), start=self._characters)
        return self._open

    def _reasoning(self) -> ReasoningOutput:
        if not isinstance(self._open, ReasoningOutput):
            self._make_room()
            self._open = ReasoningOutput(self._log, *self._next("rs"))
        return self._open

    def _next(self, prefix: str) -> tuple[str, int]:
        """Return the id and the index of the next item."""
        index = self._count
        self._count += 1
        return f"{prefix}_{self._suffix}_{index}", index

    def _add_call(self, delta: ToolCall) -> None:
        number = delta.get("index", 0)
        call = self._calls.get(number)
        if call is None:
            self._make_room()
            call = CallOutput(self._log, self._names, f"call_{self._suffix}_{number}")
            self._latest = self._calls[number] = call
        call.add(delta, self._next)

    def _make_room(self) -> None:
        """End what is complete before the next item begins."""
        self._close_open("completed")
        call, self._latest = self._latest, None
        if call is not None and isinstance(decode_or_none(call.arguments), dict):
            self._end_call(call, "completed")

    def _close_open(self, status: str) -> None:
        if self._open is not None:
            self._items[self._open.index] = self._open.end(status)
            self._open = None

    def _end_call(self, call: CallOutput, status: str) -> None:
        if not call.has_ended:
            index, item = call.end(status, self._next)
            self._items[index] = item

    def _add_image(self, image: Json) -> None:
        """Add an image that the model has made, which the Responses API has as the result of a tool."""
        match image:
            case {"image_url": {"url": str(url)}} if url.startswith("data:image/") and ";base64," in url:
                head, _, result = url.partition(";base64,")
                self._make_room()
                item_id, index = self._next("ig")
                item: JsonObject = {"id": item_id, "type": "image_generation_call"}
                self._log.write(
                    "response.output_item.added",
                    output_index=index,
                    item={**item, "status": "in_progress", "result": None},
                )
                output_format = head.removeprefix("data:image/")
                item |= {"status": "completed", "result": result, "output_format": output_format}
                self._items[index] = item
                self._log.write("response.output_item.done", output_index=index, item=item)
            case _:
                pass

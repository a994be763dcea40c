"""An independent reading of a response's events: OpenAI's order, and the response that the events add up to.

It knows nothing of the code under test. Source: https://platform.openai.com/docs/api-reference/responses-streaming
(2026-11).
"""

import json
import re
from typing import Any

ENDS = ("response.completed", "response.incomplete", "response.failed")
_DONE_ITEM_STATUSES = ("completed", "incomplete")
_BEGINNING = ("response.created", "response.in_progress")
_PROGRESS = ("in_progress", "searching", "interpreting", "generating", "completed")
_WITHOUT_STATUS = ("reasoning", "compaction")
"""Items that OpenAI sends without a status."""

_BEFORE = {
    "response.output_text": ("message", "output_text"),
    "response.refusal": ("message", "refusal"),
    "response.function_call_arguments": ("function_call", "arguments"),
    "response.custom_tool_call_input": ("custom_tool_call", "input"),
    "response.code_interpreter_call_code": ("code_interpreter_call", "code"),
}


def decoded(stream: bytes) -> list[dict[str, Any]]:
    """The events of a stream; each names its type twice."""
    events: list[dict[str, Any]] = []
    for part in re.sub(r"^:.*\n", "", stream.decode(), flags=re.M).split("\n\n"):
        if part:
            head, data = part.split("\n")
            events.append(json.loads(data.removeprefix("data: ")))
            assert head == f"event: {events[-1]['type']}"
    return events


class Reading:
    """Reads the events in order. Fails at the first that OpenAI would not send there.

    With `is_openais`, items may be without a status, and what is encrypted may be encrypted again at the end.
    """

    def __init__(self, *, is_openais: bool = False) -> None:
        self._is_openais = is_openais
        self.items: list[dict[str, Any]] = []
        self.done: dict[int, dict[str, Any]] = {}
        self.response: dict[str, Any] | None = None
        self.end: dict[str, Any] | None = None
        self._count = 0
        self._first_number: int | None = None
        self._open_parts: dict[tuple[int, str, int], str] = {}
        self._texts: dict[tuple[int, str, int], str] = {}
        self._whole: set[tuple[int, str, int]] = set()

    def read(self, event: dict[str, Any]) -> None:
        kind = event["type"]
        assert self.end is None, f"{kind} after the end"
        self._first_number = event["sequence_number"] if self._first_number is None else self._first_number
        assert event["sequence_number"] == self._first_number + self._count
        self._count += 1
        if self._count <= len(_BEGINNING):
            assert kind == _BEGINNING[self._count - 1]
            assert (event["response"]["status"], event["response"]["output"]) == ("in_progress", [])
            self.response = self.response or event["response"]
            assert event["response"]["id"] == self.response["id"]
        elif kind in ENDS:
            self._finish(kind, event["response"])
        elif kind == "response.output_item.added":
            self._add_item(event)
        elif kind == "response.output_item.done":
            self._end_item(event)
        elif kind not in ("keepalive", "error"):
            self._read_part(kind, event)

    def _add_item(self, event: dict[str, Any]) -> None:
        item = event["item"]
        assert event["output_index"] == len(self.items)
        assert item["id"] not in [other["id"] for other in self.items]
        assert self._status(item) in ("in_progress", None)
        assert not item.get("content") and not item.get("summary")
        self.items.append(dict(item))

    def _status(self, item: dict[str, Any]) -> str | None:
        return item.get("status") if self._is_openais and item["type"] in _WITHOUT_STATUS else item["status"]

    def _end_item(self, event: dict[str, Any]) -> None:
        index, item = event["output_index"], event["item"]
        added = self.items[index]
        assert index not in self.done
        assert (item["type"], item["id"]) == (added["type"], added["id"])
        assert item.get("call_id") == added.get("call_id")
        assert item.get("name") == added.get("name")
        assert self._status(item) in (*_DONE_ITEM_STATUSES, None)
        assert not [place for place in self._open_parts if place[0] == index]
        whole_fields = {"function_call": "arguments", "custom_tool_call": "input"}
        if item["type"] in whole_fields and "name" in added:
            assert (index, whole_fields[item["type"]], 0) in self._whole or not item[whole_fields[item["type"]]]
        for (owner, field, place), text in self._texts.items():
            if owner == index:
                assert (owner, field, place) in self._whole
                assert _text_of(item, field, place) == text
        self.done[index] = item

    def _read_part(self, kind: str, event: dict[str, Any]) -> None:
        index = event["output_index"]
        item = self.items[index]
        assert index not in self.done
        assert event["item_id"] == item["id"]
        base, _, verb = kind.rpartition(".")
        if base == f"response.{item['type']}":
            assert verb in _PROGRESS  # a tool that OpenAI runs itself
        elif base in ("response.content_part", "response.reasoning_summary_part"):
            self._read_bounds(base, verb, event, item)
        elif base == "response.output_text.annotation":
            place = (index, "content", event["content_index"])
            assert self._open_parts[place] == "output_text"
        else:
            self._read_text(base, verb, event, item)

    def _read_bounds(self, base: str, verb: str, event: dict[str, Any], item: dict[str, Any]) -> None:
        is_summary = base == "response.reasoning_summary_part"
        assert item["type"] == ("reasoning" if is_summary else "message")
        field, number = ("summary", "summary_index") if is_summary else ("content", "content_index")
        place = (event["output_index"], field, event[number])
        part = event["part"]
        if verb == "added":
            assert not [other for other in self._open_parts if other[:2] == place[:2]]
            assert event[number] == len([other for other in self._texts if other[:2] == place[:2]])
            assert part.get("text", part.get("refusal")) == ""
            self._open_parts[place], self._texts[place] = part["type"], ""
        else:
            assert self._open_parts.pop(place) == part["type"]
            assert part.get("text", part.get("refusal")) == self._texts[place]

    def _read_text(self, base: str, verb: str, event: dict[str, Any], item: dict[str, Any]) -> None:
        index = event["output_index"]
        if base == "response.reasoning_summary_text":
            place = (index, "summary", event["summary_index"])
            assert self._open_parts[place] == "summary_text"
        elif base in ("response.output_text", "response.refusal"):
            place = (index, "content", event["content_index"])
            assert self._open_parts[place] == _BEFORE[base][1]
        else:
            owner, field = _BEFORE[base]
            place = (index, field, 0)
            assert item["type"] == owner
            self._texts.setdefault(place, "")
        if base == "response.output_text":
            assert isinstance(event["logprobs"], list)
        assert place not in self._whole
        if verb == "delta":
            assert event["delta"] != ""
            self._texts[place] += event["delta"]
        else:
            assert verb == "done"
            self._whole.add(place)
            field = {"response.output_text": "text", "response.reasoning_summary_text": "text"}.get(base)
            assert event[field or base.rpartition("_")[2].removeprefix("response.")] == self._texts[place]

    def _finish(self, kind: str, response: dict[str, Any]) -> None:
        self.end = response
        assert self.response is not None
        assert kind == f"response.{response['status']}"
        assert response["id"] == self.response["id"]
        done = [item for _, item in sorted(self.done.items())]
        assert self._comparable(response["output"]) == self._comparable(done)
        assert (response["error"] is not None) == (kind == "response.failed")
        assert (response["incomplete_details"] is not None) == (kind == "response.incomplete")
        if kind != "response.failed":
            assert len(self.done) == len(self.items)

    def _comparable(self, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        left_out = ("encrypted_content",) if self._is_openais else ()
        return [{name: value for name, value in item.items() if name not in left_out} for item in items]


def read(stream: bytes) -> Reading:
    """The reading of a whole stream, which must have its end."""
    reading = Reading()
    for event in decoded(stream):
        reading.read(event)
    assert reading.end is not None
    return reading


def _text_of(item: dict[str, Any], field: str, place: int) -> str:
    value = item[field]
    if isinstance(value, str):
        return value
    return value[place].get("text", value[place].get("refusal"))

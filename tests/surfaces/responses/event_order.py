"""An independent reading of a response's events: OpenAI's order, and the response that the events add up to.

It knows nothing of the code under test. Source: https://platform.openai.com/docs/api-reference/responses-streaming
(2026-11).
"""

import json
import re
from typing import Any

ENDS = ("response.completed", "response.incomplete", "response.failed")
_DONE_ITEM_STATUSES = ("completed", "incomplete")
_BEFORE = {
    "response.output_text": ("message", "output_text"),
    "response.refusal": ("message", "refusal"),
    "response.function_call_arguments": ("function_call", "arguments"),
    "response.custom_tool_call_input": ("custom_tool_call", "input"),
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
    """Reads the events in order. Fails at the first that OpenAI would not send there."""

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []
        self.done: dict[int, dict[str, Any]] = {}
        self.response: dict[str, Any] | None = None
        self.end: dict[str, Any] | None = None
        self._number = -1
        self._open_parts: dict[tuple[int, str, int], str] = {}
        self._texts: dict[tuple[int, str, int], str] = {}
        self._whole: set[tuple[int, str, int]] = set()

    def read(self, event: dict[str, Any]) -> None:
        kind = event["type"]
        assert self.end is None, f"{kind} after the end"
        self._number += 1
        assert event["sequence_number"] == self._number
        if self._number < 2:
            assert kind == ("response.created", "response.in_progress")[self._number]
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
        assert item["status"] == "in_progress"
        assert not item.get("content") and not item.get("summary")
        self.items.append(dict(item))

    def _end_item(self, event: dict[str, Any]) -> None:
        index, item = event["output_index"], event["item"]
        added = self.items[index]
        assert index not in self.done
        assert (item["type"], item["id"]) == (added["type"], added["id"])
        assert item.get("call_id") == added.get("call_id")
        assert item.get("name") == added.get("name")
        assert item["status"] in _DONE_ITEM_STATUSES
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
        if base in ("response.content_part", "response.reasoning_summary_part"):
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
        assert response["output"] == [item for _, item in sorted(self.done.items())]
        assert (response["error"] is not None) == (kind == "response.failed")
        assert (response["incomplete_details"] is not None) == (kind == "response.incomplete")
        if kind != "response.failed":
            assert len(self.done) == len(self.items)


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

"""The output items of a response, as deltas of one choice: texts, refusals, calls, reasoning, citations, searches.

Source: https://platform.openai.com/docs/api-reference/responses-streaming (2026-11). An item that was not streamed is
read when it is done.
"""

from msgspec import Struct

from tidegate.chat.completion import url_citation
from tidegate.chat.reasoning_order import Place
from tidegate.json import Json, JsonObject
from tidegate.providers.openai_responses.reasoning_replay import FORMAT, encrypted_detail
from tidegate.providers.openai_responses.usage import is_search
from tidegate.providers.toolnames import minted_call_id

_CALL_TYPES = {"function_call": "function", "custom_tool_call": "custom"}
_PARAGRAPH = "\n\n"


class _Item(Struct):
    """One item so far. `starts` are the positions of its texts in the content, by their content index."""

    type: str
    index: int = 0
    is_done: bool = False
    has_deltas: bool = False
    has_annotations: bool = False
    starts: dict[int, int] = {}
    part: Json = None


class OutputItems:
    """Turns items and their deltas into deltas of the choice; counts its calls and searches.

    Encrypted reasoning is sent back with the item that followed from it. It is held back until that item comes, and
    dropped if it is one that is never sent back, such as a search: the API refuses reasoning without its next item.
    """

    def __init__(self) -> None:
        self.call_count = 0
        self.searches = 0
        self._items: dict[int, _Item] = {}
        self._length = 0  # of the content, in characters
        self._has_reasoning = False
        self._reasoning_count = 0
        self._encrypted: list[tuple[JsonObject, int]] = []

    @property
    def count(self) -> int:
        return len(self._items)

    def is_done(self, index: int) -> bool:
        item = self._items.get(index)
        return item is not None and item.is_done

    def begin(self, index: int, raw: JsonObject) -> list[JsonObject]:
        """Return the first deltas of an item. A call begins when its name is known."""
        item_type = raw.get("type")
        if index in self._items or not isinstance(item_type, str):
            return []
        if item_type in _CALL_TYPES and not (isinstance(raw.get("name"), str) and raw.get("name")):
            return []
        deltas = self._release(item_type)
        item = self._items[index] = _Item(item_type)
        if item_type == "reasoning":
            item.index = self._reasoning_count
            self._reasoning_count += 1
        elif item_type in _CALL_TYPES:
            item.index = self.call_count
            self.call_count += 1
            deltas.append(_first_call_delta(item, raw))
        return deltas

    def add_text(self, index: int, content_index: int, text: str) -> JsonObject:
        """Return the delta for a piece of text. A second message begins a new paragraph."""
        item = self._items.get(index) or self._item(index, "message")
        if content_index not in item.starts:
            separator = _PARAGRAPH if self._length and not item.starts else ""
            item.starts[content_index] = self._length + len(separator)
            text = separator + text
        self._length += len(text)
        return {"content": text}

    def add_refusal(self, index: int, text: str) -> JsonObject:
        self._item(index, "message").has_deltas = True
        return {"refusal": text}

    def add_reasoning(self, index: int, part: Json, text: str, is_summary: bool) -> JsonObject:
        """Return the delta for a piece of reasoning, or of its summary. Each part begins a new paragraph."""
        item = self._item(index, "reasoning")
        is_new_item, is_new_part = not item.has_deltas, item.has_deltas and part != item.part
        item.has_deltas, item.part = True, part
        own = _PARAGRAPH + text if is_new_part else text
        shown = _PARAGRAPH + text if is_new_item and self._has_reasoning else own
        self._has_reasoning = True
        kind = {"type": "reasoning.summary", "summary": own} if is_summary else {"type": "reasoning.text", "text": own}
        details: list[Json] = [{**kind, "format": FORMAT, "index": item.index}]
        return {"reasoning": shown, "reasoning_content": shown, "reasoning_details": details}

    def add_arguments(self, index: int, text: str) -> JsonObject | None:
        """Return the delta for a piece of a call's arguments or input, None for a call that has not begun."""
        item = self._items.get(index)
        if item is None or item.type not in _CALL_TYPES:
            return None
        item.has_deltas = True
        return _call_delta(item, text)

    def add_annotation(self, index: int, content_index: int, raw: Json) -> JsonObject | None:
        """Return the delta for a citation, None for other annotations."""
        item = self._item(index, "message")
        item.has_annotations = True
        annotation = _annotation(raw, item.starts.get(content_index, 0))
        return None if annotation is None else {"annotations": [annotation]}

    def finish(self, index: int, raw: JsonObject) -> list[JsonObject]:
        """Return the deltas for what an item has when it is done, and has not sent before."""
        if self.is_done(index):
            return []
        deltas = self.begin(index, raw)
        item = self._items.get(index)
        if item is None:
            return deltas
        item.is_done = True
        match item.type:
            case "message":
                deltas += self._finish_message(index, item, raw)
            case "reasoning":
                deltas += self._finish_reasoning(index, item, raw)
            case "function_call" | "custom_tool_call" if not item.has_deltas:
                text = raw.get("arguments" if item.type == "function_call" else "input")
                default = "{}" if item.type == "function_call" else ""
                deltas.append(_call_delta(item, text if isinstance(text, str) and text else default))
            case "web_search_call":
                self.searches += is_search(raw)
            case _:
                pass
        return deltas

    def _item(self, index: int, item_type: str) -> _Item:
        """Return the item; some servers send its deltas without its beginning."""
        if index not in self._items:
            self._items[index] = _Item(item_type, self._reasoning_count)
            self._reasoning_count += item_type == "reasoning"
        return self._items[index]

    def _release(self, next_type: str) -> list[JsonObject]:
        """Return the encrypted reasoning that led to the next item."""
        if next_type == "reasoning" or not self._encrypted:
            return []
        place = Place(self._length, self.call_count)
        held, self._encrypted = self._encrypted, []
        if next_type != "message" and next_type not in _CALL_TYPES:
            return []
        details: list[Json] = [encrypted_detail(raw, index, place) for raw, index in held]
        return [{"reasoning_details": details}]

    def _finish_message(self, index: int, item: _Item, raw: JsonObject) -> list[JsonObject]:
        deltas: list[JsonObject] = []
        content = raw.get("content")
        for i, part in enumerate(content if isinstance(content, list) else ()):
            match part:
                case {"type": "output_text", "text": str(text)}:
                    if text and i not in item.starts:
                        deltas.append(self.add_text(index, i, text) | text_logprobs(part.get("logprobs")))
                    deltas += self._missing_annotations(item, i, part.get("annotations"))
                case {"type": "refusal", "refusal": str(text)} if text and not item.has_deltas:
                    deltas.append(self.add_refusal(index, text))
                case _:
                    pass
        return deltas

    def _missing_annotations(self, item: _Item, content_index: int, raw: Json) -> list[JsonObject]:
        if item.has_annotations or not isinstance(raw, list):
            return []
        start = item.starts.get(content_index, 0)
        annotations: list[Json] = [found for each in raw if (found := _annotation(each, start)) is not None]
        return [{"annotations": annotations}] if annotations else []

    def _finish_reasoning(self, index: int, item: _Item, raw: JsonObject) -> list[JsonObject]:
        deltas: list[JsonObject] = []
        if not item.has_deltas:
            for name in ("summary", "content"):
                parts = raw.get(name)
                for i, part in enumerate(parts if isinstance(parts, list) else ()):
                    match part:
                        case {"text": str(text)} if text:
                            deltas.append(self.add_reasoning(index, f"{name}.{i}", text, name == "summary"))
                        case _:
                            pass
        if isinstance(raw.get("encrypted_content"), str) and raw["encrypted_content"]:
            self._encrypted.append((raw, item.index))
        return deltas


def text_logprobs(raw: Json) -> JsonObject:
    """Return the log probabilities of a text as a pseudo field of its delta, which the choice then has."""
    tokens: list[Json] = [_token(each) for each in raw if isinstance(each, dict)] if isinstance(raw, list) else []
    return {"logprobs": {"content": tokens, "refusal": None}} if tokens else {}


def _token(raw: JsonObject) -> JsonObject:
    """Return a token with all fields that chat completions has; streams leave some out."""
    top = raw.get("top_logprobs")
    alternatives = [{"bytes": None, **each} for each in top if isinstance(each, dict)] if isinstance(top, list) else []
    return {"bytes": None, **raw, "top_logprobs": list[Json](alternatives)}


def _first_call_delta(item: _Item, raw: JsonObject) -> JsonObject:
    call_id, name = raw.get("call_id") or raw.get("id"), raw.get("name")
    if not isinstance(call_id, str):
        call_id = minted_call_id(item.index, name)
    fields: JsonObject = {"name": name, ("arguments" if item.type == "function_call" else "input"): ""}
    kind = _CALL_TYPES[item.type]
    return {"tool_calls": [{"index": item.index, "id": call_id, "type": kind, kind: fields}]}


def _call_delta(item: _Item, text: str) -> JsonObject:
    if item.type == "function_call":
        return {"tool_calls": [{"index": item.index, "function": {"arguments": text}}]}
    return {"tool_calls": [{"index": item.index, "type": "custom", "custom": {"input": text}}]}


def _annotation(raw: Json, start: int) -> JsonObject | None:
    """Return the citation of a web page. Its positions count from `start`, where its text begins."""
    match raw:
        case {"type": "url_citation", "url": str(url)}:
            first, last = raw.get("start_index"), raw.get("end_index")
            if isinstance(first, int) and isinstance(last, int):
                return url_citation(url, raw.get("title"), start + first, start + last)
            return url_citation(url, raw.get("title"))
        case _:
            return None

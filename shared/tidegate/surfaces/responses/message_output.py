"""A message item as it is streamed: its text, with citations and log probabilities, and a refusal."""

from tidegate.json import Json, JsonObject
from tidegate.surfaces.responses.event_log import EventLog, delta_head

_UNKNOWN = -9999.0
"""The log probability that OpenAI gives to unlikely tokens: clients need a number."""

_TEXT, _REFUSAL = "output_text", "refusal"


class MessageOutput:
    """One message. `start` is the place of its text among all texts of the reply, from which citations count."""

    def __init__(self, log: EventLog, item_id: str, index: int, start: int) -> None:
        self.index = index
        self._log = log
        self._id = item_id
        self._start = start
        self._parts: list[Json] = []
        self._kind = ""
        self._pieces: list[str] = []
        self._annotations: list[Json] = []
        self._logprobs: list[Json] = []
        self._place: JsonObject = {}
        self._head = b""
        log.write("response.output_item.added", output_index=index, item=self._item("in_progress"))

    def add_text(self, text: str, logprobs: Json) -> None:
        if self._kind != _TEXT:
            self._open(_TEXT)
            self._head = delta_head("response.output_text.delta", {**self._place, "logprobs": []})
        self._pieces.append(text)
        tokens = _tokens(logprobs.get("content")) if logprobs and isinstance(logprobs, dict) else []
        if tokens:
            self._logprobs += tokens
            self._log.write("response.output_text.delta", **self._place, delta=text, logprobs=tokens)
        else:
            self._log.write_delta(self._head, text)

    def add_refusal(self, text: str) -> None:
        if self._kind != _REFUSAL:
            self._open(_REFUSAL)
            self._head = delta_head("response.refusal.delta", self._place)
        self._pieces.append(text)
        self._log.write_delta(self._head, text)

    def add_annotations(self, annotations: list[Json]) -> None:
        """Add citations to the text, which begins here if there is none yet."""
        if self._kind != _TEXT:
            self._open(_TEXT)
            self._head = delta_head("response.output_text.delta", {**self._place, "logprobs": []})
        for annotation in annotations:
            flat = _flat(annotation, self._start)
            if flat is not None:
                number = len(self._annotations)
                self._annotations.append(flat)
                kind = "response.output_text.annotation.added"
                self._log.write(kind, **self._place, annotation_index=number, annotation=flat)

    def end(self, status: str) -> JsonObject:
        """Return the complete item."""
        self._close()
        item = self._item(status)
        self._log.write("response.output_item.done", output_index=self.index, item=item)
        return item

    def _open(self, kind: str) -> None:
        self._close()
        self._kind, self._pieces, self._annotations, self._logprobs = kind, [], [], []
        self._place = {"item_id": self._id, "output_index": self.index, "content_index": len(self._parts)}
        self._log.write("response.content_part.added", **self._place, part=self._part())

    def _close(self) -> None:
        if not self._kind:
            return
        part, text = self._part(), "".join(self._pieces)
        if self._kind == _TEXT:
            self._log.write("response.output_text.done", **self._place, text=text, logprobs=self._logprobs)
        else:
            self._log.write("response.refusal.done", **self._place, refusal=text)
        self._log.write("response.content_part.done", **self._place, part=part)
        self._parts.append(part)
        self._kind = ""

    def _part(self) -> JsonObject:
        text = "".join(self._pieces)
        if self._kind == _REFUSAL:
            return {"type": _REFUSAL, "refusal": text}
        return {"type": _TEXT, "text": text, "annotations": [*self._annotations], "logprobs": [*self._logprobs]}

    def _item(self, status: str) -> JsonObject:
        item: JsonObject = {"id": self._id, "type": "message", "role": "assistant", "status": status}
        return {**item, "content": [*self._parts]}


def _tokens(tokens: Json) -> list[Json]:
    """Return the log probabilities of tokens, with what some providers leave out."""
    return [_token(token) for token in (tokens if isinstance(tokens, list) else []) if isinstance(token, dict)]


def _token(token: JsonObject) -> JsonObject:
    known, probability = token.get("bytes"), token.get("logprob")
    whole: JsonObject = {
        **token,
        "bytes": known if isinstance(known, list) else [*str(token.get("token") or "").encode("utf-8", "replace")],
        "logprob": _UNKNOWN if probability is None else probability,
    }
    return {**whole, "top_logprobs": _tokens(token["top_logprobs"])} if "top_logprobs" in token else whole


def _flat(annotation: Json, start: int) -> JsonObject | None:
    match annotation:
        case {"type": "url_citation", "url_citation": dict(citation)}:
            first, last = (_number(citation.get(name)) - start for name in ("start_index", "end_index"))
            named: JsonObject = {"url": citation.get("url") or "", "title": citation.get("title") or ""}
            return {"type": "url_citation", **named, "start_index": max(0, first), "end_index": max(0, last)}
        case {"type": "file_citation" | "container_file_citation" | "file_path"}:
            return annotation
        case _:
            return None


def _number(value: Json) -> int:
    return value if isinstance(value, int) else 0

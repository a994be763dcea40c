"""A streamed reply as the events of the Messages API: one block open at a time, each with the next index.

    stream = MessagesStream(request)
    stream.events(chunks); stream.end()

Source: https://platform.claude.com/docs/en/build-with-claude/streaming (2026-11).
"""

from collections.abc import Iterable, Mapping, Sequence

from tidegate.chat.completion import Chunk, Delta
from tidegate.domain.operation import ReplyChunk, Request
from tidegate.domain.origin import NATIVE
from tidegate.errors import TidegateError
from tidegate.json import Json, JsonObject, decode_or_none, encode
from tidegate.surfaces.messages import content
from tidegate.surfaces.messages.citations import document_citations, web_citation
from tidegate.surfaces.messages.errors import error_bytes
from tidegate.surfaces.messages.notes import Notes, notes_of
from tidegate.surfaces.messages.usage import first_usage, message_usage, stop_fields


def event(kind: str, fields: JsonObject) -> bytes:
    """Return one server-sent event."""
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), encode({"type": kind, **fields}))


PING = event("ping", {})
_DELTA, _STOP = "content_block_delta", "message_stop"
_DELTA_HEAD = b"event: content_block_delta\ndata: "


class MessagesStream:
    """Encodes one streamed reply. The provider's own events go out as they are, if it speaks this dialect."""

    keep_alive = PING

    def __init__(self, request: Request) -> None:
        self._request = request
        self._notes = notes_of(request)
        self._blocks = _Blocks(self._notes)
        self._native_kind: str | None = None
        self._has_started = False
        self._ending = stop_fields("stop", None, self._notes)
        self._usage: Mapping[str, object] | None = None
        self._tier: object = None

    def events(self, chunks: Sequence[ReplyChunk]) -> bytes:
        """See `SurfaceStream.events`."""
        out: list[bytes] = []
        for chunk in chunks:
            if NATIVE in chunk:
                # `providers.native` keeps them as pairs of texts.
                events: Iterable[tuple[str, str]] = chunk[NATIVE]  # pyright: ignore[reportAssignmentType]
                for kind, data in events:
                    if kind == _DELTA:  # the common case
                        self._native_kind = kind
                        out += (_DELTA_HEAD, data.encode(), b"\n\n")
                    else:
                        out.append(self._native_event(kind, data))
            elif self._native_kind is None:
                # The other chunks are chat's.
                self._translate(chunk, out)  # pyright: ignore[reportArgumentType]
        return b"".join(out)

    def _translate(self, chunk: Chunk, out: list[bytes]) -> None:
        if not self._has_started:
            self._has_started = True
            out.append(event("message_start", {"message": self._empty_message(chunk)}))
            out.append(PING)
        if "usage" in chunk:
            self._usage = chunk["usage"] or self._usage
        if "service_tier" in chunk:
            self._tier = chunk["service_tier"] or self._tier
        for choice in chunk["choices"]:
            if choice["index"]:
                continue  # a message has one answer
            self._blocks.add(choice["delta"], out)
            if choice["finish_reason"] is not None:
                reason, native = choice["finish_reason"], choice.get("native_finish_reason")
                self._ending = stop_fields(reason, native, self._notes)

    def _native_event(self, kind: str, data: str) -> bytes:
        """Return the provider's event as it is, but with the caller's name for the model: see `reply.message`."""
        encoded = data.encode()
        if kind in ("message_start", "message"):
            raw = decode_or_none(data)
            if isinstance(raw, dict):
                kind = str(raw.get("type"))  # some servers leave out the type, which SDKs need
                message = raw.get("message")
                if kind == "message_start" and isinstance(message, dict):
                    encoded = encode({**raw, "message": {**message, "model": self._request.model}})
        self._native_kind = kind
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), encoded)

    def _empty_message(self, chunk: Chunk) -> JsonObject:
        return {
            "id": chunk.get("id", ""),
            "type": "message",
            "role": "assistant",
            "model": self._request.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": first_usage(self._request.estimate_prompt()),
        }

    def end(self) -> bytes:
        """See `SurfaceStream.end`. Some servers leave out `message_stop`, for which clients wait."""
        if self._native_kind is not None:
            return b"" if self._native_kind == _STOP else event(_STOP, {})
        out: list[bytes] = []
        self._blocks.end(out)
        usage = message_usage(self._usage, self._tier)
        out.append(event("message_delta", {"delta": self._ending, "usage": usage}))
        out.append(event(_STOP, {}))
        return b"".join(out)

    def error(self, error: TidegateError) -> bytes:
        """See `SurfaceStream.error`. Without `message_stop`, so that nobody takes the reply for a whole one."""
        return b"event: error\ndata: %b\n\n" % error_bytes(error)


class _Blocks:
    """The content blocks of one reply, of which at most one is open.

    A call that begins before the one before it has all of its arguments waits, with what arrives of it, until that one
    is complete, or the reply ends.
    """

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._index = -1
        self._kind, self._is_cited = "", False
        self._text_head = b""
        """The bytes of an event with more text up to the text, while the open block is a text without citations."""
        self._citations: list[Json] = []
        self._details: list[Json] = []
        self._thoughts: list[str] = []
        self._call: int | None = None
        self._arguments: dict[int, str] = {}
        self._waiting: dict[int, tuple[str, str]] = {}

    def add(self, delta: Delta, out: list[bytes]) -> None:
        if self._text_head and "content" in delta and len(delta) == 1:  # the common case
            if delta["content"]:
                out.append(b"%b%b}}\n\n" % (self._text_head, encode(delta["content"])))
            return
        details = delta.get("reasoning_details") or []
        thought = delta.get("reasoning")
        if thought:
            self._add_thought(thought, details, out)
        for detail in details:
            self._add_detail(detail, out)
        text = delta.get("content") or delta.get("refusal")
        if text:
            if self._is_cited:
                self._close(out)  # what follows is not what the sources say
            self._open_text(out)
            out.append(self._delta({"type": "text_delta", "text": text}))
            self._cite([], out)
        if "annotations" in delta or "citations" in delta:
            self._add_citations(delta, out)
        for call in delta.get("tool_calls") or ():
            function = call.get("function") or call.get("custom") or {}
            arguments = str(function.get("arguments") or function.get("input") or "")
            self._add_call(call.get("index", 0), call.get("id", ""), str(function.get("name") or ""), arguments, out)

    def _add_thought(self, thought: str, details: list[Json], out: list[bytes]) -> None:
        """Add a piece of thinking. Anthropic has asked nobody: what it thinks goes out as it does."""
        is_anthropic = any(map(content.is_anthropic, details))
        if self._notes.thinking == "none" and not is_anthropic:
            return
        self._open_thinking(out)
        self._thoughts.append(thought)
        if self._notes.thinking == "shown" or is_anthropic:
            out.append(self._delta({"type": "thinking_delta", "thinking": thought}))

    def _add_citations(self, delta: Delta, out: list[bytes]) -> None:
        web = [citation for each in delta.get("annotations") or () if (citation := web_citation(each)) is not None]
        self._cite([*web, *document_citations(delta.get("citations"))], out)

    def _cite(self, citations: list[Json], out: list[bytes]) -> None:
        """Add citations to the open text, or keep them for the next one: Anthropic refuses blocks without text."""
        self._citations += citations
        if self._citations and self._kind == "text":
            self._is_cited, self._text_head = True, b""
            out += (self._delta({"type": "citations_delta", "citation": each}) for each in self._citations)
            self._citations = []

    def _add_detail(self, detail: Json, out: list[bytes]) -> None:
        match detail:
            case {"type": "reasoning.text", "signature": str(signature)} if content.is_anthropic(detail):
                if self._kind == "thinking":
                    out.append(self._delta({"type": "signature_delta", "signature": signature}))
                    self._close(out, is_signed=True)
            case {"type": "reasoning.encrypted", "data": str(data)} if content.is_anthropic(detail):
                self._close(out)
                self._open("redacted_thinking", {"data": data}, out)
                self._close(out)
            case _ if content.is_anthropic(detail):
                pass  # a text, which `reasoning` has as well
            case _:
                self._details.append(detail)

    def _open_thinking(self, out: list[bytes]) -> None:
        if self._kind != "thinking":
            self._close(out)
            self._open("thinking", {"thinking": "", "signature": ""}, out)

    def _open_text(self, out: list[bytes]) -> None:
        if self._kind != "text":
            self._close(out)
            self._open("text", {"text": ""}, out)
            self._text_head = self._delta({"type": "text_delta", "text": ""}).removesuffix(b'""}}\n\n')

    def _add_call(self, number: int, call_id: str, name: str, arguments: str, out: list[bytes]) -> None:
        if number in self._waiting:
            earlier_id, earlier_name = self._waiting[number]
            self._waiting[number] = earlier_id or call_id, earlier_name or name
        elif number not in self._arguments:
            self._waiting[number] = call_id, name
            self._arguments[number] = ""
        elif number != self._call:  # it is closed: nothing can be added to it
            return
        self._arguments[number] += arguments
        if number == self._call and arguments:
            out.append(self._delta({"type": "input_json_delta", "partial_json": arguments}))
        if number in self._waiting and self._is_free():
            self._open_call(number, out)

    def _is_free(self) -> bool:
        """True if the next call may begin: the open one has a whole object as its arguments."""
        return self._call is None or isinstance(decode_or_none(self._arguments[self._call]), dict)

    def _open_call(self, number: int, out: list[bytes]) -> None:
        call_id, name = self._waiting.pop(number)
        self._close(out)
        self._call = number
        self._open("tool_use", {"id": call_id, "name": name, "input": {}}, out)
        if self._arguments[number]:
            out.append(self._delta({"type": "input_json_delta", "partial_json": self._arguments[number]}))

    def end(self, out: list[bytes]) -> None:
        """Close what is open, after the calls that wait, and reasoning that nobody has seen."""
        for number in list(self._waiting):
            self._open_call(number, out)
        self._close(out)
        hidden = content.own_thinking("", self._details, self._notes)
        if hidden is not None:
            self._open("redacted_thinking", {"data": hidden["data"]}, out)
            self._close(out)

    def _open(self, kind: str, fields: JsonObject, out: list[bytes]) -> None:
        self._index += 1
        self._kind = kind
        block: JsonObject = {"type": kind, **fields}
        out.append(event("content_block_start", {"index": self._index, "content_block": block}))

    def _close(self, out: list[bytes], *, is_signed: bool = False) -> None:
        """Close the open block; another provider's thinking gets its signature first."""
        if not self._kind:
            return
        if self._kind == "thinking" and not is_signed:
            own = content.own_thinking("".join(self._thoughts), self._details, self._notes)
            if own is not None:
                out.append(self._delta({"type": "signature_delta", "signature": own["signature"]}))
            self._details = []
        if self._kind == "thinking":
            self._thoughts = []
        out.append(event("content_block_stop", {"index": self._index}))
        self._kind, self._call, self._is_cited, self._text_head = "", None, False, b""

    def _delta(self, delta: JsonObject) -> bytes:
        return event("content_block_delta", {"index": self._index, "delta": delta})

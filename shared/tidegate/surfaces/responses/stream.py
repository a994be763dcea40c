"""A streamed reply as the events of the Responses API.

    stream = ResponsesStream(request)
    stream.events(chunks); stream.end()

Source: https://platform.openai.com/docs/api-reference/responses-streaming (2026-11). A stream ends with
`response.completed`, `response.incomplete` or `response.failed`: without these, Codex asks again, up to five times.
"""

from collections.abc import Iterable, Mapping, Sequence

from tidegate.chat.completion import Chunk
from tidegate.domain.operation import ReplyChunk, Request
from tidegate.domain.origin import NATIVE
from tidegate.errors import TidegateError
from tidegate.json import Json, JsonObject, decode_or_none
from tidegate.surfaces.responses.errors import error_event, failure
from tidegate.surfaces.responses.event_log import EventLog
from tidegate.surfaces.responses.native_events import NativeEvents
from tidegate.surfaces.responses.output import ResponseOutput
from tidegate.surfaces.responses.response import ResponseHead, end_status, open_output
from tidegate.surfaces.responses.usage import response_usage

_COMMENT = b": keep-alive\n"  # one line end: some clients take a blank line for the end of an event


class ResponsesStream:
    """Encodes one streamed reply. The provider's own events go out as they are, if it speaks this dialect."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._log = EventLog()
        self._reply: tuple[ResponseHead, ResponseOutput] | None = None
        self._native: NativeEvents | None = None
        self._reason: object = None
        self._last: dict[str, object] = {}
        self._whole: JsonObject | None = None
        if request.origin is not None and request.origin.conversation is not None:
            request.origin.conversation.read_response = self.response

    @property
    def keep_alive(self) -> bytes:
        """An event, because Codex counts the time between events; a comment while no event may come."""
        if self._reply is None:
            return _COMMENT
        self._log.write("keepalive")
        return self._log.take()

    def events(self, chunks: Sequence[ReplyChunk]) -> bytes:
        """See `SurfaceStream.events`."""
        native_bytes: list[bytes] = []
        for chunk in chunks:
            if NATIVE in chunk:
                if self._native is None:
                    self._native = NativeEvents(self._request)
                # `providers.native` keeps them as pairs of texts.
                events: Iterable[tuple[str, str]] = chunk[NATIVE]  # pyright: ignore[reportAssignmentType]
                self._native.pass_on(events, chunk["id"], native_bytes)
            elif self._native is None:
                # The other chunks are chat's.
                self._translate(chunk)  # pyright: ignore[reportArgumentType]
        return self._log.take() if self._native is None else b"".join(native_bytes)

    def _translate(self, chunk: Chunk) -> None:
        _, output = self._reply or self._begin(chunk)
        for choice in chunk["choices"]:
            if choice["index"]:
                continue  # a response has one answer
            output.add(choice["delta"], choice.get("logprobs"))
            self._reason = choice["finish_reason"] or self._reason
        if "usage" in chunk or "service_tier" in chunk:
            self._last |= {name: value for name in ("usage", "service_tier") if (value := chunk.get(name))}

    def _begin(self, first: Mapping[str, object]) -> tuple[ResponseHead, ResponseOutput]:
        head = ResponseHead(self._request, first)
        for kind in ("response.created", "response.in_progress"):
            self._log.write(kind, response=head.response("in_progress", []))
        self._reply = head, open_output(self._request, head.suffix, self._log)
        return self._reply

    def end(self) -> bytes:
        """See `SurfaceStream.end`."""
        if self._native is not None:
            return b""
        head, output = self._reply or self._begin({})
        status = end_status(self._reason)
        output.end(status)
        self._whole = head.ended(self._reason, output.items, self._last)
        self._log.write(f"response.{status}", response=self._whole)
        return self._log.take()

    def response(self) -> JsonObject | None:
        """Return the response as far as it is encoded, None before its beginning: what is kept of it."""
        if self._native is not None:
            return self._native.response()
        if self._whole is not None or self._reply is None:
            return self._whole
        head, output = self._reply
        output.end("incomplete")
        return head.response("incomplete", output.items, incomplete_details={"reason": "interrupted"})

    def error(self, error: TidegateError) -> bytes:
        """See `SurfaceStream.error`. SDKs raise the error at its event, and Codex reads the failed response."""
        head, output = self._reply or self._begin_failed(error)
        self._log.write("error", **error_event(error))
        usage = response_usage(error.usage)
        response = head.response("failed", output.items, error=failure(error), usage=usage)
        self._log.write("response.failed", response=response)
        return self._log.take()

    def _begin_failed(self, error: TidegateError) -> tuple[ResponseHead, ResponseOutput]:
        """Begin the response that has failed before its first chunk, or go on with the provider's own one."""
        if self._native is None or self._native.begun is None:
            return self._begin({"id": f"resp_{error.request_id or 0}"})
        first, last = decode_or_none(self._native.begun), decode_or_none(self._native.latest)
        begun: Json = first.get("response") if isinstance(first, dict) else None
        fields: JsonObject = begun if isinstance(begun, dict) else {}
        number = last.get("sequence_number") if isinstance(last, dict) else None
        self._log = EventLog(number + 1 if isinstance(number, int) else 0)
        head = ResponseHead(self._request, {**fields, "created": fields.get("created_at")})
        return head, open_output(self._request, head.suffix, self._log)

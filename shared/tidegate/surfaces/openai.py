"""OpenAI's dialect for clients: the inner dialect unchanged, server-sent events, and OpenAI's error object.

Sources: https://platform.openai.com/docs/api-reference/chat-streaming, https://platform.openai.com/docs/guides/error-codes
(2026).
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from tidegate.domain.operation import Operation, Reply, ReplyChunk, Request
from tidegate.domain.surface import NO_HEADERS, REQUEST_ID, SurfaceStream
from tidegate.errors import InvalidRequest, TidegateError
from tidegate.json import encode
from tidegate.lazy import load

_DONE = b"data: [DONE]\n\n"

_KEY_HEADERS = (b"api-key", b"x-api-key", b"x-goog-api-key")
"""Headers in which the SDKs of Azure, Anthropic and Google send their key."""


class OpenAIStream:
    """A stream of `data:` events. It has no state."""

    keep_alive = b": keep-alive\n"
    sends_chunks = True
    """Its events are the chunks as they are, which a trace can keep in their place."""

    def events(self, chunks: Sequence[ReplyChunk]) -> bytes:
        """See `SurfaceStream.events`."""
        return b"data: %b\n\n" % encode(chunks[0]) if len(chunks) == 1 else _encode_events(chunks)

    def end(self) -> bytes:
        """See `SurfaceStream.end`."""
        return _DONE

    def error(self, error: TidegateError) -> bytes:
        """Return the error event, without `[DONE]`. SDKs pass on only `error`, so the usage is inside it."""
        body = error_object(error)
        if error.usage is not None:
            body = {"error": {**body["error"], "usage": error.usage}}
        return _encode_events([body])


_STREAM = OpenAIStream()


def _encode_events(values: Iterable[object]) -> bytes:
    """Return each value as one `data:` event, concatenated."""
    return b"".join([b"data: %b\n\n" % encode(value) for value in values])


class OpenAISurface(Struct, frozen=True):
    """OpenAI's dialect, with settings for dialects that are close to it."""

    name: str = "openai"
    requires_workspace: bool = False
    always_includes_usage: bool = False
    request_id_headers: tuple[bytes, ...] = REQUEST_ID

    def credential(self, headers: Mapping[bytes, bytes]) -> str | None:
        """See `Surface.credential`."""
        return find_credential(headers)

    def reply_id(self, call_id: str, now: float) -> str:
        """Return `chatcmpl-` and 29 letters, as OpenAI's ids have: the call's id, and its last three letters again."""
        return f"chatcmpl-{call_id}{call_id[-3:]}"

    def parse(self, operation: Operation, body: bytes, headers: Mapping[bytes, bytes] = NO_HEADERS) -> Request:
        """See `Surface.parse`. Cursor sends requests of the Responses API here, and reads chunks."""
        try:
            return operation.parse(body)
        except InvalidRequest as error:
            if error.param != "messages":
                raise
            request = load("tidegate.surfaces.responses.request", "chat_request")(body)
            if request is None:
                raise
            return request

    def reply(self, reply: Reply, request: Request) -> bytes:
        """See `Surface.reply`."""
        return encode(reply)

    def open_stream(self, request: Request) -> SurfaceStream:
        """See `Surface.open_stream`. All calls share one stream, because it has no state."""
        return _STREAM

    def status(self, error: TidegateError) -> int:
        """See `Surface.status`."""
        return error.status

    def error(self, error: TidegateError) -> bytes:
        """See `Surface.error`."""
        return encode(error_object(error))


def find_credential(headers: Mapping[bytes, bytes]) -> str | None:
    """Return the credential as `Bearer …`: of `authorization`, or else of a header that other SDKs use.

    An `authorization` without a bearer token is returned only if there is no other, so that its error says what to do.
    """
    authorization = headers.get(b"authorization", b"").decode("latin-1").strip()
    if authorization[:7].lower() != "bearer ":
        for name in _KEY_HEADERS:
            key = headers.get(name, b"").decode("latin-1").strip()
            if key:
                return f"Bearer {key}"
    return authorization or None


def error_object(error: TidegateError) -> dict[str, dict[str, object]]:
    """Return OpenAI's error object."""
    return {"error": {"message": error.message, "type": error.type, "param": error.param, "code": error.code}}


OPENAI = OpenAISurface()

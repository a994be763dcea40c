"""The surfaces of other dialects than OpenAI's. Their modules are loaded with their first call."""

from collections.abc import Mapping

from msgspec import Struct

from tidegate.domain.operation import Operation, Reply, Request
from tidegate.domain.surface import NO_HEADERS, REQUEST_ID, Surface, SurfaceStream
from tidegate.errors import OperationNotSupported, TidegateError
from tidegate.json import encode
from tidegate.lazy import late, load
from tidegate.surfaces.openai import find_credential

COMPLETIONS: Surface = late("tidegate.surfaces.completions", "COMPLETIONS")
NEUROFLASH: Surface = late("tidegate.surfaces.neuroflash", "NEUROFLASH")
OLLAMA: Surface = late("tidegate.surfaces.ollama", "OLLAMA")
OLLAMA_EMBED: Surface = late("tidegate.surfaces.ollama_embed", "OLLAMA_EMBED")
OLLAMA_GENERATE: Surface = late("tidegate.surfaces.ollama_generate", "OLLAMA_GENERATE")
OPENROUTER: Surface = late("tidegate.surfaces.openrouter", "OPENROUTER")


class MessagesSurface(Struct, frozen=True):
    """Anthropic's dialect, in front of every provider. `needs_limit`: a request without `max_tokens` is refused."""

    name: str = "messages"
    requires_workspace: bool = False
    always_includes_usage: bool = True
    request_id_headers: tuple[bytes, ...] = (*REQUEST_ID, b"request-id")
    needs_limit: bool = True

    def credential(self, headers: Mapping[bytes, bytes]) -> str | None:
        """See `Surface.credential`. SDKs send the key as a bearer token, as `x-api-key`, or both."""
        return find_credential(headers)

    def reply_id(self, call_id: str, now: float) -> str:
        """Return `msg_` and the call's id."""
        return f"msg_{call_id}"

    def parse(self, operation: Operation, body: bytes, headers: Mapping[bytes, bytes] = NO_HEADERS) -> Request:
        """See `Surface.parse`."""
        if operation.name != "chat":
            raise OperationNotSupported("The Messages API has chat alone.")
        return load("tidegate.surfaces.messages.request", "parse")(body, headers, needs_limit=self.needs_limit)

    def reply(self, reply: Reply, request: Request) -> bytes:
        """See `Surface.reply`. The reply of a provider that speaks this dialect goes out as it is."""
        return encode(load("tidegate.surfaces.messages.reply", "message")(reply, request))

    def open_stream(self, request: Request) -> SurfaceStream:
        """See `Surface.open_stream`."""
        return load("tidegate.surfaces.messages.stream", "MessagesStream")(request)

    def status(self, error: TidegateError) -> int:
        """See `Surface.status`. The error of a provider that speaks this dialect goes out as it is."""
        return load("tidegate.surfaces.messages.errors", "status")(error)

    def error(self, error: TidegateError) -> bytes:
        """See `Surface.error`."""
        return load("tidegate.surfaces.messages.errors", "error_bytes")(error)


MESSAGES = MessagesSurface()
MESSAGES_WITHOUT_LIMIT = MessagesSurface(needs_limit=False)


class ResponsesSurface(Struct, frozen=True):
    """OpenAI's Responses API, in front of every provider."""

    name: str = "responses"
    requires_workspace: bool = False
    always_includes_usage: bool = True
    request_id_headers: tuple[bytes, ...] = REQUEST_ID

    def credential(self, headers: Mapping[bytes, bytes]) -> str | None:
        """See `Surface.credential`."""
        return find_credential(headers)

    def reply_id(self, call_id: str, now: float) -> str:
        """Return `resp_` and the call's id."""
        return f"resp_{call_id}"

    def parse(self, operation: Operation, body: bytes, headers: Mapping[bytes, bytes] = NO_HEADERS) -> Request:
        """See `Surface.parse`."""
        if operation.name != "chat":
            raise OperationNotSupported("The Responses API has chat alone.")
        return load("tidegate.surfaces.responses.request", "parse")(body, headers)

    def reply(self, reply: Reply, request: Request) -> bytes:
        """See `Surface.reply`. The reply of a provider that speaks this dialect goes out with the gateway's id."""
        return encode(load("tidegate.surfaces.responses.reply", "response")(reply, request))

    def open_stream(self, request: Request) -> SurfaceStream:
        """See `Surface.open_stream`."""
        return load("tidegate.surfaces.responses.stream", "ResponsesStream")(request)

    def status(self, error: TidegateError) -> int:
        """See `Surface.status`. The error of a provider that speaks this dialect goes out as it is."""
        return load("tidegate.surfaces.responses.errors", "status")(error)

    def error(self, error: TidegateError) -> bytes:
        """See `Surface.error`."""
        return load("tidegate.surfaces.responses.errors", "error_bytes")(error)


RESPONSES = ResponsesSurface()

RESPONSE_PREFIXES = ("/v1", "", "/openai/v1", "/api/v1")
"""Prefixes of the paths of `/responses` and `/conversations`."""


class CompactionSurface(ResponsesSurface, frozen=True):
    """OpenAI's `/responses/compact`: summaries of conversations."""

    name: str = "compaction"

    def parse(self, operation: Operation, body: bytes, headers: Mapping[bytes, bytes] = NO_HEADERS) -> Request:
        """See `Surface.parse`."""
        return load("tidegate.surfaces.responses.compaction", "parse")(body, headers)

    def reply(self, reply: Reply, request: Request) -> bytes:
        """See `Surface.reply`."""
        return encode(load("tidegate.surfaces.responses.compaction", "compacted")(reply, request))


COMPACTION = CompactionSurface()

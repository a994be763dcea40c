"""A surface is a dialect that clients speak: it parses requests, and encodes replies, streams and errors. Pure.

Each surface is one module in `tidegate.surfaces`. `api/` sends the bytes that it makes; streams are server-sent events.

    request = surface.parse(operation, body, headers)
    surface.reply(reply, request)                     # the bytes of a whole reply
    stream = surface.open_stream(request)
    stream.events(chunks); stream.end()               # the bytes of a streamed one
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from tidegate.domain.operation import Operation, Reply, ReplyChunk, Request
from tidegate.errors import TidegateError

NO_HEADERS: Mapping[bytes, bytes] = {}

REQUEST_ID: tuple[bytes, ...] = (b"x-request-id",)


class SurfaceStream(Protocol):
    """Encodes one streamed reply. May keep state from one event to the next."""

    @property
    def keep_alive(self) -> bytes:
        """The bytes that keep the connection open while a provider thinks."""
        ...

    def events(self, chunks: Sequence[ReplyChunk]) -> bytes: ...

    def end(self) -> bytes:
        """Return the end of a complete stream."""
        ...

    def error(self, error: TidegateError) -> bytes:
        """Return the end of a failed stream."""
        ...


class Surface(Protocol):
    """One dialect that clients speak. Stateless."""

    @property
    def name(self) -> str:
        """The surface's name in call records: "openai"."""
        ...

    @property
    def requires_workspace(self) -> bool:
        """True if a request without `x-workspace-id` is refused."""
        ...

    @property
    def always_includes_usage(self) -> bool:
        """True if every stream ends with its usage; False if only those whose caller asks for it."""
        ...

    @property
    def request_id_headers(self) -> tuple[bytes, ...]:
        """The headers of a reply that have the call's id."""
        ...

    def credential(self, headers: Mapping[bytes, bytes]) -> str | None:
        """Return the credential as `Bearer …`, whichever header has it. Names of `headers` are in lower case.

        A bearer token in `authorization` wins over every other header.
        """
        ...

    def reply_id(self, call_id: str, now: float) -> str:
        """Return a new id for the reply to a call; `now` is in UTC seconds."""
        ...

    def parse(self, operation: Operation, body: bytes, headers: Mapping[bytes, bytes] = NO_HEADERS) -> Request:
        """Return the request in the operation's inner dialect. Raises `InvalidRequest`."""
        ...

    def reply(self, reply: Reply, request: Request) -> bytes:
        """Return the bytes of a whole reply to `request`."""
        ...

    def open_stream(self, request: Request) -> SurfaceStream: ...

    def status(self, error: TidegateError) -> int:
        """Return the HTTP status of an error reply."""
        ...

    def error(self, error: TidegateError) -> bytes:
        """Return the body of an error reply."""
        ...

"""A client's dialect: how its requests are read, and how replies, streams and errors are written for it. Pure.

A surface is one module in `tidegate.surfaces`; nothing outside of it knows how its bytes look.

    request = surface.parse(operation, body)
    surface.reply(reply)                              # the bytes of a whole reply
    stream = surface.open_stream()
    stream.events(chunks); stream.end()               # the bytes of a streamed one
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from tidegate.domain.operation import Operation, Reply, ReplyChunk, Request
from tidegate.errors import TidegateError


class SurfaceStream(Protocol):
    """Writes one streamed reply. Keeps what one event must know of those before it."""

    @property
    def keep_alive(self) -> bytes:
        """The bytes that say nothing, while a provider thinks."""
        ...

    def events(self, chunks: Sequence[ReplyChunk]) -> bytes: ...

    def end(self) -> bytes:
        """Return what ends a stream that is complete."""
        ...

    def error(self, error: TidegateError) -> bytes:
        """Return what ends a stream that has failed."""
        ...


class Surface(Protocol):
    """One client's dialect."""

    @property
    def name(self) -> str:
        """The surface's name, as call records have it: "openai"."""
        ...

    @property
    def requires_workspace(self) -> bool:
        """True if a request without `x-workspace-id` is refused."""
        ...

    @property
    def always_includes_usage(self) -> bool:
        """True if a stream ends with its usage although the caller did not ask for it."""
        ...

    def credential(self, headers: Mapping[bytes, bytes]) -> str | None:
        """Return the caller's credential as a value of `authorization`; header names are in lower case."""
        ...

    def reply_id(self, now: float) -> str:
        """Return a new id for a reply; `now` is in UTC seconds."""
        ...

    def parse(self, operation: Operation, body: bytes) -> Request:
        """Return the request in the operation's inner dialect. Raises `InvalidRequest`."""
        ...

    def reply(self, reply: Reply) -> bytes: ...

    def open_stream(self) -> SurfaceStream: ...

    def error(self, error: TidegateError) -> bytes:
        """Return the body of a reply that is an error."""
        ...

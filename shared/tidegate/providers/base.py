"""Two protocols without I/O: `Provider` translates a provider's chat dialect, `Translator` any one operation."""

import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal, Protocol, TypeAlias

from msgspec import Struct, field

from tidegate.chat.completion import Chunk, Completion
from tidegate.chat.request import ChatCall
from tidegate.domain.call import Call
from tidegate.domain.deployment import Deployment
from tidegate.domain.operation import Reply, ReplyChunk
from tidegate.errors import UpstreamError
from tidegate.json import Json

Headers: TypeAlias = Mapping[str, str]
"""HTTP headers; their names are in lower case."""

_ACCESS_TOKEN = re.compile(r"ya29\.|eyJ[\w-]+\.[\w-]+\.")
"""Source: github.com/openai/openai-python/pull/3354 (Entra ID's tokens as the key of Azure, read 2026-11)."""

Framing = Literal["sse", "eventstream"]

Dialect = Literal["own", "messages", "responses"]
"""The dialect of a request and its reply: the provider's own, or that of one API: Anthropic's Messages, OpenAI's
Responses."""


class StreamEvent(Struct, frozen=True, gc=False):
    """One event of an upstream's stream: a server-sent event, or one frame of an AWS event stream.

    `type` is the SSE `event:` field ("message" if none was sent) or the frame's `:event-type`; for a frame that
    reports a failure, it is `exception:` or `error:` followed by the failure's type.
    """

    type: str
    data: str | bytes


class AccessToken(str):
    """A key that is known to be an access token: it is sent as a bearer token."""

    __slots__ = ()


def is_access_token(key: str) -> bool:
    """Return True for an access token of Google's or of Microsoft Entra ID, a JWT, and for every `AccessToken`."""
    return isinstance(key, AccessToken) or _ACCESS_TOKEN.match(key) is not None


class KeyAuth(Struct, frozen=True):
    """Send the provider's key in `header`, after the prefix `scheme` ("Bearer ").

    An access token, which an operator may set in place of a key, is always sent as a bearer token.
    """

    header: str = "authorization"
    scheme: str = "Bearer "

    def header_of(self, key: str) -> tuple[str, str]:
        """Return the name and the value of the header that carries `key`."""
        return ("authorization", f"Bearer {key}") if is_access_token(key) else (self.header, self.scheme + key)


class SigV4Auth(Struct, frozen=True):
    """Sign the request with AWS credentials for `service` in `region`."""

    service: str
    region: str


Auth: TypeAlias = KeyAuth | SigV4Auth | None


class FurtherRequests(Struct, frozen=True):
    """More `requests` beside one that would be too long for its provider with all of the call.

    `join` makes one reply of all replies, in the order of their requests.
    """

    requests: "tuple[UpstreamRequest, ...]"
    join: Callable[[Sequence[Reply]], Reply]


_NO_TOOL_NAMES: Mapping[str, str] = MappingProxyType({})


class UpstreamRequest(Struct, frozen=True):
    """The request to a provider, without its credentials: `upstream/` adds those just before sending.

    `caller_tool_names`: the caller's tool names by those sent, where they differ. `answer_tool`: the tool that the
    gateway added; its arguments are the structured output. `legacy_functions`: the caller sent `functions` and expects
    `function_call`. `names_tool`: the caller named the tool to call, after which OpenAI says "stop". `caller_terms.py`
    restores all four in replies.
    `caller_tools` are the caller's tools or functions, and `call_id` is the call's id: `reply_calls.py` uses both.
    `ignored` names the caller's fields that this provider cannot honour: no field is dropped silently.
    `dialect` is that of the request and of its reply. `is_native`: it is the caller's own request in this dialect, and
    the caller gets the provider's own reply, see `native.py`. `has_framed_events`: see `bedrock/invoke.py`.
    `notes` are what the translator needs to read the reply. `further` is None for a request that has all of the call.
    `parse_plain` translates the bytes of a whole reply, and returns None for those that need `Translator.parse_reply`.
    """

    url: str
    body: bytes
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "application/json"})
    auth: Auth = KeyAuth()
    ignored: tuple[str, ...] = ()
    call_id: str = ""
    parse_plain: Callable[[bytes], Reply | None] | None = None
    caller_tool_names: Mapping[str, str] = _NO_TOOL_NAMES
    answer_tool: str | None = None
    legacy_functions: bool = False
    caller_tools: Json = None
    names_tool: bool = False
    dialect: Dialect = "own"
    is_native: bool = False
    has_framed_events: bool = False
    notes: object = None
    further: FurtherRequests | None = None


class StreamTranslator(Protocol):
    """Translates one stream for `stream_loop`. `done`: the reply is complete, even if more events follow."""

    done: bool

    def feed(self, event: StreamEvent, out: list[Chunk]) -> None:
        """Append the chunks of this event to `out`. Raises `UpstreamError`."""
        ...

    def end(self) -> list[Chunk]:
        """Return the last chunks. Raises `StreamCut` if the reply is incomplete."""
        ...


class StreamParser(Protocol):
    """Parses one streamed reply, without I/O. See `stream_loop.StreamLoop`."""

    @property
    def done(self) -> bool:
        """True if the reply is complete, even if more events follow."""
        ...

    @property
    def failure(self) -> UpstreamError | None:
        """The error to raise after the chunks that `feed` has returned."""
        ...

    def feed(self, batch: Sequence[StreamEvent]) -> Sequence[ReplyChunk]:
        """Return the chunks of a batch of events. Raises `UpstreamError`."""
        ...

    def end(self) -> Sequence[ReplyChunk]:
        """Return the last chunks, unless the reply is `done`. Raises `UpstreamError`."""
        ...


class Translator(Protocol):
    """Translates one operation for one provider. Stateless and pure.

        request = translator.build_request(call, deployment)
        reply = translator.parse_reply(request, body)  # or, streamed:
        chunks = translator.open_stream(request).feed(events)

    `Registry.translator` finds it.
    """

    @property
    def name(self) -> str:
        """The provider's name."""
        ...

    @property
    def framing(self) -> Framing: ...

    def signs_reasoning(self, call: Call, deployment: Deployment) -> bool:
        """True if reasoning is signed, and must be sent back with the tool calls that followed from it."""
        ...

    def media_urls(self, call: Call, deployment: Deployment) -> Mapping[str, str]:
        """Return the URLs that the gateway must fetch for `build_request`, by the paths of their content parts."""
        ...

    def build_request(self, call: Call, deployment: Deployment) -> UpstreamRequest:
        """Translate the call for `deployment`. Raises `InvalidRequest` for a value that cannot be translated."""
        ...

    def parse_reply(self, request: UpstreamRequest, body: Json) -> Reply:
        """Translate the body of a whole reply. Raises `UpstreamError`, also for an error inside a 200."""
        ...

    def open_stream(self, request: UpstreamRequest) -> StreamParser:
        """Return the parser of a streamed reply to the request."""
        ...

    def reply_chunks(self, reply: Reply) -> Sequence[ReplyChunk]:
        """Turn a whole reply into the chunks of a stream, for a provider that does not stream when asked to."""
        ...

    def has_content(self, chunk: ReplyChunk) -> bool:
        """Return True if the chunk has a part of the answer, and not only usage."""
        ...

    def parse_error(self, status: int, headers: Headers, body: Json | str) -> UpstreamError:
        """Return the error for a reply outside 2xx; `body` is text if it was not JSON."""
        ...


class Provider(Protocol):
    """Translates one upstream dialect. Holds no state, does no I/O, reads no clock, never mutates its arguments.

        request = provider.build_request(call, deployment)
        completion = provider.parse_completion(body)  # the JSON body of the reply

    Streams are translated in batches: the events of one network read in, their chunks out. A fast stream then costs
    one hop of the event loop for each read, not one for each token, and no chunk is delayed.
    """

    @property
    def name(self) -> str: ...

    @property
    def framing(self) -> Framing: ...

    @property
    def dialects(self) -> frozenset[str]:
        """The dialects of `Origin` whose own fields and tools the provider's translation knows."""
        ...

    def signs_reasoning(self, call: ChatCall, deployment: Deployment) -> bool:
        """True if reasoning is signed, and must be sent back with the tool calls that followed from it."""
        ...

    def media_urls(self, call: ChatCall, deployment: Deployment) -> Mapping[str, str]:
        """Return the URLs that the gateway must fetch into `call.media`, by the JSON path of their content part."""
        ...

    def build_request(self, call: ChatCall, deployment: Deployment) -> UpstreamRequest:
        """Translate the call for `deployment`. Raises `InvalidRequest` for a value that cannot be translated."""
        ...

    def native_request(self, call: ChatCall, deployment: Deployment) -> UpstreamRequest | None:
        """Return the request as its caller sent it, for this deployment; None if it does not speak that dialect.

        Only for a call whose `origin` has a body.
        """
        ...

    def parse_completion(self, body: Json) -> Completion:
        """Translate the body of a complete reply. Raises `UpstreamError`, also for an error inside a 200."""
        ...

    def new_stream(self) -> StreamTranslator:
        """Return the translator of one streamed reply.

        Its chunks are, for each choice, the role, the content and the finish reason; after all choices, usage if it was
        sent. If the provider reports input tokens at the start, a first chunk of usage has them, and 0
        `completion_tokens`. It raises `UpstreamError` for an error event, and `StreamCut` if the events end before the
        reply is complete.
        """
        ...

    def parse_error(self, status: int, headers: Headers, body: Json | str) -> UpstreamError:
        """Return the error for a reply outside 2xx; `body` is text if it was not JSON."""
        ...

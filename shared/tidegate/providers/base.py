"""The protocol of a provider: one upstream dialect, translated to and from OpenAI's. Pure."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol, TypeAlias

from msgspec import Struct, field

from tidegate.chat.completion import Chunk, Completion
from tidegate.chat.request import ChatCall
from tidegate.domain.call import Call
from tidegate.domain.deployment import Deployment
from tidegate.domain.operation import Reply, ReplyChunk
from tidegate.errors import UpstreamError
from tidegate.json import Json

Headers: TypeAlias = Mapping[str, str]
"""Names in lower case."""

Framing = Literal["sse", "eventstream"]


class StreamEvent(NamedTuple):
    """One event of an upstream's stream: of `text/event-stream`, or one frame of an AWS event stream.

    `type` is the SSE `event:` field ("message" where none was sent) or the frame's `:event-type`; of a frame that is
    a failure, `exception:` or `error:` and its kind.
    """

    type: str
    data: str | bytes


class KeyAuth(Struct, frozen=True):
    """The provider's key goes into `header`, behind `scheme` ("Bearer ")."""

    header: str = "authorization"
    scheme: str = "Bearer "


class SigV4Auth(Struct, frozen=True):
    """The request is signed with AWS credentials for `service` in `region`."""

    service: str
    region: str


Auth: TypeAlias = KeyAuth | SigV4Auth | None


class UpstreamRequest(Struct, frozen=True):
    """What is sent to a provider, but for its credentials, which `upstream/` adds at the moment of use.

    `names` are tool names that had to be spelt otherwise: the caller's, by the provider's. `answer_tool` is a tool that
    the caller did not send: its arguments are the structured output. `legacy_functions`: the caller sent `functions`,
    and knows `function_call` only. `restore.py` undoes all three in every reply.
    `ignored` names the caller's fields that this provider cannot honour: none is dropped without its name.
    """

    url: str
    body: bytes
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "application/json"})
    auth: Auth = KeyAuth()
    ignored: tuple[str, ...] = ()
    caller_tool_names: Mapping[str, str] = field(default_factory=dict[str, str])
    answer_tool: str | None = None
    legacy_functions: bool = False


class Translator(Protocol):
    """One operation at one provider, as the pipeline sees it. Stateless and pure; `Registry.translator` finds it.

    request = translator.build_request(call, deployment)
    reply = translator.parse_reply(request, body)         # or, streamed:
    async for chunks in translator.parse_stream(request, events): ...
    """

    @property
    def name(self) -> str:
        """The provider's name."""
        ...

    @property
    def framing(self) -> Framing: ...

    @property
    def signs_reasoning(self) -> bool:
        """Whether its reasoning is signed and must come back with the tool calls that followed from it."""
        ...

    def media_urls(self, call: Call, deployment: Deployment) -> Mapping[str, str]:
        """Return the URLs that the gateway must fetch for `build_request`, by the paths of their parts."""
        ...

    def build_request(self, call: Call, deployment: Deployment) -> UpstreamRequest:
        """Return the request for that deployment. Raises `InvalidRequest` for what cannot be translated."""
        ...

    def parse_reply(self, request: UpstreamRequest, body: Json) -> Reply:
        """Return the reply to `request`. Raises `UpstreamError`, also for an error inside a 200."""
        ...

    def parse_stream(
        self, request: UpstreamRequest, events: AsyncIterator[Sequence[StreamEvent]]
    ) -> AsyncGenerator[Sequence[ReplyChunk]]:
        """Yield the chunks of the reply to `request`. Raises `UpstreamError`."""
        ...

    def is_reply(self, body: Json) -> bool:
        """Whether a JSON body may be a reply, and not an error object."""
        ...

    def has_content(self, chunk: ReplyChunk) -> bool:
        """Whether the answer has begun with this chunk: usage alone is not content."""
        ...

    def parse_error(self, status: int, headers: Headers, body: Json | str) -> UpstreamError:
        """Return the failure that a reply outside 2xx stands for; `body` is text where it was not JSON."""
        ...


class Provider(Protocol):
    """One upstream dialect. Holds no state, does no I/O, reads no clock, never mutates what it is given.

    Streams come and go in batches: the events of one network read in, their chunks out. That keeps a stream
    without pauses cheap (one hop of the event loop for each read, not one for each token) and delays nothing.
    """

    @property
    def name(self) -> str: ...

    @property
    def framing(self) -> Framing: ...

    @property
    def signs_reasoning(self) -> bool:
        """Its reasoning is signed, and must come back with the tool calls that followed from it."""
        ...

    def media_urls(self, call: ChatCall, deployment: Deployment) -> Mapping[str, str]:
        """The media that this provider wants as bytes: URLs by the paths of their parts.

        The gateway fetches them, and `build_request` finds them in `call.media`.
        """
        ...

    def build_request(self, call: ChatCall, deployment: Deployment) -> UpstreamRequest:
        """The request for that deployment. Raises `InvalidRequest` for what cannot be translated."""
        ...

    def parse_completion(self, body: Json) -> Completion:
        """The reply to a call that does not stream. Raises `UpstreamError`: also for an error inside a 200."""
        ...

    def parse_stream(self, events: AsyncIterator[Sequence[StreamEvent]]) -> AsyncGenerator[list[Chunk]]:
        """The reply to a call that streams: one role, contents, one finish for each choice, then usage if it was sent.

        Where the input is told at the beginning, usage comes twice: at first with no `completion_tokens`.

        Raises `UpstreamError`: for an error event, and `StreamCut` where the events end before the reply does.
        """
        ...

    def parse_error(self, status: int, headers: Headers, body: Json | str) -> UpstreamError:
        """The failure that a reply outside 2xx stands for; `body` is text where it was not JSON."""
        ...

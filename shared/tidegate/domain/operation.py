"""Operations, such as chat completions: a call's request, and what the gateway reads in its replies. Pure.

Chat is the first operation (`tidegate.chat.operation`). The pipeline, the ledger, records, routes, retries and the
cache know these protocols, and no field of any operation. An operation is a folder that has one value of `Operation`;
where a provider can do it, `Registry.translator` finds the provider's translation.

    request = operation.parse(b'{"model": "openai/gpt-4o", ...}')
    request.worst_case(model).output      # tokens that the budget must have room for
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol, TypeAlias

from msgspec import Struct, field

from tidegate.domain.gateway_fields import GatewayFields
from tidegate.domain.usage import TokenCounts, Usage
from tidegate.json import Json, JsonObject

Reply: TypeAlias = Mapping[str, object]
"""A whole reply in the operation's inner dialect."""

ReplyChunk: TypeAlias = Mapping[str, object]
"""One chunk of a streamed reply in the operation's inner dialect."""


class ModelLimits(Protocol):
    """The limits of a model that a worst case depends on."""

    @property
    def output_limit(self) -> int | None:
        """The most tokens of one answer; None where it is unknown."""
        ...


class Request(Protocol):
    """One validated request of an operation. Frozen: its methods return other requests."""

    @property
    def model(self) -> str: ...

    @property
    def stream(self) -> bool: ...

    @property
    def body(self) -> JsonObject:
        """The object that the caller sent: read it, never change it."""
        ...

    @property
    def size(self) -> int:
        """Bytes of the body as it was sent."""
        ...

    @property
    def ignored(self) -> tuple[str, ...]:
        """The paths of fields that the gateway itself does not honour."""
        ...

    @property
    def options(self) -> GatewayFields:
        """The fields that are the gateway's own and never reach a provider."""
        ...

    @property
    def includes_usage(self) -> bool:
        """True if the caller wants the usage at the end of a stream."""
        ...

    @property
    def choices(self) -> int:
        """The number of answers that the caller wants."""
        ...

    @property
    def output_limit(self) -> int | None:
        """The most tokens of one answer that the caller wants; None where it set no limit."""
        ...

    @property
    def streams_plain_text(self) -> bool:
        """True if a stream of the reply is text alone, of which a part can be checked before the rest has come."""
        ...

    def answer_schema(self) -> "AnswerSchema | None":
        """Return the schema that the caller set for answers."""
        ...

    def with_model(self, model: str) -> "Request":
        """Return this request for another model."""
        ...

    def with_output_limit(self, limit: int) -> "Request":
        """Return this request with at most `limit` tokens for each answer."""
        ...

    def with_body(self, body: JsonObject) -> "Request":
        """Return the request that `body` stands for, validated anew. Raises `InvalidRequest`."""
        ...

    def without_fields(self, names: Iterable[str]) -> "Request":
        """Return this request as if it had come without those fields, which it can do without."""
        ...

    def estimate_prompt(self) -> int:
        """Estimate the tokens of the prompt."""
        ...

    def worst_case(self, model: ModelLimits | None) -> TokenCounts:
        """Return the most tokens and searches that the request is taken to use with that model."""
        ...

    def prompt_texts(self) -> Iterator[str]:
        """Yield the texts whose words are counted as input."""
        ...

    def cache_fields(self) -> JsonObject:
        """Return the fields that equal requests have in common, but for the model."""
        ...

    def session_key(self, session_id: str | None) -> bytes:
        """Return what the requests of one conversation have in common."""
        ...

    def reasoning_turns(self) -> list[str]:
        """List the ids under which the signed reasoning of earlier turns may be stored."""
        ...


class ReplyLog(Struct):
    """The usage, finish reason and texts of one call's replies so far, for billing and records."""

    usage: Usage | None = None
    finish_reason: str | None = None
    native_finish_reason: str | None = None
    answer_text: list[str] = field(default_factory=list[str])
    hidden_text: list[str] = field(default_factory=list[str])


class Stamp(Struct, frozen=True):
    """The fields of a reply that the gateway sets itself. `created` is in Unix seconds."""

    id: str
    created: int
    model: str


class Text(Struct, frozen=True):
    """A text, its `path` for errors ("messages[0].content"), and the `role` of its message."""

    text: str
    path: str = ""
    role: str = ""


class AnswerSchema(Struct, frozen=True):
    """The JSON schema that the caller wants answers to conform to; `path` is the field that has it."""

    schema: Json
    path: str


class Stamper(Protocol):
    """Puts one call's replies under the gateway's name, without what the caller did not want to see."""

    def reply(self, reply: Reply, usage: Mapping[str, object]) -> Reply: ...

    def chunk(self, chunk: ReplyChunk) -> ReplyChunk | None:
        """Return the chunk to pass on; None where nothing of it is for the caller."""
        ...

    def usage_chunk(self, usage: Mapping[str, object]) -> ReplyChunk:
        """Return the chunk that ends a stream with the call's usage."""
        ...


class Assembler(Protocol):
    """Collects the chunks of a stream into the reply that they amount to."""

    def add(self, chunk: ReplyChunk) -> None: ...

    @property
    def is_complete(self) -> bool: ...

    def reply(self) -> Reply: ...


class ReasoningCollector(Protocol):
    """Collects the signed reasoning that led to a tool call, for clients that do not send it back."""

    def add_reply(self, reply: Reply) -> None: ...

    def add_chunk(self, chunk: ReplyChunk) -> None: ...

    def signed_reasoning(self) -> tuple[str, list[Json]] | None:
        """Return the tool call's id and the details to store; None where there is nothing to store."""
        ...


class Operation(Protocol):
    """One thing that clients ask a gateway for. Stateless."""

    @property
    def name(self) -> str:
        """The operation's name, as `Registry.translator` knows it: "chat"."""
        ...

    @property
    def prompt_field(self) -> str:
        """The field without which no provider can be asked: a dry run replaces it instead of leaving it out."""
        ...

    def parse(self, body: bytes) -> Request:
        """Return the validated request. Raises `InvalidRequest`, with the field's path in `param`."""
        ...

    def read_reply(self, reply: Reply, log: ReplyLog) -> None:
        """Note in `log` what a whole reply says."""
        ...

    def read_chunk(self, chunk: ReplyChunk, log: ReplyLog) -> None:
        """Note in `log` what one chunk of a streamed reply says."""
        ...

    def stamper(self, request: Request, stamp: Stamp) -> Stamper: ...

    def reasoning_collector(self) -> ReasoningCollector: ...

    def assembler(self) -> Assembler: ...

    def replay(self, reply: Reply) -> Sequence[ReplyChunk]:
        """Return a stored reply as the chunks of a stream; the last one has the usage, if there is any."""
        ...

    def is_usage_chunk(self, chunk: ReplyChunk) -> bool:
        """Return True if the chunk has the usage alone, and nothing of an answer."""
        ...

    def renew(self, reply: Reply, stamp: Stamp) -> Reply:
        """Return a stored reply as the reply to another call, which costs nothing."""
        ...

    def is_storable(self, reply: Reply) -> bool:
        """Return True if the reply may be given to equal calls: nothing of it was filtered out."""
        ...

    def request_texts(self, request: Request) -> list[Text]:
        """List every text that a model will read, for guardrails."""
        ...

    def with_request_texts(self, request: Request, texts: Sequence[str]) -> Request:
        """Return the request with other texts, in the order of `request_texts`. Raises `InvalidRequest`."""
        ...

    def reply_texts(self, reply: Reply) -> list[Text]:
        """List every text of the answers, for guardrails."""
        ...

    def with_reply_texts(self, reply: Reply, texts: Sequence[str]) -> Reply:
        """Return the reply with other texts, in the order of `reply_texts`."""
        ...

    def argument_texts(self, arguments: str) -> list[Text]:
        """List the texts in a tool's arguments."""
        ...

    def with_argument_texts(self, arguments: str, texts: Sequence[str]) -> str:
        """Return a tool's arguments with other texts, in the order of `argument_texts`."""
        ...

    def checkable_answers(self, reply: Reply) -> list[str]:
        """List the answers that must conform to `Request.answer_schema`."""
        ...

    def with_other_prompt(self, request: Request, text: str) -> Request:
        """Return the request with `text` as its prompt, to find out which upstream fields the prompt leads to."""
        ...

    def dependent_fields(self, name: str) -> tuple[str, ...]:
        """List the fields that have no meaning without the field `name`."""
        ...

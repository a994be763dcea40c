"""Operations, such as chat completions: a call's request, and what the gateway reads in its replies. Pure.

Chat is the first operation (`tidegate.chat.operation`). The pipeline, the ledger, records, routes, retries and the
cache use these protocols, and never a field of one operation. To add an operation, write a package with one value of
`Operation`, and pass a maker of its `Translator`s to `Registry` in `compose.py`; `tests/pipeline/toy` is an example.

    request = operation.parse(b'{"model": "openai/gpt-4o", ...}')
    request.worst_case(model).output      # the longest answer, which is reserved
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Protocol, TypeAlias

from msgspec import Struct

from tidegate.domain.gateway_fields import GatewayFields
from tidegate.domain.origin import Origin
from tidegate.domain.usage import TokenCounts, Usage
from tidegate.json import Json, JsonObject

Reply: TypeAlias = Mapping[str, object]
"""A whole reply in the operation's inner dialect."""

ReplyChunk: TypeAlias = Mapping[str, object]
"""One chunk of a streamed reply in the operation's inner dialect."""

TextKind = Literal["plain", "fixed", "encoded"]


class ModelLimits(Protocol):
    """The properties of a model that a worst case depends on."""

    @property
    def id(self) -> str:
        """The model as `provider/model`."""
        ...

    @property
    def outputs(self) -> tuple[str, ...]:
        """The kinds of its answers: "text", "image", "audio"; empty if they are unknown."""
        ...

    @property
    def output_limit(self) -> int | None:
        """The maximum tokens of one answer; None if it is unknown."""
        ...

    @property
    def can_reason(self) -> bool:
        """True if the model is known to reason, always or on request."""
        ...


class Request(Protocol):
    """One validated request of an operation. Frozen: its methods return changed copies."""

    @property
    def model(self) -> str: ...

    @property
    def stream(self) -> bool: ...

    @property
    def body(self) -> JsonObject:
        """The JSON object that the caller sent. Never change it."""
        ...

    @property
    def sent_bytes(self) -> int:
        """The size of the body in bytes, as sent."""
        ...

    @property
    def size(self) -> int:
        """The work that the request makes, in bytes of one text: `sent_bytes`, and more for each message or text."""
        ...

    @property
    def is_plain(self) -> bool:
        """True if the request is known to have texts and common parameters only: no media, tools or reasoning, and no
        option of the gateway. Nobody needs to look for one.
        """
        ...

    @property
    def ignored(self) -> tuple[str, ...]:
        """The paths of fields that the gateway ignores for every provider."""
        ...

    @property
    def origin(self) -> Origin | None:
        """The request as sent, if that was in another dialect; None for the operation's inner dialect."""
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
        """The maximum tokens of one answer, as the caller set it; None without a limit."""
        ...

    @property
    def streams_plain_text(self) -> bool:
        """True if guardrails can check a streamed reply in parts: the text is in one field, without copies of it."""
        ...

    def answer_schema(self) -> "AnswerSchema | None":
        """Return the schema that the caller set for answers; None without one."""
        ...

    def translated(self) -> "Request":
        """Return this request without the body that its caller sent in another dialect."""
        ...

    def with_model(self, model: str) -> "Request":
        """Return this request with another model."""
        ...

    def with_output_limit(self, limit: int) -> "Request":
        """Return this request with at most `limit` tokens for each answer."""
        ...

    def with_body(self, body: JsonObject) -> "Request":
        """Return a request with another body, which is validated. Raises `InvalidRequest`."""
        ...

    def without_fields(self, names: Iterable[str]) -> "Request":
        """Return this request without those fields, which must be optional."""
        ...

    def estimate_prompt(self) -> int:
        """Estimate the tokens of the prompt."""
        ...

    def prompt_tokens(self, sent: bytes) -> TokenCounts:
        """Estimate the tokens of the prompt, by kind and never too few, from the body that was sent to a provider."""
        ...

    def hidden_reasoning(self, model: ModelLimits | None, arrived: int) -> int:
        """Estimate the reasoning tokens that the provider does not show, for a reply of `arrived` tokens."""
        ...

    def worst_case(self, model: ModelLimits | None, sent: bytes | None = None) -> TokenCounts:
        """Return the maximum tokens and searches to reserve for the request with that model.

        `sent` is the body for its provider; the input is at least `prompt_tokens` of it.
        """
        ...

    def prompt_texts(self) -> Iterable[str]:
        """Return the texts whose words count as input."""
        ...

    def cache_fields(self) -> JsonObject:
        """Return, in a new object, the fields that are equal in requests that share a cached reply; not the model."""
        ...

    @property
    def session_id(self) -> str | None:
        """The conversation that the request belongs to, as its body names it; None if it does not."""
        ...

    def session_key(self, session_id: str | None) -> bytes:
        """Return a key that all requests of one conversation share."""
        ...

    def reasoning_turns(self) -> Mapping[int, str]:
        """Return the keys under which signed reasoning of earlier turns may be stored, by the index of their message.

        A key is a digest of the conversation up to and including its turn.
        """
        ...


class ReplyLog:
    """The usage, finish reason and texts of one call's replies so far, for billing and records.

    The texts are those of `GeneratedText`. `price_fields` are the fields of replies that name what is charged at a
    price of its own, such as the service tier; `audio_characters` are those of sound in base64. It is not a struct: to
    set an attribute of a struct takes four times as long, and a call sets twenty.
    """

    __slots__ = (
        *("answer_text", "audio_characters", "finish_reason", "images", "native_finish_reason", "other_text"),
        *("price_fields", "reasoning_text", "usage"),
    )

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.finish_reason: str | None = None
        self.native_finish_reason: str | None = None
        self.answer_text: list[str] = []
        self.reasoning_text: list[str] = []
        self.other_text: list[str] = []
        self.price_fields: dict[str, object] = {}
        self.images = 0
        self.audio_characters = 0


class Stamp(Struct, frozen=True, gc=False):
    """The fields of a reply that the gateway sets itself. `created` is in Unix seconds."""

    id: str
    created: int
    model: str


class Text(Struct, frozen=True, gc=False):
    """A text for guardrails, its `path` for errors ("messages[0].content"), and the `role` of its message.

    A "fixed" text cannot be replaced, because the request would break (names, ids, values in schemas). An "encoded" one
    has the bytes of media or a signature: guardrails do not read it, but its length counts.
    """

    text: str
    path: str = ""
    role: str = ""
    kind: TextKind = "plain"


class AnswerSchema(Struct, frozen=True):
    """The JSON schema that answers must conform to; `path` is the field of the request that has it."""

    schema: Json
    path: str


class Stamper(Protocol):
    """Reads the chunks of one stream, sets the gateway's own fields in them, and removes what the caller excluded."""

    def stamp(self, batch: Sequence[ReplyChunk]) -> list[ReplyChunk]:
        """Record the chunks, and return those to send to the caller."""
        ...

    def usage_chunk(self, usage: Mapping[str, object]) -> ReplyChunk:
        """Return the last chunk of a stream, with the call's usage."""
        ...


class Assembler(Protocol):
    """Assembles the chunks of a stream into one reply."""

    def add(self, chunk: ReplyChunk) -> None: ...

    @property
    def is_complete(self) -> bool: ...

    def reply(self) -> Reply: ...


class ReasoningCollector(Protocol):
    """Collects the signed reasoning that led to a tool call, for clients that do not send it back.

    `texts` are a streamed reply's pieces of text, to which those that are alone in a delta may be appended.
    """

    texts: list[str]

    def add_reply(self, reply: Reply) -> None: ...

    def add_delta(self, delta: Mapping[str, object]) -> None: ...

    def signed_reasoning(self) -> tuple[str, list[Json]] | None:
        """Return the turn's key, as in `Request.reasoning_turns`, and the details to store; None if there are none."""
        ...


class Operation(Protocol):
    """One kind of request that the gateway serves, such as chat completions. Stateless."""

    @property
    def name(self) -> str:
        """The operation's name for `Registry.translator`: "chat"."""
        ...

    @property
    def prompt_field(self) -> str:
        """The field that every request needs: a dry run replaces it instead of omitting it."""
        ...

    def parse(self, body: bytes) -> Request:
        """Parse and validate a request. Raises `InvalidRequest`, with the field's path in `param`."""
        ...

    def read_reply(self, reply: Reply, log: ReplyLog) -> None:
        """Record a whole reply in `log`."""
        ...

    def stamp_reply(self, reply: Reply, request: Request, stamp: Stamp, usage: Mapping[str, object]) -> Reply:
        """Return a whole reply with the gateway's own fields, without the parts that the caller excluded."""
        ...

    def stamper(self, request: Request, stamp: Stamp, log: ReplyLog, collector: ReasoningCollector | None) -> Stamper:
        """Return what records the chunks of the reply to `request` in `log` and in `collector`, and stamps them."""
        ...

    def reasoning_collector(self, request: Request) -> ReasoningCollector:
        """Return a collector for the reply to `request`."""
        ...

    def assembler(self) -> Assembler: ...

    def replay(self, reply: Reply) -> Sequence[ReplyChunk]:
        """Turn a stored reply into the chunks of a stream; the last one has the usage, if the reply has any."""
        ...

    def is_usage_chunk(self, chunk: ReplyChunk) -> bool:
        """Return True if the chunk has only the usage."""
        ...

    def renew(self, reply: Reply, stamp: Stamp) -> Reply:
        """Turn a stored reply into the reply to another call, at no cost."""
        ...

    def is_reply(self, reply: Reply) -> bool:
        """Return True if JSON that was read from a store is a reply of this operation."""
        ...

    def is_storable(self, reply: Reply) -> bool:
        """Return True if equal calls may get the reply: no part of it was filtered."""
        ...

    def request_texts(self, request: Request) -> list[Text]:
        """List every text that a provider gets, for guardrails."""
        ...

    def searched_request_texts(self, request: Request) -> list[str]:
        """Return those of `request_texts` that are not encoded; empty ones may be among them."""
        ...

    def with_request_texts(self, request: Request, texts: Sequence[str]) -> Request:
        """Return the request with other texts, in the order of `request_texts`. Raises `InvalidRequest`.

        Only plain texts change; the others are ignored.
        """
        ...

    def reply_texts(self, reply: Reply) -> list[Text]:
        """List every text of the answers, for guardrails."""
        ...

    def searched_reply_texts(self, reply: Reply) -> list[str]:
        """Return those of `reply_texts` that are not encoded; empty ones may be among them."""
        ...

    def with_reply_texts(self, reply: Reply, texts: Sequence[str]) -> Reply:
        """Return the reply with other texts, in the order of `reply_texts`."""
        ...

    def argument_texts(self, arguments: str) -> list[Text]:
        """List the texts in the arguments of a tool call, for guardrails."""
        ...

    def with_argument_texts(self, arguments: str, texts: Sequence[str]) -> str:
        """Return the arguments with other texts, in the order of `argument_texts`."""
        ...

    def checkable_answers(self, reply: Reply) -> list[str]:
        """List the answers that must conform to `Request.answer_schema`."""
        ...

    def with_other_prompt(self, request: Request, text: str) -> Request:
        """Return the request with `text` as its prompt. A dry run compares the two to find the prompt's fields."""
        ...

    def dependent_fields(self, name: str) -> tuple[str, ...]:
        """List the fields that have no meaning without the field `name`."""
        ...

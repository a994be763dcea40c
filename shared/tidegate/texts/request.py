"""A request on texts: its validated fields, the body as sent, and the counts of its texts."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from msgspec import Struct, field, structs
from msgspec.structs import replace

from tidegate.chat.estimate import estimate_text
from tidegate.chat.text_bound import bound_text
from tidegate.domain.gateway_fields import GATEWAY_FIELDS, GatewayFields
from tidegate.domain.operation import AnswerSchema, ModelLimits, Text
from tidegate.domain.origin import Origin
from tidegate.domain.usage import TokenCounts
from tidegate.json import JsonObject, encode
from tidegate.offload import PART_BYTES
from tidegate.texts.fields import TextsFields

TEXT_TOKENS = 3
"""Tokens that a model may add around each text: where it begins, where it ends, and what it is for."""

_NOT_IN_KEY = GATEWAY_FIELDS | {"model", "stream", "user"}

RequestT = TypeVar("RequestT", bound="TextsRequest")


class TextCounts(Struct):
    """The size, tokens and searches of one request, counted once. All are equal: none changes a request."""

    size: int | None = None
    estimate: int | None = None
    bound: int | None = None
    searches: int | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TextCounts)


class TextsRequest(Struct, frozen=True):
    """One request on texts. Never change `body`, which was sent in `sent_bytes`.

    A subclass has the texts of its operation: `texts`, `body_with_texts`, and the type of `fields` in `parse_fields`.
    """

    fields: TextsFields
    body: JsonObject
    sent_bytes: int = 0
    ignored: tuple[str, ...] = ()
    origin: Origin | None = None
    stream: bool = False
    is_plain: bool = False
    includes_usage: bool = False
    choices: int = 1
    output_limit: int | None = None
    streams_plain_text: bool = False
    counts: TextCounts = field(default_factory=TextCounts)

    @classmethod
    def parse_fields(cls, body: JsonObject) -> TextsFields:
        """Validate `body`. Raises `InvalidRequest`, with the field's path in `param`."""
        raise NotImplementedError

    def texts(self) -> Sequence[Text]:
        """List every text that a provider gets, in the order of the body."""
        raise NotImplementedError

    def body_with_texts(self, texts: Sequence[str]) -> JsonObject:
        """Return the body with other texts, in the order of `texts`."""
        raise NotImplementedError

    @property
    def parts(self) -> int:
        """The number of texts and lists of tokens."""
        return len(self.texts())

    @property
    def known_tokens(self) -> int:
        """The tokens that the caller sent as such, beside the texts."""
        return 0

    @property
    def searches(self) -> int:
        """The most searches that a provider charges for."""
        return 0

    @classmethod
    def build(cls: type[RequestT], body: JsonObject, sent_bytes: int) -> RequestT:
        """Validate the object `body`, which was sent in so many bytes. Raises `InvalidRequest`."""
        return cls(cls.parse_fields(body), body, sent_bytes)

    @property
    def size(self) -> int:
        """See `Request.size`."""
        if self.counts.size is None:
            self.counts.size = self.sent_bytes + PART_BYTES * self.parts
        return self.counts.size

    @property
    def model(self) -> str:
        return self.fields.model

    @property
    def options(self) -> GatewayFields:
        return self.fields

    def translated(self: RequestT) -> RequestT:
        return self

    def with_model(self: RequestT, model: str) -> RequestT:
        return replace(self, fields=structs.replace(self.fields, model=model), body={**self.body, "model": model})

    def with_output_limit(self: RequestT, limit: int) -> RequestT:
        """Return this request: it has no answer in tokens."""
        return self

    def with_body(self: RequestT, body: JsonObject) -> RequestT:
        return self.build(body, self.sent_bytes)

    def without_fields(self: RequestT, names: Iterable[str]) -> RequestT:
        removed = frozenset(names)
        return self.with_body({name: value for name, value in self.body.items() if name not in removed})

    def estimate_prompt(self) -> int:
        if self.counts.estimate is None:
            texts = list(self.prompt_texts())
            tokens = estimate_text("\n".join(texts)) if texts else 0
            self.counts.estimate = max(1, tokens + self.known_tokens)
        return self.counts.estimate

    def prompt_tokens(self, sent: bytes) -> TokenCounts:
        """Return the most tokens of the texts. `sent` is not read: a long list is sent in several requests."""
        if self.counts.bound is None:
            texts = list(self.prompt_texts())
            # One text for all: to count many short ones takes ten times the time.
            self.counts.bound = bound_text("\n".join(texts)) + TEXT_TOKENS * self.parts + self.known_tokens
        return TokenCounts(input=max(self.counts.bound, self.estimate_prompt()), estimated=True)

    def hidden_reasoning(self, model: ModelLimits | None, arrived: int) -> int:
        return 0

    def worst_case(self, model: ModelLimits | None, sent: bytes | None = None) -> TokenCounts:
        return replace(self.prompt_tokens(b""), searches=self.searches)

    def prompt_texts(self) -> Iterator[str]:
        return (text.text for text in self.texts() if text.kind == "plain")

    def cache_fields(self) -> JsonObject:
        fields = {name: value for name, value in self.body.items() if value is not None and name not in _NOT_IN_KEY}
        return {**fields, "operation": type(self).__name__}

    @property
    def session_id(self) -> str | None:
        return None

    def session_key(self, session_id: str | None) -> bytes:
        """Return the session's id, `user`, or the first of the texts."""
        name = session_id or self.fields.user
        if name:
            return b"named:" + name.encode("utf-8", "surrogatepass")
        return b"began:" + encode([text.text for text in self.texts()[:1]])

    def reasoning_turns(self) -> Mapping[int, str]:
        return {}

    def answer_schema(self) -> AnswerSchema | None:
        return None

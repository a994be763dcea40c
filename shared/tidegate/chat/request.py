"""A chat request: validated once, and kept as it was sent for providers that speak OpenAI's dialect.

Source: https://platform.openai.com/docs/api-reference/chat/create (2026).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias, cast

from msgspec import UNSET, Struct, field, structs
from msgspec.structs import force_setattr, replace

from tidegate.chat.estimate import PromptEstimates, estimate_prompt, estimate_texts
from tidegate.chat.fields import ChatFields, JsonObjectFormat, JsonSchemaFormat, PlainBody
from tidegate.chat.messages import UserMessage, message_texts
from tidegate.chat.parse import (
    FIELD_NAMES,
    NOT_PLAIN,
    convert,
    convert_changes,
    convert_plain,
    decode_body,
    decode_object,
    decode_plain,
    find_plain_body,
    ignored_paths,
)
from tidegate.chat.reasoning import Reasoning, unify_reasoning
from tidegate.chat.worst_case import worst_case_tokens
from tidegate.domain.call import CallOf
from tidegate.domain.gateway_fields import GATEWAY_FIELDS, GatewayFields
from tidegate.domain.operation import AnswerSchema, ModelLimits
from tidegate.domain.origin import Origin
from tidegate.domain.usage import TokenCounts
from tidegate.json import Json, JsonObject, encode
from tidegate.lazy import load
from tidegate.offload import LONG_BYTES, PART_BYTES

FIELDS_NOT_IN_KEY = GATEWAY_FIELDS | {
    *("model", "stream", "stream_options"),
    *("metadata", "prompt_cache_key", "prompt_cache_retention", "safety_identifier", "store", "user"),
    *("max_tokens", "max_completion_tokens"),
}
"""Fields that do not change the answer, and aliases of fields that the key has under one name."""

_DEFAULTS: dict[str, Json] = {"n": 1, "logprobs": False, "logit_bias": {}, "stop": [], "tools": [], "functions": []}
"""Values that mean the same as an absent field to every provider."""


_NO_OPTIONS = GatewayFields()
"""The options of every plain request."""


class ChatRequest(Struct, frozen=True):
    """A chat request: its `body` as sent, in `sent_bytes`, and its validated `fields`. Never change `body`.

    `model`, `stream` and `options` are what the fields say, as a call asks for them many times. `is_plain`: `plain` is
    the body. `origin` is the request as its caller sent it, if that was in another dialect. `converted_fields` and
    `converted_body` are None until `fields` or `body` of a plain request, sent as `plain_bytes`, are needed.
    """

    converted_fields: ChatFields | None
    converted_body: JsonObject | None
    reasoning: Reasoning | None
    model: str
    stream: bool
    options: GatewayFields
    ignored: tuple[str, ...] = ()
    sent_bytes: int = 0
    size: int = 0
    is_plain: bool = False
    plain: PlainBody | None = None
    plain_bytes: bytes = b""
    estimates: PromptEstimates = field(default_factory=PromptEstimates)
    origin: Origin | None = None

    @property
    def fields(self) -> ChatFields:
        """The validated fields. Most plain requests are sent and billed without them."""
        fields = self.converted_fields
        if fields is None:
            fields = convert_plain(self.body)
            force_setattr(self, "converted_fields", fields)
        return fields

    @property
    def body(self) -> JsonObject:
        """The body as sent. Most plain requests are sent, billed and checked without it."""
        body = self.converted_body
        if body is None:
            body = decode_object(self.plain_bytes)
            force_setattr(self, "converted_body", body)
        return body

    @property
    def includes_usage(self) -> bool:
        plain = self.plain
        if plain is not None:
            return plain.stream_options is not UNSET and plain.stream_options.get("include_usage") is True
        options, usage = self.fields.stream_options, self.fields.usage
        return bool((options and options.include_usage) or (usage and usage.include))

    @property
    def choices(self) -> int:
        plain = self.plain
        if plain is not None:
            return 1 if plain.n is UNSET else plain.n
        return self.fields.n or 1

    @property
    def output_limit(self) -> int | None:
        """See `Request.output_limit`. `max_completion_tokens` overrides `max_tokens`."""
        plain = self.plain
        if plain is not None:
            limit = plain.max_tokens if plain.max_completion_tokens is UNSET else plain.max_completion_tokens
            return None if limit is UNSET else limit
        fields = self.fields
        return fields.max_completion_tokens or fields.max_tokens

    @property
    def streams_plain_text(self) -> bool:
        """Log probabilities and speech repeat the text. A plain request has neither."""
        if self.is_plain:
            return True
        modalities = self.body.get("modalities")
        return not (self.body.get("logprobs") or (isinstance(modalities, list) and "audio" in modalities))

    def answer_schema(self) -> AnswerSchema | None:
        match self.fields.response_format:
            case JsonObjectFormat():
                return AnswerSchema({"type": "object"}, "response_format")
            case JsonSchemaFormat(json_schema=json_schema) if json_schema.schema is not None:
                return AnswerSchema(cast("Json", json_schema.schema), "response_format.json_schema.schema")
            case _:
                return None

    def translated(self) -> "ChatRequest":
        return self if self.origin is None else replace(self, origin=self.origin.without_body())

    def with_model(self, model: str) -> "ChatRequest":
        changed = {"model": model}
        return replace(self._with_values(changed, self.body | changed), model=model)

    def with_output_limit(self, limit: int) -> "ChatRequest":
        """See `Request.with_output_limit`. Sets the fields that the caller used."""
        names = [name for name in ("max_tokens", "max_completion_tokens") if getattr(self.fields, name) is not None]
        limits = dict.fromkeys(names or ["max_completion_tokens"], limit)
        return self._with_values(limits, self.body | limits)

    def _with_values(self, values: Mapping[str, Json], body: JsonObject) -> "ChatRequest":
        """Return this request with other values, which are valid; `body` has them."""
        fields, plain = structs.replace(self.fields, **values), self.plain and structs.replace(self.plain, **values)
        return replace(self, converted_fields=fields, converted_body=body, options=fields, plain=plain)

    def with_body(self, body: JsonObject) -> "ChatRequest":
        """See `Request.with_body`. A field that is the same object in this request's body is not validated again."""
        return self._with_fields(convert_changes(self.fields, self.body, body), body)

    def without_fields(self, names: Iterable[str]) -> "ChatRequest":
        removed = frozenset(names)
        fields = structs.replace(self.fields, **dict.fromkeys(removed & FIELD_NAMES))
        body = {name: value for name, value in self.body.items() if name not in removed}
        return self._with_fields(fields, body)

    def _with_fields(self, fields: ChatFields, body: JsonObject) -> "ChatRequest":
        origin = self.origin and self.origin.without_body()
        return replace(_new_request(fields, body, self.sent_bytes, find_plain_body(body)), origin=origin)

    def estimate_prompt(self) -> int:
        estimates = self.estimates
        tokens = estimates.tokens
        if tokens is None:
            is_plain = self.is_plain
            tokens = estimate_texts(self.prompt_texts()) if is_plain else estimate_prompt(self.fields)
            estimates.tokens = tokens
        return tokens

    def prompt_tokens(self, sent: bytes) -> TokenCounts:
        bound = self.estimates.bound(sent)
        return replace(bound, input=max(bound.input, self.estimate_prompt()))

    def hidden_reasoning(self, model: ModelLimits | None, arrived: int) -> int:
        return load("tidegate.chat.reasoning_estimate", "assumed_reasoning")(self.reasoning, model, arrived)

    def worst_case(self, model: ModelLimits | None, sent: bytes | None = None) -> TokenCounts:
        body, origin = self.body, self.origin
        if origin is not None and origin.body is not None and origin.add_lost_fields is not None:
            body = origin.add_lost_fields(body)
        fields = None if origin is None and self.is_plain else self.fields
        limit, tokens = self.output_limit, self.estimate_prompt()
        return worst_case_tokens(fields, body, self.choices, limit, model, sent, self.estimates, tokens)

    def prompt_texts(self) -> Sequence[str]:
        plain = self.plain
        if plain is not None:
            return [message.content for message in plain.messages]
        return message_texts(self.fields.messages)

    def reasoning_turns(self) -> Mapping[int, str]:
        return load("tidegate.chat.reasoning_signatures", "turns_to_look_up")(self.fields.messages)

    def cache_fields(self) -> JsonObject:
        fields: JsonObject = {
            name: _normalise_number(value) if type(value) is float else value
            for name, value in self.body.items()
            if value is not None
            and name not in FIELDS_NOT_IN_KEY
            and not (name in _DEFAULTS and value == _DEFAULTS[name])
        }
        fields["output_limit"] = self.output_limit
        origin = self.origin
        # A provider may get what is lost here.
        if origin is not None and (origin.ignored or origin.refusals) and origin.body is not None:
            fields["origin"] = {name: value for name, value in origin.body.items() if name not in FIELDS_NOT_IN_KEY}
        return fields

    @property
    def session_id(self) -> str | None:
        if not self.is_plain:
            cache_key = self.body.get("prompt_cache_key")
            if isinstance(cache_key, str):
                return cache_key
        return None if self.origin is None else self.origin.session_id

    def session_key(self, session_id: str | None) -> bytes:
        """`prompt_cache_key`, the session's id, `user`, or how the conversation began."""
        name = self.session_id or session_id or self.fields.user
        if name:
            return b"named:" + name.encode("utf-8", "surrogatepass")
        messages = self.fields.messages
        begin = next((i for i, message in enumerate(messages, 1) if isinstance(message, UserMessage)), len(messages))
        return b"began:" + encode(messages[:begin])


ChatCall: TypeAlias = CallOf[ChatRequest]
"""A call that asks for a chat completion."""


def parse_chat_request(body: bytes) -> ChatRequest:
    """Return the request in `body`. Raises `InvalidRequest`, with the field's path in `param`."""
    sent_bytes = len(body)
    if sent_bytes > LONG_BYTES:  # to decode a long text twice takes its time
        return build_chat_request(decode_body(body), sent_bytes)
    try:
        plain = decode_plain(body)
    except NOT_PLAIN:
        raw = decode_body(body)
        return _new_request(convert(raw), raw, sent_bytes, None)
    size, stream = sent_bytes + PART_BYTES * len(plain.messages), plain.stream is True
    # By position, in the order of `ChatRequest`: each call makes one.
    return ChatRequest(None, None, None, plain.model, stream, _NO_OPTIONS, (), sent_bytes, size, True, plain, body)


def build_chat_request(raw: JsonObject, sent_bytes: int = 0) -> ChatRequest:
    """Validate the object `raw`, which was sent in so many bytes.

    Raises `InvalidRequest`, with the field's path in `param`.
    """
    return _new_request(convert(raw), raw, sent_bytes, find_plain_body(raw))


def _new_request(fields: ChatFields, body: JsonObject, sent_bytes: int, plain: PlainBody | None) -> ChatRequest:
    is_plain = plain is not None
    return ChatRequest(
        converted_fields=fields,
        converted_body=body,
        reasoning=None if is_plain else unify_reasoning(fields.reasoning_effort, fields.reasoning, fields.thinking),
        model=fields.model,
        stream=fields.stream is True,
        options=fields,
        ignored=() if is_plain else ignored_paths(body),
        sent_bytes=sent_bytes,
        size=sent_bytes + PART_BYTES * len(fields.messages),
        is_plain=is_plain,
        plain=plain,
    )


def _normalise_number(value: float) -> float:
    """Return 1.0 as 1: clients send either."""
    return int(value) if value.is_integer() else value

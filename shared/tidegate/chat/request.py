"""A chat request: its validated fields, and its raw body for providers that speak OpenAI's dialect.

Source: https://platform.openai.com/docs/api-reference/chat/create (2026).
"""

from collections.abc import Iterable, Iterator
from typing import TypeAlias, cast

from msgspec import Struct, structs
from msgspec.structs import replace

from tidegate.chat.estimate import estimate_prompt
from tidegate.chat.fields import ChatFields, JsonObjectFormat, JsonSchemaFormat
from tidegate.chat.messages import UserMessage, message_texts
from tidegate.chat.parse import convert, decode_body, ignored_paths
from tidegate.chat.reasoning import Reasoning, unify_reasoning
from tidegate.chat.reasoning_signatures import ids_to_look_up
from tidegate.chat.worst_case import worst_case_tokens
from tidegate.domain.call import CallOf
from tidegate.domain.gateway_fields import GATEWAY_FIELDS, GatewayFields
from tidegate.domain.operation import AnswerSchema, ModelLimits
from tidegate.domain.usage import TokenCounts
from tidegate.json import Json, JsonObject, encode

Penalty = Annotated[float, Meta(ge=-2, le=2)]
TokenLimit = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Bias = Annotated[float, Meta(ge=-100, le=100)]
Name = Annotated[str, Meta(min_length=1, max_length=256)]
ShortList = Meta(max_length=64)
"""Longer than any list that people write. Longer ones would only delay the gateway's other calls."""

_DEFAULTS: dict[str, Json] = {"n": 1, "logprobs": False, "logit_bias": {}, "stop": [], "tools": [], "functions": []}
"""Values that every provider takes for none."""

class StreamOptions(Struct, frozen=True):
    include_usage: bool | None = None


MAX_CACHE_TTL_SECONDS = 30 * 86_400
"""The longest time that a reply is stored. The lifecycle rule of the S3 bucket must agree with it."""


class CacheOptions(
    Struct, frozen=True, rename={"s_maxage": "s-maxage", "no_cache": "no-cache", "no_store": "no-store"}
):
    """LiteLLM's cache object: `ttl` seconds to store the reply, and `s-maxage`, the oldest reply to return, in seconds.

    Source: https://docs.litellm.ai/docs/proxy/caching_controls (2026-10). As in its code, `no-cache` skips the lookup
    and `no-store` does not store the reply.
    """

    ttl: Annotated[float, Meta(ge=0, le=MAX_CACHE_TTL_SECONDS)] | None = None
    s_maxage: Annotated[float, Meta(ge=0)] | None = None
    no_cache: bool | None = None
    no_store: bool | None = None
    namespace: Name | None = None


CACHE_OPTIONS = frozenset(CacheOptions.__struct_encode_fields__)


class TextFormat(Struct, frozen=True, tag_field="type", tag="text"):
    pass


class JsonObjectFormat(Struct, frozen=True, tag_field="type", tag="json_object"):
    pass


class JsonSchema(Struct, frozen=True):
    name: Name
    schema: dict[str, object] | None = None
    strict: bool | None = None
    description: str | None = None


class JsonSchemaFormat(Struct, frozen=True, tag_field="type", tag="json_schema"):
    json_schema: JsonSchema


class FunctionDefinition(Struct, frozen=True):
    name: Name
    description: str | None = None
    parameters: dict[str, object] | None = None
    strict: bool | None = None


class Tool(Struct, frozen=True):
    """A function, `web_search`, or a type of tool that only the provider knows."""

    type: Name
    function: FunctionDefinition | None = None


class FunctionName(Struct, frozen=True):
    name: Name


class ToolChoice(Struct, frozen=True):
    type: Name
    function: FunctionName | None = None


class GatewayFields(Struct, frozen=True, kw_only=True):
    """Fields for the gateway alone, which never reach a provider; null means absent.

    `local/openapi_headers.py` publishes the docstring of each field.
    """

    observability: bool | None = None
    """Accepted, but has no effect"""
    guardrails: Annotated[list[Name], ShortList] | None = None
    """Names of guardrails to run in addition to those that always run: docs/GUARDRAILS.md"""
    caching: bool | None = None
    """Return a cached reply of an equal call, or cache this one; false: never: docs/CACHE.md"""
    cache: CacheOptions | None = None
    """How to cache; times in seconds: docs/CACHE.md"""
    num_retries: Annotated[int, Meta(ge=0, le=5)] | None = None
    """How often one model is retried, 2 by default: docs/RELIABILITY.md"""
    fallbacks: Annotated[list[Name | dict[str, object]], ShortList] | None = None
    """Models to fall back to: names, objects with a model and other fields, or lists by the failed model"""
    models: Annotated[list[Name], Meta(max_length=16)] | None = None
    """Models to try in this order; the form of OpenRouter's clients"""
    context_window_fallback_dict: Annotated[dict[str, Name], ShortList] | None = None
    """By model: the model to use if the prompt exceeds its context window"""
    require_parameters: bool | None = None
    """Refuse unsupported fields instead of naming them in x-tidegate-ignored-params"""
    timeout: Annotated[float, Meta(gt=0)] | None = None
    """Seconds that the call may take, all attempts included: docs/DEADLINES.md"""
    dry_run: bool | None = None
    """Report what the call would do, without calling a provider: docs/RELIABILITY.md"""


GATEWAY_FIELDS = frozenset(GatewayFields.__struct_fields__)

IGNORED_GATEWAY_FIELDS = frozenset({"observability"})
"""Gateway fields that are validated and reported as ignored."""


class ChatFields(GatewayFields, frozen=True):
    """The fields that the gateway validates, each by type and range; null means absent."""

    model: Name
    messages: Annotated[list[Message], Meta(min_length=1)]
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    max_tokens: TokenLimit | None = None
    max_completion_tokens: TokenLimit | None = None
    stop: str | list[str] | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    repetition_penalty: Annotated[float, Meta(gt=0, le=2)] | None = None
    logit_bias: dict[str, Bias] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    response_format: TextFormat | JsonObjectFormat | JsonSchemaFormat | None = None
    structured_outputs: bool | dict[str, object] | None = None
    tools: list[Tool] | None = None
    tool_choice: Literal["none", "auto", "required"] | ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    functions: list[FunctionDefinition] | None = None
    function_call: Literal["none", "auto"] | FunctionName | None = None
    reasoning: ReasoningOptions | None = None
    reasoning_effort: Effort | None = None
    thinking: ThinkingOptions | None = None
    web_search_options: dict[str, object] | None = None
    metadata: dict[str, object] | None = None
    user: str | None = None


class ChatRequest(Struct, frozen=True):
    """A request of `size` bytes: the validated `fields`, and the `body` as the client sent it; never change that."""

    fields: ChatFields
    body: JsonObject
    reasoning: Reasoning | None
    ignored: tuple[str, ...] = ()
    size: int = 0

    def with_model(self, model: str) -> "ChatRequest":
        """The request for another model."""
        fields = structs.replace(self.fields, model=model)
        return replace(self, fields=fields, body={**self.body, "model": model})

    @property
    def model(self) -> str:
        return self.fields.model

    @property
    def stream(self) -> bool:
        return bool(self.fields.stream)

    @property
    def options(self) -> GatewayFields:
        """See `Request.options`."""
        return self.fields

    @property
    def includes_usage(self) -> bool:
        """See `Request.includes_usage`."""
        return bool(self.fields.stream_options and self.fields.stream_options.include_usage)

    @property
    def choices(self) -> int:
        """See `Request.choices`."""
        return self.fields.n or 1

    @property
    def output_limit(self) -> int | None:
        """The maximum of tokens to generate; `max_completion_tokens` overrides `max_tokens`."""
        return self.fields.max_completion_tokens or self.fields.max_tokens

    @property
    def streams_plain_text(self) -> bool:
        """See `Request.streams_plain_text`. Log probabilities and speech repeat the text."""
        modalities = self.body.get("modalities")
        return not (self.body.get("logprobs") or (isinstance(modalities, list) and "audio" in modalities))

def with_output_limit(request: ChatRequest, limit: int) -> ChatRequest:
    """The request with `limit` as its output limit, in the fields that the client used for it."""
    sent = [name for name in ("max_tokens", "max_completion_tokens") if getattr(request.fields, name) is not None]
    limits = dict.fromkeys(sent or ["max_completion_tokens"], limit)
    return replace(request, fields=structs.replace(request.fields, **limits), body={**request.body, **limits})

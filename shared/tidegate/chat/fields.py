"""The fields of a chat request that the gateway knows, each of its type and within its range.

Source: https://platform.openai.com/docs/api-reference/chat/create (2026), and the documents of the gateways whose
clients Tidegate serves (OpenRouter, vLLM, LiteLLM's proxy fields).
"""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from tidegate.chat.messages import Message
from tidegate.chat.reasoning import Effort, ReasoningOptions, ThinkingOptions
from tidegate.domain.gateway_fields import GatewayFields, Name

MAX_FIELDS = 500
"""The most fields of a body, and of its small objects: most translators look at each. OpenAI's body has 40 (2026)."""

MAX_MESSAGES, MAX_TOOLS = 4_096, 1_024
"""The most messages, and tools: to translate one takes up to 10 µs (2026-11). OpenAI accepts 2,048 and 128.

Source: https://learn.microsoft.com/azure/ai-services/openai/quotas-limits, which has OpenAI's own limits (2026-11).
"""

MAX_MEDIA = 1_024
"""The most images, documents, recordings and videos: each is decoded in part, and counted, which takes up to 30 µs
(2026-11). OpenAI accepts 500 images, Anthropic 600."""

TOOL_FIELDS = ("tools", "tool_choice", "parallel_tool_calls")
"""The fields that a request without any tool must not have: providers refuse a choice among none."""

SmallObject = Annotated[dict[str, object], Meta(max_length=MAX_FIELDS)]
Messages = Meta(min_length=1, max_length=MAX_MESSAGES)
Temperature = Annotated[float, Meta(ge=0, le=2)]
TopP = Annotated[float, Meta(ge=0, le=1)]
Choices = Annotated[int, Meta(ge=1, le=128)]
Seed = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Penalty = Annotated[float, Meta(ge=-2, le=2)]
TokenLimit = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Bias = Annotated[float, Meta(ge=-100, le=100)]


class StreamOptions(Struct, frozen=True):
    include_usage: bool | None = None


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
    """A function, a `web_search`, or a tool type that only the provider knows."""

    type: Name
    function: FunctionDefinition | None = None


class FunctionName(Struct, frozen=True):
    name: Name


class ToolChoice(Struct, frozen=True):
    type: Name
    function: FunctionName | None = None


class ChatFields(GatewayFields, frozen=True):
    """The fields that the gateway validates, each by type and range; null means absent."""

    model: Name
    messages: Annotated[list[Message], Messages]
    temperature: Temperature | None = None
    top_p: TopP | None = None
    n: Choices | None = None
    max_tokens: TokenLimit | None = None
    max_completion_tokens: TokenLimit | None = None
    stop: str | list[str] | None = None
    seed: Seed | None = None
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
    tools: Annotated[list[Tool], Meta(max_length=MAX_TOOLS)] | None = None
    tool_choice: Literal["none", "auto", "required"] | ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    functions: Annotated[list[FunctionDefinition], Meta(max_length=MAX_TOOLS)] | None = None
    function_call: Literal["none", "auto"] | FunctionName | None = None
    reasoning: ReasoningOptions | None = None
    reasoning_effort: Effort | None = None
    thinking: ThinkingOptions | None = None
    web_search_options: SmallObject | None = None
    metadata: SmallObject | None = None
    user: str | None = None


class PlainMessage(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    role: Literal["system", "user", "assistant"]
    content: str


class PlainBody(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A body in which nothing needs a look by itself: texts, and fields that most models take as they are sent.

    It has no option of the gateway, no media, tools or reasoning, and no null. A body that fits is valid: `ChatFields`
    fits too. It is encoded as it was sent: without absent fields, and with whole numbers as such.
    """

    model: Name
    messages: Annotated[list[PlainMessage], Messages]
    stream: bool | UnsetType = UNSET
    stream_options: dict[str, bool] | UnsetType = UNSET
    temperature: Annotated[int, Meta(ge=0, le=2)] | Temperature | UnsetType = UNSET
    top_p: Annotated[int, Meta(ge=0, le=1)] | TopP | UnsetType = UNSET
    n: Choices | UnsetType = UNSET
    max_tokens: TokenLimit | UnsetType = UNSET
    max_completion_tokens: TokenLimit | UnsetType = UNSET
    stop: str | list[str] | UnsetType = UNSET
    seed: Seed | UnsetType = UNSET
    presence_penalty: Annotated[int, Meta(ge=-2, le=2)] | Penalty | UnsetType = UNSET
    frequency_penalty: Annotated[int, Meta(ge=-2, le=2)] | Penalty | UnsetType = UNSET
    user: str | UnsetType = UNSET

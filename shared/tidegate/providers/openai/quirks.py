"""The differences between a provider's dialect and OpenAI's, as data."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from msgspec import Struct, field

LimitField = Literal["max_tokens", "max_completion_tokens"]

ReasoningStyle = Literal[
    "effort",  # reasoning_effort: "high"
    "object",  # reasoning: {effort | max_tokens, enabled, exclude}, OpenRouter's
    "switch",  # reasoning: {enabled}, with reasoning_effort if an effort was requested, Together's
    "thinking",  # thinking: {type: enabled | disabled}, with reasoning_effort if an effort was requested
    "budget",  # thinking: {type: enabled, budget_tokens}, Anthropic's
    "enable_thinking",  # enable_thinking: true, thinking_budget: 1024, Qwen's
    "template",  # chat_template_kwargs: {enable_thinking: true}, vLLM's and SGLang's
    "neuroa",  # thinking: {thinking: true, effort: low | medium | high}
    "as_sent",  # the caller's own fields pass through
    "none",
]

WebSearchStyle = Literal[
    "options",  # web_search_options: {...}, OpenAI's
    "server_tool",  # tools: [{type: openrouter:web_search, parameters: {...}}]
    "browser_tool",  # tools: [{type: browser_search}], Groq's
    "search_tool",  # tools: [{type: web_search, web_search: {...}}], Z.ai's
    "enable_search",  # enable_search: true, Qwen's
    "always",  # the model searches by itself; options pass through
    "as_sent",  # the caller's own fields pass through
    "none",
]

ReplayField = Literal["reasoning", "reasoning_content", "reasoning_details", "thinking_parts", "annotations"]

ToolChoiceKind = Literal["auto", "none", "required", "named"]

Reasons = Literal[
    "when_asked",  # only if the call asks for it
    "by_default",  # unless the call switches it off
    "always",  # the call cannot switch it off
]

ResponsesUse = Literal[
    "models",  # for models that chat completions lacks
    "tools",  # for tools with models that chat completions lets call them only without reasoning
    "search",  # for web search
]

StructuredOutputStyle = Literal["response_format", "as_sent"]

FileStyle = Literal[
    "none",  # file parts are sent unchanged; the provider may refuse them
    "data",  # file: {filename, file_data: "data:application/pdf;base64,…"}, OpenAI's
    "url",  # file: {filename, file_data: a data URI or a URL}, OpenRouter's
]

_NO_RENAMES: Mapping[str, str] = MappingProxyType({})

OPENAI_ONLY = frozenset({"store", "metadata", "prediction", "safety_identifier"})
"""Fields that only OpenAI itself is known to honour: stored completions and predicted outputs."""

OPEN_SAMPLING = frozenset({"repetition_penalty", "top_k", "min_p", "top_a"})
"""Sampling fields of servers of open models. OpenAI's dialect has no equivalent: `repetition_penalty` multiplies, while
OpenAI's penalties subtract. A provider that does not document one ignores or refuses it: it is left out and reported.
"""

ALL_TOOL_CHOICES: frozenset[ToolChoiceKind] = frozenset({"auto", "none", "required", "named"})


class ModelRule(Struct, frozen=True):
    """The rule for models whose lower-case names match `pattern`, a regular expression that may match anywhere.

    None keeps the provider's value; `unsupported` and `caching` add to it.

    `reasons`                 when the model reasons
    `unsupported_reasoning`   adds to `unsupported` while the model reasons
    `tool_choices_reasoning`  the kinds of tool choice that are accepted while it reasons
    `tools_while_reasoning`   chat completions takes tools while the model reasons; if not, it takes them with the
                              effort "none" only, and OpenAI's Responses API takes both
    `responses_only`          the model is not in chat completions, only in OpenAI's Responses API
    """

    pattern: str
    unsupported: frozenset[str] = frozenset()
    unsupported_reasoning: frozenset[str] = frozenset()
    reasons: Reasons = "when_asked"
    tool_choices_reasoning: frozenset[ToolChoiceKind] | None = None
    tools_while_reasoning: bool = True
    responses_only: bool = False
    limit_field: LimitField | None = None
    reasoning: ReasoningStyle | None = None
    efforts: tuple[str, ...] | None = None
    web_search: WebSearchStyle | None = None
    caching: bool = False


class NativeMessages(Struct, frozen=True):
    """A provider's API in Anthropic's dialect, at `url`, which takes the key in the header `key_header`.

    Requests go to it only at the row's own base URL: an operator's proxy may not have it.
    """

    url: str
    key_header: str = "authorization"


class NativeResponses(Struct, frozen=True):
    """A provider's Responses API, as far as requests in that dialect go to it as their caller sent them.

    `refused` are top-level fields that are omitted and reported. `tools` and `items` are the types of tools and of
    input items that it takes; None: all. Requests with others are translated. `encrypts`: it returns encrypted
    reasoning when asked to.
    """

    refused: frozenset[str] = frozenset()
    tools: frozenset[str] | None = None
    items: frozenset[str] | None = None
    encrypts: bool = False


_MESSAGE_ITEMS = frozenset({"message", "function_call", "function_call_output"})
_SEARCH_TOOLS = frozenset({"function", "web_search", "web_search_preview"})

# Read in 2026-11; none but OpenAI documents custom tools. https://docs.x.ai/docs/api-reference (`metadata`,
# `service_tier` and `truncation` are accepted without effect), https://openrouter.ai/docs/api-reference/responses-api
# (without state), https://console.groq.com/docs/responses-api (fields that are a 400),
# https://docs.vllm.ai/en/latest/serving/openai_compatible_server/ (`store` must be false, reasoning is not encrypted:
# https://github.com/vllm-project/vllm/pull/57323), https://vercel.com/docs/ai-gateway/sdks-and-apis/responses
OPENAI_RESPONSES = NativeResponses(encrypts=True)
XAI_RESPONSES = NativeResponses(
    tools=_SEARCH_TOOLS | {"x_search", "code_interpreter", "file_search", "mcp"},
    items=_MESSAGE_ITEMS | {"reasoning", "web_search_call", "x_search_call", "code_interpreter_call"},
    encrypts=True,
)
OPENROUTER_RESPONSES = NativeResponses(
    refused=frozenset({"truncation"}), tools=_SEARCH_TOOLS, items=_MESSAGE_ITEMS | {"reasoning"}, encrypts=True
)
GROQ_RESPONSES = NativeResponses(
    refused=frozenset({"store", "truncation", "include", "safety_identifier", "prompt_cache_key"}),
    tools=frozenset({"function", "browser_search", "code_interpreter", "mcp"}),
    items=_MESSAGE_ITEMS,
)
VLLM_RESPONSES = NativeResponses(tools=frozenset({"function"}), items=_MESSAGE_ITEMS)
VERCEL_RESPONSES = NativeResponses(tools=frozenset({"function"}), items=_MESSAGE_ITEMS | {"reasoning"})


class Quirks(Struct, frozen=True):
    """The quirks of one provider. The defaults fit a typical server: current OpenAI fields, no OpenAI-only features.

    `unsupported`      top-level fields that are omitted and reported, unless their value has no effect
    `renames`          top-level fields that are sent under another name
    `model_prefix`     prefix of the provider's own model names, added to a name without a slash
    `limit_field`      the only output limit that the provider accepts; None: the one that the caller sent
    `stream_usage`     `stream_options.include_usage` is accepted
    `functions`        the deprecated `functions` are accepted
    `developer_role`, `message_names`: what messages may hold
    `tool_id_length`   ids of tool calls must have this number of letters and digits
    `max_tool_id`      ids of tool calls may have this number of characters at most
    `continues`        the field that marks a last message of the assistant, which the model then continues
    `tool_names`       tool names must be at most 64 letters, digits, underscores and dashes
    `media`            content parts beyond OpenAI's own that the provider takes
    `files`            how it takes documents
    `caching`          Anthropic's `cache_control` is accepted; otherwise it is removed, as some providers refuse it
    `tool_choices`, `tool_choice_required`: the accepted kinds of choice, and the provider's word for "required"
    `efforts`          the accepted reasoning efforts, weakest first; empty: any is sent, and may be refused
    `replays`          the fields in which reasoning of earlier turns is sent back
    `needs_replay`     tool calls must be sent back with the reasoning that led to them
    `lost_reasoning`   the `reasoning_content` of tool calls whose reasoning is lost, if the model reasons
    `think_tags`       the content of a reply may begin with <think>…</think>
    `done_ends`        `[DONE]` alone ends a stream, since the provider documents no finish reason
    `responses`        what the provider's Responses API is used for, in place of chat completions
    `native_messages`  its API in Anthropic's dialect takes requests in that dialect; None: they are translated
    `native_responses` its Responses API takes requests in that dialect; None: they are translated
    `routes`           the provider is a router that takes `provider.require_parameters`
    `models`           the first rule whose pattern matches wins
    """

    unsupported: frozenset[str] = OPENAI_ONLY
    renames: Mapping[str, str] = field(default_factory=lambda: _NO_RENAMES)
    model_prefix: str = ""
    limit_field: LimitField | None = None
    stream_usage: bool = True
    functions: bool = False
    developer_role: bool = False
    message_names: bool = True
    tool_id_length: int | None = None
    max_tool_id: int | None = None
    continues: str | None = None
    tool_names: bool = False
    media: frozenset[str] = frozenset()
    files: FileStyle = "none"
    caching: bool = False
    tool_choices: frozenset[ToolChoiceKind] = ALL_TOOL_CHOICES
    tool_choice_required: str = "required"
    reasoning: ReasoningStyle = "effort"
    efforts: tuple[str, ...] = ()
    replays: tuple[ReplayField, ...] = ()
    needs_replay: bool = False
    lost_reasoning: str | None = None
    web_search: WebSearchStyle = "none"
    structured_outputs: StructuredOutputStyle = "response_format"
    think_tags: bool = False
    done_ends: bool = False
    responses: frozenset[ResponsesUse] = frozenset()
    native_responses: NativeResponses | None = None
    native_messages: NativeMessages | None = None
    routes: bool = False
    models: tuple[ModelRule, ...] = ()

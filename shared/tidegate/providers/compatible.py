"""The built-in providers that speak OpenAI's dialect: their quirks, then one row each.

Quirks name their source, documents or recorded replies; all were read in 2026-11. A row without a base URL is a server
that the operator runs.
"""

from tidegate.providers.compatible_row import Row
from tidegate.providers.openai.capabilities import OPENAI_MODELS
from tidegate.providers.openai.quirks import (
    GROQ_RESPONSES,
    OPEN_SAMPLING,
    OPENAI_ONLY,
    OPENAI_RESPONSES,
    OPENROUTER_RESPONSES,
    VERCEL_RESPONSES,
    VLLM_RESPONSES,
    XAI_RESPONSES,
    ModelRule,
    NativeMessages,
    Quirks,
    ToolChoiceKind,
)

_PLAIN = OPENAI_ONLY | OPEN_SAMPLING
_NOT_FORCED: frozenset[ToolChoiceKind] = frozenset({"auto", "none"})
_NOT_NAMED: frozenset[ToolChoiceKind] = frozenset({"auto", "none", "required"})
_LOW_TO_HIGH = ("low", "medium", "high")
_NONE_TO_HIGH = ("none", *_LOW_TO_HIGH)
_VIDEO = frozenset({"video_url"})

# Ids of tool calls above 40 characters are a 400 (github.com/vercel/ai/issues/5171, read 2026-11).
_OPENAI = Quirks(
    unsupported=OPEN_SAMPLING,
    functions=True,
    developer_role=True,
    max_tool_id=40,
    tool_names=True,
    files="data",
    responses=frozenset({"models", "tools", "search"}),
    native_responses=OPENAI_RESPONSES,
    models=OPENAI_MODELS,
)

# https://docs.mistral.ai/api/ and …/capabilities/reasoning: unknown fields are a 422, tool ids have nine letters or
# digits, an effort is "none" or "high", and usage comes without being asked for. Without `prefix`, a last message of
# the assistant is a 400 (https://docs.litellm.ai/docs/completion/prefix, read in 2026-11).
_MISTRAL = Quirks(
    unsupported=(_PLAIN - {"metadata"}) | {"logit_bias", "logprobs", "top_logprobs", "user", "service_tier"},
    renames={"seed": "random_seed"},
    limit_field="max_tokens",
    stream_usage=False,
    message_names=False,
    tool_id_length=9,
    continues="prefix",
    tool_names=True,
    tool_choice_required="any",
    efforts=("none", "high"),
    replays=("thinking_parts",),
)

# https://api-docs.deepseek.com/guides/thinking_mode: thinking is on by default, the provider maps other efforts to its
# own, sampling is ignored while thinking, and turns with tools must send their `reasoning_content` back; an empty one
# is accepted (github.com/theopenco/llmgateway/pull/2092, read 2026-11). No tool can be forced while thinking
# (https://github.com/tickernelz/opencode-mem/issues/253, read in 2026-11).
_DEEPSEEK_IGNORED = frozenset({"temperature", "presence_penalty", "frequency_penalty"})
_DEEPSEEK = Quirks(
    unsupported=_PLAIN | {"n", "seed", "logit_bias", "parallel_tool_calls"},
    limit_field="max_tokens",
    reasoning="thinking",
    replays=("reasoning_content",),
    needs_replay=True,
    lost_reasoning="",
    native_messages=NativeMessages("https://api.deepseek.com/anthropic/v1/messages", "x-api-key"),
    models=(
        ModelRule(r"deepseek-chat"),
        ModelRule(
            r"",
            unsupported_reasoning=_DEEPSEEK_IGNORED,
            reasons="by_default",
            tool_choices_reasoning=_NOT_FORCED,
        ),
    ),
)

# https://console.groq.com/docs/openai (fields that are a 400), …/docs/reasoning (efforts), …/docs/browser-search
_GROQ = Quirks(
    unsupported=_PLAIN | {"logprobs", "top_logprobs", "logit_bias", "n"},
    message_names=False,
    reasoning="none",
    replays=("reasoning",),
    think_tags=True,
    native_responses=GROQ_RESPONSES,
    models=(
        ModelRule(r"gpt-oss", reasoning="effort", efforts=_LOW_TO_HIGH, web_search="browser_tool"),
        ModelRule(r"qwen3", reasoning="effort", efforts=("none", "default")),
        ModelRule(r"compound", web_search="always"),
    ),
)

# https://docs.x.ai/docs/guides/reasoning: penalties and stop are refused by reasoning models; only grok-3-mini and
# grok-4.3 or later take an effort (https://github.com/mnfst/modelparams.dev/pull/330, read in 2026-11: "none" up to
# grok-4.3, "xhigh" since grok-4.6). Since grok-4, models that do not reason refuse penalties as well, even 0
# (https://github.com/miaoxworld/NativeTavern/issues/83, read in 2026-11). Unknown fields are ignored.
# Chat completions lost live search in 2026-01: it needs another API.
_XAI_PENALTIES = frozenset({"presence_penalty", "frequency_penalty"})
_XAI_REFUSED = _XAI_PENALTIES | {"stop"}
_XAI = Quirks(
    unsupported=_PLAIN | {"logit_bias"},
    reasoning="none",
    native_responses=XAI_RESPONSES,
    models=(
        ModelRule(r"non-reasoning", unsupported=_XAI_PENALTIES),
        ModelRule(
            r"grok-3-mini", unsupported=_XAI_REFUSED, reasons="always", reasoning="effort", efforts=("low", "high")
        ),
        ModelRule(
            r"grok-4\.(3|20)(?!\d)",
            unsupported=_XAI_REFUSED,
            reasons="by_default",
            reasoning="effort",
            efforts=_NONE_TO_HIGH,
        ),
        ModelRule(
            r"grok-4\.[45](?!\d)", unsupported=_XAI_REFUSED, reasons="always", reasoning="effort", efforts=_LOW_TO_HIGH
        ),
        ModelRule(
            r"grok-4\.([6-9]|[1-9]\d)(?!\d)|grok-[5-9]|grok-latest",
            unsupported=_XAI_REFUSED,
            reasons="always",
            reasoning="effort",
            efforts=(*_LOW_TO_HIGH, "xhigh"),
        ),
        ModelRule(r"grok-4|grok-code|grok-build", unsupported=_XAI_REFUSED, reasons="always"),
    ),
)

# https://openrouter.ai/docs/api-reference/overview, …/docs/use-cases/reasoning-tokens, …/features/prompt-caching, and
# recorded server tools, files and `cache_control`
_OPENROUTER = Quirks(
    unsupported=OPENAI_ONLY - {"metadata"},
    model_prefix="openrouter/",
    developer_role=True,
    media=_VIDEO,
    files="url",
    caching=True,
    reasoning="object",
    replays=("reasoning_details", "annotations"),
    needs_replay=True,
    web_search="server_tool",
    native_responses=OPENROUTER_RESPONSES,
    routes=True,
    native_messages=NativeMessages("https://openrouter.ai/api/v1/messages"),
)

# https://docs.together.ai/docs/openai-api-compatibility and …/docs/reasoning-overview
_TOGETHER = Quirks(
    limit_field="max_tokens",
    media=_VIDEO,
    reasoning="switch",
    think_tags=True,
    models=(ModelRule(r"gpt-oss", reasoning="effort", efforts=_LOW_TO_HIGH),),
)

# https://docs.fireworks.ai/guides/reasoning: the efforts differ between models, and `reasoning_content` may go back
_FIREWORKS = Quirks(replays=("reasoning_content",), think_tags=True)

# https://inference-docs.cerebras.ai/resources/openai (fields that are a 400) and …/capabilities/reasoning
_CEREBRAS = Quirks(
    unsupported=_PLAIN | {"frequency_penalty", "presence_penalty", "logit_bias", "parallel_tool_calls"},
    limit_field="max_completion_tokens",
    efforts=_NONE_TO_HIGH,
    replays=("reasoning",),
    think_tags=True,
)

# https://docs.perplexity.ai/api-reference/chat-completions-post: every model searches, no model calls functions
_PERPLEXITY = Quirks(
    unsupported=(_PLAIN - {"top_k"})
    | {"tools", "tool_choice", "parallel_tool_calls", "stop", "seed", "n", "user", "service_tier"}
    | {"logit_bias", "logprobs", "top_logprobs"},
    limit_field="max_tokens",
    efforts=("minimal", *_LOW_TO_HIGH),
    web_search="always",
    think_tags=True,
)

# https://docs.databricks.com/aws/en/machine-learning/foundation-model-apis/api-reference: usage comes in every chunk;
# Claude takes Anthropic's `thinking` and `cache_control`, and answers with a content list.
_DATABRICKS = Quirks(
    unsupported=(_PLAIN - {"top_k"}) | {"seed", "user", "logit_bias", "service_tier"},
    limit_field="max_tokens",
    stream_usage=False,
    models=(ModelRule(r"claude", reasoning="budget", caching=True, tool_choices_reasoning=_NOT_FORCED),),
)

# https://docs.snowflake.com/en/user-guide/snowflake-cortex/open_ai_sdk (`cache_control` on parts, for Claude);
# replies come without a finish reason (recorded)
_SNOWFLAKE = Quirks(
    unsupported=_PLAIN,
    limit_field="max_completion_tokens",
    caching=True,
    reasoning="object",
    replays=("reasoning_details",),
    needs_replay=True,
)

# https://docs.z.ai/api-reference/llm/chat-completion and …/guides/tools/web-search: no `name`s, only choice "auto"
_ZAI = Quirks(
    unsupported=_PLAIN
    | {"n", "seed", "presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "top_logprobs"}
    | {"parallel_tool_calls"},
    renames={"user": "user_id"},
    limit_field="max_tokens",
    message_names=False,
    media=_VIDEO,
    tool_choices=frozenset({"auto"}),
    reasoning="thinking",
    replays=("reasoning_content",),
    web_search="search_tool",
    native_messages=NativeMessages("https://api.z.ai/api/anthropic/v1/messages"),
)

# https://platform.kimi.ai/docs: sampling is fixed on kimi models; K3 takes an effort, K2.5 and K2.6 a switch, and K2.7
# thinks always (https://github.com/mnfst/modelparams.dev/pull/168). While they think, only K3 takes "required", and no
# model a named tool (https://github.com/UKGovernmentBEIS/inspect_ai/pull/5152). Tool calls without `reasoning_content`
# are a 400 while thinking; an empty one counts as missing, a space does not
# (https://github.com/theopenco/llmgateway/pull/2093). All read in 2026-11.
_KIMI_FIXED = frozenset({"temperature", "top_p", "n", "presence_penalty", "frequency_penalty"})
_MOONSHOT = Quirks(
    unsupported=_PLAIN | {"seed", "logit_bias", "logprobs", "top_logprobs", "parallel_tool_calls"},
    limit_field="max_completion_tokens",
    media=_VIDEO,
    reasoning="none",
    replays=("reasoning_content",),
    needs_replay=True,
    lost_reasoning=" ",
    native_messages=NativeMessages("https://api.moonshot.ai/anthropic/v1/messages"),
    models=(
        ModelRule(
            r"kimi-k3",
            unsupported=_KIMI_FIXED,
            reasons="always",
            tool_choices_reasoning=_NOT_NAMED,
            reasoning="effort",
            efforts=("low", "high", "max"),
        ),
        ModelRule(
            r"kimi-k2\.[56]|kimi-latest",
            unsupported=_KIMI_FIXED,
            reasons="by_default",
            tool_choices_reasoning=_NOT_FORCED,
            reasoning="thinking",
            efforts=("low", "high", "max"),
        ),
        ModelRule(
            r"kimi-k2\.[7-9]|kimi-k2-thinking|kimi-thinking",
            unsupported=_KIMI_FIXED,
            reasons="always",
            tool_choices_reasoning=_NOT_FORCED,
            reasoning="thinking",
            efforts=("low", "high", "max"),
        ),
        ModelRule(r"kimi-", unsupported=_KIMI_FIXED, reasoning="thinking", efforts=("low", "high", "max")),
    ),
)

# https://www.alibabacloud.com/help/en/model-studio/use-qwen-by-calling-api: a budget of thinking, search by a switch;
# …/model-studio/context-cache: Anthropic's `cache_control`. "The tool_choice parameter does not support being set to
# required or object in thinking mode" (https://github.com/cloudwego/eino/issues/994); which models think by default:
# https://www.alibabacloud.com/help/en/model-studio/deep-thinking. Both read in 2026-11.
_QWEN = Quirks(
    unsupported=OPENAI_ONLY | {"logit_bias", "user", "min_p", "top_a"},
    limit_field="max_tokens",
    media=_VIDEO,
    caching=True,
    reasoning="enable_thinking",
    web_search="enable_search",
    models=(
        ModelRule(r"qwq|-thinking", reasons="always", tool_choices_reasoning=_NOT_FORCED),
        ModelRule(r"coder|instruct|-2507|qwen3-(max|vl|omni)"),
        ModelRule(r"qwen3([.]\d|-\d)", reasons="by_default", tool_choices_reasoning=_NOT_FORCED),
        ModelRule(r"", tool_choices_reasoning=_NOT_FORCED),
    ),
)

# https://docs.ollama.com/api/openai-compatibility: fields that are not ticked there are ignored
_OLLAMA = Quirks(
    unsupported=_PLAIN | {"logit_bias", "user", "n"},
    limit_field="max_tokens",
    tool_choices=frozenset({"auto"}),
    efforts=_NONE_TO_HIGH,
    replays=("reasoning",),
    think_tags=True,
)

# https://docs.vllm.ai/en/latest/serving/openai_compatible_server/ and …/features/reasoning_outputs
_VLLM = Quirks(
    media=_VIDEO,
    reasoning="template",
    replays=("reasoning",),
    structured_outputs="as_sent",
    think_tags=True,
    native_responses=VLLM_RESPONSES,
)
_OPEN_MODELS = Quirks(think_tags=True)
"""Quirks of hosts of open models that have no other known quirks."""

# https://github.com/lmstudio-ai/docs (REST API, OpenAI compatibility): the penalty has another name
_LMSTUDIO = Quirks(renames={"repetition_penalty": "repeat_penalty"}, think_tags=True)

# https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md (2026-11): the penalty has another name
_LLAMACPP = Quirks(renames={"repetition_penalty": "repeat_penalty"}, reasoning="template", think_tags=True)

# The API that the neuroa SDK speaks: a proxy for many providers; its own M1 models take their own `thinking` object.
_NEUROA = Quirks(
    unsupported=frozenset(),
    functions=True,
    model_prefix="neuroa/",
    developer_role=True,
    media=_VIDEO | {"document"},
    caching=True,
    reasoning="none",
    web_search="as_sent",
    structured_outputs="as_sent",
    done_ends=True,
    models=(ModelRule(r"(^|/)m1\b", reasoning="neuroa"),),
)

# https://vercel.com/docs/ai-gateway/models-and-providers/automatic-caching: `cache_control` passes through
_VERCEL = Quirks(
    caching=True,
    reasoning="object",
    replays=("reasoning_details",),
    needs_replay=True,
    native_responses=VERCEL_RESPONSES,
)

# https://docs.litellm.ai/docs/completion/prompt_caching and …/document_understanding
_LITELLM = Quirks(
    unsupported=frozenset(), functions=True, media=_VIDEO, files="data", caching=True, web_search="options"
)

_ROWS = (
    Row("openai", "https://api.openai.com/v1", _OPENAI),
    Row("mistral", "https://api.mistral.ai/v1", _MISTRAL),
    Row("deepseek", "https://api.deepseek.com", _DEEPSEEK),
    Row("groq", "https://api.groq.com/openai/v1", _GROQ),
    Row("xai", "https://api.x.ai/v1", _XAI),
    Row("openrouter", "https://openrouter.ai/api/v1", _OPENROUTER),
    Row("together", "https://api.together.xyz/v1", _TOGETHER),
    Row("fireworks", "https://api.fireworks.ai/inference/v1", _FIREWORKS),
    Row("cerebras", "https://api.cerebras.ai/v1", _CEREBRAS),
    Row("perplexity", "https://api.perplexity.ai", _PERPLEXITY),
    Row("databricks", None, _DATABRICKS),
    Row("snowflake", None, _SNOWFLAKE),
    Row("zai", "https://api.z.ai/api/paas/v4", _ZAI),
    Row("moonshot", "https://api.moonshot.ai/v1", _MOONSHOT),
    Row("qwen", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1", _QWEN),
    Row("ollama", None, _OLLAMA, key=None),
    Row("lmstudio", None, _LMSTUDIO, key=None),
    Row("neuroa", None, _NEUROA),
    Row("vllm", None, _VLLM, key=None),
    Row("sglang", None, Quirks(reasoning="template", think_tags=True), key=None),
    Row("llamacpp", None, _LLAMACPP, key=None),
    Row("gpustack", None, Quirks(replays=("reasoning", "reasoning_content"), think_tags=True)),  # recorded
    # crusoe's quirks: recorded
    Row("crusoe", "https://api.inference.crusoecloud.com/v1", Quirks(replays=("reasoning",), think_tags=True)),
    Row("huggingface", "https://router.huggingface.co/v1", Quirks(unsupported=_PLAIN, think_tags=True)),
    Row("nebius", "https://api.tokenfactory.nebius.com/v1", _OPEN_MODELS),
    Row("deepinfra", "https://api.deepinfra.com/v1/openai", _OPEN_MODELS),
    Row("sambanova", "https://api.sambanova.ai/v1", Quirks(unsupported=_PLAIN - {"top_k"}, think_tags=True)),
    Row("nvidia", "https://integrate.api.nvidia.com/v1", Quirks(reasoning="template", think_tags=True)),
    Row("novita", "https://api.novita.ai/openai/v1", _OPEN_MODELS),
    Row("siliconflow", "https://api.siliconflow.com/v1", Quirks(reasoning="enable_thinking", think_tags=True)),
    Row("scaleway", "https://api.scaleway.ai/v1", Quirks(unsupported=_PLAIN, think_tags=True)),
    Row("vercel", "https://ai-gateway.vercel.sh/v1", _VERCEL),
    Row("voyage", "https://api.voyageai.com/v1", chats=False),
    Row("jina", "https://api.jina.ai/v1", chats=False),
    Row("litellm", None, _LITELLM, key=None),
)

ROWS: dict[str, Row] = {row.name: row for row in _ROWS}

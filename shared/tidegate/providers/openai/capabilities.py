"""Rules for OpenAI's own models, by name: which fields each one refuses. Shared by OpenAI's row and Azure.

Sources, read in 2026-11: https://platform.openai.com/docs/guides/reasoning (fields that reasoning models refuse),
https://platform.openai.com/docs/guides/latest-model (sampling is for effort "none" only), the efforts of each model in
https://learn.microsoft.com/en-us/javascript/api/@azure/ai-projects/reasoningeffort ("max" since gpt-5.6, "minimal" for
gpt-5 alone: "Supported values are: 'none', 'low', 'medium', and 'high'"), and recorded refusals.

Tools while reasoning, read in 2026-11: https://github.com/openai/openai-openapi/issues/541 (refused since gpt-5.4),
https://github.com/BerriAI/litellm/pull/34569 (gpt-5.6 reasons by default: only an explicit "none" is accepted),
https://github.com/jeffdafoe/llm-memory-api/pull/178 (gpt-5.5 refuses tools without an effort, too: it reasons by
default). Models that are in the Responses API only, and models that cannot search the web there: their pages in
https://platform.openai.com/docs/models.
"""

from msgspec.structs import replace

from tidegate.providers.openai.quirks import ModelRule, Reasons

_SAMPLING = frozenset({"temperature", "top_p", "logprobs", "top_logprobs"})
_PENALTIES = frozenset({"presence_penalty", "frequency_penalty", "logit_bias"})
_LOW_TO_HIGH = ("low", "medium", "high")
_NONE_TO_HIGH = ("none", *_LOW_TO_HIGH)


def _since_5_1(
    pattern: str, *efforts: str, reasons: Reasons = "when_asked", tools_while_reasoning: bool = True
) -> ModelRule:
    return ModelRule(
        pattern,
        unsupported=_PENALTIES | {"stop"},
        unsupported_reasoning=_SAMPLING,
        reasons=reasons,
        tools_while_reasoning=tools_while_reasoning,
        limit_field="max_completion_tokens",
        efforts=efforts,
    )


def _without_sampling(pattern: str, unsupported: set[str], *efforts: str) -> ModelRule:
    """Return the rule for models that always reason, and refuse sampling and penalties."""
    refused = _SAMPLING | _PENALTIES | unsupported
    return ModelRule(
        pattern,
        unsupported=refused,
        reasons="always",
        limit_field="max_completion_tokens",
        efforts=efforts or None,
    )


def _without_search(rule: ModelRule) -> ModelRule:
    return replace(rule, web_search="none")


def _responses_only(rule: ModelRule) -> ModelRule:
    return replace(rule, responses_only=True)


OPENAI_MODELS = (
    ModelRule(
        r"-search-(preview|api)", unsupported=_SAMPLING | _PENALTIES | {"n"}, reasoning="none", web_search="options"
    ),
    _without_search(
        ModelRule(r"\bgpt-3|\bgpt-4(-\d|-32k|-turbo|-vision|\.5|$)|\bgpt-4\.1-nano|chatgpt", reasoning="none")
    ),
    ModelRule(r"\b(gpt-5[.\d]*-chat|gpt-4)", reasoning="none"),
    _responses_only(_without_sampling(r"\bo[13]-pro\b|deep-research", {"parallel_tool_calls", "stop"}, *_LOW_TO_HIGH)),
    _responses_only(_without_sampling(r"\bgpt-(5|[6-9])\S*-pro\b|\bgpt-\S*codex|\bcodex-|computer-use", {"stop"})),
    _without_search(_without_sampling(r"\b(o1|o3-mini)\b", {"parallel_tool_calls"}, *_LOW_TO_HIGH)),
    _without_sampling(r"\b(o3|o4-mini)\b", {"parallel_tool_calls", "stop"}, *_LOW_TO_HIGH),
    _without_sampling(r"\bgpt-5(-mini|-nano)?(-\d{4}-\d\d-\d\d)?$", {"stop"}, "minimal", *_LOW_TO_HIGH),
    # From gpt-5.1 to 5.4, the default effort is "none"; without reasoning, sampling fields are accepted.
    _since_5_1(r"\bgpt-5\.1(?!\d)", *_NONE_TO_HIGH),
    _since_5_1(r"\bgpt-5\.[23](?!\d)", *_NONE_TO_HIGH, "xhigh"),
    _since_5_1(r"\bgpt-5\.4(?!\d)", *_NONE_TO_HIGH, "xhigh", tools_while_reasoning=False),
    _since_5_1(r"\bgpt-5\.5(?!\d)", *_NONE_TO_HIGH, "xhigh", reasons="by_default", tools_while_reasoning=False),
    _since_5_1(
        r"\bgpt-(5\.|[6-9])",
        *(*_NONE_TO_HIGH, "xhigh", "max"),
        reasons="by_default",
        tools_while_reasoning=False,
    ),
)

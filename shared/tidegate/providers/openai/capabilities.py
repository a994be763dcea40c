"""Rules for OpenAI's own models, by name: which fields each one refuses. Shared by OpenAI's row and Azure.

Sources, read in 2026-11: https://platform.openai.com/docs/guides/reasoning (fields that reasoning models refuse),
https://platform.openai.com/docs/guides/latest-model (sampling is for effort "none" only), the efforts of each model in
https://learn.microsoft.com/en-us/javascript/api/@azure/ai-projects/reasoningeffort ("max" since gpt-5.6, "minimal" for
gpt-5 alone: "Supported values are: 'none', 'low', 'medium', and 'high'"), and recorded refusals.
"""

from tidegate.providers.openai.quirks import ModelRule

_SAMPLING = frozenset({"temperature", "top_p", "logprobs", "top_logprobs"})
_PENALTIES = frozenset({"presence_penalty", "frequency_penalty", "logit_bias"})


def _since_5_1(pattern: str, *efforts: str) -> ModelRule:
    return ModelRule(
        pattern,
        unsupported=_PENALTIES | {"stop"},
        unsupported_reasoning=_SAMPLING,
        limit_field="max_completion_tokens",
        efforts=efforts,
    )


def _without_sampling(pattern: str, unsupported: set[str], *efforts: str) -> ModelRule:
    """Return the rule for models that always reason, and refuse sampling and penalties."""
    refused = _SAMPLING | _PENALTIES | unsupported
    return ModelRule(pattern, unsupported=refused, limit_field="max_completion_tokens", efforts=efforts or None)


OPENAI_MODELS = (
    ModelRule(
        r"-search-(preview|api)", unsupported=_SAMPLING | _PENALTIES | {"n"}, reasoning="none", web_search="options"
    ),
    ModelRule(r"\b(gpt-5[.\d]*-chat|chatgpt|gpt-4|gpt-3)", reasoning="none"),
    _without_sampling(r"\b(o1|o3-mini)\b", {"parallel_tool_calls"}, "low", "medium", "high"),
    _without_sampling(r"\b(o3|o4-mini)\b", {"parallel_tool_calls", "stop"}, "low", "medium", "high"),
    _without_sampling(r"\bgpt-5(-mini|-nano)?(-\d{4}-\d\d-\d\d)?$", {"stop"}, "minimal", "low", "medium", "high"),
    _without_sampling(r"\bgpt-(5|[6-9])[.\d]*-(pro|codex)", {"stop"}),
    # From gpt-5.1 on, the default effort is "none"; without reasoning, sampling fields are accepted.
    _since_5_1(r"\bgpt-5\.1(?!\d)", "none", "low", "medium", "high"),
    _since_5_1(r"\bgpt-5\.[2-5](?!\d)", "none", "low", "medium", "high", "xhigh"),
    _since_5_1(r"\bgpt-(5\.|[6-9])", "none", "low", "medium", "high", "xhigh", "max"),
)

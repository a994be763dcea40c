"""The caller's `reasoning` as a token budget (Gemini 2.5) or a thinking level (since Gemini 3).

Sources (2026-11): https://ai.google.dev/gemini-api/docs/generate-content/thinking, …/docs/openai#thinking (budgets).
"""

from tidegate.chat.reasoning import Effort, Reasoning
from tidegate.json import JsonObject
from tidegate.providers import efforts
from tidegate.providers.gemini.capabilities import ThinkingBudget
from tidegate.providers.gemini.request_builder import GeminiRequestBuilder

_BUDGET_BY_EFFORT: dict[str, int] = {"minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}


def write(builder: GeminiRequestBuilder) -> None:
    """Write `thinkingConfig`, and report reasoning that the model does not support."""
    reasoning_fields = efforts.take_reasoning_fields(builder.remaining)
    reasoning = builder.call.request.reasoning
    if reasoning is None:
        return
    capabilities = builder.capabilities
    if capabilities.thinking_budget is not None:
        thinking = _budget_config(builder, reasoning, capabilities.thinking_budget, reasoning_fields)
    elif capabilities.thinking_levels:
        thinking = _level_config(builder, reasoning, capabilities.thinking_levels, reasoning_fields)
    else:
        if reasoning.enabled:
            builder.ignored.extend(reasoning_fields)
        return
    if reasoning.enabled and not reasoning.exclude:
        thinking["includeThoughts"] = True
    if thinking:
        builder.generation_config["thinkingConfig"] = thinking


def _budget_config(
    builder: GeminiRequestBuilder, reasoning: Reasoning, thinking_budget: ThinkingBudget, reasoning_fields: JsonObject
) -> JsonObject:
    if not reasoning.enabled:
        if thinking_budget.can_switch_off:
            return {"thinkingBudget": 0}
        builder.ignored.extend(reasoning_fields)
        return {"thinkingBudget": thinking_budget.minimum}
    if reasoning.max_tokens is None and reasoning.effort is None:
        return {"thinkingBudget": -1}  # the model decides; without it flash-lite does not think
    tokens = reasoning.max_tokens
    if tokens is None:
        tokens = _BUDGET_BY_EFFORT.get(reasoning.effort or "", thinking_budget.maximum)
    supported = max(thinking_budget.minimum, min(tokens, thinking_budget.maximum))
    if reasoning.max_tokens is not None and supported != reasoning.max_tokens:
        builder.ignored.extend(efforts.sent_paths(reasoning_fields, efforts.BUDGET_PATHS))
    return {"thinkingBudget": supported}


def _level_config(
    builder: GeminiRequestBuilder, reasoning: Reasoning, thinking_levels: tuple[str, ...], reasoning_fields: JsonObject
) -> JsonObject:
    if not reasoning.enabled:
        builder.ignored.extend(reasoning_fields)  # no level switches thinking off
        return {"thinkingLevel": thinking_levels[0]}
    requested = reasoning.effort
    if reasoning.max_tokens is not None:
        requested = _effort_for_budget(reasoning.max_tokens)
        builder.ignored.extend(efforts.sent_paths(reasoning_fields, efforts.BUDGET_PATHS))
    if requested is None:
        return {}
    nearest = efforts.nearest_effort(requested, thinking_levels)
    if reasoning.effort is not None and nearest != reasoning.effort:
        builder.ignored.extend(efforts.sent_paths(reasoning_fields, efforts.EFFORT_PATHS))
    return {"thinkingLevel": nearest}


def _effort_for_budget(tokens: int) -> Effort:
    if tokens <= 512:
        return "minimal"
    if tokens <= 2048:
        return "low"
    return "medium" if tokens <= 12288 else "high"

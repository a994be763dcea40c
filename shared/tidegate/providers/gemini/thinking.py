"""How a model is asked to think: by a budget of tokens (Gemini 2.5) or by a level (since Gemini 3), never both.

Sources: https://ai.google.dev/gemini-api/docs/generate-content/thinking and …/docs/openai#thinking (which effort is
which budget), 2026-11.
"""

from tidegate.chat.reasoning import Effort, Reasoning
from tidegate.json import JsonObject
from tidegate.providers import efforts
from tidegate.providers.gemini.capabilities import ThinkingBudget
from tidegate.providers.gemini.request_builder import GeminiRequestBuilder

_BUDGET_BY_EFFORT: dict[str, int] = {"minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}


def write(draft: GeminiRequestBuilder) -> None:
    reasoning_fields = efforts.take_reasoning_fields(draft.remaining)
    reasoning = draft.call.request.reasoning
    if reasoning is None:
        return
    capabilities = draft.capabilities
    if capabilities.thinking_budget is not None:
        thinking = _budget_config(draft, reasoning, capabilities.thinking_budget, reasoning_fields)
    elif capabilities.thinking_levels:
        thinking = _level_config(draft, reasoning, capabilities.thinking_levels, reasoning_fields)
    else:
        if reasoning.enabled:
            draft.ignored.extend(reasoning_fields)
        return
    if reasoning.enabled and not reasoning.exclude:
        thinking["includeThoughts"] = True
    if thinking:
        draft.generation_config["thinkingConfig"] = thinking


def _budget_config(
    draft: GeminiRequestBuilder, reasoning: Reasoning, thinking_budget: ThinkingBudget, reasoning_fields: JsonObject
) -> JsonObject:
    if not reasoning.enabled:
        if thinking_budget.can_switch_off:
            return {"thinkingBudget": 0}
        draft.ignored.extend(reasoning_fields)
        return {"thinkingBudget": thinking_budget.minimum}
    if reasoning.max_tokens is not None:
        tokens = max(thinking_budget.minimum, min(reasoning.max_tokens, thinking_budget.maximum))
        if tokens != reasoning.max_tokens:
            draft.ignored.extend(efforts.sent_paths(reasoning_fields, efforts.BUDGET_PATHS))
        return {"thinkingBudget": tokens}
    if reasoning.effort is None:
        return {"thinkingBudget": -1}  # as much as the model sees fit: flash-lite thinks only when asked to
    return {
        "thinkingBudget": max(
            thinking_budget.minimum,
            min(_BUDGET_BY_EFFORT.get(reasoning.effort, thinking_budget.maximum), thinking_budget.maximum),
        )
    }


def _level_config(
    draft: GeminiRequestBuilder, reasoning: Reasoning, thinking_levels: tuple[str, ...], reasoning_fields: JsonObject
) -> JsonObject:
    if not reasoning.enabled:
        draft.ignored.extend(reasoning_fields)  # there is no level without any thinking
        return {"thinkingLevel": thinking_levels[0]}
    requested = reasoning.effort
    if reasoning.max_tokens is not None:
        requested = _effort_for_budget(reasoning.max_tokens)
        draft.ignored.extend(efforts.sent_paths(reasoning_fields, efforts.BUDGET_PATHS))
    if requested is None:
        return {}
    nearest = efforts.nearest_effort(requested, thinking_levels)
    if reasoning.effort is not None and nearest != reasoning.effort:
        draft.ignored.extend(efforts.sent_paths(reasoning_fields, efforts.EFFORT_PATHS))
    return {"thinkingLevel": nearest}


def _effort_for_budget(tokens: int) -> Effort:
    if tokens <= 512:
        return "minimal"
    if tokens <= 2048:
        return "low"
    return "medium" if tokens <= 12288 else "high"

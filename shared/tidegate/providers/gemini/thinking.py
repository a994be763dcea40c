"""How a model is asked to think: by a budget of tokens (Gemini 2.5) or by a level (since Gemini 3), never both.

Sources: https://ai.google.dev/gemini-api/docs/generate-content/thinking and …/docs/openai#thinking (which effort is
which budget), 2026-11.
"""

from tidegate.chat.reasoning import Effort, Reasoning
from tidegate.json import JsonObject
from tidegate.providers import efforts
from tidegate.providers.gemini.capabilities import Budget
from tidegate.providers.gemini.request_builder import Draft

_BUDGETS: dict[str, int] = {"minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}


def write(draft: Draft) -> None:
    sent = efforts.take(draft.left)
    wish = draft.call.request.reasoning
    if wish is None:
        return
    model = draft.model
    if model.budget is not None:
        thinking = _by_budget(draft, wish, model.budget, sent)
    elif model.levels:
        thinking = _by_level(draft, wish, model.levels, sent)
    else:
        if wish.enabled:
            draft.ignored.extend(sent)
        return
    if wish.enabled and not wish.exclude:
        thinking["includeThoughts"] = True
    if thinking:
        draft.config["thinkingConfig"] = thinking


def _by_budget(draft: Draft, wish: Reasoning, budget: Budget, sent: JsonObject) -> JsonObject:
    if not wish.enabled:
        if budget.can_stop:
            return {"thinkingBudget": 0}
        draft.ignored.extend(sent)
        return {"thinkingBudget": budget.least}
    if wish.max_tokens is not None:
        tokens = max(budget.least, min(wish.max_tokens, budget.most))
        if tokens != wish.max_tokens:
            draft.ignored.extend(efforts.written(sent, efforts.BUDGETS))
        return {"thinkingBudget": tokens}
    if wish.effort is None:
        return {"thinkingBudget": -1}  # as much as the model sees fit: flash-lite thinks only when asked to
    return {"thinkingBudget": max(budget.least, min(_BUDGETS.get(wish.effort, budget.most), budget.most))}


def _by_level(draft: Draft, wish: Reasoning, levels: tuple[str, ...], sent: JsonObject) -> JsonObject:
    if not wish.enabled:
        draft.ignored.extend(sent)  # there is no level without any thinking
        return {"thinkingLevel": levels[0]}
    wanted = wish.effort
    if wish.max_tokens is not None:
        wanted = _effort_of(wish.max_tokens)
        draft.ignored.extend(efforts.written(sent, efforts.BUDGETS))
    if wanted is None:
        return {}
    nearest = efforts.nearest(wanted, levels)
    if wish.effort is not None and nearest != wish.effort:
        draft.ignored.extend(efforts.written(sent, efforts.EFFORTS))
    return {"thinkingLevel": nearest}


def _effort_of(tokens: int) -> Effort:
    if tokens <= 512:
        return "minimal"
    if tokens <= 2048:
        return "low"
    return "medium" if tokens <= 12288 else "high"

"""How each provider is asked to reason: one wish of the caller, in the provider's own words.

Sources: https://platform.openai.com/docs/guides/reasoning, https://openrouter.ai/docs/use-cases/reasoning-tokens,
https://api-docs.deepseek.com/guides/thinking_mode, https://docs.z.ai/guides/capabilities/thinking-mode,
https://www.alibabacloud.com/help/en/model-studio/deep-thinking, https://docs.vllm.ai/en/latest/features/reasoning_outputs
"""

from tidegate.chat.reasoning import Reasoning
from tidegate.json import JsonObject
from tidegate.providers import efforts
from tidegate.providers.openai.quirks import ModelRule
from tidegate.providers.openai.request_builder import OpenAIRequestBuilder


def write(draft: OpenAIRequestBuilder, rule: ModelRule) -> None:
    wish = draft.request.reasoning
    way = rule.reasoning or draft.quirks.reasoning
    if wish is None or way == "as_sent":
        return
    sent = efforts.take_reasoning_fields(draft.body)
    paths = _ReasoningReports(draft, sent)
    known = draft.quirks.efforts if rule.efforts is None else rule.efforts
    match way:
        case "effort":
            _ask_effort(draft, wish, known, paths)
        case "object":
            draft.body["reasoning"] = _object(wish)
        case "switch":
            draft.body["reasoning"] = {"enabled": wish.enabled}
            _ask_effort_too(draft, wish, known, paths)
        case "thinking":
            draft.body["thinking"] = {"type": "enabled" if wish.enabled else "disabled"}
            _ask_effort_too(draft, wish, known, paths)
        case "neuroa":
            _ask_neuroa(draft, wish, paths)
        case "budget":
            _ask_budget(draft, wish, paths)
        case "enable_thinking":
            _ask_tokens(draft, wish, paths)
        case "template":
            _ask_template(draft, wish, known, paths)
        case _:
            if wish.enabled:
                draft.ignored.extend(sent)


class _ReasoningReports:
    """Where the caller wrote what we cannot say exactly."""

    def __init__(self, draft: OpenAIRequestBuilder, sent: JsonObject) -> None:
        self._draft = draft
        self._sent = sent

    def report_effort(self) -> None:
        self._draft.ignored.extend(efforts.sent_paths(self._sent, efforts.EFFORT_PATHS))

    def report_budget(self) -> None:
        self._draft.ignored.extend(efforts.sent_paths(self._sent, efforts.BUDGET_PATHS))

    def report_switch(self) -> None:
        self._draft.ignored.extend(self._sent)


def _ask_effort(draft: OpenAIRequestBuilder, wish: Reasoning, known: tuple[str, ...], paths: _ReasoningReports) -> None:
    """`reasoning_effort`: the word itself where the provider knows it, or else the nearest, reported."""
    if not wish.enabled:
        if not known or "none" in known:
            draft.body["reasoning_effort"] = "none"
        else:
            paths.report_switch()
        return
    wanted = wish.effort or _effort_for(wish.max_tokens)
    if wish.max_tokens:
        paths.report_budget()
    nearest = _nearest(wanted, known)
    if wish.effort and nearest != wanted:
        paths.report_effort()
    if nearest is not None:
        draft.body["reasoning_effort"] = nearest


def _ask_effort_too(
    draft: OpenAIRequestBuilder, wish: Reasoning, known: tuple[str, ...], paths: _ReasoningReports
) -> None:
    if wish.enabled and (wish.effort or wish.max_tokens):
        _ask_effort(draft, wish, known, paths)


def _effort_for(budget: int | None) -> str:
    if budget is None:
        return "medium"  # switched on without saying how much: OpenAI's and OpenRouter's default
    return efforts.effort_for_budget(budget, maximum="high")


def _nearest(wanted: str, known: tuple[str, ...]) -> str | None:
    return efforts.nearest_effort(wanted, [effort for effort in known if effort != "none"]) if known else wanted


def _object(wish: Reasoning) -> JsonObject:
    asked: JsonObject = {}
    if not wish.enabled:
        asked["effort"] = "none"
    elif wish.max_tokens:
        asked["max_tokens"] = wish.max_tokens
    elif wish.effort:
        asked["effort"] = wish.effort
    else:
        asked["enabled"] = True
    if wish.exclude:
        asked["exclude"] = True
    return asked


def _ask_tokens(draft: OpenAIRequestBuilder, wish: Reasoning, paths: _ReasoningReports) -> None:
    draft.body["enable_thinking"] = wish.enabled
    if wish.max_tokens:
        draft.body["thinking_budget"] = wish.max_tokens
    elif wish.effort:
        draft.body["thinking_budget"] = efforts.EFFORT_TOKENS[wish.effort]
        paths.report_effort()


def _ask_budget(draft: OpenAIRequestBuilder, wish: Reasoning, paths: _ReasoningReports) -> None:
    if not wish.enabled:
        draft.body["thinking"] = {"type": "disabled"}
        return
    budget = max(1024, wish.max_tokens or efforts.EFFORT_TOKENS[wish.effort or "medium"])
    if wish.effort and not wish.max_tokens:
        paths.report_effort()
    elif wish.max_tokens and budget != wish.max_tokens:
        paths.report_budget()
    draft.body["thinking"] = {"type": "enabled", "budget_tokens": budget}


def _ask_neuroa(draft: OpenAIRequestBuilder, wish: Reasoning, paths: _ReasoningReports) -> None:
    """Both fields are required, even where the caller sent only one."""
    wanted = wish.effort or _effort_for(wish.max_tokens)
    nearest = _nearest(wanted, ("low", "medium", "high"))
    if wish.max_tokens:
        paths.report_budget()
    elif wish.effort and nearest != wanted:
        paths.report_effort()
    draft.body["thinking"] = {"thinking": wish.enabled, "effort": nearest}


def _ask_template(
    draft: OpenAIRequestBuilder, wish: Reasoning, known: tuple[str, ...], paths: _ReasoningReports
) -> None:
    """Servers of open models: the chat template switches thinking; models of the gpt-oss kind read the effort."""
    given = draft.body.get("chat_template_kwargs")
    draft.body["chat_template_kwargs"] = {
        "enable_thinking": wish.enabled,
        **(given if isinstance(given, dict) else {}),
    }
    if wish.enabled and wish.effort:
        _ask_effort(draft, wish, known, paths)
    elif wish.max_tokens:
        paths.report_budget()

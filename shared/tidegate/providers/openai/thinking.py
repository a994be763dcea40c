"""Translates the caller's request for reasoning into the provider's own fields.

Sources: https://platform.openai.com/docs/guides/reasoning, https://openrouter.ai/docs/use-cases/reasoning-tokens,
https://api-docs.deepseek.com/guides/thinking_mode, https://docs.z.ai/guides/capabilities/thinking-mode,
https://www.alibabacloud.com/help/en/model-studio/deep-thinking, https://docs.vllm.ai/en/latest/features/reasoning_outputs
"""

from tidegate.chat.reasoning import Reasoning
from tidegate.json import Json, JsonObject
from tidegate.providers import efforts
from tidegate.providers.openai.quirks import ModelRule, ReasoningStyle
from tidegate.providers.openai.request_builder import OpenAIRequestBuilder


def write(builder: OpenAIRequestBuilder, rule: ModelRule) -> None:
    """Write reasoning fields that the provider supports, after the tools. What it cannot honour is reported.

    Raises `InvalidRequest` if a budget that is sent leaves no tokens for an answer.
    """
    reasoning = builder.request.reasoning
    style = rule.reasoning or builder.quirks.reasoning
    without_reasoning = builder.tools_prevent_reasoning(rule)
    if reasoning is None and without_reasoning and rule.reasons == "by_default":
        builder.body["reasoning_effort"] = "none"
    if reasoning is None or _passes_as_sent(builder, reasoning, style):
        return
    sent = efforts.take_reasoning_fields(builder.body)
    reports = _ReasoningReports(builder, sent)
    if reasoning.enabled and without_reasoning:
        builder.body["reasoning_effort"] = "none"
        reports.report_switch()
        return
    if not reasoning.enabled and rule.reasons == "always":
        reports.report_switch()
        return
    supported = builder.quirks.efforts if rule.efforts is None else rule.efforts
    match style:
        case "effort":
            _write_effort(builder, reasoning, supported, reports)
        case "object":
            builder.body["reasoning"] = _object(reasoning)
        case "switch":
            builder.body["reasoning"] = {"enabled": reasoning.enabled}
            _write_effort_if_sent(builder, reasoning, supported, reports)
        case "thinking":
            builder.body["thinking"] = {"type": "enabled" if reasoning.enabled else "disabled"}
            _write_effort_if_sent(builder, reasoning, supported, reports)
        case "neuroa":
            _write_neuroa(builder, reasoning, reports)
        case "budget":
            _write_budget(builder, reasoning, sent, reports)
        case "enable_thinking":
            _write_enable_thinking(builder, reasoning, reports)
        case "template":
            _write_template(builder, reasoning, supported, reports)
        case _:
            if reasoning.enabled:
                builder.ignored.extend(sent)


def _passes_as_sent(builder: OpenAIRequestBuilder, reasoning: Reasoning, style: ReasoningStyle) -> bool:
    """True for a provider that gets the caller's own fields. Raises `InvalidRequest` for a budget without room."""
    if reasoning.max_tokens and style in ("as_sent", "object"):
        efforts.require_room(reasoning.max_tokens, _limit(builder), builder.body)
    return style == "as_sent"


class _ReasoningReports:
    """Reports the caller's reasoning fields that cannot be translated exactly."""

    def __init__(self, builder: OpenAIRequestBuilder, sent: JsonObject) -> None:
        self._builder = builder
        self._sent = sent

    def report_effort(self) -> None:
        self._builder.ignored.extend(efforts.sent_paths(self._sent, efforts.EFFORT_PATHS))

    def report_budget(self) -> None:
        self._builder.ignored.extend(efforts.sent_paths(self._sent, efforts.BUDGET_PATHS))

    def report_switch(self) -> None:
        self._builder.ignored.extend(self._sent)


def _write_effort(
    builder: OpenAIRequestBuilder, reasoning: Reasoning, supported: tuple[str, ...], reports: _ReasoningReports
) -> None:
    """Write `reasoning_effort`: the requested effort if it is supported, else the nearest, which is reported."""
    if not reasoning.enabled:
        if not supported or "none" in supported:
            builder.body["reasoning_effort"] = "none"
        else:
            reports.report_switch()
        return
    effort = reasoning.effort or _effort_for(reasoning.max_tokens)
    if reasoning.max_tokens:
        reports.report_budget()
    sent_effort = _nearest_effort(effort, supported)
    if reasoning.effort and sent_effort != effort:
        reports.report_effort()
    if sent_effort is not None:
        builder.body["reasoning_effort"] = sent_effort


def _write_effort_if_sent(
    builder: OpenAIRequestBuilder, reasoning: Reasoning, supported: tuple[str, ...], reports: _ReasoningReports
) -> None:
    if reasoning.enabled and (reasoning.effort or reasoning.max_tokens):
        _write_effort(builder, reasoning, supported, reports)


def _effort_for(budget: int | None) -> str:
    if budget is None:
        return "medium"  # enabled without an effort: OpenAI's and OpenRouter's default
    return efforts.effort_for_budget(budget, maximum="high")


def _nearest_effort(effort: str, supported: tuple[str, ...]) -> str | None:
    return efforts.nearest_effort(effort, [each for each in supported if each != "none"]) if supported else effort


def _object(reasoning: Reasoning) -> JsonObject:
    fields: JsonObject = {}
    if not reasoning.enabled:
        fields["effort"] = "none"
    elif reasoning.max_tokens:
        fields["max_tokens"] = reasoning.max_tokens
    elif reasoning.effort:
        fields["effort"] = reasoning.effort
    else:
        fields["enabled"] = True
    if reasoning.exclude:
        fields["exclude"] = True
    return fields


def _write_enable_thinking(builder: OpenAIRequestBuilder, reasoning: Reasoning, reports: _ReasoningReports) -> None:
    builder.body["enable_thinking"] = reasoning.enabled
    if reasoning.max_tokens:
        builder.body["thinking_budget"] = reasoning.max_tokens
    elif reasoning.effort:
        builder.body["thinking_budget"] = efforts.EFFORT_TOKENS[reasoning.effort]
        reports.report_effort()


def _limit(builder: OpenAIRequestBuilder) -> Json:
    return builder.body.get("max_completion_tokens") or builder.body.get("max_tokens")


def _write_budget(
    builder: OpenAIRequestBuilder, reasoning: Reasoning, sent: JsonObject, reports: _ReasoningReports
) -> None:
    """Write a budget of at least 1024 tokens; the one for an effort fits into the output limit."""
    if not reasoning.enabled:
        builder.body["thinking"] = {"type": "disabled"}
        return
    limit, budget = _limit(builder), reasoning.max_tokens
    if budget is None:
        budget = efforts.EFFORT_TOKENS[reasoning.effort or "medium"]
        budget = min(budget, limit - 1) if isinstance(limit, int) else budget
    budget = max(1024, budget)
    efforts.require_room(budget, limit, sent)
    if reasoning.effort and not reasoning.max_tokens:
        reports.report_effort()
    elif reasoning.max_tokens and budget != reasoning.max_tokens:
        reports.report_budget()
    builder.body["thinking"] = {"type": "enabled", "budget_tokens": budget}


def _write_neuroa(builder: OpenAIRequestBuilder, reasoning: Reasoning, reports: _ReasoningReports) -> None:
    """Write both fields: the API requires them even if the caller sent only one."""
    effort = reasoning.effort or _effort_for(reasoning.max_tokens)
    sent_effort = _nearest_effort(effort, ("low", "medium", "high"))
    if reasoning.max_tokens:
        reports.report_budget()
    elif reasoning.effort and sent_effort != effort:
        reports.report_effort()
    builder.body["thinking"] = {"thinking": reasoning.enabled, "effort": sent_effort}


def _write_template(
    builder: OpenAIRequestBuilder, reasoning: Reasoning, supported: tuple[str, ...], reports: _ReasoningReports
) -> None:
    """Write the chat template's switch, for servers of open models; models such as gpt-oss also read the effort."""
    template_options = builder.body.get("chat_template_kwargs")
    builder.body["chat_template_kwargs"] = {
        "enable_thinking": reasoning.enabled,
        **(template_options if isinstance(template_options, dict) else {}),
    }
    if reasoning.enabled and reasoning.effort:
        _write_effort(builder, reasoning, supported, reports)
    elif reasoning.max_tokens:
        reports.report_budget()

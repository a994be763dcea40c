"""How each family on Bedrock is asked to think, by `additionalModelRequestFields`.

Sources, read in 2026-11: https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-extended-thinking.html,
…/claude-messages-adaptive-thinking.html, https://docs.aws.amazon.com/nova/latest/nova2-userguide/extended-thinking.html;
and recorded calls (gpt-oss, Qwen).
"""

from tidegate.catalog import load_catalog
from tidegate.chat.reasoning import Reasoning
from tidegate.json import Json, JsonObject
from tidegate.providers import efforts
from tidegate.providers.bedrock.request_builder import BedrockRequestBuilder

_MIN_BUDGET = 1024


def write(draft: BedrockRequestBuilder) -> None:
    """Write the caller's wish; the turns are there already."""
    reasoning_fields = efforts.take_reasoning_fields(draft.remaining)
    reasoning = draft.call.request.reasoning
    if reasoning is None:
        return
    if not reasoning.enabled:
        _switch_off(draft, reasoning_fields)
        return
    match draft.capabilities.thinking:
        case "none":
            draft.ignored.extend(reasoning_fields)
        case "always":
            _report_paths(draft, reasoning_fields, efforts.EFFORT_PATHS + efforts.BUDGET_PATHS)
        case "adaptive":
            _write_adaptive(draft, reasoning, reasoning_fields)
        case "either" if not reasoning.max_tokens:
            _write_adaptive(draft, reasoning, reasoning_fields)
        case "budget" | "either":
            _write_budget(draft, reasoning, reasoning_fields)
        case "nova":
            _write_nova(draft, reasoning, reasoning_fields)
        case "effort":
            draft.model_fields["reasoning_effort"] = _supported_effort(draft, reasoning, reasoning_fields)
        case "nested_effort":
            draft.model_fields["reasoning"] = {"effort": _supported_effort(draft, reasoning, reasoning_fields)}
        case "config":
            draft.model_fields["reasoning_config"] = _supported_effort(draft, reasoning, reasoning_fields)


def _switch_off(draft: BedrockRequestBuilder, reasoning_fields: JsonObject) -> None:
    capabilities = draft.capabilities
    if capabilities.off == "never" or capabilities.thinking in ("effort", "config"):
        draft.ignored.extend(reasoning_fields)
    elif capabilities.off == "disabled":
        draft.model_fields["thinking"] = {"type": "disabled"}
    elif capabilities.thinking == "nova":
        draft.model_fields["reasoningConfig"] = {"type": "disabled"}
    elif capabilities.thinking == "nested_effort":
        draft.model_fields["reasoning"] = {"effort": "none"}


def _write_budget(draft: BedrockRequestBuilder, reasoning: Reasoning, reasoning_fields: JsonObject) -> None:
    """A budget of at least 1024 tokens and below the limit of the output."""
    requested = reasoning.max_tokens or efforts.EFFORT_TOKENS[reasoning.effort or "medium"]
    catalog_model = load_catalog().find_model(f"bedrock/{draft.model}")
    limit = draft.call.request.output_limit or (catalog_model.output_limit if catalog_model else None)
    if (limit is not None and limit <= _MIN_BUDGET) or _lacks_signed_thinking(draft.body["messages"]):
        draft.ignored.extend(reasoning_fields)
        return
    budget = max(_MIN_BUDGET, requested if limit is None else min(requested, limit - 1))
    if budget != requested:
        _report_paths(draft, reasoning_fields, efforts.BUDGET_PATHS if reasoning.max_tokens else efforts.EFFORT_PATHS)
    draft.model_fields["thinking"] = {"type": "enabled", "budget_tokens": budget}
    draft.thinking_enabled = True


def _write_adaptive(draft: BedrockRequestBuilder, reasoning: Reasoning, reasoning_fields: JsonObject) -> None:
    thinking: JsonObject = {"type": "adaptive"}
    if draft.capabilities.samplers == "none" and not reasoning.exclude:
        thinking["display"] = "summarized"  # the newer models leave the text out unless asked for it
    draft.model_fields["thinking"] = thinking
    if reasoning.effort or reasoning.max_tokens:
        draft.model_fields["output_config"] = {"effort": _supported_effort(draft, reasoning, reasoning_fields)}
    draft.thinking_enabled = True


def _write_nova(draft: BedrockRequestBuilder, reasoning: Reasoning, reasoning_fields: JsonObject) -> None:
    """High effort takes no limit of the output: a caller who sets one gets the next lower."""
    effort = _supported_effort(draft, reasoning, reasoning_fields)
    if effort == "high" and draft.call.request.output_limit is not None:
        effort = "medium"
        _report_paths(draft, reasoning_fields, efforts.EFFORT_PATHS if reasoning.effort else ())
    draft.model_fields["reasoningConfig"] = {"type": "enabled", "maxReasoningEffort": effort}


def _supported_effort(draft: BedrockRequestBuilder, reasoning: Reasoning, reasoning_fields: JsonObject) -> str:
    """The family's word for the wish; where it has none the nearest, of two as near the stronger, and a report."""
    supported = [word for word in draft.capabilities.efforts if word != "none"]
    if reasoning.effort is None and reasoning.max_tokens:
        requested = efforts.effort_for_budget(reasoning.max_tokens)
        _report_paths(draft, reasoning_fields, efforts.BUDGET_PATHS)
    else:
        requested = reasoning.effort or "medium"
        _report_paths(draft, reasoning_fields, efforts.BUDGET_PATHS if reasoning.max_tokens else ())
    nearest = efforts.nearest_effort(requested, supported) or requested
    if nearest != requested:
        _report_paths(draft, reasoning_fields, efforts.EFFORT_PATHS if reasoning.effort else ())
    return nearest


def _report_paths(draft: BedrockRequestBuilder, reasoning_fields: JsonObject, paths: tuple[str, ...]) -> None:
    draft.ignored.extend(efforts.sent_paths(reasoning_fields, paths))


def _lacks_signed_thinking(messages: Json) -> bool:
    """Whether a turn is to go on without its reasoning, as it stands or from what tools answer: Claude refuses that."""
    match messages:
        case [*_, {"role": "assistant", "content": [first_block, *_]}]:
            return not (isinstance(first_block, dict) and "reasoningContent" in first_block)
        case [
            *_,
            {"role": "assistant", "content": [first_block, *_] as blocks},
            {"role": "user", "content": list(results)},
        ]:
            has_calls = any(isinstance(block, dict) and "toolUse" in block for block in blocks)
            has_results = any(isinstance(block, dict) and "toolResult" in block for block in results)
            return (
                has_calls and has_results and not (isinstance(first_block, dict) and "reasoningContent" in first_block)
            )
        case _:
            return False

"""The caller's `reasoning` as the `additionalModelRequestFields` of each model family.

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


def write(builder: BedrockRequestBuilder) -> None:
    """Write the thinking fields. The messages must be written before."""
    reasoning_fields = efforts.take_reasoning_fields(builder.remaining)
    reasoning = builder.call.request.reasoning
    if reasoning is None:
        return
    if not reasoning.enabled:
        _switch_off(builder, reasoning_fields)
        return
    match builder.capabilities.thinking:
        case "none":
            builder.ignored.extend(reasoning_fields)
        case "always":
            _report_paths(builder, reasoning_fields, efforts.EFFORT_PATHS + efforts.BUDGET_PATHS)
        case "adaptive":
            _write_adaptive(builder, reasoning, reasoning_fields)
        case "either" if not reasoning.max_tokens:
            _write_adaptive(builder, reasoning, reasoning_fields)
        case "budget" | "either":
            _write_budget(builder, reasoning, reasoning_fields)
        case "nova":
            _write_nova(builder, reasoning, reasoning_fields)
        case "effort":
            builder.model_fields["reasoning_effort"] = _supported_effort(builder, reasoning, reasoning_fields)
        case "nested_effort":
            builder.model_fields["reasoning"] = {"effort": _supported_effort(builder, reasoning, reasoning_fields)}
        case "config":
            builder.model_fields["reasoning_config"] = _supported_effort(builder, reasoning, reasoning_fields)


def _switch_off(builder: BedrockRequestBuilder, reasoning_fields: JsonObject) -> None:
    capabilities = builder.capabilities
    if capabilities.thinking_off == "never" or capabilities.thinking in ("effort", "config"):
        builder.ignored.extend(reasoning_fields)
    elif capabilities.thinking_off == "disabled":
        builder.model_fields["thinking"] = {"type": "disabled"}
    elif capabilities.thinking == "nova":
        builder.model_fields["reasoningConfig"] = {"type": "disabled"}
    elif capabilities.thinking == "nested_effort":
        builder.model_fields["reasoning"] = {"effort": "none"}


def _write_budget(builder: BedrockRequestBuilder, reasoning: Reasoning, reasoning_fields: JsonObject) -> None:
    """Write a budget of at least 1024 tokens and below the output limit."""
    requested = reasoning.max_tokens or efforts.EFFORT_TOKENS[reasoning.effort or "medium"]
    catalog_model = load_catalog().find_model(f"bedrock/{builder.model}")
    limit = builder.call.request.output_limit or (catalog_model.output_limit if catalog_model else None)
    if (limit is not None and limit <= _MIN_BUDGET) or _lacks_signed_thinking(builder.body["messages"]):
        builder.ignored.extend(reasoning_fields)
        return
    budget = max(_MIN_BUDGET, requested if limit is None else min(requested, limit - 1))
    if budget != requested:
        _report_paths(builder, reasoning_fields, efforts.BUDGET_PATHS if reasoning.max_tokens else efforts.EFFORT_PATHS)
    builder.model_fields["thinking"] = {"type": "enabled", "budget_tokens": budget}
    builder.thinking_enabled = True


def _write_adaptive(builder: BedrockRequestBuilder, reasoning: Reasoning, reasoning_fields: JsonObject) -> None:
    thinking: JsonObject = {"type": "adaptive"}
    if builder.capabilities.samplers == "none" and not reasoning.exclude:
        thinking["display"] = "summarized"  # by default the newer models return no thinking text
    builder.model_fields["thinking"] = thinking
    if reasoning.effort or reasoning.max_tokens:
        builder.model_fields["output_config"] = {"effort": _supported_effort(builder, reasoning, reasoning_fields)}
    builder.thinking_enabled = True


def _write_nova(builder: BedrockRequestBuilder, reasoning: Reasoning, reasoning_fields: JsonObject) -> None:
    """Write Nova's effort. High effort cannot have an output limit: with one, the effort is medium."""
    effort = _supported_effort(builder, reasoning, reasoning_fields)
    if effort == "high" and builder.call.request.output_limit is not None:
        effort = "medium"
        _report_paths(builder, reasoning_fields, efforts.EFFORT_PATHS if reasoning.effort else ())
    builder.model_fields["reasoningConfig"] = {"type": "enabled", "maxReasoningEffort": effort}


def _supported_effort(builder: BedrockRequestBuilder, reasoning: Reasoning, reasoning_fields: JsonObject) -> str:
    """Return the supported effort nearest to the caller's, the stronger one of two, and report a difference."""
    supported = [word for word in builder.capabilities.efforts if word != "none"]
    if reasoning.effort is None and reasoning.max_tokens:
        requested = efforts.effort_for_budget(reasoning.max_tokens)
        _report_paths(builder, reasoning_fields, efforts.BUDGET_PATHS)
    else:
        requested = reasoning.effort or "medium"
        _report_paths(builder, reasoning_fields, efforts.BUDGET_PATHS if reasoning.max_tokens else ())
    nearest = efforts.nearest_effort(requested, supported) or requested
    if nearest != requested:
        _report_paths(builder, reasoning_fields, efforts.EFFORT_PATHS if reasoning.effort else ())
    return nearest


def _report_paths(builder: BedrockRequestBuilder, reasoning_fields: JsonObject, paths: tuple[str, ...]) -> None:
    builder.ignored.extend(efforts.sent_paths(reasoning_fields, paths))


def _lacks_signed_thinking(messages: Json) -> bool:
    """The assistant's turn would continue, from a prefill or tool results, without its reasoning: Claude refuses."""
    match messages:
        case [*_, {"role": "assistant", "content": [block, *_]}]:
            return not _has_field(block, "reasoningContent")
        case [*_, {"role": "assistant", "content": [*blocks]}, {"role": "user", "content": [*results]}] if blocks:
            has_calls = any(_has_field(block, "toolUse") for block in blocks)
            has_results = any(_has_field(block, "toolResult") for block in results)
            return has_calls and has_results and not _has_field(blocks[0], "reasoningContent")
        case _:
            return False


def _has_field(block: Json, name: str) -> bool:
    return isinstance(block, dict) and name in block

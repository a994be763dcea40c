"""The caller's `reasoning` as a token budget, or as adaptive thinking with an effort.

Sources: https://platform.claude.com/docs/en/build-with-claude/thinking, …/extended-thinking, …/effort (2026-11).
"""

from tidegate.chat.reasoning import Reasoning
from tidegate.json import Json, JsonObject
from tidegate.providers import efforts
from tidegate.providers.anthropic.request_builder import AnthropicRequestBuilder

_MIN_BUDGET = 1024
_MAX_SHARE_OF_OUTPUT = 0.8  # leaves tokens for the answer


def write(builder: AnthropicRequestBuilder) -> None:
    """Write `thinking`, after the messages. Raises `InvalidRequest` if the budget leaves no tokens for an answer."""
    reasoning_fields = efforts.take_reasoning_fields(builder.remaining)
    reasoning = builder.call.request.reasoning
    if reasoning is None:
        return
    thinking = builder.capabilities.thinking
    if not reasoning.enabled:
        _switch_off(builder, reasoning_fields)
        return
    by_budget = thinking == "budget" or (thinking == "either" and reasoning.max_tokens is not None)
    if thinking == "none" or (by_budget and (builder.answer_tool is not None or _lacks_signed_thinking(builder))):
        builder.ignored.extend(reasoning_fields)  # with a budget, Anthropic refuses to force the answer tool
    elif by_budget:
        _write_budget(builder, reasoning, reasoning_fields)
    else:
        _write_adaptive(builder, reasoning, reasoning_fields)


def _switch_off(builder: AnthropicRequestBuilder, reasoning_fields: JsonObject) -> None:
    match builder.capabilities.thinking_off:
        case "omit":
            pass
        case "never":
            builder.ignored.extend(reasoning_fields)
            builder.set_output_config(effort="low")  # the least thinking that is possible
        case thinking_type:
            builder.body["thinking"] = {"type": thinking_type}


def _write_budget(builder: AnthropicRequestBuilder, reasoning: Reasoning, reasoning_fields: JsonObject) -> None:
    limit = builder.body["max_tokens"]
    limit = limit if isinstance(limit, int) else 0
    budget = reasoning.max_tokens
    if budget is None:
        maximum = max(_MIN_BUDGET, int(limit * _MAX_SHARE_OF_OUTPUT))
        budget = min(efforts.EFFORT_TOKENS[reasoning.effort or "medium"], maximum)
        if limit <= _MIN_BUDGET:
            builder.ignored.extend(reasoning_fields)
            return
    efforts.require_room(max(budget, _MIN_BUDGET), limit, reasoning_fields)
    if budget < _MIN_BUDGET:
        builder.ignored.extend(efforts.sent_paths(reasoning_fields, efforts.BUDGET_PATHS))
        budget = _MIN_BUDGET
    builder.thinking = "budget"
    builder.body["thinking"] = {"type": "enabled", "budget_tokens": budget}


def _write_adaptive(builder: AnthropicRequestBuilder, reasoning: Reasoning, reasoning_fields: JsonObject) -> None:
    builder.thinking = "adaptive"
    # By default the newest models return empty thinking.
    builder.body["thinking"] = {"type": "adaptive", "display": "omitted" if reasoning.exclude else "summarized"}
    effort = reasoning.effort
    if reasoning.max_tokens is not None:
        builder.ignored.extend(efforts.sent_paths(reasoning_fields, efforts.BUDGET_PATHS))
        effort = effort or efforts.effort_for_budget(reasoning.max_tokens)
    if effort is None:
        return
    nearest = efforts.nearest_effort(effort, builder.capabilities.efforts)
    if reasoning.effort is not None and nearest != effort:
        builder.ignored.extend(efforts.sent_paths(reasoning_fields, efforts.EFFORT_PATHS))
    builder.set_output_config(effort=nearest)


def _lacks_signed_thinking(builder: AnthropicRequestBuilder) -> bool:
    """Tools were called in this turn without signed thinking before them.

    This happens if the client dropped the thinking, or if another provider made the calls. With a thinking budget
    Anthropic refuses to continue such a turn.
    """
    turns, first_block_type = builder.body["messages"], ""
    for turn in reversed(turns if isinstance(turns, list) else []):
        match turn:
            case {"role": "assistant", "content": [{"type": str(block_type)}, *_]}:
                first_block_type = block_type
            case {"content": [{"type": "tool_result"}, *blocks]} if not any(map(_is_text, blocks)):
                pass
            case _:
                break
    return first_block_type not in ("", "thinking", "redacted_thinking")


def _is_text(block: Json) -> bool:
    return isinstance(block, dict) and block.get("type") == "text"

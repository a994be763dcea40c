"""The caller's wish for reasoning as a budget of tokens, or as adaptive thinking with an effort.

Sources: https://platform.claude.com/docs/en/build-with-claude/thinking, …/extended-thinking, …/effort (2026-11).
"""

from tidegate.chat.reasoning import Reasoning
from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject
from tidegate.providers import efforts
from tidegate.providers.anthropic.request_builder import AnthropicRequestBuilder

_MIN_BUDGET = 1024
_MAX_SHARE_OF_OUTPUT = 0.8  # of the output's limit, at most: an answer must follow


def write(draft: AnthropicRequestBuilder) -> None:
    """Raises `InvalidRequest` for a budget that leaves no room for an answer."""
    reasoning_fields = efforts.take_reasoning_fields(draft.remaining)
    reasoning = draft.call.request.reasoning
    if reasoning is None:
        return
    thinking = draft.capabilities.thinking
    if not reasoning.enabled:
        _switch_off(draft, reasoning_fields)
        return
    by_budget = thinking == "budget" or (thinking == "either" and reasoning.max_tokens is not None)
    if thinking == "none" or (by_budget and (draft.answer_tool is not None or _lacks_signed_thinking(draft))):
        draft.ignored.extend(reasoning_fields)  # a budget forbids to force the tool that stands for the answer
    elif by_budget:
        _write_budget(draft, reasoning, reasoning_fields)
    else:
        _write_adaptive(draft, reasoning, reasoning_fields)


def _switch_off(draft: AnthropicRequestBuilder, reasoning_fields: JsonObject) -> None:
    match draft.capabilities.off:
        case "omit":
            pass
        case "never":
            draft.ignored.extend(reasoning_fields)
            draft.set_output_config(effort="low")  # as little as there is
        case thinking_type:
            draft.body["thinking"] = {"type": thinking_type}


def _write_budget(draft: AnthropicRequestBuilder, reasoning: Reasoning, reasoning_fields: JsonObject) -> None:
    limit = draft.body["max_tokens"]
    limit = limit if isinstance(limit, int) else 0
    budget = reasoning.max_tokens
    if budget is None:
        budget = min(
            efforts.EFFORT_TOKENS[reasoning.effort or "medium"], max(_MIN_BUDGET, int(limit * _MAX_SHARE_OF_OUTPUT))
        )
        if limit <= _MIN_BUDGET:
            draft.ignored.extend(reasoning_fields)
            return
    elif max(budget, _MIN_BUDGET) >= limit:
        path = next(iter(efforts.sent_paths(reasoning_fields, efforts.BUDGET_PATHS)), "reasoning")
        raise InvalidRequest(
            f"A reasoning budget of {max(budget, _MIN_BUDGET)} tokens must be less than the output's limit of {limit}.",
            param=path,
        )
    elif budget < _MIN_BUDGET:
        draft.ignored.extend(efforts.sent_paths(reasoning_fields, efforts.BUDGET_PATHS))
        budget = _MIN_BUDGET
    draft.thinking = "budget"
    draft.body["thinking"] = {"type": "enabled", "budget_tokens": budget}


def _write_adaptive(draft: AnthropicRequestBuilder, reasoning: Reasoning, reasoning_fields: JsonObject) -> None:
    draft.thinking = "adaptive"
    # Left to itself, the newest models send thinking back blank.
    draft.body["thinking"] = {"type": "adaptive", "display": "omitted" if reasoning.exclude else "summarized"}
    effort = reasoning.effort
    if reasoning.max_tokens is not None:
        draft.ignored.extend(efforts.sent_paths(reasoning_fields, efforts.BUDGET_PATHS))
        effort = effort or efforts.effort_for_budget(reasoning.max_tokens)
    if effort is None:
        return
    nearest = efforts.nearest_effort(effort, draft.capabilities.efforts)
    if reasoning.effort is not None and nearest != effort:
        draft.ignored.extend(efforts.sent_paths(reasoning_fields, efforts.EFFORT_PATHS))
    draft.set_output_config(effort=nearest)


def _lacks_signed_thinking(draft: AnthropicRequestBuilder) -> bool:
    """Whether tools were called in this turn without signed thinking before them.

    By a budget, Anthropic refuses to go on from there: the client dropped the thinking, or another provider called.
    """
    turns, first_block_type = draft.body["messages"], ""
    for turn in reversed(turns if isinstance(turns, list) else []):
        match turn:
            case {"role": "assistant", "content": [{"type": str(block_type)}, *_]}:
                first_block_type = block_type
            case {"content": [{"type": "tool_result"}, *other_blocks]} if not any(
                _is_text(block) for block in other_blocks
            ):
                pass
            case _:
                break
    return first_block_type not in ("", "thinking", "redacted_thinking")


def _is_text(block: Json) -> bool:
    return isinstance(block, dict) and block.get("type") == "text"

"""The caller's wish for reasoning as a budget of tokens, or as adaptive thinking with an effort.

Sources: https://platform.claude.com/docs/en/build-with-claude/thinking, …/extended-thinking, …/effort (2026-11).
"""

from tidegate.chat.reasoning import Reasoning
from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject
from tidegate.providers import efforts
from tidegate.providers.anthropic.request_builder import Draft

_LEAST = 1024
_SHARE = 0.8  # of the output's limit, at most: an answer must follow


def write(draft: Draft) -> None:
    """Raises `InvalidRequest` for a budget that leaves no room for an answer."""
    sent = efforts.take(draft.left)
    wish = draft.call.request.reasoning
    if wish is None:
        return
    kind = draft.abilities.thinking
    if not wish.enabled:
        _switch_off(draft, sent)
        return
    by_budget = kind == "budget" or (kind == "either" and wish.max_tokens is not None)
    if kind == "none" or (by_budget and (draft.answer_tool is not None or _lost_its_thoughts(draft))):
        draft.ignored.extend(sent)  # a budget forbids to force the tool that stands for the answer
    elif by_budget:
        _ask_budget(draft, wish, sent)
    else:
        _ask_effort(draft, wish, sent)


def _switch_off(draft: Draft, sent: JsonObject) -> None:
    match draft.abilities.off:
        case "omit":
            pass
        case "never":
            draft.ignored.extend(sent)
            draft.configure_output(effort="low")  # as little as there is
        case kind:
            draft.body["thinking"] = {"type": kind}


def _ask_budget(draft: Draft, wish: Reasoning, sent: JsonObject) -> None:
    limit = draft.body["max_tokens"]
    limit = limit if isinstance(limit, int) else 0
    budget = wish.max_tokens
    if budget is None:
        budget = min(efforts.TOKENS[wish.effort or "medium"], max(_LEAST, int(limit * _SHARE)))
        if limit <= _LEAST:
            draft.ignored.extend(sent)
            return
    elif max(budget, _LEAST) >= limit:
        path = next(iter(efforts.written(sent, efforts.BUDGETS)), "reasoning")
        raise InvalidRequest(
            f"A reasoning budget of {max(budget, _LEAST)} tokens must be less than the output's limit of {limit}.",
            param=path,
        )
    elif budget < _LEAST:
        draft.ignored.extend(efforts.written(sent, efforts.BUDGETS))
        budget = _LEAST
    draft.thinking = "budget"
    draft.body["thinking"] = {"type": "enabled", "budget_tokens": budget}


def _ask_effort(draft: Draft, wish: Reasoning, sent: JsonObject) -> None:
    draft.thinking = "adaptive"
    # Left to itself, the newest models send thinking back blank.
    draft.body["thinking"] = {"type": "adaptive", "display": "omitted" if wish.exclude else "summarized"}
    wanted = wish.effort
    if wish.max_tokens is not None:
        draft.ignored.extend(efforts.written(sent, efforts.BUDGETS))
        wanted = wanted or efforts.effort_for(wish.max_tokens)
    if wanted is None:
        return
    nearest = efforts.nearest(wanted, draft.abilities.efforts)
    if wish.effort is not None and nearest != wanted:
        draft.ignored.extend(efforts.written(sent, efforts.EFFORTS))
    draft.configure_output(effort=nearest)


def _lost_its_thoughts(draft: Draft) -> bool:
    """Whether tools were called in this turn without signed thinking before them.

    By a budget, Anthropic refuses to go on from there: the client dropped the thinking, or another provider called.
    """
    turns, opening = draft.body["messages"], ""
    for turn in reversed(turns if isinstance(turns, list) else []):
        match turn:
            case {"role": "assistant", "content": [{"type": str(kind)}, *_]}:
                opening = kind
            case {"content": [{"type": "tool_result"}, *rest]} if not any(_is_text(block) for block in rest):
                pass
            case _:
                break
    return opening not in ("", "thinking", "redacted_thinking")


def _is_text(block: Json) -> bool:
    return isinstance(block, dict) and block.get("type") == "text"

"""How each family on Bedrock is asked to think, by `additionalModelRequestFields`.

Sources, read in 2026-11: https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-extended-thinking.html,
…/claude-messages-adaptive-thinking.html, https://docs.aws.amazon.com/nova/latest/nova2-userguide/extended-thinking.html;
and recorded calls (gpt-oss, Qwen).
"""

from tidegate.catalog import load
from tidegate.chat.reasoning import Reasoning
from tidegate.json import Json, JsonObject
from tidegate.providers import efforts
from tidegate.providers.bedrock.request_builder import Draft

MIN_BUDGET = 1024


def write(draft: Draft) -> None:
    """Write the caller's wish; the turns are there already."""
    sent = efforts.take(draft.left)
    wish = draft.call.request.reasoning
    if wish is None:
        return
    if not wish.enabled:
        _switch_off(draft, sent)
        return
    match draft.family.thinking:
        case "none":
            draft.ignored.extend(sent)
        case "always":
            _report(draft, sent, efforts.EFFORTS + efforts.BUDGETS)
        case "adaptive":
            _ask_adaptive(draft, wish, sent)
        case "either" if not wish.max_tokens:
            _ask_adaptive(draft, wish, sent)
        case "budget" | "either":
            _ask_budget(draft, wish, sent)
        case "nova":
            _ask_nova(draft, wish, sent)
        case "effort":
            draft.extra["reasoning_effort"] = _effort(draft, wish, sent)
        case "nested_effort":
            draft.extra["reasoning"] = {"effort": _effort(draft, wish, sent)}
        case "config":
            draft.extra["reasoning_config"] = _effort(draft, wish, sent)


def _switch_off(draft: Draft, sent: JsonObject) -> None:
    family = draft.family
    if family.off == "never" or family.thinking in ("effort", "config"):
        draft.ignored.extend(sent)
    elif family.off == "disabled":
        draft.extra["thinking"] = {"type": "disabled"}
    elif family.thinking == "nova":
        draft.extra["reasoningConfig"] = {"type": "disabled"}
    elif family.thinking == "nested_effort":
        draft.extra["reasoning"] = {"effort": "none"}


def _ask_budget(draft: Draft, wish: Reasoning, sent: JsonObject) -> None:
    """A budget of at least 1024 tokens and below the limit of the output."""
    wanted = wish.max_tokens or efforts.TOKENS[wish.effort or "medium"]
    known = load().find(f"bedrock/{draft.model}")
    limit = draft.call.request.output_limit or (known.output_limit if known else None)
    if (limit is not None and limit <= MIN_BUDGET) or _lacks_reasoning(draft.body["messages"]):
        draft.ignored.extend(sent)
        return
    budget = max(MIN_BUDGET, wanted if limit is None else min(wanted, limit - 1))
    if budget != wanted:
        _report(draft, sent, efforts.BUDGETS if wish.max_tokens else efforts.EFFORTS)
    draft.extra["thinking"] = {"type": "enabled", "budget_tokens": budget}
    draft.thinks = True


def _ask_adaptive(draft: Draft, wish: Reasoning, sent: JsonObject) -> None:
    thinking: JsonObject = {"type": "adaptive"}
    if draft.family.samplers == "none" and not wish.exclude:
        thinking["display"] = "summarized"  # the newer models leave the text out unless asked for it
    draft.extra["thinking"] = thinking
    if wish.effort or wish.max_tokens:
        draft.extra["output_config"] = {"effort": _effort(draft, wish, sent)}
    draft.thinks = True


def _ask_nova(draft: Draft, wish: Reasoning, sent: JsonObject) -> None:
    """High effort takes no limit of the output: a caller who sets one gets the next lower."""
    effort = _effort(draft, wish, sent)
    if effort == "high" and draft.call.request.output_limit is not None:
        effort = "medium"
        _report(draft, sent, efforts.EFFORTS if wish.effort else ())
    draft.extra["reasoningConfig"] = {"type": "enabled", "maxReasoningEffort": effort}


def _effort(draft: Draft, wish: Reasoning, sent: JsonObject) -> str:
    """The family's word for the wish; where it has none the nearest, of two as near the stronger, and a report."""
    known = [word for word in draft.family.efforts if word != "none"]
    if wish.effort is None and wish.max_tokens:
        wanted = efforts.effort_for(wish.max_tokens)
        _report(draft, sent, efforts.BUDGETS)
    else:
        wanted = wish.effort or "medium"
        _report(draft, sent, efforts.BUDGETS if wish.max_tokens else ())
    nearest = efforts.nearest(wanted, known) or wanted
    if nearest != wanted:
        _report(draft, sent, efforts.EFFORTS if wish.effort else ())
    return nearest


def _report(draft: Draft, sent: JsonObject, places: tuple[str, ...]) -> None:
    draft.ignored.extend(efforts.written(sent, places))


def _lacks_reasoning(messages: Json) -> bool:
    """Whether a turn is to go on without its reasoning, as it stands or from what tools answer: Claude refuses that."""
    match messages:
        case [*_, {"role": "assistant", "content": [first, *_]}]:
            return not (isinstance(first, dict) and "reasoningContent" in first)
        case [*_, {"role": "assistant", "content": [first, *_] as said}, {"role": "user", "content": list(results)}]:
            called = any(isinstance(block, dict) and "toolUse" in block for block in said)
            answered = any(isinstance(block, dict) and "toolResult" in block for block in results)
            return called and answered and not (isinstance(first, dict) and "reasoningContent" in first)
        case _:
            return False

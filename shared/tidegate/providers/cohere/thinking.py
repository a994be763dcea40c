"""How Cohere is asked to think.

Sources: https://docs.cohere.com/docs/reasoning (`thinking`, a budget of tokens, on by default) and
https://docs.cohere.com/docs/compatibility-api (the efforts "none" and "high" are off and on), read in 2026-11.
"""

import re

from tidegate.json import JsonObject
from tidegate.providers import efforts
from tidegate.providers.cohere.request_builder import CohereRequestBuilder

_WEAKER = ("minimal", "low", "medium")
"""Efforts that are less than Cohere's own."""

_UNTHINKING = re.compile(r"^(c4ai-)?(command(-r|-light|-nightly|-a-(03|vision|translate)|$)|(tiny-)?aya)")


def supports_thinking(model: str) -> bool:
    """Whether the model may reason: all but those that were known before the first one did."""
    return not _UNTHINKING.search(model.lower())


def write(draft: CohereRequestBuilder) -> None:
    wish = draft.call.request.reasoning
    sent = efforts.take_reasoning_fields(draft.remaining)
    if wish is None:
        return
    if not draft.supports_thinking:
        if wish.enabled:
            draft.ignored.extend(sent)
        return
    if not wish.enabled:
        draft.body["thinking"] = {"type": "disabled"}
        return
    asked: JsonObject = {"type": "enabled"}
    budget = wish.max_tokens or _own_budget(sent)
    if budget is None and wish.effort is not None:
        if wish.effort in _WEAKER:
            budget = efforts.EFFORT_TOKENS[wish.effort]
        if wish.effort != "high":
            draft.ignored.extend(efforts.sent_paths(sent, efforts.EFFORT_PATHS))
    if budget is not None:
        asked["token_budget"] = budget
    draft.body["thinking"] = asked


def _own_budget(sent: JsonObject) -> int | None:
    """Cohere's own name for the budget."""
    match sent.get("thinking"):
        case {"token_budget": int(budget)} if budget > 0:
            return budget
        case _:
            return None

"""Translates the caller's request for reasoning into Cohere's `thinking`.

Sources: https://docs.cohere.com/docs/reasoning (`thinking`, a budget of tokens, on by default) and
https://docs.cohere.com/docs/compatibility-api (the efforts "none" and "high" are off and on), read in 2026-11.
"""

import re

from tidegate.json import JsonObject
from tidegate.providers import efforts
from tidegate.providers.cohere.request_builder import CohereRequestBuilder

_WEAKER_EFFORTS = ("minimal", "low", "medium")
"""Efforts below Cohere's default."""

_MODELS_WITHOUT_THINKING = re.compile(r"^(c4ai-)?(command(-r|-light|-nightly|-a-(03|vision|translate)|$)|(tiny-)?aya)")


def supports_thinking(model: str) -> bool:
    """True unless the model was released before Cohere's first reasoning model."""
    return not _MODELS_WITHOUT_THINKING.search(model.lower())


def write(builder: CohereRequestBuilder) -> None:
    """Write `thinking`, if the caller asked for reasoning. What Cohere cannot honour is reported as ignored."""
    reasoning = builder.call.request.reasoning
    fields = efforts.take_reasoning_fields(builder.remaining)
    if reasoning is None:
        return
    if not builder.supports_thinking:
        if reasoning.enabled:
            builder.ignored.extend(fields)
        return
    if not reasoning.enabled:
        builder.body["thinking"] = {"type": "disabled"}
        return
    thinking: JsonObject = {"type": "enabled"}
    budget = reasoning.max_tokens or _native_budget(fields)
    if budget is None and reasoning.effort is not None:
        if reasoning.effort in _WEAKER_EFFORTS:
            budget = efforts.EFFORT_TOKENS[reasoning.effort]
        if reasoning.effort != "high":
            builder.ignored.extend(efforts.sent_paths(fields, efforts.EFFORT_PATHS))
    if budget is not None:
        thinking["token_budget"] = budget
    builder.body["thinking"] = thinking


def _native_budget(fields: JsonObject) -> int | None:
    """Return the budget that the caller sent under Cohere's name for it."""
    match fields.get("thinking"):
        case {"token_budget": int(budget)} if budget > 0:
            return budget
        case _:
            return None

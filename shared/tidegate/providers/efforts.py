"""Reasoning effort: the caller's fields for it, the known efforts, and the token budgets equivalent to them."""

from collections.abc import Collection, Iterable

from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject

EFFORT_PATHS = ("reasoning_effort", "reasoning.effort", "thinking.effort")
BUDGET_PATHS = ("reasoning.max_tokens", "thinking.budget_tokens")
"""The paths at which a caller may write an effort, or a budget."""

EFFORT_TOKENS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 32768, "max": 65536}
"""The token budget equivalent to each effort, for providers that take only efforts or only budgets."""

_FIELDS = ("reasoning_effort", "reasoning", "thinking")
_WEAKEST_FIRST = ("none", *EFFORT_TOKENS)


def take_reasoning_fields(fields: JsonObject) -> JsonObject:
    """Remove the caller's reasoning fields from `fields` and return them."""
    return {name: value for name in _FIELDS if (value := fields.pop(name, None)) is not None}


def effort_for_budget(budget: int, maximum: str = "max") -> str:
    """Return the weakest effort whose budget covers `budget`, `maximum` if none does."""
    return next((effort for effort, tokens in EFFORT_TOKENS.items() if budget <= tokens), maximum)


def nearest_effort(wanted: str, supported: Collection[str]) -> str | None:
    """Return the supported effort nearest to `wanted`, the stronger of two equally near; None if none is supported."""
    rank = _rank(wanted)
    return wanted if wanted in supported else min(supported, key=lambda effort: _distance(effort, rank), default=None)


def require_room(budget: int, limit: Json, sent: JsonObject) -> None:
    """Raise `InvalidRequest` if the budget leaves no tokens for an answer. `sent` are the caller's reasoning fields.

    Providers that do not refuse it add the budget to the limit, for which alone a budget in USD holds money.
    """
    if isinstance(limit, int) and budget >= limit:
        path = next(iter(sent_paths(sent, (*BUDGET_PATHS, *EFFORT_PATHS))), "reasoning")
        text = f"The reasoning budget of {budget} tokens must be below the output limit of {limit}."
        raise InvalidRequest(text, param=path)


def sent_paths(sent: JsonObject, paths: Iterable[str]) -> list[str]:
    """Return those of `paths` at which the caller sent a value."""
    return [path for path in paths if _value_at(sent, path) is not None]


def _value_at(sent: JsonObject, path: str) -> Json:
    name, _, inner = path.partition(".")
    value = sent.get(name)
    if not inner:
        return value
    return value.get(inner) if isinstance(value, dict) else None


def _distance(effort: str, rank: int) -> tuple[int, int]:
    return abs(_rank(effort) - rank), -_rank(effort)


def _rank(effort: str) -> int:
    """Return the rank of an effort; a provider's own word ("default") ranks as "medium"."""
    return _WEAKEST_FIRST.index(effort if effort in _WEAKEST_FIRST else "medium")

"""How much a caller wants a model to think: efforts, the budgets that stand for them, and where it was said."""

from collections.abc import Collection, Iterable

from tidegate.json import Json, JsonObject

EFFORT_PATHS = ("reasoning_effort", "reasoning.effort", "thinking.effort")
BUDGET_PATHS = ("reasoning.max_tokens", "thinking.budget_tokens")
"""Where a caller may have written an effort, or a budget."""

EFFORT_TOKENS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 32768, "max": 65536}
"""Tokens that stand for an effort where a provider takes only a budget, and the other way round."""

_FIELDS = ("reasoning_effort", "reasoning", "thinking")
_STRENGTH = ("none", *EFFORT_TOKENS)


def take_reasoning_fields(fields: JsonObject) -> JsonObject:
    """The caller's fields of reasoning, removed from those that are left to translate."""
    return {name: value for name in _FIELDS if (value := fields.pop(name, None)) is not None}


def effort_for_budget(budget: int, maximum: str = "max") -> str:
    """The effort that a budget stands for, `most` for one that is larger than all."""
    return next((effort for effort, tokens in EFFORT_TOKENS.items() if budget <= tokens), maximum)


def nearest_effort(wanted: str, supported: Collection[str]) -> str | None:
    """The provider's word for an effort; where it has none the nearest one, of two as near the stronger."""
    place = _place(wanted)
    return wanted if wanted in supported else min(supported, key=lambda word: _distance(word, place), default=None)


def sent_paths(sent: JsonObject, paths: Iterable[str]) -> list[str]:
    """Those of the places where the caller wrote something."""
    return [path for path in paths if _value(sent, path) is not None]


def _value(sent: JsonObject, path: str) -> Json:
    name, _, inner = path.partition(".")
    value = sent.get(name)
    if not inner:
        return value
    return value.get(inner) if isinstance(value, dict) else None


def _distance(word: str, place: int) -> tuple[int, int]:
    return abs(_place(word) - place), -_place(word)


def _place(effort: str) -> int:
    """How strong an effort is; a word of the provider's own ("default") stands in the middle."""
    return _STRENGTH.index(effort if effort in _STRENGTH else "medium")

"""Names of models: aliases of providers, clauses of rules, and similar names."""

import re
from collections.abc import Iterable, Mapping
from datetime import date
from types import MappingProxyType

from tidegate.lazy import late_pattern

PROVIDER_ALIASES: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("alibaba", "dashscope"), "qwen"),
        **dict.fromkeys(("azure_ai", "azure_openai"), "azure"),
        **dict.fromkeys(("google-vertex", "vertex_ai"), "vertex"),
        **dict.fromkeys(("grok", "x-ai"), "xai"),
        **dict.fromkeys(("kimi", "moonshotai"), "moonshot"),
        **dict.fromkeys(("together_ai", "togetherai"), "together"),
        **dict.fromkeys(("z-ai", "zhipu"), "zai"),
        **{"aws": "bedrock", "fireworks_ai": "fireworks", "google": "gemini", "hf": "huggingface"},
        **{"hosted_vllm": "vllm", "lm_studio": "lmstudio", "mistralai": "mistral", "nvidia_nim": "nvidia"},
    }
)
"""Names of providers in other gateways, and common short names."""

_COMPACT_DATE = late_pattern(r"-(20\d\d)(\d\d)(\d\d)(?=-|:|$)")


def canonical_model_id(model_id: str) -> str:
    """`model_id` in lower case, with an alias of its provider resolved."""
    provider, slash, name = model_id.lower().partition("/")
    return f"{PROVIDER_ALIASES.get(provider, provider)}{slash}{name}"


def matches_clause(clause: str, name: str) -> bool:
    """True if the lower-case name matches: `=equals`, `^starts`, `$ends`, `~contains` or `/regular expression`."""
    kind, value = clause[0], clause[1:]
    match kind:
        case "=":
            return name == value
        case "^":
            return name.startswith(value)
        case "$":
            return name.endswith(value)
        case "~":
            return value in name
        case _:
            return re.search(value, name) is not None


def with_dashed_dates(name: str) -> str:
    """The name with dashes in its dates, as in most rules: gpt-5.2-20251211 becomes gpt-5.2-2025-12-11."""
    return _COMPACT_DATE.sub(_dash, name)


def _dash(found: re.Match[str]) -> str:
    year, month, day = found.groups()
    try:
        date(int(year), int(month), int(day))
    except ValueError:
        return found[0]
    return f"-{year}-{month}-{day}"


def most_similar(name: str, names: Iterable[str], limit: int) -> list[str]:
    """The `names` most similar to `name` by pairs of letters (Dice's coefficient of at least 0.5), best first.

    `difflib` finds equal names in ten times the time.
    """
    name_pairs = _letter_pairs(name)
    scored = [
        (_similarity(name_pairs, other if "/" in name else other.partition("/")[2] or other), other) for other in names
    ]
    best = sorted((pair for pair in scored if pair[0] >= 0.5), key=lambda pair: (-pair[0], len(pair[1]), pair[1]))
    return [other for _, other in best[:limit]]


def _similarity(name_pairs: set[str], other: str) -> float:
    pairs = _letter_pairs(other)
    return 2 * len(name_pairs & pairs) / (len(name_pairs) + len(pairs) or 1)


def _letter_pairs(name: str) -> set[str]:
    return {name[i : i + 2] for i in range(len(name) - 1)}

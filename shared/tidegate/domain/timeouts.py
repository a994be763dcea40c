"""Timeouts of requests to providers, by provider and model: the setting TIDEGATE_TIMEOUTS.

Its JSON is an object of objects, `{"*": {"between": 60}, "anthropic": {"first_byte": 30}, "openai/o3*": {"total": 9}}`:
`*` matches every model, a provider's name all of its models, `provider/model` one model, or several if it contains
asterisks. The more specific pattern wins, field by field.
"""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from tidegate.errors import ConfigurationError
from tidegate.json import Json

MAX_SECONDS = 1e9

_Seconds: TypeAlias = Mapping[str, float]


class ProviderTimeouts(Struct, frozen=True):
    """Timeouts of one attempt, in seconds. None: limited by the call's deadline alone.

    `connect` is the time to open a connection; `first_byte` from the beginning to the first byte of the answer's body;
    `between` from one byte to the next, including a provider's keep-alive bytes; `total` to the last byte.
    """

    connect: float = 5.0
    first_byte: float | None = None
    between: float | None = 300.0
    total: float | None = None


DEFAULT_TIMEOUTS = ProviderTimeouts()
"""Silence before the first byte has no limit of its own: models may reason until the call's deadline."""


class TimeoutRules(Struct, frozen=True):
    """Timeouts by pattern, the least specific pattern first."""

    rules: tuple[tuple[str, _Seconds], ...] = ()

    def timeouts_for(self, model_id: str) -> ProviderTimeouts:
        """The timeouts of an attempt at `model_id`, given as `provider/model`."""
        timeouts = DEFAULT_TIMEOUTS
        for pattern, seconds in self.rules:
            if _matches(pattern, model_id):
                timeouts = replace(timeouts, **seconds)
        return timeouts


def parse_timeout_rules(listed: Json) -> TimeoutRules:
    """The rules in the decoded JSON. Raises `ConfigurationError`, which names every fault of every entry."""
    if not isinstance(listed, dict):
        raise ConfigurationError("TIDEGATE_TIMEOUTS must be a JSON object of objects.")
    faults = [f"TIDEGATE_TIMEOUTS[{pattern!r}] {fault}" for pattern in listed for fault in _faults(pattern, listed)]
    if faults:
        raise ConfigurationError("; ".join(faults) + ".")
    rules = {pattern: _seconds(entry) for pattern, entry in listed.items()}
    return TimeoutRules(tuple(sorted(rules.items(), key=lambda item: _specificity(item[0]))))


def _faults(pattern: str, listed: Mapping[str, Json]) -> Iterator[str]:
    provider, slash, model = pattern.partition("/")
    if pattern != "*" and ("*" in provider or not provider or (slash and not model)):
        yield "must be '*', a provider's name, or provider/model"
    entry = listed[pattern]
    if not isinstance(entry, dict):
        yield "must be an object"
        return
    for name, value in entry.items():
        if name not in _NAMES:
            yield f"has the unknown field {name!r}; known fields are {', '.join(_NAMES)}"
        elif isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < MAX_SECONDS:
            yield f"must have a positive number of seconds in {name!r}"


def _seconds(entry: Json) -> _Seconds:
    listed = entry if isinstance(entry, dict) else {}
    return {name: float(value) for name, value in listed.items() if isinstance(value, int | float)}


def _specificity(pattern: str) -> tuple[bool, bool, int, bool]:
    """A sort key: `*`, then providers, then models by the length of their fixed text, exact names last."""
    return pattern != "*", "/" in pattern, len(pattern.replace("*", "")), "*" not in pattern


def _matches(pattern: str, model_id: str) -> bool:
    if pattern == "*":
        return True
    if "/" not in pattern:
        return model_id.partition("/")[0] == pattern
    # Only the asterisk is special: models have no question marks, but some have brackets.
    return fnmatchcase(model_id, pattern.replace("[", "[[]").replace("?", "[?]"))


_NAMES = ProviderTimeouts.__struct_fields__

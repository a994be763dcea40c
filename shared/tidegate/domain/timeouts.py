"""How long a provider may take, by provider and model: the setting TIDEGATE_TIMEOUTS, and what it says of one model.

Its JSON is an object of objects, `{"*": {"between": 60}, "anthropic": {"first_byte": 30}, "openai/o3*": {"total": 9}}`:
`*` is every model, a provider's name all of its models, `provider/model` one, or several where it has asterisks. What
is more specific wins, field by field.
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
    """Seconds of one try. None: as long as the call may take.

    `connect` is for a new connection; `first_byte` from the beginning to the first byte of the answer's body; `between`
    from one byte to the next, a provider's own signs of life among them; `total` to the last one.
    """

    connect: float = 5.0
    first_byte: float | None = None
    between: float | None = 300.0
    total: float | None = None


DEFAULT_TIMEOUTS = ProviderTimeouts()
"""Only silence within an answer is bounded by itself: models may think for as long as a whole call lasts."""


class TimeoutRules(Struct, frozen=True):
    """What was given for each pattern, the least specific first."""

    rules: tuple[tuple[str, _Seconds], ...] = ()

    def timeouts_for(self, model_id: str) -> ProviderTimeouts:
        """What a try at "provider/model" is given."""
        timeouts = DEFAULT_TIMEOUTS
        for pattern, seconds in self.rules:
            if _matches(pattern, model_id):
                timeouts = replace(timeouts, **seconds)
        return timeouts


def parse_timeout_rules(listed: Json) -> TimeoutRules:
    """The timetable that the object stands for. Raises `ConfigurationError`, which names every fault of every entry."""
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
            yield f"has the unknown field {name!r}; known are {', '.join(_NAMES)}"
        elif isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < MAX_SECONDS:
            yield f"must have positive seconds in {name!r}"


def _seconds(entry: Json) -> _Seconds:
    listed = entry if isinstance(entry, dict) else {}
    return {name: float(value) for name, value in listed.items() if isinstance(value, int | float)}


def _specificity(pattern: str) -> tuple[bool, bool, int, bool]:
    """Every model, a provider, models by the length of what they have in common, and one model before several."""
    return pattern != "*", "/" in pattern, len(pattern.replace("*", "")), "*" not in pattern


def _matches(pattern: str, model_id: str) -> bool:
    if pattern == "*":
        return True
    if "/" not in pattern:
        return model_id.partition("/")[0] == pattern
    # Of a shell's patterns the asterisk alone is meant: models have no question marks, some have brackets.
    return fnmatchcase(model_id, pattern.replace("[", "[[]").replace("?", "[?]"))


_NAMES = ProviderTimeouts.__struct_fields__

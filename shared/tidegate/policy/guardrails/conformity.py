"""Whether a JSON value conforms to a JSON schema that `schema.py` has accepted: what each keyword asks of it.

Source: https://json-schema.org/draft/2020-12/json-schema-validation
"""

import time
from collections.abc import Callable
from fractions import Fraction
from itertools import combinations
from typing import TypeAlias
from urllib.parse import unquote

from msgspec import Struct

from tidegate.json import Json, JsonObject
from tidegate.policy.guardrails import regexes

MAX_STEPS = 200_000
MAX_DEPTH = 80

Schema: TypeAlias = JsonObject | bool


class TooComplex(Exception):
    """Following the schema takes more steps, or goes deeper, than it may."""


GIVEN_UP = (TooComplex, regexes.TooSlow)
"""What is raised in the place of an answer."""


class Conformity(Struct):
    """One check of values against `root`, which `check` has accepted."""

    root: Schema
    steps: int = 0
    depth: int = 0
    seconds: float = regexes.LIMIT_SECONDS

    def holds(self, schema: Json, value: Json) -> bool:
        """Raises `TooComplex` and `patterns.TooSlow`."""
        if not isinstance(schema, dict):  # `true` takes everything, `false` nothing
            return bool(schema)
        self.steps += 1
        if self.steps > MAX_STEPS or self.depth >= MAX_DEPTH:
            raise TooComplex
        self.depth += 1
        try:
            return all(
                _KEYWORDS[name](self, argument, value, schema) for name, argument in schema.items() if name in _KEYWORDS
            )
        finally:
            self.depth -= 1

    def matches(self, pattern: str, text: str) -> bool:
        """All patterns of the schema have `seconds` together."""
        began = time.monotonic()
        try:
            return regexes.matches(pattern, text, self.seconds)
        finally:
            self.seconds = max(0.0, self.seconds - (time.monotonic() - began))


def conforms(schema: Schema, value: Json) -> bool:
    """Raises `TooComplex` and `patterns.TooSlow`. The schema is one that `check` has accepted."""
    return Conformity(schema).holds(schema, value)


def resolve(root: Schema, reference: Json) -> Json:
    """What a reference within the schema leads to. Raises `ValueError` for any other."""
    found: Json = root
    if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
        raise ValueError(f"$ref {reference!r} leads out of the schema.")
    for part in reference.split("/")[1:]:
        key = unquote(part).replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and key in found:
            found = found[key]
        elif isinstance(found, list) and key.isdigit() and int(key) < len(found):
            found = found[int(key)]
        else:
            raise ValueError(f"$ref {reference!r} leads nowhere.")
    return found


def same(one: Json, other: Json) -> bool:
    """Equality of JSON: `true` is not 1, and 1.0 is."""
    match one, other:
        case list(), list():
            return len(one) == len(other) and all(map(same, one, other))
        case dict(), dict():
            return one.keys() == other.keys() and all(same(value, other[name]) for name, value in one.items())
        case _:
            return isinstance(one, bool) == isinstance(other, bool) and one == other


_Check: TypeAlias = Callable[[Conformity, Json, Json, JsonObject], bool]


def _type(_: Conformity, names: Json, value: Json, __: JsonObject) -> bool:
    return any(TYPES[str(name)](value) for name in (names if isinstance(names, list) else [names]))


def number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def whole(value: Json) -> bool:
    return number(value) and Fraction(str(value)).denominator == 1


TYPES: dict[str, Callable[[Json], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "string": lambda value: isinstance(value, str),
    "number": number,
    "integer": lambda value: whole(value),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


def _compared(holds: Callable[[Fraction, Fraction], bool]) -> _Check:
    def keyword(_: Conformity, limit: Json, value: Json, __: JsonObject) -> bool:
        return not number(value) or holds(Fraction(str(value)), Fraction(str(limit)))

    return keyword


def _sized(kind: type, holds: Callable[[int, int], bool]) -> _Check:
    def keyword(_: Conformity, limit: Json, value: Json, __: JsonObject) -> bool:
        if not (isinstance(value, str | list | dict) and isinstance(value, kind) and isinstance(limit, int | float)):
            return True
        return holds(len(value), int(limit))

    return keyword


def _pattern(self: Conformity, pattern: Json, value: Json, _: JsonObject) -> bool:
    return not isinstance(value, str) or self.matches(str(pattern), value)


def _required(_: Conformity, names: Json, value: Json, __: JsonObject) -> bool:
    return not (isinstance(value, dict) and isinstance(names, list)) or all(name in value for name in names)


def _dependent(_: Conformity, needs: Json, value: Json, __: JsonObject) -> bool:
    if not (isinstance(value, dict) and isinstance(needs, dict)):
        return True
    return all(other in value for name, others in needs.items() if name in value for other in _listed(others))


def _properties(self: Conformity, schemas: Json, value: Json, _: JsonObject) -> bool:
    if not (isinstance(value, dict) and isinstance(schemas, dict)):
        return True
    return all(self.holds(each, value[name]) for name, each in schemas.items() if name in value)


def _pattern_properties(self: Conformity, schemas: Json, value: Json, _: JsonObject) -> bool:
    if not (isinstance(value, dict) and isinstance(schemas, dict)):
        return True
    pairs = ((each, held) for pattern, each in schemas.items() for name, held in value.items()
             if self.matches(pattern, name))  # fmt: skip
    return all(self.holds(each, held) for each, held in pairs)


def _additional(self: Conformity, schema: Json, value: Json, beside: JsonObject) -> bool:
    if not isinstance(value, dict):
        return True
    named, shaped = beside.get("properties"), beside.get("patternProperties")
    known = named.keys() if isinstance(named, dict) else set[str]()
    shapes = list(shaped) if isinstance(shaped, dict) else []
    others = (name for name in value if name not in known and not any(self.matches(each, name) for each in shapes))
    return all(self.holds(schema, value[name]) for name in others)


def _names(self: Conformity, schema: Json, value: Json, _: JsonObject) -> bool:
    return not isinstance(value, dict) or all(self.holds(schema, name) for name in value)


def _prefix(self: Conformity, schemas: Json, value: Json, _: JsonObject) -> bool:
    if not isinstance(value, list):
        return True
    return all(self.holds(each, held) for each, held in zip(_listed(schemas), value, strict=False))


def _items(self: Conformity, schema: Json, value: Json, beside: JsonObject) -> bool:
    if isinstance(schema, list):
        return _prefix(self, schema, value, beside)
    if not isinstance(value, list):
        return True
    return all(self.holds(schema, held) for held in value[len(_listed(beside.get("prefixItems"))) :])


def _additional_items(self: Conformity, schema: Json, value: Json, beside: JsonObject) -> bool:
    items = beside.get("items")
    if not (isinstance(value, list) and isinstance(items, list)):
        return True
    return all(self.holds(schema, held) for held in value[len(items) :])


def _contains(self: Conformity, schema: Json, value: Json, beside: JsonObject) -> bool:
    if not isinstance(value, list):
        return True
    count = sum(self.holds(schema, held) for held in value)
    least, most = beside.get("minContains", 1), beside.get("maxContains")
    return count >= (least if isinstance(least, int) else 1) and (not isinstance(most, int) or count <= most)


def _unique(self: Conformity, wanted: Json, value: Json, _: JsonObject) -> bool:
    if not (isinstance(value, list) and wanted):
        return True
    self.steps += len(value) ** 2 // 2
    if self.steps > MAX_STEPS:
        raise TooComplex
    return not any(same(one, other) for one, other in combinations(value, 2))


def _if(self: Conformity, condition: Json, value: Json, beside: JsonObject) -> bool:
    return self.holds(beside.get("then" if self.holds(condition, value) else "else", True), value)


def _listed(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


_KEYWORDS: dict[str, _Check] = {
    "$ref": lambda self, reference, value, _: self.holds(resolve(self.root, reference), value),
    "type": _type,
    "enum": lambda self, values, value, _: any(same(each, value) for each in _listed(values)),
    "const": lambda self, constant, value, _: same(constant, value),
    "minimum": _compared(lambda value, limit: value >= limit),
    "maximum": _compared(lambda value, limit: value <= limit),
    "exclusiveMinimum": _compared(lambda value, limit: value > limit),
    "exclusiveMaximum": _compared(lambda value, limit: value < limit),
    "multipleOf": _compared(lambda value, unit: value % unit == 0),
    "minLength": _sized(str, lambda size, limit: size >= limit),
    "maxLength": _sized(str, lambda size, limit: size <= limit),
    "minItems": _sized(list, lambda size, limit: size >= limit),
    "maxItems": _sized(list, lambda size, limit: size <= limit),
    "minProperties": _sized(dict, lambda size, limit: size >= limit),
    "maxProperties": _sized(dict, lambda size, limit: size <= limit),
    "pattern": _pattern,
    "required": _required,
    "dependentRequired": _dependent,
    "properties": _properties,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional,
    "propertyNames": _names,
    "prefixItems": _prefix,
    "items": _items,
    "additionalItems": _additional_items,
    "contains": _contains,
    "uniqueItems": _unique,
    "allOf": lambda self, schemas, value, _: all(self.holds(each, value) for each in _listed(schemas)),
    "anyOf": lambda self, schemas, value, _: any(self.holds(each, value) for each in _listed(schemas)),
    "oneOf": lambda self, schemas, value, _: sum(self.holds(each, value) for each in _listed(schemas)) == 1,
    "not": lambda self, schema, value, _: not self.holds(schema, value),
    "if": _if,
}

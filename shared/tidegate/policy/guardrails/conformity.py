"""Checks a JSON value against a JSON schema that `schema.py` has accepted, keyword by keyword.

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

MAX_STEPS = 50_000
"""Steps for all answers of a call together, of 1 to 3 µs (2026-11). To check an object of ten fields takes eleven."""

MAX_DEPTH = 80
_ENTRIES_PER_STEP = 8
"""How many entries of a keyword's list, such as `required`, are checked in the time of one step."""

Schema: TypeAlias = JsonObject | bool


class TooComplex(Exception):
    """The check takes more than `MAX_STEPS`, or nests deeper than `MAX_DEPTH`."""


LIMIT_EXCEPTIONS = (TooComplex, regexes.TooSlow)
"""Exceptions of a check that was given up."""


class ConformityCheck(Struct):
    """A check against the schema `root`, with the steps, depth and seconds that it has left."""

    root: Schema
    steps: int = 0
    depth: int = 0
    seconds: float = regexes.LIMIT_SECONDS

    def conforms(self, schema: Json, value: Json) -> bool:
        """True if the value conforms to a part of the schema. Raises `TooComplex` and `regexes.TooSlow`."""
        if not isinstance(schema, dict):  # `true` takes everything, `false` nothing
            return bool(schema)
        self.spend(1 + sum(len(each) // _ENTRIES_PER_STEP for each in schema.values() if isinstance(each, list)))
        if self.depth >= MAX_DEPTH:
            raise TooComplex
        self.depth += 1
        try:
            checks = ((_KEYWORDS[name], argument) for name, argument in schema.items() if name in _KEYWORDS)
            return all(holds(self, argument, value, schema) for holds, argument in checks)
        finally:
            self.depth -= 1

    def spend(self, steps: int) -> None:
        """Count steps. Raises `TooComplex` if there are too many."""
        self.steps += steps
        if self.steps > MAX_STEPS:
            raise TooComplex

    def equal(self, one: Json, other: Json) -> bool:
        """True for equal JSON values: `true` does not equal 1, but 1.0 does. Raises `TooComplex`."""
        match one, other:
            case list(), list():
                self.spend(1 + len(one))
                return len(one) == len(other) and all(map(self.equal, one, other))
            case dict(), dict():
                self.spend(1 + len(one))
                return one.keys() == other.keys() and all(self.equal(value, other[name]) for name, value in one.items())
            case _:
                return isinstance(one, bool) == isinstance(other, bool) and one == other

    def matches(self, pattern: str, text: str) -> bool:
        """True if the pattern matches in the text. All patterns of the schema share `seconds`."""
        began = time.monotonic()
        try:
            return regexes.matches(pattern, text, self.seconds)
        finally:
            self.seconds = max(0.0, self.seconds - (time.monotonic() - began))


def conforms(schema: Schema, value: Json) -> bool:
    """True if the value conforms to a schema that `check_schema` accepted. Raises `TooComplex`, `regexes.TooSlow`."""
    return ConformityCheck(schema).conforms(schema, value)


def resolve_reference(root: Schema, reference: Json) -> Json:
    """Return the part of the schema that a local reference points to. Raises `ValueError` for any other reference."""
    found: Json = root
    if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
        raise ValueError(f"$ref {reference!r} points out of the schema.")
    for part in reference.split("/")[1:]:
        key = unquote(part).replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and key in found:
            found = found[key]
        elif isinstance(found, list) and key.isdigit() and int(key) < len(found):
            found = found[int(key)]
        else:
            raise ValueError(f"$ref {reference!r} does not exist in the schema.")
    return found


_Keyword: TypeAlias = Callable[[ConformityCheck, Json, Json, JsonObject], bool]


def _type(_: ConformityCheck, names: Json, value: Json, __: JsonObject) -> bool:
    return any(TYPES[str(name)](value) for name in (names if isinstance(names, list) else [names]))


def is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_integer(value: Json) -> bool:
    return is_number(value) and Fraction(str(value)).denominator == 1


TYPES: dict[str, Callable[[Json], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "string": lambda value: isinstance(value, str),
    "number": is_number,
    "integer": lambda value: is_integer(value),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


def _comparison(holds: Callable[[Fraction, Fraction], bool]) -> _Keyword:
    def keyword(self: ConformityCheck, limit: Json, value: Json, _: JsonObject) -> bool:
        self.spend(4)  # fractions are slow
        return not is_number(value) or holds(Fraction(str(value)), Fraction(str(limit)))

    return keyword


def _size_limit(kind: type, holds: Callable[[int, int], bool]) -> _Keyword:
    def keyword(_: ConformityCheck, limit: Json, value: Json, __: JsonObject) -> bool:
        if not (isinstance(value, str | list | dict) and isinstance(value, kind) and isinstance(limit, int | float)):
            return True
        return holds(len(value), int(limit))

    return keyword


def _pattern(self: ConformityCheck, pattern: Json, value: Json, _: JsonObject) -> bool:
    return not isinstance(value, str) or self.matches(str(pattern), value)


def _required(_: ConformityCheck, names: Json, value: Json, __: JsonObject) -> bool:
    return not (isinstance(value, dict) and isinstance(names, list)) or all(name in value for name in names)


def _dependent(_: ConformityCheck, needs: Json, value: Json, __: JsonObject) -> bool:
    if not (isinstance(value, dict) and isinstance(needs, dict)):
        return True
    return all(other in value for name in _common(needs, value) for other in _listed(needs[name]))


def _properties(self: ConformityCheck, schemas: Json, value: Json, _: JsonObject) -> bool:
    if not (isinstance(value, dict) and isinstance(schemas, dict)):
        return True
    return all(self.conforms(schemas[name], value[name]) for name in _common(schemas, value))


def _common(one: JsonObject, other: JsonObject) -> list[str]:
    """List the names that both have, in the time of the smaller one."""
    small, large = (one, other) if len(one) < len(other) else (other, one)
    return [name for name in small if name in large]


def _pattern_properties(self: ConformityCheck, schemas: Json, value: Json, _: JsonObject) -> bool:
    if not (isinstance(value, dict) and isinstance(schemas, dict)):
        return True
    pairs = ((each, item) for pattern, each in schemas.items() for name, item in value.items()
             if self.matches(pattern, name))  # fmt: skip
    return all(self.conforms(each, item) for each, item in pairs)


def _additional(self: ConformityCheck, schema: Json, value: Json, siblings: JsonObject) -> bool:
    if not isinstance(value, dict):
        return True
    named, pattern_schemas = siblings.get("properties"), siblings.get("patternProperties")
    known = named.keys() if isinstance(named, dict) else set[str]()
    patterns = list(pattern_schemas) if isinstance(pattern_schemas, dict) else []
    others = (name for name in value if name not in known and not any(self.matches(each, name) for each in patterns))
    return all(self.conforms(schema, value[name]) for name in others)


def _names(self: ConformityCheck, schema: Json, value: Json, _: JsonObject) -> bool:
    return not isinstance(value, dict) or all(self.conforms(schema, name) for name in value)


def _prefix(self: ConformityCheck, schemas: Json, value: Json, _: JsonObject) -> bool:
    if not isinstance(value, list):
        return True
    return all(self.conforms(each, item) for each, item in zip(_listed(schemas), value, strict=False))


def _items(self: ConformityCheck, schema: Json, value: Json, siblings: JsonObject) -> bool:
    if isinstance(schema, list):
        return _prefix(self, schema, value, siblings)
    if not isinstance(value, list):
        return True
    return all(self.conforms(schema, item) for item in value[len(_listed(siblings.get("prefixItems"))) :])


def _additional_items(self: ConformityCheck, schema: Json, value: Json, siblings: JsonObject) -> bool:
    items = siblings.get("items")
    if not (isinstance(value, list) and isinstance(items, list)):
        return True
    return all(self.conforms(schema, item) for item in value[len(items) :])


def _contains(self: ConformityCheck, schema: Json, value: Json, siblings: JsonObject) -> bool:
    if not isinstance(value, list):
        return True
    count = sum(self.conforms(schema, item) for item in value)
    minimum, maximum = siblings.get("minContains", 1), siblings.get("maxContains")
    return count >= (minimum if isinstance(minimum, int) else 1) and (not isinstance(maximum, int) or count <= maximum)


def _unique(self: ConformityCheck, is_required: Json, value: Json, _: JsonObject) -> bool:
    if not (isinstance(value, list) and is_required):
        return True
    self.spend(len(value) ** 2 // 4)
    return not any(self.equal(one, other) for one, other in combinations(value, 2))


def _if(self: ConformityCheck, condition: Json, value: Json, siblings: JsonObject) -> bool:
    return self.conforms(siblings.get("then" if self.conforms(condition, value) else "else", True), value)


def _listed(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


_KEYWORDS: dict[str, _Keyword] = {
    "$ref": lambda self, reference, value, _: self.conforms(resolve_reference(self.root, reference), value),
    "type": _type,
    "enum": lambda self, values, value, _: any(self.equal(each, value) for each in _listed(values)),
    "const": lambda self, constant, value, _: self.equal(constant, value),
    "minimum": _comparison(lambda value, limit: value >= limit),
    "maximum": _comparison(lambda value, limit: value <= limit),
    "exclusiveMinimum": _comparison(lambda value, limit: value > limit),
    "exclusiveMaximum": _comparison(lambda value, limit: value < limit),
    "multipleOf": _comparison(lambda value, unit: value % unit == 0),
    "minLength": _size_limit(str, lambda size, limit: size >= limit),
    "maxLength": _size_limit(str, lambda size, limit: size <= limit),
    "minItems": _size_limit(list, lambda size, limit: size >= limit),
    "maxItems": _size_limit(list, lambda size, limit: size <= limit),
    "minProperties": _size_limit(dict, lambda size, limit: size >= limit),
    "maxProperties": _size_limit(dict, lambda size, limit: size <= limit),
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
    "allOf": lambda self, schemas, value, _: all(self.conforms(each, value) for each in _listed(schemas)),
    "anyOf": lambda self, schemas, value, _: any(self.conforms(each, value) for each in _listed(schemas)),
    "oneOf": lambda self, schemas, value, _: sum(self.conforms(each, value) for each in _listed(schemas)) == 1,
    "not": lambda self, schema, value, _: not self.conforms(schema, value),
    "if": _if,
}

"""JSON schemas that answers can be checked against: those in the keywords of 2020-12 that are known here.

A schema with a keyword that is not known here is refused, instead of being checked in part. A library was not taken:
schemas come from callers, and of jsonschema (157 ms to import), fastjsonschema (which runs code that it generates) and
jsonschema-rs (15 MB, fetches references) none bounds the time of a pattern or of a recursion. The test compares this
with jsonschema. `format` is an annotation, as 2020-12 has it.

Source: https://json-schema.org/draft/2020-12/json-schema-validation, and draft 7's `definitions` and lists of `items`.
"""

from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache

import msgspec
from msgspec import Struct, field

from tidegate.json import Json, decode
from tidegate.policy.guardrails import regexes
from tidegate.policy.guardrails.conformity import MAX_DEPTH, MAX_STEPS, TYPES, Schema, number, resolve, whole

_ANNOTATIONS = frozenset(
    {
        *("title", "description", "default", "examples", "format", "deprecated", "readOnly", "writeOnly"),
        *("$schema", "$comment", "$id", "contentEncoding", "contentMediaType", "propertyOrdering"),
    }
)
_OF_SCHEMAS = ("properties", "patternProperties", "$defs", "definitions")
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_SINGLE = ("additionalProperties", "propertyNames", "contains", "not", "if", "then", "else", "additionalItems")


MAX_PATTERNS = 50
"""Of one schema: each takes up to 20 ms to compile."""


def check(schema: Json) -> Schema:
    """The schema, if it can be checked against. Raises `ValueError` that names what cannot."""
    if not isinstance(schema, dict | bool):
        raise ValueError("A JSON schema is an object.")
    _Reading(schema).read(schema, "#")
    return schema


@lru_cache(maxsize=64)
def parsed(text: str) -> Schema:
    """The schema that a text of JSON holds. Raises `ValueError`."""
    try:
        return check(decode(text))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ValueError("A JSON schema is JSON.") from None


class _Reading(Struct):
    root: Schema
    seen: set[int] = field(default_factory=set[int])
    patterns: set[str] = field(default_factory=set[str])

    def read(self, schema: Json, at: str) -> None:
        if isinstance(schema, bool):
            return
        if not isinstance(schema, dict):
            raise ValueError(f"{at} is no schema.")
        if id(schema) in self.seen:
            return
        self.seen.add(id(schema))
        if len(self.seen) > MAX_STEPS // 20 or at.count("/") > MAX_DEPTH * 2:
            raise ValueError("The schema is too large.")
        for name, argument in schema.items():
            self._read_keyword(name, argument, f"{at}/{name}", at)

    def _read_pattern(self, pattern: str) -> None:
        self.patterns.add(pattern)
        if len(self.patterns) > MAX_PATTERNS:
            raise ValueError(f"The schema has more than {MAX_PATTERNS} patterns.")
        regexes.parsed(pattern)

    def _read_keyword(self, name: str, argument: Json, here: str, at: str) -> None:
        if name == "$ref":
            self.read(resolve(self.root, argument), here)
        elif name in _OF_SCHEMAS and isinstance(argument, dict):
            for key, each in argument.items():
                self.read(each, f"{here}/{key}")
                if name == "patternProperties":
                    self._read_pattern(key)
        elif (name in _LISTS or name == "items") and isinstance(argument, list):
            for i, each in enumerate(argument):
                self.read(each, f"{here}/{i}")
        elif name in _SINGLE or name == "items":
            self.read(argument, here)
        elif name in _ARGUMENTS:
            if not _ARGUMENTS[name](argument):
                raise ValueError(f"{here} has a value that it may not have.")
            if name == "pattern":
                self._read_pattern(str(argument))
        elif (name not in _ANNOTATIONS and not name.startswith("x-")) or (name == "$id" and at != "#"):
            raise ValueError(f"{here} is a keyword that is not checked here.")


def _count(value: Json) -> bool:
    return whole(value) and Fraction(str(value)) >= 0


def _names_only(value: Json) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


_ARGUMENTS: dict[str, Callable[[Json], bool]] = {
    "type": lambda value: all(
        isinstance(name, str) and name in TYPES for name in (value if isinstance(value, list) else [value])
    ),
    "enum": lambda value: isinstance(value, list),
    "const": lambda value: True,
    "required": _names_only,
    "dependentRequired": lambda value: isinstance(value, dict) and all(map(_names_only, value.values())),
    "pattern": lambda value: isinstance(value, str),
    "uniqueItems": lambda value: isinstance(value, bool),
    "multipleOf": lambda value: number(value) and Fraction(str(value)) > 0,
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), number),
    **dict.fromkeys(
        ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "minContains",
         "maxContains"),
        _count,
    ),
}  # fmt: skip

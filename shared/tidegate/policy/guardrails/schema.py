"""Accepts the JSON schemas that answers can be checked against: those whose keywords are all known here.

A schema with an unknown keyword is refused, instead of being checked in part. There is no library for this: schemas
come from callers, and neither jsonschema (157 ms to import), nor fastjsonschema (runs code that it generates), nor
jsonschema-rs (15 MB, fetches references) limits the time of a pattern or of a recursion. The test compares the results
with those of jsonschema. `format` is an annotation, as in 2020-12.

Source: https://json-schema.org/draft/2020-12/json-schema-validation, and draft 7's `definitions` and lists of `items`.
"""

from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache

import msgspec
from msgspec import Struct, field

from tidegate.json import Json, decode
from tidegate.policy.guardrails import regexes
from tidegate.policy.guardrails.conformity import (
    MAX_DEPTH,
    TYPES,
    Schema,
    is_integer,
    is_number,
    resolve_reference,
)

_ANNOTATIONS = frozenset(
    {
        *("title", "description", "default", "examples", "format", "deprecated", "readOnly", "writeOnly"),
        *("$schema", "$comment", "$id", "contentEncoding", "contentMediaType", "propertyOrdering"),
    }
)
_SCHEMA_MAPS = ("properties", "patternProperties", "$defs", "definitions")
_SCHEMA_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_SCHEMAS = ("additionalProperties", "propertyNames", "contains", "not", "if", "then", "else", "additionalItems")


MAX_PATTERNS, MAX_PARTS = 50, 10_000
"""The limits of patterns in one schema, each of which takes up to 20 ms to compile, and of schemas in it."""

_NAME_CHARACTERS = 64
"""The part of a property's name that a path shows: paths of long names take long to build."""


def check_schema(schema: Json) -> Schema:
    """Return the schema if answers can be checked against it. Raises `ValueError` that names the unsupported part."""
    if not isinstance(schema, dict | bool):
        raise ValueError("A JSON schema must be an object or a boolean.")
    _SchemaCheck(schema).check(schema, "#")
    return schema


@lru_cache(maxsize=64)
def parse_schema(text: str) -> Schema:
    """Parse a schema from JSON text. Raises `ValueError`."""
    try:
        return check_schema(decode(text))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ValueError("The schema is not valid JSON.") from None


class _SchemaCheck(Struct):
    """One check of `root`. Each part is checked once, although references may lead to it many times."""

    root: Schema
    checked_ids: set[int] = field(default_factory=set[int])
    patterns: set[str] = field(default_factory=set[str])

    def check(self, schema: Json, path: str) -> None:
        if isinstance(schema, bool):
            return
        if not isinstance(schema, dict):
            raise ValueError(f"{path} is not a valid schema.")
        if id(schema) in self.checked_ids:
            return
        self.checked_ids.add(id(schema))
        if len(self.checked_ids) > MAX_PARTS or path.count("/") > MAX_DEPTH * 2:
            raise ValueError("The schema is too large.")
        for name, argument in schema.items():
            self._check_keyword(name, argument, f"{path}/{name[:_NAME_CHARACTERS]}", path)

    def _check_pattern(self, pattern: str) -> None:
        self.patterns.add(pattern)
        if len(self.patterns) > MAX_PATTERNS:
            raise ValueError(f"The schema has more than {MAX_PATTERNS} patterns.")
        regexes.compile_pattern(pattern)

    def _check_keyword(self, name: str, argument: Json, path: str, parent_path: str) -> None:
        if name == "$ref":
            self.check(resolve_reference(self.root, argument), path)
        elif name in _SCHEMA_MAPS and isinstance(argument, dict):
            for key, each in argument.items():
                self.check(each, f"{path}/{key[:_NAME_CHARACTERS]}")
                if name == "patternProperties":
                    self._check_pattern(key)
        elif (name in _SCHEMA_LISTS or name == "items") and isinstance(argument, list):
            for i, each in enumerate(argument):
                self.check(each, f"{path}/{i}")
        elif name in _SCHEMAS or name == "items":
            self.check(argument, path)
        elif name in _ARGUMENTS:
            if not _ARGUMENTS[name](argument):
                raise ValueError(f"{path} has an invalid value.")
            if name == "pattern":
                self._check_pattern(str(argument))
        elif (name not in _ANNOTATIONS and not name.startswith("x-")) or (name == "$id" and parent_path != "#"):
            raise ValueError(f"{path} is a keyword that the gateway cannot check.")


def _is_count(value: Json) -> bool:
    return is_integer(value) and Fraction(str(value)) >= 0


def _is_list_of_names(value: Json) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


_ARGUMENTS: dict[str, Callable[[Json], bool]] = {
    "type": lambda value: all(
        isinstance(name, str) and name in TYPES for name in (value if isinstance(value, list) else [value])
    ),
    "enum": lambda value: isinstance(value, list),
    "const": lambda value: True,
    "required": _is_list_of_names,
    "dependentRequired": lambda value: isinstance(value, dict) and all(map(_is_list_of_names, value.values())),
    "pattern": lambda value: isinstance(value, str),
    "uniqueItems": lambda value: isinstance(value, bool),
    "multipleOf": lambda value: is_number(value) and Fraction(str(value)) > 0,
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), is_number),
    **dict.fromkeys(
        ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "minContains",
         "maxContains"),
        _is_count,
    ),
}  # fmt: skip

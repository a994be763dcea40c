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
from tidegate.policy.guardrails.conformity import (
    MAX_DEPTH,
    MAX_STEPS,
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


MAX_PATTERNS = 50
"""Of one schema: each takes up to 20 ms to compile."""


def check(schema: Json) -> Schema:
    """The schema, if it can be checked against. Raises `ValueError` that names what cannot."""
    if not isinstance(schema, dict | bool):
        raise ValueError("A JSON schema is an object.")
    _SchemaCheck(schema).check(schema, "#")
    return schema


@lru_cache(maxsize=64)
def parsed(text: str) -> Schema:
    """The schema that a text of JSON holds. Raises `ValueError`."""
    try:
        return check(decode(text))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ValueError("A JSON schema is JSON.") from None


class _SchemaCheck(Struct):
    root: Schema
    checked_ids: set[int] = field(default_factory=set[int])
    patterns: set[str] = field(default_factory=set[str])

    def check(self, schema: Json, path: str) -> None:
        if isinstance(schema, bool):
            return
        if not isinstance(schema, dict):
            raise ValueError(f"{path} is no schema.")
        if id(schema) in self.checked_ids:
            return
        self.checked_ids.add(id(schema))
        if len(self.checked_ids) > MAX_STEPS // 20 or path.count("/") > MAX_DEPTH * 2:
            raise ValueError("The schema is too large.")
        for name, argument in schema.items():
            self._check_keyword(name, argument, f"{path}/{name}", path)

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
                self.check(each, f"{path}/{key}")
                if name == "patternProperties":
                    self._check_pattern(key)
        elif (name in _SCHEMA_LISTS or name == "items") and isinstance(argument, list):
            for i, each in enumerate(argument):
                self.check(each, f"{path}/{i}")
        elif name in _SCHEMAS or name == "items":
            self.check(argument, path)
        elif name in _ARGUMENTS:
            if not _ARGUMENTS[name](argument):
                raise ValueError(f"{path} has a value that it may not have.")
            if name == "pattern":
                self._check_pattern(str(argument))
        elif (name not in _ANNOTATIONS and not name.startswith("x-")) or (name == "$id" and parent_path != "#"):
            raise ValueError(f"{path} is a keyword that is not checked here.")


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

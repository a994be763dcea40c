"""JSON Schema as the OpenAPI subset that models before Gemini 2 accept.

Source: https://ai.google.dev/api/caching#Schema (2026-11). Keywords that only describe are dropped; an unsupported
keyword that changes the meaning causes a 400 that names its path.
"""

from msgspec import Struct

from tidegate.errors import InvalidRequest
from tidegate.json import MAX_NESTING, Json, JsonObject

_COPIED_KEYWORDS = frozenset(
    {"title", "description", "nullable", "format", "pattern", "minimum", "maximum", "minLength", "maxLength"}
    | {"minItems", "maxItems", "minProperties", "maxProperties", "required", "propertyOrdering", "example", "default"}
)
_UNSUPPORTED_KEYWORDS = frozenset(
    {"allOf", "not", "if", "then", "else", "patternProperties", "prefixItems", "contains", "dependentSchemas"}
)
_TYPES = frozenset({"string", "number", "integer", "boolean", "array", "object"})
MAX_PARTS = 5_000
"""The most schemas within the schemas of one request. A `$ref` counts as what it refers to, each time: twenty
definitions that refer to the next one twice are a million schemas. Each takes up to 10 µs to convert (2026-11)."""

_NAME_CHARACTERS = 64
"""The part of a property's name that a path shows: paths of long names take long to build."""


class SchemaParts(Struct):
    """How many schemas within schemas one request has had so far."""

    count: int = 0


def convert(schema: JsonObject, path: str, parts: SchemaParts) -> JsonObject:
    """Return the schema in the subset, with every `$ref` resolved.

    Raises `InvalidRequest` for unsupported keywords, and for schemas that are too large or too deep without `$ref`.
    """
    return _SchemaConverter(schema, path, parts).convert(schema, path, ())


class _SchemaConverter(Struct):
    root: JsonObject
    root_path: str
    parts: SchemaParts
    depth: int = 0

    def convert(self, schema: Json, path: str, open_refs: tuple[str, ...]) -> JsonObject:
        self.parts.count += 1
        if self.parts.count > MAX_PARTS:
            message = f"For this model, schemas must not have more than {MAX_PARTS:,} parts with each $ref resolved."
            raise InvalidRequest(message, param=self.root_path)
        if self.depth == MAX_NESTING:
            message = f"With each $ref resolved, the schema is nested more than {MAX_NESTING} levels deep."
            raise InvalidRequest(message, param=self.root_path)
        self.depth += 1
        try:
            return self._convert(schema, path, open_refs)
        finally:
            self.depth -= 1

    def _convert(self, schema: Json, path: str, open_refs: tuple[str, ...]) -> JsonObject:
        if isinstance(schema, bool):
            raise _unsupported("true or false as a schema", path)
        if not isinstance(schema, dict):
            raise InvalidRequest("A schema must be an object.", param=path)
        if isinstance(ref := schema.get("$ref"), str):
            return self._convert_ref(schema, ref, path, open_refs)
        unsupported = sorted(_UNSUPPORTED_KEYWORDS & schema.keys())
        if unsupported:
            raise _unsupported(f"`{unsupported[0]}`", path)
        copied = {name: value for name, value in schema.items() if name in _COPIED_KEYWORDS}
        result: JsonObject = {name: value for name, value in copied.items() if value is not None}
        self._write_type(result, schema, path)
        self._write_enum(result, schema, path)
        self._write_alternatives(result, schema, path, open_refs)
        self._write_members(result, schema, path, open_refs)
        return result

    def _convert_ref(self, schema: JsonObject, ref: str, path: str, open_refs: tuple[str, ...]) -> JsonObject:
        if ref in open_refs:
            raise _unsupported(f"recursion ({ref})", path)
        referenced: Json = self.root
        for step in filter(None, ref.removeprefix("#").split("/")):
            step = step.replace("~1", "/").replace("~0", "~")
            referenced = referenced.get(step) if isinstance(referenced, dict) else None
        if not ref.startswith("#") or referenced is None:
            raise InvalidRequest(f"The reference {ref!r} does not lead to a schema.", param=f"{path}.$ref")
        result = self.convert(referenced, path, (*open_refs, ref))
        return result | {name: schema[name] for name in ("title", "description") if name in schema}

    def _write_type(self, result: JsonObject, schema: JsonObject, path: str) -> None:
        raw_type = schema.get("type")
        raw_types = raw_type if isinstance(raw_type, list) else [raw_type] if raw_type is not None else []
        type_names = [type_name.lower() for type_name in raw_types if isinstance(type_name, str)]
        if "null" in type_names:
            result["nullable"] = True
        nonnull_types = [kind for kind in type_names if kind != "null"]
        if len(type_names) != len(raw_types) or not set(nonnull_types) <= _TYPES or (type_names and not nonnull_types):
            raise _unsupported(f"the type {raw_type!r}", path)
        if len(nonnull_types) == 1:
            result["type"] = nonnull_types[0].upper()
        elif nonnull_types:
            result["anyOf"] = [{"type": kind.upper()} for kind in nonnull_types]
        elif "properties" in schema:
            result["type"] = "OBJECT"

    def _write_enum(self, result: JsonObject, schema: JsonObject, path: str) -> None:
        values = [schema["const"]] if "const" in schema else schema.get("enum")
        if values is None:
            return
        if not isinstance(values, list) or not values:
            raise InvalidRequest("`enum` must be a list of at least one value.", param=f"{path}.enum")
        if None in values:
            result["nullable"] = True
        texts: list[Json] = [value for value in values if value is not None]
        if not all(isinstance(value, str) and value for value in texts):
            raise _unsupported("`enum` values that are not text", path)
        result["type"] = "STRING"
        result["enum"] = texts

    def _write_alternatives(self, result: JsonObject, schema: JsonObject, path: str, refs: tuple[str, ...]) -> None:
        name = "anyOf" if "anyOf" in schema else "oneOf"
        options = schema.get(name)
        if not isinstance(options, list):
            return
        nonnull_options = [option for option in options if option != {"type": "null"}]
        if len(nonnull_options) < len(options):
            result["nullable"] = True
        converted = [self.convert(option, f"{path}.{name}[{i}]", refs) for i, option in enumerate(nonnull_options)]
        if len(converted) == 1:
            result.update({**converted[0], **result})
        elif converted:
            result["anyOf"] = list[Json](converted)

    def _write_members(self, result: JsonObject, schema: JsonObject, path: str, open_refs: tuple[str, ...]) -> None:
        properties = schema.get("properties")
        if isinstance(properties, dict) and properties:
            result["properties"] = {
                name: self.convert(inner, f"{path}.properties.{name[:_NAME_CHARACTERS]}", open_refs)
                for name, inner in properties.items()
            }
        if isinstance(schema.get("additionalProperties"), dict):
            raise _unsupported("`additionalProperties` with a schema", path)
        items = schema.get("items")
        if isinstance(items, dict):
            result["items"] = self.convert(items, f"{path}.items", open_refs)
        elif result.get("type") == "ARRAY":
            raise InvalidRequest("For this model an array schema must have `items`.", param=path)


def _unsupported(feature: str, path: str) -> InvalidRequest:
    return InvalidRequest(f"This model does not support {feature} in a schema.", param=path)

"""A JSON Schema as the OpenAPI subset that models before Gemini 2 take.

Source: https://ai.google.dev/api/caching#Schema (2026-11). Every keyword either has its place there or only describes;
what would change the meaning if it were left out is a 400 that names its path.
"""

from msgspec import Struct

from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject

_AS_THEY_ARE = frozenset(
    {"title", "description", "nullable", "format", "pattern", "minimum", "maximum", "minLength", "maxLength"}
    | {"minItems", "maxItems", "minProperties", "maxProperties", "required", "propertyOrdering", "example", "default"}
)
_REFUSED = frozenset(
    {"allOf", "not", "if", "then", "else", "patternProperties", "prefixItems", "contains", "dependentSchemas"}
)
_TYPES = frozenset({"string", "number", "integer", "boolean", "array", "object"})
_DEEPEST = 64


def convert(schema: JsonObject, path: str) -> JsonObject:
    """The schema in the subset, with every `$ref` put in its place. Raises `InvalidRequest` where that cannot be."""
    return _Converter(schema, path).convert(schema, path, ())


class _Converter(Struct, frozen=True):
    root: JsonObject
    root_path: str

    def convert(self, schema: Json, path: str, inside: tuple[str, ...]) -> JsonObject:
        if isinstance(schema, bool):
            raise _refused("a schema that is only true or false", path)
        if not isinstance(schema, dict):
            raise InvalidRequest("A schema must be an object.", param=path)
        if isinstance(ref := schema.get("$ref"), str):
            return self._follow(schema, ref, path, inside)
        refused = sorted(_REFUSED & schema.keys())
        if refused:
            raise _refused(f"`{refused[0]}`", path)
        found: JsonObject = {
            name: value for name, value in schema.items() if name in _AS_THEY_ARE and value is not None
        }
        self._type(found, schema, path)
        self._enum(found, schema, path)
        self._alternatives(found, schema, path, inside)
        self._members(found, schema, path, inside)
        return found

    def _follow(self, schema: JsonObject, ref: str, path: str, inside: tuple[str, ...]) -> JsonObject:
        if ref in inside or len(inside) > _DEEPEST:
            raise _refused(f"a schema that holds itself ({ref})", path)
        target: Json = self.root
        for step in filter(None, ref.removeprefix("#").split("/")):
            step = step.replace("~1", "/").replace("~0", "~")
            target = target.get(step) if isinstance(target, dict) else None
        if not ref.startswith("#") or target is None:
            raise InvalidRequest(f"There is no schema at {ref!r}.", param=f"{path}.$ref")
        found = self.convert(target, path, (*inside, ref))
        return found | {name: schema[name] for name in ("title", "description") if name in schema}

    def _type(self, found: JsonObject, schema: JsonObject, path: str) -> None:
        kinds = schema.get("type")
        listed = kinds if isinstance(kinds, list) else [kinds] if kinds is not None else []
        named = [kind.lower() for kind in listed if isinstance(kind, str)]
        if "null" in named:
            found["nullable"] = True
        rest = [kind for kind in named if kind != "null"]
        if len(named) != len(listed) or not set(rest) <= _TYPES or (named and not rest):
            raise _refused(f"the type {kinds!r}", path)
        if len(rest) == 1:
            found["type"] = rest[0].upper()
        elif rest:
            found["anyOf"] = [{"type": kind.upper()} for kind in rest]
        elif "properties" in schema:
            found["type"] = "OBJECT"

    def _enum(self, found: JsonObject, schema: JsonObject, path: str) -> None:
        values = [schema["const"]] if "const" in schema else schema.get("enum")
        if values is None:
            return
        if not isinstance(values, list) or not values:
            raise InvalidRequest("`enum` must be a list of at least one value.", param=f"{path}.enum")
        if None in values:
            found["nullable"] = True
        texts: list[Json] = [value for value in values if value is not None]
        if not all(isinstance(value, str) and value for value in texts):
            raise _refused("an `enum` of anything but texts", path)
        found["type"] = "STRING"
        found["enum"] = texts

    def _alternatives(self, found: JsonObject, schema: JsonObject, path: str, inside: tuple[str, ...]) -> None:
        name = "anyOf" if "anyOf" in schema else "oneOf"
        options = schema.get(name)
        if not isinstance(options, list):
            return
        kept = [option for option in options if option != {"type": "null"}]
        if len(kept) < len(options):
            found["nullable"] = True
        converted = [self.convert(option, f"{path}.{name}[{i}]", inside) for i, option in enumerate(kept)]
        if len(converted) == 1:
            found.update({**converted[0], **found})
        elif converted:
            found["anyOf"] = list[Json](converted)

    def _members(self, found: JsonObject, schema: JsonObject, path: str, inside: tuple[str, ...]) -> None:
        properties = schema.get("properties")
        if isinstance(properties, dict) and properties:
            found["properties"] = {
                name: self.convert(inner, f"{path}.properties.{name}", inside) for name, inner in properties.items()
            }
        if isinstance(schema.get("additionalProperties"), dict):
            raise _refused("`additionalProperties` with a schema", path)
        items = schema.get("items")
        if isinstance(items, dict):
            found["items"] = self.convert(items, f"{path}.items", inside)
        elif found.get("type") == "ARRAY":
            raise InvalidRequest("An array needs `items` for this model.", param=path)


def _refused(what: str, path: str) -> InvalidRequest:
    return InvalidRequest(f"This model takes no {what.removeprefix('a ').removeprefix('an ')} in a schema.", param=path)

"""JSON Schema reduced to the subset that Anthropic enforces; other constraints become descriptions for the model.

Source: https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations
"""

from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject, encode

_ENFORCED_KEYWORDS = frozenset(
    {"type", "enum", "const", "required", "title", "description", "default", "properties", "items", "anyOf", "allOf"}
    | {"oneOf", "$ref", "$defs", "definitions"}
)
_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"})
_DEFINITIONS = ("$defs", "definitions")
_SCHEMA_MAPS = frozenset({"properties", *_DEFINITIONS})
_SCHEMA_LISTS = frozenset({"anyOf", "allOf"})
_DROPPED = frozenset({"$schema", "$id"})
_TYPE_OF_KEYWORD = {"properties": "object", "required": "object", "additionalProperties": "object", "items": "array"}
"""The type of the values that a keyword concerns, for keywords that hold schemas or belong to them."""

_SHARED_KEYWORDS = ("description", "title", *_DEFINITIONS)
_ALTERNATIVES = ("anyOf", "oneOf", "allOf")
_MAX_TYPES = 7
"""As many types as JSON Schema has."""


def restrict_schema(schema: JsonObject) -> JsonObject:
    """Return the enforced subset of `schema`: all objects are closed, all other constraints are in descriptions.

    No schema within it is written twice, so that the result is at most a few times as large. Raises `InvalidRequest`
    for a list of types that JSON Schema does not have.
    """
    if "$ref" in schema:
        definitions = {name: _restrict_children(name, schema[name]) for name in _DEFINITIONS if name in schema}
        return {"$ref": schema["$ref"], **definitions}
    types = schema.get("type")
    if isinstance(types, list):
        return _union(schema, types)
    restricted: JsonObject = {}
    constraints: list[str] = []
    for name, value in schema.items():
        if _is_enforced(name, value):
            name = "anyOf" if name == "oneOf" else name
            restricted[name] = _restrict_children(name, value)
        elif name not in _DROPPED:
            constraints.append(f"{name}: {encode(value).decode()}")
    if types == "object" or "properties" in schema:
        restricted["additionalProperties"] = False
        restricted.setdefault("properties", {})
    if constraints:
        text, description = "; ".join(constraints), restricted.get("description")
        restricted["description"] = f"{description} ({text})" if isinstance(description, str) and description else text
    return restricted


def has_open_objects(schema: Json) -> bool:
    """Objects may have fields that the schema does not name. Structured outputs cannot enforce such a schema."""
    match schema:
        case dict():
            additional = schema.get("additionalProperties")
            is_open = isinstance(additional, dict) or additional is True or "patternProperties" in schema
            is_bare = schema.get("type") == "object" and not schema.get("properties") and additional is not False
            return is_open or is_bare or any(has_open_objects(value) for value in schema.values())
        case list(items):
            return any(has_open_objects(item) for item in items)
        case _:
            return False


def _union(schema: JsonObject, types: list[Json]) -> JsonObject:
    """Return a schema with a list of types as `anyOf` schemas of one type each."""
    names = list(dict.fromkeys(name for name in types if isinstance(name, str)))
    if len(names) > _MAX_TYPES or not all(isinstance(name, str) for name in types):
        raise InvalidRequest("A JSON schema has a `type` that is not a list of the names of types.")
    outer = {name: _restrict_children(name, schema[name]) for name in schema if name in _SHARED_KEYWORDS}
    inner = {name: value for name, value in schema.items() if name not in _SHARED_KEYWORDS and name != "type"}
    if len(names) - ("null" in names) > 1:  # alternatives of the types, and others beside them
        others = [restrict_schema({name: inner.pop(name)}) for name in _ALTERNATIVES if name in inner]
        outer |= {"allOf": list[Json](others)} if others else {}
    return {**outer, "anyOf": [_choice(inner, name) for name in names]}


def _choice(schema: JsonObject, type_name: str) -> JsonObject:
    """Return the schema for values of one type, without the keywords that concern other types."""
    if type_name == "null":
        return {"type": "null"}
    own = {name: value for name, value in schema.items() if _TYPE_OF_KEYWORD.get(name, type_name) == type_name}
    return restrict_schema({**own, "type": type_name})


def _is_enforced(name: str, value: Json) -> bool:
    match name:
        case "format":
            return isinstance(value, str) and value in _FORMATS
        case "minItems":
            return isinstance(value, int) and value in (0, 1)
        case "additionalProperties":
            return value is False
        case _:
            return name in _ENFORCED_KEYWORDS


def _restrict_children(name: str, value: Json) -> Json:
    """Return the value of a keyword, with the schemas in it restricted."""
    if name in _SCHEMA_MAPS and isinstance(value, dict):
        return {key: _restrict_child(inner) for key, inner in value.items()}
    if name in _SCHEMA_LISTS and isinstance(value, list):
        return [_restrict_child(inner) for inner in value]
    return _restrict_child(value) if name == "items" else value


def _restrict_child(value: Json) -> Json:
    return restrict_schema(value) if isinstance(value, dict) else value

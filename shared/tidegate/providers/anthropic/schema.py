"""JSON Schema reduced to the subset that Anthropic enforces; other constraints become descriptions for the model.

Source: https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations
"""

from tidegate.json import Json, JsonObject, encode

_ENFORCED_KEYWORDS = frozenset(
    {"type", "enum", "const", "required", "title", "description", "default", "properties", "items", "anyOf", "allOf"}
    | {"$ref", "$defs", "definitions", "additionalProperties"}
)
_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"})
_DEFINITIONS = ("$defs", "definitions")
_SCHEMA_MAPS = frozenset({"properties", *_DEFINITIONS})
_SCHEMA_LISTS = frozenset({"anyOf", "allOf"})
_DROPPED = frozenset({"$schema", "$id"})


def restrict_schema(schema: JsonObject) -> JsonObject:
    """Return the enforced subset of `schema`: all objects are closed, all other constraints are in descriptions."""
    if "$ref" in schema:
        definitions = {name: value for name, value in schema.items() if name in _DEFINITIONS}
        return {"$ref": schema["$ref"], **_restrict_children(definitions)}
    types = schema.get("type")
    if isinstance(types, list):
        return _union(schema, types)
    schema = {("anyOf" if name == "oneOf" else name): value for name, value in schema.items()}
    enforced = {name: value for name, value in schema.items() if _is_enforced(name, value)}
    described = {name: value for name, value in schema.items() if name not in enforced and name not in _DROPPED}
    restricted = _restrict_children(enforced)
    if types == "object" or "properties" in schema:
        restricted["additionalProperties"] = False
        restricted.setdefault("properties", {})
    if described:
        constraints = "; ".join(f"{name}: {encode(value).decode()}" for name, value in described.items())
        description = restricted.get("description")
        has_description = isinstance(description, str) and description
        restricted["description"] = f"{description} ({constraints})" if has_description else constraints
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
    outer = {name: value for name, value in schema.items() if name in ("description", "title", "$defs", "definitions")}
    inner = {name: value for name, value in schema.items() if name not in outer and name != "type"}
    choices: list[Json] = [
        {"type": "null"} if name == "null" else restrict_schema({**inner, "type": name}) for name in types
    ]
    return {**_restrict_children(outer), "anyOf": choices}


def _is_enforced(name: str, value: Json) -> bool:
    match name, value:
        case "format", str(word):
            return word in _FORMATS
        case "minItems", int(count):
            return count in (0, 1)
        case "additionalProperties", False:
            return True
        case "additionalProperties", _:
            return False
        case _:
            return name in _ENFORCED_KEYWORDS


def _restrict_children(schema: JsonObject) -> JsonObject:
    restricted: JsonObject = {}
    for name, value in schema.items():
        if name in _SCHEMA_MAPS and isinstance(value, dict):
            restricted[name] = {key: _restrict_child(inner) for key, inner in value.items()}
        elif name in _SCHEMA_LISTS and isinstance(value, list):
            restricted[name] = [_restrict_child(inner) for inner in value]
        else:
            restricted[name] = _restrict_child(value) if name == "items" else value
    return restricted


def _restrict_child(value: Json) -> Json:
    return restrict_schema(value) if isinstance(value, dict) else value

"""JSON Schema as far as Anthropic enforces it; the rest goes into descriptions, for the model to read.

Source: https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations
"""

from tidegate.json import Json, JsonObject, encode

_ENFORCED = frozenset(
    {"type", "enum", "const", "required", "title", "description", "default", "properties", "items", "anyOf", "allOf"}
    | {"$ref", "$defs", "definitions", "additionalProperties"}
)
_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"})
_MAPS = frozenset({"properties", "$defs", "definitions"})
_LISTS = frozenset({"anyOf", "allOf"})
_DROPPED = frozenset({"$schema", "$id"})


def narrow(schema: JsonObject) -> JsonObject:
    """The schema that is enforced: every object closed, every other constraint told in words."""
    if "$ref" in schema:
        return {"$ref": schema["$ref"], **_children({n: v for n, v in schema.items() if n in ("$defs", "definitions")})}
    kinds = schema.get("type")
    if isinstance(kinds, list):
        return _union(schema, kinds)
    schema = {("anyOf" if name == "oneOf" else name): value for name, value in schema.items()}
    kept = {name: value for name, value in schema.items() if _is_enforced(name, value)}
    told = {name: value for name, value in schema.items() if name not in kept and name not in _DROPPED}
    narrowed = _children(kept)
    if kinds == "object" or "properties" in schema:
        narrowed["additionalProperties"] = False
        narrowed.setdefault("properties", {})
    if told:
        words = "; ".join(f"{name}: {encode(value).decode()}" for name, value in told.items())
        about = narrowed.get("description")
        narrowed["description"] = f"{about} ({words})" if isinstance(about, str) and about else words
    return narrowed


def has_open_objects(schema: Json) -> bool:
    """Whether an object may have fields that the schema does not name: structured outputs cannot enforce that."""
    match schema:
        case dict():
            extra = schema.get("additionalProperties")
            is_open = isinstance(extra, dict) or extra is True or "patternProperties" in schema
            bare = schema.get("type") == "object" and not schema.get("properties") and extra is not False
            return is_open or bare or any(has_open_objects(value) for value in schema.values())
        case list(items):
            return any(has_open_objects(item) for item in items)
        case _:
            return False


def _union(schema: JsonObject, kinds: list[Json]) -> JsonObject:
    """A list of types as a choice among schemas of one type each."""
    outer = {name: value for name, value in schema.items() if name in ("description", "title", "$defs", "definitions")}
    inner = {name: value for name, value in schema.items() if name not in outer and name != "type"}
    choices: list[Json] = [{"type": "null"} if kind == "null" else narrow({**inner, "type": kind}) for kind in kinds]
    return {**_children(outer), "anyOf": choices}


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
            return name in _ENFORCED


def _children(schema: JsonObject) -> JsonObject:
    narrowed: JsonObject = {}
    for name, value in schema.items():
        if name in _MAPS and isinstance(value, dict):
            narrowed[name] = {key: _child(inner) for key, inner in value.items()}
        elif name in _LISTS and isinstance(value, list):
            narrowed[name] = [_child(inner) for inner in value]
        else:
            narrowed[name] = _child(value) if name == "items" else value
    return narrowed


def _child(value: Json) -> Json:
    return narrow(value) if isinstance(value, dict) else value

"""JSON schemas as Bedrock's structured outputs take them.

Source: https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html (2026): objects are closed, and
constraints on numbers and lists are refused (those on a text's length are not: recorded). The model is told of them
in the description instead.
"""

from tidegate.json import Json, JsonObject, encode

_REFUSED = frozenset(
    {
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
        *("pattern", "patternProperties", "propertyNames"),
        *("minItems", "maxItems", "uniqueItems", "minContains", "maxContains", "contains"),
        *("minProperties", "maxProperties", "unevaluatedProperties", "dependentRequired"),
    }
)
_MAPS = frozenset({"properties", "$defs", "definitions"})
_LISTS = frozenset({"anyOf", "allOf", "prefixItems"})
_DROPPED = frozenset({"$schema", "$id", "strict"})


def tamed(schema: JsonObject) -> tuple[JsonObject, bool]:
    """The schema that Bedrock holds a model to, and whether that is less than it asked for."""
    loosened: list[str] = []
    return _schema(schema, loosened), bool(loosened)


def _schema(schema: JsonObject, loosened: list[str]) -> JsonObject:
    made: JsonObject = {}
    told: list[str] = []
    for name, value in schema.items():
        if name in _REFUSED and not (name == "minItems" and value in (0, 1)):
            told.append(f"{name}: {encode(value).decode()}")
        elif name == "additionalProperties":
            if value is not False:
                loosened.append(name)
        elif name in _MAPS and isinstance(value, dict):
            made[name] = {key: _inner(inner, loosened) for key, inner in value.items()}
        elif name in _LISTS or name == "oneOf":
            made["anyOf" if name == "oneOf" else name] = _inner(value, loosened)
        elif name == "items":
            made[name] = _inner(value, loosened)
        elif name not in _DROPPED:
            made[name] = value
    if made.get("type") == "object" or "properties" in made:
        made["additionalProperties"] = False
    if told:
        loosened.extend(told)
        given = made.get("description")
        made["description"] = "; ".join([*([given] if isinstance(given, str) and given else []), *told])
    return made


def _inner(value: Json, loosened: list[str]) -> Json:
    match value:
        case dict(schema):
            return _schema(schema, loosened)
        case list(schemas):
            return [_inner(schema, loosened) for schema in schemas]
        case _:
            return value

"""JSON Schema reduced to the subset that Bedrock enforces; other constraints become descriptions for the model.

Source: https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html (2026): objects must be closed, and
constraints on numbers and lists are refused (constraints on the length of a text are accepted: recorded).
"""

from tidegate.json import Json, JsonObject, encode

_REFUSED_KEYWORDS = frozenset(
    {
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
        *("pattern", "patternProperties", "propertyNames"),
        *("minItems", "maxItems", "uniqueItems", "minContains", "maxContains", "contains"),
        *("minProperties", "maxProperties", "unevaluatedProperties", "dependentRequired"),
    }
)
_SCHEMA_MAPS = frozenset({"properties", "$defs", "definitions"})
_SCHEMA_LISTS = frozenset({"anyOf", "allOf", "prefixItems"})
_DROPPED_KEYWORDS = frozenset({"$schema", "$id", "strict"})


def restrict_schema(schema: JsonObject) -> tuple[JsonObject, bool]:
    """Return the enforced subset of `schema`, and True if the subset is weaker than `schema`."""
    unenforced: list[str] = []
    return _restrict(schema, unenforced), bool(unenforced)


def _restrict(schema: JsonObject, unenforced: list[str]) -> JsonObject:
    restricted: JsonObject = {}
    constraints: list[str] = []
    for name, value in schema.items():
        if name in _REFUSED_KEYWORDS and not (name == "minItems" and value in (0, 1)):
            constraints.append(f"{name}: {encode(value).decode()}")
        elif name == "additionalProperties":
            if value is not False:
                unenforced.append(name)
        elif name in _SCHEMA_MAPS and isinstance(value, dict):
            restricted[name] = {key: _restrict_nested(inner, unenforced) for key, inner in value.items()}
        elif name in _SCHEMA_LISTS or name == "oneOf":
            restricted["anyOf" if name == "oneOf" else name] = _restrict_nested(value, unenforced)
        elif name == "items":
            restricted[name] = _restrict_nested(value, unenforced)
        elif name not in _DROPPED_KEYWORDS:
            restricted[name] = value
    if restricted.get("type") == "object" or "properties" in restricted:
        restricted["additionalProperties"] = False
    if constraints:
        unenforced.extend(constraints)
        description = restricted.get("description")
        texts = [description] if isinstance(description, str) and description else []
        restricted["description"] = "; ".join([*texts, *constraints])
    return restricted


def _restrict_nested(value: Json, unenforced: list[str]) -> Json:
    match value:
        case dict(schema):
            return _restrict(schema, unenforced)
        case list(schemas):
            return [_restrict_nested(schema, unenforced) for schema in schemas]
        case _:
            return value

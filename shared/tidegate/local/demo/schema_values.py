"""Makes a value that fits a JSON Schema: arguments for a tool, or a structured answer.

Source: https://json-schema.org/draft/2020-12/json-schema-validation. `pattern`, `not` and conditions are not read: a
schema that needs them may get a value that does not fit, unless it has a default, an example or an `enum`.
"""

from collections.abc import Mapping
from math import ceil, floor

from tidegate.json import Json, JsonObject

_DEPTH, _SIZE = 8, 1_000
"""From this depth or number of values on, optional properties are left out, so that recursive schemas end."""

_MAX_DEPTH, _MAX_SIZE = 40, 10_000
"""Where schemas are given up that require a value within itself."""

_FORMATS = {
    "date": "2027-01-31",
    "date-time": "2027-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "PT1H",
    "email": "ada@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uri-reference": "https://example.com/",
    "url": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "regex": ".*",
    "json-pointer": "/example",
}

_PLAUSIBLE = {
    **{"location": "Hamburg", "city": "Hamburg", "place": "Hamburg", "country": "Germany", "language": "English"},
    **{"name": "Ada", "email": "ada@example.com", "url": "https://example.com/", "currency": "EUR"},
    **{"date": "2027-01-31", "day": "2027-01-31", "time": "12:00", "timezone": "Europe/Berlin"},
    **{"expression": "1 + 1", "query": "tide tables", "question": "When is high tide?"},
}
"""Values of properties that examples of tools often have."""


def value_for(schema: Json, name: str = "") -> Json:
    """Return a value that fits `schema`; `name` is the property's, for a plausible text."""
    return _Maker(schema).make(schema, name, 0)


class _Maker:
    def __init__(self, root: Json) -> None:
        self._root = root
        self._size = 0

    def make(self, schema: Json, name: str, depth: int) -> Json:
        if schema is False or self._is_endless(depth):
            return None
        if not isinstance(schema, dict):
            return "example"
        schema = self._resolve(schema, depth)
        if "const" in schema:
            return schema["const"]
        for field in ("enum", "examples"):
            match schema.get(field):
                case [first, *_]:
                    return first
                case _:
                    pass
        if "default" in schema:
            return schema["default"]
        return self._make_typed(schema, name, depth)

    def _is_endless(self, depth: int) -> bool:
        self._size += 1
        return depth > _MAX_DEPTH or self._size > _MAX_SIZE

    def _is_deep(self, depth: int) -> bool:
        return depth >= _DEPTH or self._size >= _SIZE

    def _make_typed(self, schema: JsonObject, name: str, depth: int) -> Json:
        match _type_of(schema):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, name, depth)
            case "integer":
                return _number(schema, is_integer=True)
            case "number":
                return _number(schema, is_integer=False)
            case "boolean":
                return True
            case "null":
                return None
            case _:
                return _text(schema, name)

    def _resolve(self, schema: JsonObject, depth: int) -> JsonObject:
        """Return the schema with its reference, `allOf`, and one of its alternatives merged into it."""
        while not self._is_endless(depth):
            match schema:
                case {"$ref": str(reference), **others}:
                    schema = _merge(self._find(reference), others)
                case {"allOf": list(parts), **others}:
                    schema = others
                    for part in parts:
                        schema = _merge(self._resolve(part, depth + 1) if isinstance(part, dict) else {}, schema)
                case {"anyOf": [_, *_] as parts, **others} | {"oneOf": [_, *_] as parts, **others}:
                    schema = _merge(_choose(parts, self._is_deep(depth)), others)
                case _:
                    return schema
        return {}

    def _find(self, reference: str) -> JsonObject:
        found: Json = self._root
        for step in reference.removeprefix("#").strip("/").split("/") if reference != "#" else ():
            step = step.replace("~1", "/").replace("~0", "~")
            found = found.get(step) if isinstance(found, dict) else None
        return found if isinstance(found, dict) else {}

    def _object(self, schema: JsonObject, depth: int) -> JsonObject:
        match schema.get("properties"):
            case dict(properties):
                pass
            case _:
                properties: JsonObject = {}
        required = schema.get("required")
        required_names = [str(each) for each in required] if isinstance(required, list) else []
        names = dict.fromkeys(required_names if self._is_deep(depth) else [*properties, *required_names])
        extra = schema.get("additionalProperties", True)
        made = {name: self.make(properties.get(name, extra), name, depth + 1) for name in names}
        fewest, number = schema.get("minProperties"), 1
        while isinstance(fewest, int) and len(made) < min(fewest, _SIZE):
            made[f"key_{number}"] = self.make(extra, "", depth + 1)
            number += 1
        return made

    def _array(self, schema: JsonObject, name: str, depth: int) -> Json:
        prefix = schema.get("prefixItems")
        firsts = prefix if isinstance(prefix, list) else []
        items, fewest = schema.get("items", True), schema.get("minItems")
        least = fewest if isinstance(fewest, int) else 0
        most = schema.get("maxItems")
        usual = 0 if self._is_deep(depth) else len(firsts) or int(items is not False)
        length = min(max(least, usual), _SIZE)
        if isinstance(most, int):
            length = min(length, most)
        schemas = [firsts[place] if place < len(firsts) else items for place in range(length)]
        made = [self.make(each, name.removesuffix("s"), depth + 1) for each in schemas]
        return self._differing(made, items, len(firsts)) if schema.get("uniqueItems") is True else made

    def _differing(self, made: list[Json], items: Json, start: int) -> list[Json]:
        """Return the list with different values where the schema of its items allows more than one."""
        schema = self._resolve(items, 0) if isinstance(items, dict) else {}
        values = schema.get("enum")
        for place in range(start + 1, len(made)):
            match made[place]:
                case _ if isinstance(values, list) and place - start < len(values):
                    made[place] = values[place - start]
                case bool(value):
                    made[place] = not value
                case int(value) | float(value):
                    made[place] = value + (place - start) * _step(schema)
                case str(text):
                    made[place] = f"{text} {place - start + 1}"
                case _:
                    pass
        return made


def _merge(schema: JsonObject, others: JsonObject) -> JsonObject:
    """Return both schemas in one: properties and required names of both, else `others` first."""
    merged = {**schema, **others}
    match schema.get("properties"), others.get("properties"):
        case dict(first), dict(second):
            merged["properties"] = {**first, **second}
        case _:
            pass
    match schema.get("required"), others.get("required"):
        case list(first), list(second):
            merged["required"] = [*first, *(each for each in second if each not in first)]
        case _:
            pass
    return merged


def _choose(parts: list[Json], is_deep: bool) -> JsonObject:
    """Return the first alternative; from some depth on one without references, so that recursive schemas end."""
    schemas = [part for part in parts if isinstance(part, dict)]
    if is_deep:
        schemas.sort(key=lambda schema: "$ref" in schema or schema.get("type") in ("object", "array"))
    return schemas[0] if schemas else {}


def _type_of(schema: JsonObject) -> str:
    match schema.get("type"):
        case str(name):
            return name
        case [*names]:
            return next((str(name) for name in names if name != "null"), "null")
        case _:
            pass
    for keyword, name in (("properties", "object"), ("items", "array"), ("minimum", "number"), ("maximum", "number")):
        if keyword in schema:
            return name
    return "string"


def _number(schema: JsonObject, *, is_integer: bool) -> int | float:
    step = _step(schema)
    low, above = _bound(schema, "minimum"), _bound(schema, "exclusiveMinimum")
    high, below = _bound(schema, "maximum"), _bound(schema, "exclusiveMaximum")
    if above is not None and (low is None or above >= low):
        low = (floor(above / step) + 1) * step if is_integer or "multipleOf" in schema else above + _gap(above, below)
    if below is not None and (high is None or below <= high):
        high = (ceil(below / step) - 1) * step if is_integer or "multipleOf" in schema else below - _gap(above, below)
    number = 1 if "multipleOf" not in schema else step
    if low is not None and number < low:
        number = ceil(low / step) * step if is_integer or "multipleOf" in schema else low
    if high is not None and number > high:
        number = floor(high / step) * step if is_integer or "multipleOf" in schema else high
    return int(number) if is_integer else number


def _gap(above: float | None, below: float | None) -> float:
    """Return a distance from an exclusive bound that stays between both."""
    return 1 if above is None or below is None else (below - above) / 2


def _step(schema: JsonObject) -> int | float:
    step = _bound(schema, "multipleOf")
    return step if step else 1


def _bound(schema: Mapping[str, Json], name: str) -> int | float | None:
    value = schema.get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _text(schema: JsonObject, name: str) -> str:
    text = _FORMATS.get(str(schema.get("format"))) or _PLAUSIBLE.get(name.lower()) or "example"
    shortest, longest = schema.get("minLength"), schema.get("maxLength")
    if isinstance(shortest, int) and len(text) < shortest:
        text = text.ljust(min(shortest, 100_000), ".")
    return text[:longest] if isinstance(longest, int) else text

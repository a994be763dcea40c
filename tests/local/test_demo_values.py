"""Values that the demo provider makes for schemas, and what it reads from images."""

import json
import struct
from typing import Any

import jsonschema
import pytest

from tidegate.local.demo.media import measure_image
from tidegate.local.demo.schema_values import value_for

TREE = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "value": {"type": "integer"},
                "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
            },
            "required": ["value", "next", "children"],
            "additionalProperties": False,
        }
    },
    "$ref": "#/$defs/node",
}

SCHEMAS: list[Any] = [
    {},
    True,
    {"type": "object"},
    {"type": "null"},
    {"type": "boolean"},
    {"const": {"a": [1]}},
    {"enum": [3, "x"]},
    {"type": ["null", "string"]},
    {"type": "string", "minLength": 12, "maxLength": 20},
    {"type": "string", "maxLength": 2},
    *({"type": "string", "format": name} for name in ("date", "date-time", "email", "uuid", "ipv4", "ipv6", "uri")),
    {"type": "integer", "minimum": 7},
    {"type": "integer", "maximum": -7},
    {"type": "integer", "minimum": 2.5},
    {"type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 3},
    {"type": "integer", "multipleOf": 5, "minimum": 11},
    {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.5},
    {"type": "number", "exclusiveMaximum": 0},
    {"type": "number", "multipleOf": 0.25, "exclusiveMinimum": 1},
    {"type": "number", "minimum": 0.2, "maximum": 0.3},
    {"type": "array", "items": {"type": "integer"}, "minItems": 3, "uniqueItems": True},
    {"type": "array", "items": {"enum": ["a", "b", "c"]}, "minItems": 3, "uniqueItems": True},
    {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2, "uniqueItems": True},
    {"type": "array", "prefixItems": [{"type": "string"}, {"type": "number"}], "items": False},
    {"type": "array", "items": {"type": "string"}, "maxItems": 0},
    {"type": "object", "required": ["a"], "properties": {"b": {"type": "number"}}},
    {"type": "object", "minProperties": 2, "additionalProperties": {"type": "integer"}},
    {"allOf": [{"properties": {"a": {"type": "integer"}}, "required": ["a"]}, {"required": ["b"]}], "type": "object"},
    {"oneOf": [{"type": "integer"}, {"type": "string"}]},
    {"$defs": {"a/b": {"type": "integer"}}, "properties": {"x": {"$ref": "#/$defs/a~1b"}}, "type": "object"},
    {"type": "object", "properties": {"self": {"$ref": "#"}}},
    {"type": "object", "properties": {name: {"$ref": "#"} for name in "abcdefghij"}},
    TREE,
]


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: json.dumps(schema)[:60])
def test_a_value_fits_its_schema(schema: Any) -> None:
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    jsonschema.Draft202012Validator(schema, format_checker=checker).validate(value_for(schema))


ENDLESS: list[Any] = [
    {"$ref": "#"},
    {"allOf": [{"$ref": "#"}, {"$ref": "#"}]},
    {"anyOf": [{"$ref": "#"}]},
    {"$ref": 7},
    {"type": "object", "required": ["a", "b"], "properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}}},
    {"type": "array", "minItems": 10**12, "items": {"type": "array", "minItems": 10**12}},
]


@pytest.mark.timeout(5)
@pytest.mark.parametrize("schema", ENDLESS)
def test_a_schema_without_an_end_makes_some_value(schema: Any) -> None:
    json.dumps(value_for(schema))


IMAGES = [
    (b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 3, 5), "PNG", (3, 5)),
    (b"GIF89a" + struct.pack("<HH", 3, 5), "GIF", (3, 5)),
    (b"\xff\xd8\xff\xe0\0\x04ab\xff\xc0\0\x11\x08" + struct.pack(">HH", 5, 3), "JPEG", (3, 5)),
    (b"RIFF\0\0\0\0WEBPVP8X" + bytes(8) + (2).to_bytes(3, "little") + (4).to_bytes(3, "little"), "WebP", (3, 5)),
    (b"RIFF\0\0\0\0WEBPVP8L" + bytes(4) + b"\x2f" + (2 | 4 << 14).to_bytes(4, "little") + bytes(5), "WebP", (3, 5)),
    (b"RIFF\0\0\0\0WEBPVP8 " + bytes(7) + b"\x9d\x01\x2a" + struct.pack("<HH", 3, 5), "WebP", (3, 5)),
    (b"%PDF-1.7", "", None),
]


@pytest.mark.parametrize(("data", "kind", "size"), IMAGES)
def test_an_image_is_measured_and_a_part_of_it_is_no_failure(data: bytes, kind: str, size: Any) -> None:
    assert measure_image(data) == (kind, size)
    for length in range(len(data)):
        _, part = measure_image(data[:length])
        assert part is None

"""Schemas that a provider cannot compile."""

from typing import Any

import pytest

from tidegate.providers.strict_schemas import SchemaBudget, SchemaLimits, is_recursive

NODE: dict[str, Any] = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}


@pytest.mark.parametrize(
    ("schema", "recursive"),
    [
        ({"type": "object"}, False),
        ({"$ref": "#/$defs/Node", "$defs": {"Node": NODE}}, True),
        ({"properties": {"a": {"$ref": "#"}}}, True),
        ({"properties": {"a": {"items": {"$ref": "#/properties/a"}}}}, True),
        ({"properties": {"a": {"$ref": "#/$defs/A"}, "b": {"$ref": "#/$defs/A"}}, "$defs": {"A": {}}}, False),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/B"}, "B": {"$ref": "#/$defs/A"}}}, True),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/B"}, "B": {}}}, False),
        ({"$ref": "#/definitions/a~1b", "definitions": {"a/b": {"anyOf": [{"$ref": "#/definitions/a~1b"}]}}}, True),
        ({"$ref": "https://schemas.invalid/a.json"}, False),
        ({"$ref": "#/$defs/Missing"}, False),
    ],
)
def test_a_schema_that_contains_itself_is_recursive(schema: dict[str, Any], recursive: bool) -> None:
    assert is_recursive(schema) is recursive


def test_a_long_chain_of_references_takes_no_deep_stack() -> None:
    defs: dict[str, Any] = {f"D{i}": {"$ref": f"#/$defs/D{i + 1}"} for i in range(20_000)}
    assert not is_recursive({"$ref": "#/$defs/D0", "$defs": {**defs, "D20000": {}}})


def test_what_is_refused_uses_none_of_the_budget() -> None:
    budget = SchemaBudget(SchemaLimits(tools=2, optional=2, unions=1))
    optional: dict[str, Any] = {"properties": {"a": {}, "b": {}}, "required": ["a"]}
    union: dict[str, Any] = {"properties": {"a": {"anyOf": [{"type": "string"}, {"type": "null"}]}}, "required": ["a"]}
    three: dict[str, Any] = {"properties": {"a": {}, "b": {}, "c": {}}}
    both: dict[str, Any] = {"properties": {"a": {"type": ["string", "null"]}}, "required": ["a"]}
    admitted = [budget.admit_tool(schema) for schema in (three, optional, union, both, optional)]
    assert admitted == [False, True, True, False, False]
    assert budget == SchemaBudget(SchemaLimits(tools=2, optional=2, unions=1), tools=2, optional=1, unions=1)

import json
import re
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.work import counted
from tidegate.policy.guardrails import regexes, schema
from tidegate.policy.guardrails.conformity import ConformityCheck, TooComplex, conforms

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "age": {"type": "integer", "minimum": 0},
        "mood": {"enum": ["good", "bad", None]},
        "friends": {"type": "array", "items": {"$ref": "#"}},
    },
    "required": ["name"],
    "additionalProperties": False,
}


def is_valid(given_schema: Any, value: Any) -> bool:
    return conforms(schema.check_schema(given_schema), value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"name": "Ada", "age": 36, "mood": None, "friends": [{"name": "Charles"}]}, True),
        ({"name": "Ada", "age": 36.0}, True),
        ({"name": "Ada", "age": True}, False),
        ({"name": ""}, False),
        ({"age": 1}, False),
        ({"name": "Ada", "extra": 1}, False),
        ({"name": "Ada", "friends": [{"name": "Charles", "friends": [{}]}]}, False),
        ([], False),
    ],
)
def test_a_value_conforms_or_not(value: Any, expected: bool) -> None:
    assert is_valid(PERSON, value) is expected


NAMES = st.sampled_from(["a", "b", "ab"])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 5)
    | st.sampled_from([0.5, 1.0, 2.5])
    | st.sampled_from(["", "a", "bb"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
COUNTS = st.integers(0, 3)
NUMBERS = st.integers(-2, 3) | st.sampled_from([0.5, 1.5])
TYPES = st.sampled_from(["null", "boolean", "string", "number", "integer", "array", "object"])


def schemas(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    named = st.dictionaries(NAMES, inner, max_size=2)
    several = st.lists(inner, min_size=1, max_size=3)
    optional: dict[str, st.SearchStrategy[Any]] = {
        "type": TYPES | st.lists(TYPES, min_size=1, max_size=3, unique=True),
        "enum": st.lists(VALUES, min_size=1, max_size=3),
        "const": VALUES,
        **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), NUMBERS),
        "multipleOf": st.sampled_from([1, 2, 0.5]),
        **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), COUNTS),
        "pattern": st.sampled_from(["^a", "b$", "x"]),
        "required": st.lists(NAMES, max_size=2, unique=True),
        "dependentRequired": st.dictionaries(NAMES, st.lists(NAMES, max_size=1), max_size=2),
        "properties": named,
        "patternProperties": st.dictionaries(st.sampled_from(["^a", "b"]), inner, max_size=2),
        "additionalProperties": inner,
        "propertyNames": inner,
        "prefixItems": several,
        "items": inner,
        "contains": inner,
        "minContains": COUNTS,
        "maxContains": COUNTS,
        "uniqueItems": st.booleans(),
        **dict.fromkeys(("allOf", "anyOf", "oneOf"), several),
        **dict.fromkeys(("not", "if", "then", "else"), inner),
        "title": st.just("A title"),
        "format": st.just("date"),
    }
    return st.lists(st.sampled_from(sorted(optional)), max_size=4, unique=True).flatmap(
        lambda chosen: st.fixed_dictionaries({name: optional[name] for name in chosen})
    )


@settings(max_examples=400, deadline=None)
@given(st.recursive(st.booleans() | schemas(st.booleans()), schemas, max_leaves=8), VALUES)
def test_it_is_of_one_mind_with_jsonschema(given_schema: Any, value: Any) -> None:
    expected = jsonschema.Draft202012Validator(given_schema).is_valid(value)
    assert is_valid(given_schema, value) == expected


@pytest.mark.parametrize(
    ("given_schema", "value", "expected"),
    [
        ({"items": [{"type": "string"}], "additionalItems": False}, ["a"], True),
        ({"items": [{"type": "string"}], "additionalItems": False}, ["a", "b"], False),
        ({"definitions": {"a/b": {"const": 1}}, "$ref": "#/definitions/a~1b"}, 1, True),
        ({"$defs": {"x y": {"const": 1}}, "anyOf": [{"$ref": "#/$defs/x%20y"}]}, 2, False),
        ({"multipleOf": 0.01}, 19.99, True),
        ({"multipleOf": 3}, 1e300, False),
        ({"type": "integer"}, 10**400, True),
        ({"x-order": ["a"], "$id": "urn:answer"}, 1, True),
        ({"uniqueItems": True}, [1, True, "1", 1.0], False),
    ],
)
def test_what_drafts_and_numbers_differ_in(given_schema: Any, value: Any, expected: bool) -> None:
    assert is_valid(given_schema, value) is expected


@pytest.mark.parametrize(
    ("given_schema", "said"),
    [
        ([], "A JSON schema must be an object or a boolean."),
        ({"unevaluatedProperties": False}, "#/unevaluatedProperties is a keyword that the gateway cannot check."),
        ({"properties": {"a": {"$anchor": "b"}}}, "#/properties/a/$anchor is a keyword that the gateway cannot check."),
        ({"not": {"$id": "https://elsewhere.example/"}}, "#/not/$id is a keyword that the gateway cannot check."),
        ({"$ref": "https://elsewhere.example/"}, "$ref 'https://elsewhere.example/' points out of the schema."),
        ({"$ref": "#/$defs/none"}, "$ref '#/$defs/none' does not exist in the schema."),
        ({"$ref": 1}, "$ref 1 points out of the schema."),
        ({"type": "text"}, "#/type has an invalid value."),
        ({"properties": {"a": 1}}, "#/properties/a is not a valid schema."),
        ({"properties": []}, "#/properties is a keyword that the gateway cannot check."),
        ({"required": "name"}, "#/required has an invalid value."),
        ({"multipleOf": 0}, "#/multipleOf has an invalid value."),
        ({"minLength": -1}, "#/minLength has an invalid value."),
        ({"pattern": "("}, "'(' does not close a group."),
        ({"enum": [], "anyOf": [{"pattern": f"a{i}"} for i in range(51)]}, "The schema has more than 50 patterns."),
        ({"patternProperties": {"(": True}}, "'(' does not close a group."),
    ],
)
def test_a_schema_that_cannot_be_checked_is_refused(given_schema: Any, said: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        schema.check_schema(given_schema)


def test_a_schema_that_is_nested_too_deeply_is_refused() -> None:
    deep = json.loads('{"not":' * 200 + "true" + "}" * 200)
    with pytest.raises(ValueError, match="too large"):
        schema.check_schema(deep)


@pytest.mark.parametrize(
    ("given_schema", "value"),
    [
        ({"$ref": "#"}, 1),
        ({"anyOf": [{"$ref": "#"}, True]}, 1),
        ({"uniqueItems": True}, list(range(1000))),
        ({"items": {"allOf": [{"not": {"const": i}} for i in range(500)]}}, [999] * 500),
        ({"items": {"enum": [{"a": i} for i in range(1_000)]}}, [{"a": 999}] * 1_000),
        ({"items": {"const": [0] * 1_000}}, [[0] * 1_000] * 1_000),
        ({"items": {"not": {"required": [f"p{i}" for i in range(1_000)]}}}, [{f"p{i}": 1 for i in range(999)}] * 1_000),
        ({"items": {"type": ["string"] * 10_000}}, ["a"] * 1_000),
    ],
)
def test_what_takes_too_many_steps_is_given_up(given_schema: Any, value: Any) -> None:
    with counted() as work, pytest.raises(TooComplex):
        is_valid(given_schema, value)
    assert work.lines < 2_000_000


def test_properties_are_looked_up_in_the_smaller_object() -> None:
    given_schema = {"items": {"properties": {f"p{i}": {} for i in range(5_000)}}}
    schema.check_schema(given_schema)
    with counted() as work:
        assert conforms(given_schema, [{}] * 1_000)
    assert work.lines < 100_000


def test_all_answers_of_a_call_share_the_steps() -> None:
    check = ConformityCheck({"items": {"type": "integer"}})
    with pytest.raises(TooComplex):
        for _ in range(10):
            check.conforms(check.root, [1] * 10_000)


def test_a_pattern_that_backtracks_without_end_is_given_up() -> None:
    with pytest.raises(regexes.TooSlow):
        is_valid({"pattern": r"(.*)*(.*)*x{20}y"}, "x" * 300_000)


def test_all_patterns_of_a_schema_share_the_time() -> None:
    given_schema = schema.check_schema({"items": {"pattern": "a"}})
    with pytest.raises(regexes.TooSlow):
        ConformityCheck(given_schema, seconds=0.0).conforms(given_schema, ["a"])

from decimal import Decimal

import pytest
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from tidegate.aws.expressions import (
    Attr,
    ConditionCheck,
    Delete,
    Placeholders,
    Put,
    Update,
    UpdateExpression,
    add_all,
    all_of,
)
from tidegate.aws.values import from_attribute, to_attribute

VALUES = ["", "tide", 0, -3, 10**30, Decimal("0.5"), True, False, None, [], [1, ["a"]], {}, {"a": {"b": [None]}}]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_are_written_as_boto3_writes_them_and_come_back(value: object) -> None:
    assert to_attribute(value) == TypeSerializer().serialize(value)
    assert from_attribute(to_attribute(value)) == value == TypeDeserializer().deserialize(to_attribute(value))


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (Decimal("0E-18"), "0"),
        (Decimal("-0.00"), "0"),
        (-0.0, "0"),
        (Decimal("1E-18"), "0.000000000000000001"),
        (Decimal("-1E+3"), "-1000"),
        (1e-06, "0.000001"),
        (-1.5e22, "-15000000000000000000000"),
        (10**38 - 1, "9" * 38),
        (Decimal("-" + "9" * 20 + "." + "9" * 18), "-" + "9" * 20 + "." + "9" * 18),
        (Decimal("1E+125"), "1" + "0" * 125),
        (Decimal("0.00" + "9" * 38), "0.00" + "9" * 38),
    ],
)
def test_numbers_are_written_without_an_exponent(number: object, text: str) -> None:
    assert to_attribute(number) == {"N": text}
    assert from_attribute({"N": text}) == Decimal(str(number))


@pytest.mark.parametrize(
    "number",
    [
        *(float("nan"), float("inf"), float("-inf"), Decimal("NaN"), Decimal("sNaN"), Decimal("-Infinity")),
        *(1e308, 1e-320, Decimal("1E+126"), Decimal("1E-131")),
        *(10**38 + 1, Decimal("1" * 39), Decimal("0." + "1" * 39), Decimal("1" * 20 + "." + "1" * 19)),
    ],
)
def test_a_number_that_dynamodb_refuses_is_refused_before(number: object) -> None:
    with pytest.raises(ValueError, match="table"):
        to_attribute(number)
    with pytest.raises(ValueError, match="table"):
        Attr("a").add(number).render(Placeholders())


def test_what_comes_in_other_kinds() -> None:
    assert to_attribute((1, 0.5)) == {"L": [{"N": "1"}, {"N": "0.5"}]}
    assert from_attribute({"N": "1.50"}) == Decimal("1.5")
    assert to_attribute(b"\x00\xff") == {"B": "AP8="}
    assert from_attribute({"B": "AP8="}) == b"\x00\xff"
    with pytest.raises(TypeError, match="set"):
        to_attribute({"a"})
    for odd in ({"SS": ["a"]}, {"N": 1}, {"N": "many"}, {}):
        with pytest.raises(ValueError, match="DynamoDB returned"):
            from_attribute(odd)
    with pytest.raises(ValueError, match="base64"):
        from_attribute({"B": "A"})


def test_a_condition_names_everything_by_placeholders() -> None:
    to = Placeholders()
    condition = (
        (Attr("a").does_not_exist() | Attr("a").lte(5)) & Attr("holds", "id#1").exists() & Attr("holds").size().lt(5)
    )
    assert condition.render(to) == (
        "(((attribute_not_exists(#n0) OR #n0 <= :v0) AND attribute_exists(#n1.#n2)) AND size(#n1) < :v0)"
    )
    assert to.payload() == {
        "ExpressionAttributeNames": {"#n0": "a", "#n1": "holds", "#n2": "id#1"},
        "ExpressionAttributeValues": {":v0": {"N": "5"}},
    }


@pytest.mark.parametrize(
    ("name", "sign"), [("equals", "="), ("not_equals", "<>"), ("lt", "<"), ("lte", "<="), ("gt", ">"), ("gte", ">=")]
)
def test_comparisons(name: str, sign: str) -> None:
    assert getattr(Attr("a"), name)("b").render(Placeholders()) == f"#n0 {sign} :v0"


def test_many_conditions_are_one() -> None:
    conditions = [Attr("a").exists(), Attr("b").lt(5), Attr("b").is_at_most(5)]
    together, one_by_one = Placeholders(), Placeholders()
    text = all_of(conditions).render(together)
    assert text == (conditions[0] & conditions[1] & conditions[2]).render(one_by_one)
    assert text == "((attribute_exists(#n0) AND #n1 < :v0) AND (attribute_not_exists(#n1) OR #n1 <= :v0))"
    assert together.payload() == one_by_one.payload()
    assert all_of(conditions[:1]).render(Placeholders()) == "attribute_exists(#n0)"


def test_ranges_and_prefixes() -> None:
    assert Attr("sk").between("a", "b").render(Placeholders()) == "#n0 BETWEEN :v0 AND :v1"
    assert Attr("sk").begins_with("CALL#").render(Placeholders()) == "begins_with(#n0, :v0)"


def test_an_update_has_each_clause_once() -> None:
    change = (
        Attr("a").set(1)
        & Attr("b").add(2)
        & Attr("c").remove()
        & Attr("d", "e").set("x")
        & add_all({"f": 3, "g": Decimal("-1")})
    )
    assert change.render(Placeholders()) == "SET #n0 = :v0, #n1.#n2 = :v1 REMOVE #n3 ADD #n4 :v2, #n5 :v3, #n6 :v4"
    assert UpdateExpression().render(Placeholders()) == ""
    assert add_all({}).render(Placeholders()) == ""


def test_truth_is_no_number() -> None:
    to = Placeholders()
    assert (Attr("a").equals(True) & Attr("b").equals(1)).render(to) == "(#n0 = :v0 AND #n1 = :v1)"
    assert to.payload()["ExpressionAttributeValues"] == {":v0": {"BOOL": True}, ":v1": {"N": "1"}}


def test_writes_are_the_requests_that_they_could_be() -> None:
    key, there = {"pk": "a", "sk": "b"}, Attr("pk").exists()
    at = {"TableName": "t", "Key": {"pk": {"S": "a"}, "sk": {"S": "b"}}}
    condition = {"ConditionExpression": "attribute_exists(#n0)", "ExpressionAttributeNames": {"#n0": "pk"}}
    assert Put("t", key).payload() == {"TableName": "t", "Item": at["Key"]}
    assert Put("t", key, there).payload() == {"TableName": "t", "Item": at["Key"], **condition}
    assert Delete("t", key).payload() == at
    assert ConditionCheck("t", key, there).payload() == {**at, **condition}
    assert Update("t", key, Attr("n").add(1), there).payload() == {
        **at,
        "UpdateExpression": "ADD #n0 :v0",
        "ConditionExpression": "attribute_exists(#n1)",
        "ExpressionAttributeNames": {"#n0": "n", "#n1": "pk"},
        "ExpressionAttributeValues": {":v0": {"N": "1"}},
    }
    assert [w("t", key).verb for w in (Put, Delete)] == ["Put", "Delete"]

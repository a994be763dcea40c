"""DynamoDB attribute values ↔ Python values, for the types that the table has. Numbers are read as `Decimal`.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_AttributeValue.html
"""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from decimal import Decimal
from typing import TypeAlias, cast

AttributeValue: TypeAlias = dict[str, object]
"""A type and its value, e.g. {"S": "text"}."""


def to_attribute(value: object) -> AttributeValue:
    """The attribute value. Raises `TypeError` for a type that the table never has."""
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": value}
        case bytes():
            return {"B": b64encode(value).decode()}
        case int() | float() | Decimal():
            return {"N": str(value)}
        case dict():
            return {"M": to_attributes(cast("dict[str, object]", value))}
        case list() | tuple():
            return {"L": [to_attribute(each) for each in cast("list[object]", value)]}
        case _:
            raise TypeError(f"A value of type {type(value).__name__} cannot be stored in the table.")


def to_attributes(item: Mapping[str, object]) -> dict[str, AttributeValue]:
    return {name: to_attribute(value) for name, value in item.items()}


def from_attribute(attribute: Mapping[str, object]) -> object:
    """The Python value. Raises `ValueError` for an unknown format, or a type that the table never has."""
    match attribute:
        case {"S": str() as text}:
            return text
        case {"N": str() as number}:
            return Decimal(number)
        case {"M": dict()}:
            return from_attributes(cast("dict[str, AttributeValue]", attribute["M"]))
        case {"L": list()}:
            return [from_attribute(one) for one in cast("list[AttributeValue]", attribute["L"])]
        case {"BOOL": bool() as truth}:
            return truth
        case {"NULL": _}:
            return None
        case {"B": str() as text}:
            return b64decode(text)
        case _:
            types = ", ".join(map(str, attribute))
            raise ValueError(f"DynamoDB returned an attribute of an unsupported type: {types}.")


def from_attributes(item: Mapping[str, AttributeValue]) -> dict[str, object]:
    return {name: from_attribute(attribute) for name, attribute in item.items()}

"""DynamoDB attribute values ↔ Python values, for the types that the table has. Numbers are read as `Decimal`.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_AttributeValue.html
"""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import TypeAlias, cast

AttributeValue: TypeAlias = dict[str, object]
"""A type and its value, e.g. {"S": "text"}."""


MAX_NUMBER_DIGITS, MAX_NUMBER_EXPONENT, MIN_NUMBER_EXPONENT = 38, 125, -130
"""DynamoDB's limits for a number: its significant digits, and the exponent of the first one.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html (2026-11).
"""

_INTEGERS = range(1 - 10**MAX_NUMBER_DIGITS, 10**MAX_NUMBER_DIGITS)


def to_attribute(value: object) -> AttributeValue:
    """The attribute value. Raises `TypeError` for a type that the table never has.

    Raises `ValueError` for a number that DynamoDB does not store: NaN, infinity, one with more than 38 significant
    digits, and one that is too large or too small.
    """
    kind = type(value)
    if kind is str:
        return {"S": value}
    if kind is int and value in _INTEGERS:
        return {"N": str(value)}
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case str():  # of a type of its own
            return {"S": value}
        case bytes():
            return {"B": b64encode(value).decode()}
        case int() | float() | Decimal():
            return {"N": _number_text(value)}
        case dict():
            return {"M": to_attributes(cast("dict[str, object]", value))}
        case list() | tuple():
            return {"L": [to_attribute(each) for each in cast("list[object]", value)]}
        case _:
            raise TypeError(f"A value of type {type(value).__name__} cannot be stored in the table.")


def to_attributes(item: Mapping[str, object]) -> dict[str, AttributeValue]:
    # Most attributes are texts.
    return {name: {"S": value} if type(value) is str else to_attribute(value) for name, value in item.items()}


def from_attribute(attribute: Mapping[str, object]) -> object:
    """The Python value. Raises `ValueError` for an unknown format, or a type that the table never has."""
    # Most attributes are texts and numbers; patterns take five times as long.
    for kind, value in attribute.items():
        if type(value) is str and kind == "S":
            return value
        if type(value) is str and kind == "N":
            return _parse_number(value)
    match attribute:
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


def _number_text(value: float | Decimal) -> str:
    """The number without an exponent, and zero as "0": emulators of DynamoDB do not calculate with others."""
    if isinstance(value, int):
        if value in _INTEGERS:
            return str(value)
    elif value and len(text := str(value)) <= MAX_NUMBER_DIGITS and not text.strip("-.0123456789"):
        return text  # without an exponent, like most durations and amounts of money
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if number.is_zero():
        return "0"
    if not number.is_finite():
        raise ValueError(f"{value} cannot be stored in the table: it is not a finite number.")
    if not MIN_NUMBER_EXPONENT <= number.adjusted() <= MAX_NUMBER_EXPONENT:
        raise ValueError("A number is too large or too small for the table.")
    text = f"{number:f}"
    if len(text) > MAX_NUMBER_DIGITS and len(text.strip("-0.").replace(".", "").strip("0")) > MAX_NUMBER_DIGITS:
        raise ValueError(f"A number has more than {MAX_NUMBER_DIGITS} digits, too many for the table.")
    return text


def _parse_number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError("DynamoDB returned a number in an unknown format.") from None

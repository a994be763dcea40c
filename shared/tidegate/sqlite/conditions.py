"""DynamoDB's conditions as functions of an item, in the forms that `aws.expressions` writes.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html
"""

import operator
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TypeAlias, cast

from tidegate.aws.values import AttributeValue, from_attribute
from tidegate.sqlite.tokens import CACHED_EXPRESSIONS, Tokens

Attributes: TypeAlias = Mapping[str, AttributeValue]
"""An item by the names of its attributes, or the values of a request by their placeholders."""

Names: TypeAlias = Mapping[str, str]
Predicate: TypeAlias = Callable[[Attributes, Names, Attributes], bool]
"""True if the condition holds for an item, with the names and values of a request."""

_Operand: TypeAlias = Callable[[Attributes, Names, Attributes], AttributeValue | None]
_Order: TypeAlias = Callable[[object, object], bool]

_ORDERS = cast("Mapping[str, _Order]", {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge})
_ORDERED_TYPES = ({"S"}, {"N"}, {"B"})


@lru_cache(CACHED_EXPRESSIONS)
def compile_condition(text: str) -> Predicate:
    """The predicate of a condition. Raises `DynamoError` for a form that the product does not use."""
    tokens = Tokens(text)
    predicate = _alternatives(tokens)
    tokens.expect_end()
    return predicate


def _alternatives(tokens: Tokens) -> Predicate:
    predicate = _conjunction(tokens)
    while tokens.take("OR"):
        predicate = _either(predicate, _conjunction(tokens))
    return predicate


def _conjunction(tokens: Tokens) -> Predicate:
    predicate = _term(tokens)
    while tokens.take("AND"):
        predicate = _both(predicate, _term(tokens))
    return predicate


def _term(tokens: Tokens) -> Predicate:
    if tokens.take("("):
        predicate = _alternatives(tokens)
        tokens.expect(")")
        return predicate
    if function := tokens.take("attribute_exists", "attribute_not_exists"):
        return _existence(_arguments(tokens)[0], function == "attribute_exists")
    if tokens.take("begins_with"):
        attribute, prefix = _arguments(tokens)
        return lambda item, names, values: _begins(attribute(item, names, values), prefix(item, names, values))
    left = _operand(tokens)
    if tokens.take("BETWEEN"):
        low = _operand(tokens)
        tokens.expect("AND")
        return _both(_comparison(left, ">=", low), _comparison(left, "<=", _operand(tokens)))
    comparator = tokens.take("=", "<>", *_ORDERS)
    if comparator is None:
        raise tokens.error()
    return _comparison(left, comparator, _operand(tokens))


def _arguments(tokens: Tokens) -> list[_Operand]:
    tokens.expect("(")
    arguments = [_operand(tokens)]
    while tokens.take(","):
        arguments.append(_operand(tokens))
    tokens.expect(")")
    return arguments


def _operand(tokens: Tokens) -> _Operand:
    if tokens.take("size"):
        (sized,) = _arguments(tokens)
        return lambda item, names, values: _size(sized(item, names, values))
    if tokens.is_value():
        placeholder = tokens.value()
        return lambda item, names, values: values[placeholder]
    first, *others = tokens.path()
    if not others:
        return lambda item, names, values: item.get(names[first])
    return lambda item, names, values: _find_nested(item, [names[first], *(names[other] for other in others)])


def _both(first: Predicate, second: Predicate) -> Predicate:
    return lambda item, names, values: first(item, names, values) and second(item, names, values)


def _either(first: Predicate, second: Predicate) -> Predicate:
    return lambda item, names, values: first(item, names, values) or second(item, names, values)


def _existence(operand: _Operand, expected: bool) -> Predicate:
    return lambda item, names, values: (operand(item, names, values) is not None) is expected


def _comparison(left: _Operand, comparator: str, right: _Operand) -> Predicate:
    if comparator in _ORDERS:
        order = _ORDERS[comparator]
        return lambda item, names, values: _is_ordered(order, left(item, names, values), right(item, names, values))
    expected = comparator == "="
    return lambda item, names, values: _is_equal(left(item, names, values), right(item, names, values)) is expected


def _find_nested(item: Attributes, names: list[str]) -> AttributeValue | None:
    attribute = item.get(names[0])
    for name in names[1:]:
        children = attribute.get("M") if attribute else None
        attribute = cast("Attributes", children).get(name) if children else None
    return attribute


def _is_equal(left: AttributeValue | None, right: AttributeValue | None) -> bool:
    if left is None or right is None or left.keys() != right.keys():
        return False
    return left == right or from_attribute(left) == from_attribute(right)


def _is_ordered(order: _Order, left: AttributeValue | None, right: AttributeValue | None) -> bool:
    """True if both exist, have the same type, and are in that order. Code points are in the order of UTF-8 bytes."""
    if left is None or right is None or left.keys() != right.keys() or left.keys() not in _ORDERED_TYPES:
        return False
    first, second = left.get("N"), right.get("N")
    if isinstance(first, str) and isinstance(second, str) and first.isdecimal() and second.isdecimal():
        return order(int(first), int(second))
    return order(from_attribute(left), from_attribute(right))


def _begins(attribute: AttributeValue | None, prefix: AttributeValue | None) -> bool:
    match attribute, prefix:
        case {"S": str(text)}, {"S": str(beginning)}:
            return text.startswith(beginning)
        case _:
            return False


def _size(attribute: AttributeValue | None) -> AttributeValue | None:
    """The number of entries, of bytes in UTF-8, or of bytes."""
    match attribute:
        case {"M": dict()} | {"L": list()}:
            return {"N": str(sum(len(cast("list[object]", entries)) for entries in attribute.values()))}
        case {"S": str(text)}:
            return {"N": str(len(text.encode()))}
        case {"B": _}:
            return {"N": str(len(cast(bytes, from_attribute(attribute))))}
        case _:
            return None

"""DynamoDB's updates, applied to an item of attribute values, in the forms that `aws.expressions` writes.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.UpdateExpressions.html
"""

from decimal import Context, Decimal
from functools import lru_cache
from typing import NamedTuple, cast

from tidegate.aws.dynamo import DynamoError
from tidegate.aws.values import MAX_NUMBER_DIGITS, AttributeValue, to_attribute
from tidegate.sqlite.conditions import Attributes, Names
from tidegate.sqlite.tokens import CACHED_EXPRESSIONS, Tokens

_ARITHMETIC = Context(prec=MAX_NUMBER_DIGITS)
_SHORT = 30
"""Digits of whole numbers that are added without decimals: all that the product counts, in a fifth of the time."""


class _Change(NamedTuple):
    """One change: "SET", "REMOVE" or "ADD". `path` and `value` are placeholders."""

    verb: str
    path: tuple[str, ...]
    value: str = ""


def apply_update(text: str, item: Attributes, names: Names, values: Attributes) -> dict[str, AttributeValue]:
    """A copy of the item with the changes. Raises `DynamoError`, like DynamoDB for a path that does not exist."""
    updated = dict(item)
    for change in _parse_update(text):
        _apply_change(change, updated, names, values)
    return updated


@lru_cache(CACHED_EXPRESSIONS)
def _parse_update(text: str) -> tuple[_Change, ...]:
    tokens = Tokens(text)
    changes: list[_Change] = []
    while (verb := tokens.take("SET", "REMOVE", "ADD")) is not None:
        changes.append(_parse_change(verb, tokens))
        while tokens.take(","):
            changes.append(_parse_change(verb, tokens))
    tokens.expect_end()
    return tuple(changes)


def _parse_change(verb: str, tokens: Tokens) -> _Change:
    path = tokens.path()
    if verb == "REMOVE":
        return _Change(verb, path)
    if verb == "SET":
        tokens.expect("=")
    return _Change(verb, path, tokens.value())


def _apply_change(change: _Change, item: dict[str, AttributeValue], names: Names, values: Attributes) -> None:
    parent = item
    for placeholder in change.path[:-1]:
        name = names[placeholder]
        children = parent.get(name, {}).get("M")
        if not isinstance(children, dict):
            raise DynamoError("ValidationException", "The path of an update does not exist in the item.")
        copied = cast("dict[str, AttributeValue]", children).copy()
        parent[name] = {"M": copied}
        parent = copied
    name = names[change.path[-1]]
    match change.verb:
        case "SET":
            parent[name] = values[change.value]
        case "REMOVE":
            parent.pop(name, None)
        case _:
            parent[name] = _sum(parent.get(name), values[change.value])


def _sum(before: AttributeValue | None, number: AttributeValue) -> AttributeValue:
    if before is None and "N" in number:
        return number
    left, right = (before or {}).get("N"), number.get("N")
    if not isinstance(left, str) or not isinstance(right, str):
        raise DynamoError("ValidationException", "Only numbers can be added.")
    if len(left) <= _SHORT and len(right) <= _SHORT and "." not in left and "." not in right:
        return {"N": str(int(left) + int(right))}
    return to_attribute(_ARITHMETIC.add(Decimal(left), Decimal(right)))

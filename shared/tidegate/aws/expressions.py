"""DynamoDB conditions, key conditions, updates and writes as Python expressions.

`Attr("minute").lt(5) & Attr("holds", call_id).does_not_exist()` is a condition,
`Attr("minute").set(5) & Attr("calls").add(1)` an update. Names and values become placeholders, so that they cannot be
taken for syntax. An expression is a template with a "%s" for each of its operands, in their order: one for
`Attr("minute").lt(5)` is "%s < %s", with the operands "minute" and (5,).

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.html
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from msgspec import Struct

from tidegate.aws.values import AttributeValue, to_attribute, to_attributes

Payload: TypeAlias = dict[str, object]

Operands: TypeAlias = tuple[str | tuple[object], ...]
"""Names are texts; each value is in a tuple of its own."""

_SHARED = (int, str)


class Placeholders:
    """The names and values in the expressions of one request; equal names, texts and integers share a placeholder."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._values: dict[str, AttributeValue] = {}
        self._scalars: dict[tuple[type, object], str] = {}

    def fill(self, template: str, operands: Operands) -> str:
        """Return the expression: the template with the placeholders of the operands."""
        names, value_of = self._names, self.value
        for operand in operands:
            if type(operand) is str and operand not in names:
                names[operand] = f"#n{len(names)}"
        return template % tuple(
            [names[operand] if type(operand) is str else value_of(operand[0]) for operand in operands]
        )

    def name(self, name: str) -> str:
        return self.fill("%s", (name,))

    def value(self, value: object) -> str:
        kind, scalars = type(value), self._scalars
        is_shared = kind in _SHARED
        if is_shared and (kind, value) in scalars:
            return scalars[kind, value]
        placeholder = f":v{len(self._values)}"
        self._values[placeholder] = to_attribute(value)
        if is_shared:
            scalars[kind, value] = placeholder
        return placeholder

    def payload(self) -> Payload:
        payload: Payload = {}
        if self._names:
            payload["ExpressionAttributeNames"] = {placeholder: name for name, placeholder in self._names.items()}
        if self._values:
            payload["ExpressionAttributeValues"] = self._values
        return payload


class Expression(Struct, frozen=True):
    """A template and its operands."""

    template: str
    operands: Operands

    def render(self, placeholders: Placeholders) -> str:
        return placeholders.fill(self.template, self.operands)


class Condition(Expression, frozen=True):
    """A condition on one item, to be combined with `&` and `|`."""

    def __and__(self, other: "Condition") -> "Condition":
        return Condition(f"({self.template} AND {other.template})", self.operands + other.operands)

    def __or__(self, other: "Condition") -> "Condition":
        return Condition(f"({self.template} OR {other.template})", self.operands + other.operands)


def all_of(conditions: Sequence[Condition]) -> Condition:
    """Combine conditions with `&`, in one step."""
    first, *others = [condition.template for condition in conditions]
    template = f"{'(' * len(others)}{first}{''.join([f' AND {other})' for other in others])}"
    return Condition(template, tuple([operand for condition in conditions for operand in condition.operands]))


class Comparable:
    """An operand that can be compared with values: an attribute, or its size."""

    __slots__ = ("operands", "template")

    def __init__(self, template: str, operands: Operands) -> None:
        self.template = template
        self.operands = operands

    def equals(self, value: object) -> Condition:
        return Condition(f"{self.template} = %s", (*self.operands, (value,)))

    def not_equals(self, value: object) -> Condition:
        return Condition(f"{self.template} <> %s", (*self.operands, (value,)))

    def lt(self, value: object) -> Condition:
        return Condition(f"{self.template} < %s", (*self.operands, (value,)))

    def lte(self, value: object) -> Condition:
        return Condition(f"{self.template} <= %s", (*self.operands, (value,)))

    def gt(self, value: object) -> Condition:
        return Condition(f"{self.template} > %s", (*self.operands, (value,)))

    def gte(self, value: object) -> Condition:
        return Condition(f"{self.template} >= %s", (*self.operands, (value,)))

    def between(self, low: object, high: object) -> Condition:
        """True from `low` to `high`, both included."""
        return Condition(f"{self.template} BETWEEN %s AND %s", (*self.operands, (low,), (high,)))


class Attr(Comparable):
    """An attribute by its name, or a nested one by all names of its path."""

    __slots__ = ()

    def __init__(self, name: str, *path: str) -> None:
        self.template = ".".join(["%s", *["%s" for _ in path]]) if path else "%s"
        self.operands = (name, *path)

    def exists(self) -> Condition:
        return Condition(f"attribute_exists({self.template})", self.operands)

    def does_not_exist(self) -> Condition:
        return Condition(f"attribute_not_exists({self.template})", self.operands)

    def is_at_most(self, value: object) -> Condition:
        """True for at most `value`, and for a missing attribute."""
        condition = f"(attribute_not_exists({self.template}) OR {self.template} <= %s)"
        return Condition(condition, (*self.operands, *self.operands, (value,)))

    def begins_with(self, prefix: str) -> Condition:
        return Condition(f"begins_with({self.template}, %s)", (*self.operands, (prefix,)))

    def size(self) -> Comparable:
        """The number of entries of a map."""
        return Comparable(f"size({self.template})", self.operands)

    def set(self, value: object) -> "UpdateExpression":
        return UpdateExpression(sets=(Expression(f"{self.template} = %s", (*self.operands, (value,))),))

    def add(self, number: object) -> "UpdateExpression":
        """Add to a top-level number; a missing attribute counts as 0."""
        return UpdateExpression(adds=(Expression(f"{self.template} %s", (*self.operands, (number,))),))

    def remove(self) -> "UpdateExpression":
        return UpdateExpression(removes=(Expression(self.template, self.operands),))


class UpdateExpression(Struct, frozen=True):
    """The changes that an update makes to an item, to be combined with `&`."""

    sets: tuple[Expression, ...] = ()
    removes: tuple[Expression, ...] = ()
    adds: tuple[Expression, ...] = ()

    def __and__(self, other: "UpdateExpression") -> "UpdateExpression":
        return UpdateExpression(self.sets + other.sets, self.removes + other.removes, self.adds + other.adds)

    def render(self, placeholders: Placeholders) -> str:
        clauses = (("SET", self.sets), ("REMOVE", self.removes), ("ADD", self.adds))
        return " ".join(
            [
                f"{verb} {', '.join([change.render(placeholders) for change in changes])}"
                for verb, changes in clauses
                if changes
            ]
        )


def add_all(numbers: Mapping[str, object]) -> UpdateExpression:
    """Add each number to the attribute of its name."""
    if not numbers:
        return UpdateExpression()
    operands = tuple([operand for name, number in numbers.items() for operand in (name, (number,))])
    return UpdateExpression(adds=(Expression("%s %s" + ", %s %s" * (len(numbers) - 1), operands),))


class TransactWrite:
    """One write: as an entry of a transaction under the name `verb`, or with `payload` as a request of its own."""

    __slots__ = ("_condition", "_fields", "_update", "verb")

    def __init__(
        self, verb: str, fields: Payload, condition: Condition | None, update: UpdateExpression | None = None
    ) -> None:
        self.verb = verb
        self._fields = fields
        self._condition = condition
        self._update = update

    def payload(self) -> Payload:
        placeholders, payload = Placeholders(), self._fields.copy()
        if self._update is not None:
            payload["UpdateExpression"] = self._update.render(placeholders)
        if self._condition is not None:
            payload["ConditionExpression"] = self._condition.render(placeholders)
        return payload | placeholders.payload()


class Put(TransactWrite):
    """Write a whole item; an existing one is replaced."""

    __slots__ = ()

    def __init__(self, table: str, item: Mapping[str, object], condition: Condition | None = None) -> None:
        super().__init__("Put", {"TableName": table, "Item": to_attributes(item)}, condition)


class _SingleItemOperation(TransactWrite):
    __slots__ = ()

    def __init__(
        self,
        table: str,
        key: Mapping[str, object],
        condition: Condition | None = None,
        update: UpdateExpression | None = None,
    ) -> None:
        super().__init__(type(self).__name__, {"TableName": table, "Key": to_attributes(key)}, condition, update)


class Update(_SingleItemOperation):
    """Change an item; a missing one is created."""

    __slots__ = ()

    def __init__(
        self, table: str, key: Mapping[str, object], update: UpdateExpression, condition: Condition | None = None
    ) -> None:
        super().__init__(table, key, condition, update)


class Delete(_SingleItemOperation):
    """Delete an item."""

    __slots__ = ()


class ConditionCheck(_SingleItemOperation):
    """Write nothing; the transaction fails unless the condition holds."""

    __slots__ = ()

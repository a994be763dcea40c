"""DynamoDB conditions, key conditions, updates and writes as Python expressions.

`Attr("minute").lt(5) & Attr("holds", call_id).does_not_exist()` is a condition,
`Attr("minute").set(5) & Attr("calls").add(1)` an update. Names and values become placeholders, so that they cannot be
taken for syntax. Expressions are closures, because data classes would have to be compiled in every cold start.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.html
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from tidegate.aws.values import AttributeValue, to_attribute, to_attributes

Payload: TypeAlias = dict[str, object]

_SHARED = (int, str)


class Placeholders:
    """The names and values in the expressions of one request; equal names, texts and integers share a placeholder."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._values: list[AttributeValue] = []
        self._scalars: dict[tuple[type, object], str] = {}

    def name(self, name: str) -> str:
        names = self._names
        placeholder = names.get(name)
        if placeholder is None:
            placeholder = names[name] = f"#n{len(names)}"
        return placeholder

    def value(self, value: object) -> str:
        kind, scalars = type(value), self._scalars
        placeholder = scalars.get((kind, value)) if kind in _SHARED else None
        if placeholder is None:
            placeholder = f":v{len(self._values)}"
            self._values.append(to_attribute(value))
            if kind in _SHARED:
                scalars[kind, value] = placeholder
        return placeholder

    def payload(self) -> Payload:
        payload: Payload = {}
        if self._names:
            payload["ExpressionAttributeNames"] = {placeholder: name for name, placeholder in self._names.items()}
        if self._values:
            payload["ExpressionAttributeValues"] = {f":v{n}": value for n, value in enumerate(self._values)}
        return payload


Renderer: TypeAlias = Callable[[Placeholders], str]


class Condition:
    """A condition on one item, to be combined with `&` and `|`."""

    __slots__ = ("render",)

    def __init__(self, render: Renderer) -> None:
        self.render = render

    def __and__(self, other: "Condition") -> "Condition":
        return Condition(lambda placeholders: f"({self.render(placeholders)} AND {other.render(placeholders)})")

    def __or__(self, other: "Condition") -> "Condition":
        return Condition(lambda placeholders: f"({self.render(placeholders)} OR {other.render(placeholders)})")


class Comparable:
    """An operand that can be compared with values: an attribute, or its size."""

    __slots__ = ("render",)

    def __init__(self, render: Renderer) -> None:
        self.render = render

    def equals(self, value: object) -> Condition:
        return self._compare("=", value)

    def not_equals(self, value: object) -> Condition:
        return self._compare("<>", value)

    def lt(self, value: object) -> Condition:
        return self._compare("<", value)

    def lte(self, value: object) -> Condition:
        return self._compare("<=", value)

    def gt(self, value: object) -> Condition:
        return self._compare(">", value)

    def gte(self, value: object) -> Condition:
        return self._compare(">=", value)

    def between(self, low: object, high: object) -> Condition:
        """True from `low` to `high`, both included."""
        return Condition(
            lambda placeholders: (
                f"{self.render(placeholders)} BETWEEN {placeholders.value(low)} AND {placeholders.value(high)}"
            )
        )

    def _compare(self, operator: str, value: object) -> Condition:
        return Condition(lambda placeholders: f"{self.render(placeholders)} {operator} {placeholders.value(value)}")


class Attr(Comparable):
    """An attribute by its name, or a nested one by all names of its path."""

    __slots__ = ()

    def __init__(self, name: str, *path: str) -> None:
        if path:
            super().__init__(lambda placeholders: ".".join(map(placeholders.name, (name, *path))))
        else:
            super().__init__(lambda placeholders: placeholders.name(name))

    def exists(self) -> Condition:
        return Condition(lambda placeholders: f"attribute_exists({self.render(placeholders)})")

    def does_not_exist(self) -> Condition:
        return Condition(lambda placeholders: f"attribute_not_exists({self.render(placeholders)})")

    def begins_with(self, prefix: str) -> Condition:
        return Condition(lambda placeholders: f"begins_with({self.render(placeholders)}, {placeholders.value(prefix)})")

    def size(self) -> Comparable:
        """The number of entries of a map."""
        return Comparable(lambda placeholders: f"size({self.render(placeholders)})")

    def set(self, value: object) -> "UpdateExpression":
        return UpdateExpression(
            sets=(lambda placeholders: f"{self.render(placeholders)} = {placeholders.value(value)}",)
        )

    def add(self, number: object) -> "UpdateExpression":
        """Add to a top-level number; a missing attribute counts as 0."""
        return UpdateExpression(
            adds=(lambda placeholders: f"{self.render(placeholders)} {placeholders.value(number)}",)
        )

    def remove(self) -> "UpdateExpression":
        return UpdateExpression(removes=(self.render,))


class UpdateExpression:
    """The changes that an update makes to an item, to be combined with `&`."""

    __slots__ = ("adds", "removes", "sets")

    def __init__(
        self, sets: tuple[Renderer, ...] = (), removes: tuple[Renderer, ...] = (), adds: tuple[Renderer, ...] = ()
    ) -> None:
        self.sets = sets
        self.removes = removes
        self.adds = adds

    def __and__(self, other: "UpdateExpression") -> "UpdateExpression":
        return UpdateExpression(self.sets + other.sets, self.removes + other.removes, self.adds + other.adds)

    def render(self, placeholders: Placeholders) -> str:
        clauses = (("SET", self.sets), ("REMOVE", self.removes), ("ADD", self.adds))
        return " ".join(
            [
                f"{verb} {', '.join([render(placeholders) for render in renderers])}"
                for verb, renderers in clauses
                if renderers
            ]
        )


def add_all(numbers: Mapping[str, object]) -> UpdateExpression:
    """Add each number to the attribute of its name."""

    def render(placeholders: Placeholders) -> str:
        name_of, value_of = placeholders.name, placeholders.value
        return ", ".join([f"{name_of(name)} {value_of(number)}" for name, number in numbers.items()])

    return UpdateExpression(adds=(render,) if numbers else ())


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

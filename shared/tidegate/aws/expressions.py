"""DynamoDB's conditions, key conditions, updates and writes, as Python expressions.

`F("minute").lt(5) & F("holds", call_id).does_not_exist()` is a condition; `F("minute").set(5) & F("calls").add(1)` an
update. Names and values become placeholders, so that none can be taken for syntax. These are closures and not data
classes: a cold start would pay for compiling those.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.html
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from tidegate.aws.values import AttributeValue, to_attribute, to_attributes

Payload: TypeAlias = dict[str, object]


class Placeholders:
    """The names and values of one request's expressions; equal ones share a placeholder."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._values: list[AttributeValue] = []

    def name(self, name: str) -> str:
        return self._names.setdefault(name, f"#n{len(self._names)}")

    def value(self, value: object) -> str:
        attribute = to_attribute(value)
        if attribute not in self._values:
            self._values.append(attribute)
        return f":v{self._values.index(attribute)}"

    def payload(self) -> Payload:
        made: Payload = {}
        if self._names:
            made["ExpressionAttributeNames"] = {placeholder: name for name, placeholder in self._names.items()}
        if self._values:
            made["ExpressionAttributeValues"] = {f":v{n}": value for n, value in enumerate(self._values)}
        return made


Renderer: TypeAlias = Callable[[Placeholders], str]


class Condition:
    """Holds for an item, or does not."""

    __slots__ = ("write",)

    def __init__(self, write: Renderer) -> None:
        self.write = write

    def __and__(self, other: "Condition") -> "Condition":
        return Condition(lambda to: f"({self.write(to)} AND {other.write(to)})")

    def __or__(self, other: "Condition") -> "Condition":
        return Condition(lambda to: f"({self.write(to)} OR {other.write(to)})")


class Comparable:
    """Something that compares with values: an attribute, or its size."""

    __slots__ = ("write",)

    def __init__(self, write: Renderer) -> None:
        self.write = write

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
        """Both ends included."""
        return Condition(lambda to: f"{self.write(to)} BETWEEN {to.value(low)} AND {to.value(high)}")

    def _compare(self, operator: str, value: object) -> Condition:
        return Condition(lambda to: f"{self.write(to)} {operator} {to.value(value)}")


class Attr(Comparable):
    """An attribute, or what lies in it under further names."""

    __slots__ = ()

    def __init__(self, *path: str) -> None:
        super().__init__(lambda to: ".".join(map(to.name, path)))

    def exists(self) -> Condition:
        return Condition(lambda to: f"attribute_exists({self.write(to)})")

    def does_not_exist(self) -> Condition:
        return Condition(lambda to: f"attribute_not_exists({self.write(to)})")

    def begins_with(self, prefix: str) -> Condition:
        return Condition(lambda to: f"begins_with({self.write(to)}, {to.value(prefix)})")

    def size(self) -> Comparable:
        """Of a map: how many entries it has."""
        return Comparable(lambda to: f"size({self.write(to)})")

    def set(self, value: object) -> "UpdateExpression":
        return UpdateExpression(sets=(lambda to: f"{self.write(to)} = {to.value(value)}",))

    def add(self, number: object) -> "UpdateExpression":
        """To a number at the top of the item; to 0 where there is none."""
        return UpdateExpression(adds=(lambda to: f"{self.write(to)} {to.value(number)}",))

    def remove(self) -> "UpdateExpression":
        return UpdateExpression(removes=(self.write,))


class UpdateExpression:
    """What an update does to an item."""

    __slots__ = ("adds", "removes", "sets")

    def __init__(
        self, sets: tuple[Renderer, ...] = (), removes: tuple[Renderer, ...] = (), adds: tuple[Renderer, ...] = ()
    ) -> None:
        self.sets = sets
        self.removes = removes
        self.adds = adds

    def __and__(self, other: "UpdateExpression") -> "UpdateExpression":
        return UpdateExpression(self.sets + other.sets, self.removes + other.removes, self.adds + other.adds)

    def write(self, to: Placeholders) -> str:
        clauses = (("SET", self.sets), ("REMOVE", self.removes), ("ADD", self.adds))
        return " ".join(f"{verb} {', '.join(one(to) for one in each)}" for verb, each in clauses if each)


def add_all(numbers: Mapping[str, object]) -> UpdateExpression:
    """Each number is added to the attribute of its name."""
    return UpdateExpression(
        adds=tuple(write for name, number in numbers.items() for write in Attr(name).add(number).adds)
    )


class Operation:
    """One write of a transaction: `verb` is its name there, `payload` the request that it could be by itself."""

    __slots__ = ("_condition", "_fields", "_update", "verb")

    def __init__(
        self, verb: str, fields: Payload, condition: Condition | None, update: UpdateExpression | None = None
    ) -> None:
        self.verb = verb
        self._fields = fields
        self._condition = condition
        self._update = update

    def payload(self) -> Payload:
        to, made = Placeholders(), self._fields.copy()
        if self._update is not None:
            made["UpdateExpression"] = self._update.write(to)
        if self._condition is not None:
            made["ConditionExpression"] = self._condition.write(to)
        return made | to.payload()


class Put(Operation):
    """The whole item."""

    __slots__ = ()

    def __init__(self, table: str, item: Mapping[str, object], condition: Condition | None = None) -> None:
        super().__init__("Put", {"TableName": table, "Item": to_attributes(item)}, condition)


class _SingleItemOperation(Operation):
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
    """A change of the item, which is made where there is none."""

    __slots__ = ()

    def __init__(
        self, table: str, key: Mapping[str, object], update: UpdateExpression, condition: Condition | None = None
    ) -> None:
        super().__init__(table, key, condition, update)


class Delete(_SingleItemOperation):
    """The end of the item."""

    __slots__ = ()


class ConditionCheck(_SingleItemOperation):
    """No write: without its condition there is no transaction."""

    __slots__ = ()

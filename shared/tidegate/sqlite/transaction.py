"""Conditional writes of several requests, one after the other on one state that is written at once.

All conditions of a request are checked before its first change, so that a refused request changes nothing and needs no
savepoint. An item that many requests change, such as a workspace's counters, is read and written once.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias, cast

from msgspec import Struct, field

from tidegate.aws.dynamo import DynamoError
from tidegate.aws.expressions import Payload
from tidegate.aws.store import ItemKey
from tidegate.sqlite.conditions import Attributes, compile_condition
from tidegate.sqlite.updates import apply_update

ReadItem: TypeAlias = Callable[[ItemKey], Attributes | None]

_CONDITION_FAILED = "ConditionalCheckFailed"
_VERBS = {"PutItem": "Put", "UpdateItem": "Update", "DeleteItem": "Delete"}


class Write(NamedTuple):
    """One write of a request: "Put", "Update", "Delete" or "ConditionCheck"."""

    item_key: ItemKey
    verb: str
    payload: Payload


class WriteRequest(Struct, frozen=True):
    """One request. The errors of a transaction have a form of their own."""

    writes: tuple[Write, ...]
    is_transaction: bool


class Transaction(Struct, frozen=True):
    """The state that requests read and change: `read` finds an item as it is stored, `changed` has the new ones."""

    read: ReadItem
    changed: dict[ItemKey, Attributes | None] = field(default_factory=dict[ItemKey, Attributes | None])

    def execute(self, request: WriteRequest) -> Payload:
        """Make all writes of the request or none, and return DynamoDB's answer. Raises `DynamoError`."""
        before = [self._find(write.item_key) for write in request.writes]
        pairs = list(zip(before, request.writes, strict=True))
        codes = tuple("None" if _is_met(item, write.payload) else _CONDITION_FAILED for item, write in pairs)
        if _CONDITION_FAILED in codes:
            if request.is_transaction:
                raise DynamoError("TransactionCanceledException", "A condition failed.", codes)
            raise DynamoError(f"{_CONDITION_FAILED}Exception", "The condition failed.")
        after = [
            (write.item_key, _changed_item(item, write)) for item, write in pairs if write.verb != "ConditionCheck"
        ]
        self.changed.update(after)
        if request.is_transaction or after[0][1] is None:
            return {}
        return {"Attributes": after[0][1]}

    def _find(self, item_key: ItemKey) -> Attributes | None:
        return self.changed[item_key] if item_key in self.changed else self.read(item_key)


def parse_write_request(action: str, payload: Payload) -> WriteRequest:
    """The request of a write action. Raises `DynamoError` for one that the product does not use, and `ValueError`."""
    if action == "TransactWriteItems":
        entries = cast("list[dict[str, Payload]]", payload["TransactItems"])
        return WriteRequest(tuple([_parse_write(*write) for entry in entries for write in entry.items()]), True)
    if action not in _VERBS:
        raise DynamoError("UnknownOperationException", action)
    return WriteRequest((_parse_write(_VERBS[action], payload),), is_transaction=False)


def _parse_write(verb: str, payload: Payload) -> Write:
    return Write(parse_item_key(payload.get("Key") or payload["Item"]), verb, payload)


def parse_item_key(key: object) -> ItemKey:
    """The key in a mapping of attribute values. Raises `ValueError` for text that cannot be stored."""
    attributes = cast("Mapping[str, Mapping[str, str]]", key)
    item_key = ItemKey(attributes["pk"]["S"], attributes["sk"]["S"])
    "".join(item_key).encode()
    return item_key


def _is_met(item: Attributes | None, payload: Payload) -> bool:
    condition = payload.get("ConditionExpression")
    if condition is None:
        return True
    return compile_condition(str(condition))(item or {}, _names(payload), _values(payload))


def _changed_item(item: Attributes | None, write: Write) -> Attributes | None:
    payload = write.payload
    match write.verb:
        case "Put":
            return cast(Attributes, payload["Item"])
        case "Delete":
            return None
        case _:
            before = cast(Attributes, payload["Key"]) if item is None else item
            return apply_update(str(payload["UpdateExpression"]), before, _names(payload), _values(payload))


def _names(payload: Payload) -> Mapping[str, str]:
    return cast("Mapping[str, str]", payload.get("ExpressionAttributeNames") or {})


def _values(payload: Payload) -> Attributes:
    return cast(Attributes, payload.get("ExpressionAttributeValues") or {})

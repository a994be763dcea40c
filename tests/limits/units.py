"""What DynamoDB charges for the requests that are sent to it: calculated, for emulators charge nothing.

Sources, read on 2026-11-21: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
(units) and https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html (item sizes).
"""

import json
import math
from base64 import b64decode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.store_worlds import CREDENTIALS, REGION
from tidegate.aws.dynamo import DynamoClient, create_dynamo_client
from tidegate.transport.base import HttpRequest, HttpResponse, Timeouts, Transport
from tidegate.transport.reqwest import ReqwestTransport

READ, WRITE = 4096, 1024
"""Bytes of an item for one unit; reads are consistent."""


@dataclass(frozen=True)
class Charge:
    """One request: the units of reading and of writing that it takes."""

    action: str
    read: int = 0
    written: int = 0


@dataclass
class Counting:
    """Passes requests on, and counts what each is charged. It looks at the items before and after, past the count."""

    inner: Transport
    endpoint: str
    charges: list[Charge] = field(default_factory=list[Charge])

    @asynccontextmanager
    async def open(self, request: HttpRequest, timeouts: Timeouts) -> AsyncIterator[HttpResponse]:
        action, body = request.headers["x-amz-target"].partition(".")[2], json.loads(request.body)
        places = list(_places(action, body))
        client = create_dynamo_client(self.inner, CREDENTIALS, REGION, self.endpoint)
        before = [await _size(client, *place) for place in places]
        async with self.inner.open(request, timeouts) as response:
            yield response
        if action == "Query":
            found: Any = await client.call("Query", _without_projection(body))
            self.charges.append(_charge(action, [sum(map(item_bytes, found["Items"]))]))
            return
        after = [await _size(client, *place) for place in places]
        self.charges.append(_charge(action, [max(pair) for pair in zip(before, after, strict=True)]))

    async def close(self) -> None:
        await self.inner.close()


def counting(endpoint: str) -> Counting:
    return Counting(ReqwestTransport(), endpoint)


def _without_projection(query: Mapping[str, Any]) -> dict[str, Any]:
    """A query for whole items: these are what a projection is charged for."""
    whole = {name: value for name, value in query.items() if name not in ("ProjectionExpression", "Select")}
    names = {name: path for name, path in query["ExpressionAttributeNames"].items() if path in ("pk", "sk")}
    return {**whole, "ExpressionAttributeNames": names}


def _charge(action: str, sizes: list[int]) -> Charge:
    if action in ("BatchGetItem", "Query"):
        return Charge(action, read=sum(max(1, math.ceil(size / READ)) for size in sizes))
    units = sum(max(1, math.ceil(size / WRITE)) for size in sizes)
    return Charge(action, written=2 * units if action == "TransactWriteItems" else units)


def _places(action: str, body: Any) -> Any:
    match action:
        case "BatchGetItem":
            for table, asked in body["RequestItems"].items():
                assert asked["ConsistentRead"]
                yield from ((table, key) for key in asked["Keys"])
        case "TransactWriteItems":
            for item in body["TransactItems"]:
                for write in item.values():
                    yield write["TableName"], write.get("Key") or write["Item"]
        case "UpdateItem":
            yield body["TableName"], body["Key"]
        case "PutItem":
            yield body["TableName"], body["Item"]
        case _:
            pass  # what opens an account, once


async def _size(client: DynamoClient, table: str, key: Any) -> int:
    """Bytes, 0 where there is no item."""
    sent: Any = await client.call("GetItem", {"TableName": table, "Key": {name: key[name] for name in ("pk", "sk")}})
    return item_bytes(sent.get("Item", {}))


def item_bytes(item: Mapping[str, Any]) -> int:
    """The size of an item in the dialect of the wire."""
    return sum(len(name.encode()) + _value_bytes(value) for name, value in item.items())


def _value_bytes(value: Mapping[str, Any]) -> int:
    [(kind, held)] = value.items()
    match kind:
        case "S":
            return len(held.encode())
        case "B":
            return len(b64decode(held))
        case "N":
            digits = held.lstrip("-").replace(".", "").strip("0")
            return (len(digits) + 1) // 2 + 1 + held.startswith("-")
        case "M":
            return 3 + sum(1 + len(name.encode()) + _value_bytes(each) for name, each in held.items())
        case "L":
            return 3 + sum(1 + _value_bytes(each) for each in held)
        case _:
            return 1

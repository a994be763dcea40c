"""The embedded AWS makes a transaction once for its token."""

from collections.abc import Iterable
from io import BytesIO
from typing import Any

import pytest

from tests.store_worlds import aws_world
from tidegate.aws.expressions import Attr, Put
from tidegate.aws.store import ConditionFailed
from tidegate.local.repeated_transactions import MEMORY_SECONDS, RepeatedTransactions

NEW = Attr("pk").does_not_exist()


class Application:
    """Counts the transactions that it makes; each has the next of `statuses`, or succeeds."""

    def __init__(self, *statuses: str) -> None:
        self.made = 0
        self._statuses = iter(statuses)

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        self.made += 1
        assert environ["wsgi.input"].read()
        start_response(next(self._statuses, "200 OK"), [])
        return [b"{}"]


def send(door: RepeatedTransactions, body: bytes, action: str = "TransactWriteItems") -> str:
    """The status of the reply to a request."""
    statuses: list[str] = []
    target = {"HTTP_X_AMZ_TARGET": f"DynamoDB_20120810.{action}"}
    environ = {**target, "CONTENT_LENGTH": str(len(body)), "wsgi.input": BytesIO(body)}
    assert [*door(environ, lambda status, headers: statuses.append(status))] == [b"{}"]  # type: ignore[arg-type]
    (status,) = statuses
    return status


async def test_a_repeated_transaction_succeeds_without_effect(aws_endpoint: str) -> None:
    async with aws_world(aws_endpoint) as world:
        assert world.store
        put = Put(world.store.table, {"pk": "A", "sk": "A"}, NEW)
        await world.store.write([put], token="one")
        await world.store.write([put], token="one")
        for token in ("two", None):
            with pytest.raises(ConditionFailed):
                await world.store.write([put], token=token)


def test_a_token_is_known_for_ten_minutes() -> None:
    now = [0.0]
    application = Application()
    door = RepeatedTransactions(application, lambda: now[0])
    body = b'{"ClientRequestToken":"one"}'
    for seconds, made in ((0.0, 1), (MEMORY_SECONDS - 1, 1), (MEMORY_SECONDS, 2)):
        now[0] = seconds
        assert (send(door, body), application.made) == ("200 OK", made)


@pytest.mark.parametrize(
    ("body", "action", "status"),
    [
        (b"{}", "TransactWriteItems", "200 OK"),
        (b'{"ClientRequestToken":"one"}', "TransactWriteItems", "400 Bad Request"),
        (b'{"ClientRequestToken":"one"}', "PutItem", "200 OK"),
    ],
)
def test_other_requests_are_made_again(body: bytes, action: str, status: str) -> None:
    application = Application(status, status)
    door = RepeatedTransactions(application)
    assert [send(door, body, action), send(door, body, action)] == [status, status]
    assert application.made == 2

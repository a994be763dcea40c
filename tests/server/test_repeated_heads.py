"""Requests whose head was sent before on their connection: they are what they are without it."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.server.serving import GET, KeptTransport, answer, echo, post, read_body, read_replies, running, turns
from tidegate.server.connection import Connection
from tidegate.server.limits import ConnectionLimits
from tidegate.server.proxies import TrustedProxies
from tidegate.server.request import RepeatedHead, Terms
from tidegate.server.response import stamp
from tidegate.server.state import ServerState

Seen = list[tuple[dict[str, Any], bytes]]
ONE_MORE = post(b"next")


async def seen(pieces: Sequence[bytes]) -> tuple[Seen, bytes]:
    """Scopes and bodies that the application gets, and what the server writes, for a connection's pieces of bytes."""
    requests: Seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["extensions"] = dict.fromkeys(scope["extensions"], True)
        body = await read_body(receive)
        requests.append(({**scope, "headers": [*scope["headers"]], "state": {**scope["state"]}}, body))
        scope["headers"].clear()  # what one request changes, no other gets
        scope["state"]["changed"] = True
        await answer(send, b"tide")

    state = ServerState(app, ConnectionLimits(), TrustedProxies.parse("127.0.0.1"))
    state.stamp = stamp(0)
    state.lifespan["started"] = True
    connection, transport = Connection(state), KeptTransport()
    connection.connection_made(transport)  # type: ignore[arg-type]
    for piece in pieces:
        if not transport.closed:
            connection.data_received(piece)
            await turns(6)
    connection.connection_lost(None)
    await turns(6)
    return requests, bytes(transport.written)


def bytes_of(pieces: Sequence[bytes]) -> list[bytes]:
    return [bytes((byte,)) for byte in b"".join(pieces)]


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each look at a head that was kept, whether it was sent again."""
    results: list[bool] = []
    look = RepeatedHead.read

    def read(self: RepeatedHead, data: bytes, state: dict[str, object]) -> Any:
        found = look(self, data, state)
        results.append(found is not None)
        return found

    monkeypatch.setattr(RepeatedHead, "read", read)
    return results


async def test_the_third_request_with_a_head_is_not_parsed(read: list[bool]) -> None:
    pieces = [post(b"a" * length, b"X-One:  1 ", b"X-Forwarded-For: 192.0.2.7") for length in (3, 3, 3, 4, 97, 10_000)]
    assert await seen(pieces) == await seen(bytes_of(pieces))
    assert read == [True] * 4


@pytest.mark.parametrize(
    ("third", "requests"),
    [
        (ONE_MORE + ONE_MORE, 4),  # two requests in one piece
        (ONE_MORE + b"GET / HT", 3),  # a part of another one
        (ONE_MORE + b"\r\n", 3),
        (b"\r\n" + ONE_MORE, 3),
        (ONE_MORE[:-1], 2),  # a body that has not come
        (ONE_MORE.replace(b"length: 4", b"length: 04"), 3),
        (ONE_MORE.replace(b"length: 4", b"length: -4"), 2),
        (ONE_MORE.replace(b"length: 4", b"length: 4\r\ntransfer-encoding: chunked"), 2),
        (ONE_MORE.replace(b"host: a", b"host: b"), 3),
        (ONE_MORE.replace(b"POST", b"PUT"), 3),
        (GET, 3),
    ],
)
async def test_what_is_not_one_request_with_the_same_head_is_parsed(
    third: bytes, requests: int, read: list[bool]
) -> None:
    pieces = [ONE_MORE, ONE_MORE, third]
    found = await seen(pieces)
    assert (len(found[0]), found) == (requests, await seen(bytes_of(pieces)))
    assert read == [False]


@pytest.mark.parametrize(
    "request_",
    [
        post(b"abc", b"expect: 100-continue"),
        post(b"abc", b"connection: close"),
        post(b"abc", b"x: " + b"y" * 5_000),
        post(b"\r\nabc") + b"\r\n",
        post(b"abc") + b"G",
        post(b"abc").replace(b"length: 3", b"length: 3 "),
        b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        post(b"abc").replace(b"1.1", b"1.0"),
    ],
)
async def test_unusual_heads_are_not_kept(request_: bytes, read: list[bool]) -> None:
    requests, _ = await seen([post(b"abc"), request_, request_])
    assert len(requests) > 1 and read == []


async def test_a_connection_whose_heads_all_differ_keeps_only_a_few(read: list[bool]) -> None:
    await seen([post(b"abc", b"x: %d" % number) for number in range(12)] + [post(b"abc", b"x: 11")])
    assert read == [False] * 11


class Chooser:
    """An application that lets another one answer; `paths` are those of the requests for which it chose one."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app_of(scope)(scope, receive, send)

    def app_of(self, scope: Any) -> Any:
        self.paths.append(scope["path"])
        return echo


async def test_who_answers_is_chosen_once_for_a_head_that_is_sent_again() -> None:
    app = Chooser()
    other = ONE_MORE.replace(b"POST /", b"POST /other")
    async with running(app) as server:
        reader, writer = await server.open()
        for request in (ONE_MORE, ONE_MORE, ONE_MORE, ONE_MORE, other):
            writer.write(request)
            ((number, _, body),) = await read_replies(reader, (b"POST",))
            path = b"/other" if request is other else b"/"
            assert (number, body) == (200, b"POST %b next" % path)
        writer.close()
    # A connection's first request leaves no head. Each one that is parsed is chosen for, and its head once more.
    assert app.paths == ["/", "/", "/", "/other", "/other"]


async def test_a_head_and_its_secrets_are_not_in_the_representation() -> None:
    secret = post(b"abc", b"authorization: Bearer secret")[:-3]
    terms = Terms("POST", "1.1", keeps_alive=True)
    head = RepeatedHead.find(secret, {"method": "POST", "headers": [(b"content-length", b"3")]}, terms, echo)
    assert repr(head) == "RepeatedHead(...)"


heads = st.lists(st.sampled_from([b"x: y", b"X: Y ", b"content-type: a", b"upgrade: h2c", b"connection: upgrade"]))
bodies = st.lists(st.binary(max_size=120), min_size=3, max_size=6)


@given(lines=heads, bodies=bodies)
def test_requests_are_equal_in_one_piece_and_byte_by_byte(lines: list[bytes], bodies: list[bytes]) -> None:
    pieces = [post(body, *lines) for body in bodies]
    assert asyncio.run(seen(pieces)) == asyncio.run(seen(bytes_of(pieces)))

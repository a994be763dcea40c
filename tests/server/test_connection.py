"""The memory of a connection: a parser and a scope are kept only as long as they are needed."""

import asyncio
import gc
import weakref
from typing import Any

from httptools import HttpRequestParser

from tests.server.serving import KeptTransport, answer, post, read_body, turns
from tidegate.server.connection import Connection
from tidegate.server.limits import ConnectionLimits
from tidegate.server.proxies import TrustedProxies
from tidegate.server.response import stamp
from tidegate.server.state import ServerState


class Mark:
    """An object in a scope: it is gone when nobody keeps the scope."""


async def test_a_connection_keeps_a_parser_and_a_scope_only_while_a_request_arrives() -> None:
    marks: list[Any] = []
    may_answer = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await read_body(receive)
        scope["mark"] = Mark()
        marks.append(weakref.ref(scope["mark"]))
        del scope
        await may_answer.wait()
        await answer(send)

    state = ServerState(app, ConnectionLimits(), TrustedProxies(()))
    state.stamp = stamp(0)
    connection = Connection(state)
    # It has those methods of a transport that the connection uses.
    connection.connection_made(KeptTransport())  # type: ignore[arg-type]

    def has_parser() -> bool:
        return any(isinstance(each, HttpRequestParser) for each in gc.get_referents(connection))

    parsers = [has_parser()]
    for piece in (post(b"abc")[:-1], b"c" + post(b"abc")[:9], post(b"abc")[9:]):
        connection.data_received(piece)
        await turns(3)
        parsers.append(has_parser())
    assert (parsers, [mark() for mark in marks]) == ([False, True, True, False], [None])
    may_answer.set()
    await turns(6)
    assert [mark() for mark in marks] == [None, None]

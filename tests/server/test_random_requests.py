"""Bytes that nobody would send: the server answers in HTTP, goes on serving others, and keeps nothing of them."""

import asyncio
import gc
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.server.serving import GET, KeptTransport, answer, post, turns
from tidegate.server.connection import Connection
from tidegate.server.limits import ConnectionLimits
from tidegate.server.proxies import TrustedProxies
from tidegate.server.response import stamp
from tidegate.server.state import ServerState

WORDS = (
    *(
        b"GET ",
        b"POST ",
        b"HEAD ",
        b"CONNECT ",
        b"/",
        b"/v1/x?y#z",
        b"*",
        b"http://a/b",
        b" HTTP/1.1\r\n",
        b" HTTP/1.0\r\n",
    ),
    *(b"host: a\r\n", b"content-length: 3\r\n", b"content-length: 0\r\n", b"transfer-encoding: chunked\r\n", b"\r\n"),
    *(b"connection: close\r\n", b"connection: upgrade\r\n", b"upgrade: h2c\r\n", b"upgrade: websocket\r\n"),
    *(
        b"expect: 100-continue\r\n",
        b"abc",
        b"3\r\nabc\r\n",
        b"0\r\n\r\n",
        b"1;x=y\r\n",
        b"x: y\r\n",
        b" ",
        b"\n",
        b"\0",
    ),
    *(GET, post(b"abc"), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\xff\xfe", b"x-forwarded-for: 1.2.3.4\r\n"),
)
REPLY = re.compile(rb"HTTP/1\.1 (100|200|400|408|431|500|505) [^\r\n]*\r\n")
pieces = st.lists(st.one_of(st.sampled_from(WORDS), st.binary(max_size=20)), max_size=25)
cuts = st.lists(st.integers(1, 40), max_size=30)


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer at once, after the body, or after a while, as the path says."""
    if len(scope["raw_path"]) % 2:
        while (message := await receive())["type"] == "http.request" and message["more_body"]:
            pass
    await asyncio.sleep(0)
    await answer(send, b"tide")


def served() -> tuple[ServerState, Connection, KeptTransport]:
    state = ServerState(app, ConnectionLimits(max_pipelined=4), TrustedProxies.parse("127.0.0.1"))
    state.stamp = stamp(0)
    connection, transport = Connection(state), KeptTransport()
    connection.connection_made(transport)  # type: ignore[arg-type]
    return state, connection, transport


async def exchange(data: bytes, sizes: list[int]) -> bytes:
    """What the server writes for these bytes, which arrive in pieces of those sizes."""
    state, connection, transport = served()
    ends = [sum(sizes[: at + 1]) for at in range(len(sizes))]
    for start, end in zip([0, *ends], [*ends, len(data)], strict=True):
        if data[start:end] and not transport.closed:
            connection.data_received(data[start:end])
            await turns(6)
    await turns(30)
    connection.look_at_deadlines(asyncio.get_running_loop().time() + 60)
    await turns(30)
    connection.connection_lost(None)
    await turns(30)
    assert (state.exchanges, state.connections) == (set(), set())
    return bytes(transport.written)


@given(pieces, cuts)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_bytes_get_replies_in_http_and_leave_nothing(parts: list[bytes], sizes: list[int]) -> None:
    written = asyncio.run(exchange(b"".join(parts), sizes))
    rest = written
    while rest:
        head, _, rest = rest.partition(b"\r\n\r\n")
        assert REPLY.match(head + b"\r\n"), written
        length = re.search(rb"content-length: (\d+)", head)
        if length is not None and not rest.startswith(b"HTTP/1.1"):  # a reply to HEAD has a length, and no body
            rest = rest[int(length[1]) :]
    assert b" 500 " not in written


@given(
    st.lists(st.sampled_from((GET, post(b"abc"), b"HEAD /x HTTP/1.1\r\nhost: a\r\n\r\n")), min_size=1, max_size=4), cuts
)
@settings(max_examples=100, deadline=None)
def test_the_cuts_between_segments_change_nothing(requests: list[bytes], sizes: list[int]) -> None:
    data = b"".join(requests)
    assert asyncio.run(exchange(data, sizes)) == asyncio.run(exchange(data, []))


@pytest.mark.parametrize(
    "request_", [GET, post(b"abc"), post(b"abc", b"connection: upgrade", b"upgrade: h2c"), b"junk\r\n"]
)
async def test_no_request_leaves_cyclic_garbage(request_: bytes) -> None:
    """The collector runs seldom: what refers to itself would stay."""
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            await exchange(request_, [])
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        ours = [each for each in gc.garbage if type(each).__module__.startswith("tidegate")]
        assert ours == []
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


async def test_a_request_that_breaks_at_once_is_answered_without_the_application_and_its_rest_is_discarded() -> None:
    state, connection, transport = served()
    connection.data_received(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nx")
    await turns(6)
    assert transport.written.startswith(b"HTTP/1.1 400 ") and state.exchanges == set()
    assert (transport.ended, transport.closed) == (True, False)
    connection.connection_lost(None)

"""Requests as the application gets them: scopes and bodies, however they are framed and cut."""

import asyncio
import socket
from typing import Any

import pytest

from tests.server.serving import GET, QUICK, answer, echo, post, read_body, read_replies, running, status, until_closed
from tidegate.server.limits import ConnectionLimits
from tidegate.server.proxies import TrustedProxies
from tidegate.server.server import Server, serving


async def scope_of(request: bytes, proxies: TrustedProxies | None = None) -> dict[str, Any]:
    scopes: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        await answer(send)

    async with running(app, proxies=proxies) as server:
        reader, writer = await server.open(request)
        await reader.readuntil(b"\r\n\r\n")
        own = writer.get_extra_info("sockname")
        writer.close()
    (scope,) = scopes
    client = scope["extensions"].pop("tidegate.client")
    assert callable(client.watch) and callable(client.unwatch)
    return scope | {"client_is_peer": scope["client"] == own, "port": scope["server"][1] == server.port}


async def test_a_scope_has_all_that_the_specification_and_the_gateway_want() -> None:
    scope = await scope_of(b"GET /a%20b/c?d=%20e&f HTTP/1.1\r\nHost: Quay:1\r\nX-One: 1\r\nx-one:  2 \r\n\r\n")
    assert (scope.pop("client")[0], scope.pop("server")[0]) == ("127.0.0.1", "127.0.0.1")
    assert scope == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/a b/c",
        "raw_path": b"/a%20b/c",
        "query_string": b"d=%20e&f",
        "root_path": "",
        "headers": [(b"host", b"Quay:1"), (b"x-one", b"1"), (b"x-one", b"2")],
        "state": {"started": True},
        "extensions": {},
        "client_is_peer": True,
        "port": True,
    }


@pytest.mark.parametrize(
    ("target", "path", "raw_path", "query"),
    [
        (b"/", "/", b"/", b""),
        (b"/a#b?c", "/a", b"/a", b""),
        (b"/a?b#c", "/a", b"/a", b"b"),
        (b"//a//b", "//a//b", b"//a//b", b""),
        (b"/%F0%9F%8C%8A", "/🌊", b"/%F0%9F%8C%8A", b""),
        (b"/%ff", "/\ufffd", b"/%ff", b""),
        (b"http://quay:80/a?b", "/a", b"/a", b"b"),
        (b"HTTPS://quay", "/", b"/", b""),
        (b"*", "*", b"*", b""),
    ],
)
async def test_a_target_in_each_form(target: bytes, path: str, raw_path: bytes, query: bytes) -> None:
    scope = await scope_of(b"OPTIONS %b HTTP/1.1\r\nhost: a\r\n\r\n" % target)
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == (path, raw_path, query)


async def test_each_request_of_a_connection_has_its_own_head() -> None:
    """The server remembers the target of the request before, and names of headers."""
    scopes: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["state"]["mine"] = True
        scope["headers"].append((b"x-added", b"1"))
        head = scope["method"], scope["path"], scope["query_string"], scope["headers"][1:], dict(scope["state"])
        scopes.append(head)
        await answer(send)

    heads = [
        (b"GET", b"/a?b", b"X: 1"),
        (b"GET", b"/a?b", b"x: 2"),
        (b"HEAD", b"/a", b"X: 1"),
        (b"GET", b"/a?b", b"Y:  1 "),
    ]
    request = b"%b %b HTTP/1.1\r\nhost: a\r\n%b\r\n\r\n"
    async with running(app) as server:
        reader, writer = await server.open()
        for method, target, line in heads:
            writer.write(request % (method, target, line))
            await read_replies(reader, (method,))
        writer.close()
    added, state = (b"x-added", b"1"), {"started": True, "mine": True}
    assert scopes == [
        ("GET", "/a", b"b", [(b"x", b"1"), added], state),
        ("GET", "/a", b"b", [(b"x", b"2"), added], state),
        ("HEAD", "/a", b"", [(b"x", b"1"), added], state),
        ("GET", "/a", b"b", [(b"y", b"1"), added], state),
    ]


FORWARDED = b"GET / HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 1.2.3.4, 9.9.9.9:80\r\nx-forwarded-proto: https\r\n\r\n"


@pytest.mark.parametrize(
    ("trusted", "client", "scheme"),
    [
        ("127.0.0.1", ("9.9.9.9", 80), "https"),
        ("127.0.0.1, 9.9.9.0/24", ("1.2.3.4", 0), "https"),
        ("*", ("1.2.3.4", 0), "https"),
        ("10.0.0.1", None, "http"),
        ("", None, "http"),
    ],
)
async def test_a_trusted_proxy_names_its_client(trusted: str, client: Any, scheme: str) -> None:
    scope = await scope_of(FORWARDED, TrustedProxies.parse(trusted))
    assert (scope["client"] if client else None, scope["scheme"]) == (client, scheme)
    assert scope["client_is_peer"] == (client is None)


@pytest.mark.parametrize(
    ("line", "client", "scheme"),
    [(b"x-forwarded-for: 9.9.9.9", ("9.9.9.9", 0), "http"), (b"x-forwarded-proto: https", None, "https")],
)
async def test_a_proxy_may_send_one_of_both_headers(line: bytes, client: Any, scheme: str) -> None:
    scope = await scope_of(b"GET / HTTP/1.1\r\nhost: a\r\n%b\r\n\r\n" % line, TrustedProxies.parse("127.0.0.1"))
    assert (scope["client"] if client else None, scope["scheme"]) == (client, scheme)
    assert scope["client_is_peer"] == (client is None)


@pytest.mark.parametrize("value", [b"", b" , ", b"gopher"])
async def test_a_proxy_that_says_nothing_changes_nothing(value: bytes) -> None:
    scope = await scope_of(b"GET / HTTP/1.1\r\nhost: a\r\nx-forwarded-proto: %b\r\n\r\n" % value)
    assert (scope["client_is_peer"], scope["scheme"]) == (True, "http")


BODIES = {
    "length": post(b"0123456789"),
    "empty": post(b""),
    "none": GET,
    "chunks": b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: Chunked\r\n\r\n"
    b"4;a=b\r\n0123\r\n006\r\n456789\r\n0\r\n\r\n",
    "trailers": b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\nx: y\r\n\r\n",
    "blank lines before": b"\r\n\r\n" + post(b"0123456789"),
    "continue": post(b"0123456789", b"expect: 100-continue"),
    "h2c": post(b"0123456789", b"connection: Upgrade, HTTP2-Settings", b"upgrade: h2c", b"http2-settings: AA"),
    "h2c in chunks": b"POST / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: h2c\r\n"
    b"transfer-encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n",
    "websocket": b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
}


@pytest.mark.parametrize("name", BODIES)
async def test_a_body_in_each_framing_and_the_next_request_of_the_connection(name: str) -> None:
    request = BODIES[name]
    method = request.split(b" ")[0].strip()
    body = b"0123456789" if b"456789" in request else b""
    async with running(echo) as server:
        sent = request + post(b"next")
        replies = await server.replies(sent, method, b"POST")
        assert [(reply[0], reply[2]) for reply in replies] == [(200, method + b" / " + body), (200, b"POST / next")]


@pytest.mark.parametrize("name", BODIES)
async def test_a_request_that_is_cut_at_every_byte(name: str) -> None:
    """Every cut in two, and all bytes one by one."""
    request = BODIES[name]
    method = request.split(b" ")[0].strip()
    async with running(echo) as server:
        reader, writer = await server.open()
        expected = (await server.replies(request, method))[0][2]

        async def send(*pieces: bytes) -> None:
            for piece in pieces:
                writer.write(piece)
                await turns_of_the_network()
            (reply,) = await read_replies(reader, (method,))
            assert (reply[0], reply[2]) == (200, expected)

        for cut in range(1, len(request)):
            await send(request[:cut], request[cut:])
        await send(*(request[at : at + 1] for at in range(len(request))))
        writer.close()


async def turns_of_the_network() -> None:
    for _ in range(4):
        await asyncio.sleep(0)


async def test_requests_that_are_sent_ahead_are_answered_in_their_order() -> None:
    running_now: list[bytes] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        running_now.append(scope["raw_path"])
        body = await read_body(receive)
        await asyncio.sleep(0.05 if scope["raw_path"] == b"/0" else 0)
        assert running_now[-1] == scope["raw_path"], "the next one has begun"
        await answer(send, scope["raw_path"] + body)

    requests = b"".join(b"POST /%d HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\n%d" % (at, at) for at in range(8))
    async with running(app) as server:
        replies = await server.replies(requests, *[b"POST"] * 8)
        assert [reply[2] for reply in replies] == [b"/%d%d" % (at, at) for at in range(8)]


async def test_too_many_requests_that_are_sent_ahead_are_refused_after_the_others() -> None:
    async with running(echo, ConnectionLimits(max_pipelined=3)) as server:
        received = await server.all_of(GET * 1000)
        assert received.count(b"HTTP/1.1 200 OK") == 4
        assert received.rpartition(b"HTTP/1.1 ")[2].startswith(b"400 ") and b"too_many_pipelined" in received


async def test_the_body_of_a_request_that_waits_is_kept_for_it() -> None:
    go = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await go.wait()
        await answer(send, b"%d" % len(await read_body(receive)))

    async with running(app) as server:
        reader, writer = await server.open(post(b"a") + post(b"b" * 1_000_000))
        await asyncio.sleep(0.1)
        assert all(each._flow.is_reading_paused for each in server.server.state.connections)  # type: ignore[attr-defined]
        go.set()
        assert [reply[2] for reply in await read_replies(reader, (b"POST", b"POST"))] == [b"1", b"1000000"]
        writer.close()


async def test_a_body_that_is_not_read_does_not_fill_the_memory() -> None:
    read = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await read.wait()
        await answer(send, b"%d" % len(await read_body(receive)))

    async with running(app) as server:
        reader, writer = await server.open(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 50000000\r\n\r\n")
        writer.write(b"x" * 50_000_000)
        await asyncio.sleep(0.3)
        (exchange,) = server.server.state.exchanges
        assert 64 * 1024 < exchange.buffered_bytes < 600_000  # type: ignore[attr-defined]
        read.set()
        assert (await read_replies(reader, (b"POST",)))[0][2] == b"50000000"
        writer.close()


async def test_a_body_that_filled_its_buffer_is_read_on_after_a_reply_without_it() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] == "POST":
            await asyncio.sleep(0.1)
        await answer(send, b"tide")

    async with running(app, QUICK) as server:
        replies = await server.replies(post(b"x" * 3_000_000) + GET, b"POST", b"GET")
    assert [(number, body) for number, _, body in replies] == [(200, b"tide")] * 2


async def test_the_rest_of_a_body_that_nobody_wants_is_dropped_and_the_connection_is_used_again() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, b"no", 401)

    async with running(app) as server:
        reader, writer = await server.open(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5000000\r\n\r\n")
        assert [reply[0] for reply in await read_replies(reader, (b"POST",))] == [401]
        assert server.server.state.exchanges == set()
        writer.write(b"x" * 5_000_000 + GET)
        assert [reply[0] for reply in await read_replies(reader, (b"GET",))] == [401]
        writer.close()


@pytest.mark.parametrize(
    ("reads", "began"), [(True, b"HTTP/1.1 100 Continue\r\n\r\n"), (False, b"HTTP/1.1 200 OK\r\n")]
)
async def test_a_client_that_waits_for_100_continue(reads: bool, began: bytes) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, await read_body(receive) if reads else b"")

    head = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\nexpect: 100-Continue\r\n\r\n"
    async with running(app, QUICK) as server:
        reader, writer = await server.open(head)
        assert await reader.readexactly(len(began)) == began
        if reads:
            writer.write(b"tides")
            assert [reply[2] for reply in await read_replies(reader, (b"POST",))] == [b"tides"]
        else:  # the body may never come, so that nothing can follow it
            assert b"connection: close\r\n" in await until_closed(reader)
        writer.close()


async def test_a_client_of_http_1_0_never_gets_100_continue() -> None:
    request = b"POST / HTTP/1.0\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n"
    async with running(echo) as server:
        reader, writer = await server.open(request)
        await asyncio.sleep(0.05)
        writer.write(b"tides")
        assert status(await until_closed(reader)) == 200
        writer.close()


async def test_receive_tells_that_the_client_has_gone_and_that_the_reply_is_complete() -> None:
    messages: list[Any] = []
    both = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await read_body(receive)
        if scope["path"] == "/gone":
            messages.append(await receive())
            await answer(send, b"to nobody")
        else:
            await answer(send)
            messages.append(await receive())
        if len(messages) == 2:
            both.set()

    async with running(app) as server:
        await server.replies(GET, b"GET")
        _, writer = await server.open(b"GET /gone HTTP/1.1\r\nhost: a\r\n\r\n")
        await asyncio.sleep(0.05)
        writer.close()
        await both.wait()
    assert messages == [{"type": "http.disconnect"}] * 2


async def test_several_may_wait_for_the_client_and_one_may_stop() -> None:
    """Starlette and the gateway both await `receive`, in tasks that they cancel."""
    seen: list[str] = []
    done = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await read_body(receive)
        waits = [asyncio.ensure_future(receive()) for _ in range(3)]
        await asyncio.sleep(0.02)
        waits[0].cancel()
        seen.extend([(await each)["type"] for each in waits[1:]])
        done.set()

    async with running(app) as server:
        _, writer = await server.open(GET)
        await asyncio.sleep(0.1)
        writer.close()
        await done.wait()
    assert seen == ["http.disconnect"] * 2


async def test_a_connection_of_ipv6() -> None:
    clients: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        clients.append((scope["client"], scope["server"]))
        await answer(send)

    listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    async with serving(Server(app), listener) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(GET)
        await reader.readuntil(b"\r\n\r\n")
        own = writer.get_extra_info("sockname")[:2]
        writer.close()
    assert clients == [(own, ("::1", port))]

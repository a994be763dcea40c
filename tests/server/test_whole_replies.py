"""Whole replies in one step, as the connection of a request takes them: `tidegate.client` has `send_reply`."""

import asyncio
import logging
import re
from typing import Any

import pytest

from tests.server.serving import GET, QUICK, error_code, read_replies, running, status, turns, until_closed
from tidegate.server.header_names import FRAMING

TEXT = (b"content-type", b"text/plain")
TEXT_LINE = b"\r\ncontent-type: text/plain"


def sending(body: bytes, *headers: tuple[bytes, bytes], number: int = 200) -> Any:
    """An application that sends a whole reply in one step."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await scope["extensions"]["tidegate.client"].send_reply(number, body, [TEXT, *headers])

    return app


def writing(body: bytes, *headers: tuple[bytes, bytes], number: int = 200) -> Any:
    """An application that writes a whole reply at once, with lines; sends it to a slow client."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        lines = b"".join(b"\r\n%b: %b" % (name.lower(), value) for name, value in (TEXT, *headers))
        if not scope["extensions"]["tidegate.client"].write_reply(number, body, lines):
            await sending(body, *headers, number=number)(scope, receive, send)

    return app


def sending_in_two(body: bytes, *headers: tuple[bytes, bytes], number: int = 200) -> Any:
    """An application that sends that reply in two messages, with its length."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        length = [] if number == 204 else [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": number, "headers": [TEXT, *headers, *length]})
        await send({"type": "http.response.body", "body": body})

    return app


REQUESTS = {
    "one request": GET,
    "three sent ahead": GET * 3,
    "HEAD, then another": b"HEAD / HTTP/1.1\r\nhost: a\r\n\r\n" + GET,
    "HTTP/1.0": b"GET / HTTP/1.0\r\n\r\n",
    "HTTP/1.0 that stays": b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n",
    "a client that closes": b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
    "an unread body": b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc" + GET,
    "a withheld body": b"POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n",
}


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
@pytest.mark.parametrize("number", [200, 204, 500])
@pytest.mark.parametrize(
    "headers", [(), ((b"Connection", b"close"),), ((b"X-Id", b"a"), (b"transfer-encoding", b"x")), ((b"X-Id", b"a"),)]
)
async def test_one_step_writes_what_two_messages_write(
    request_: bytes, number: int, headers: tuple[tuple[bytes, bytes], ...]
) -> None:
    body = b"" if number == 204 else b"tide"
    received: list[bytes] = []
    makers = [sending, sending_in_two]
    if not {name.lower() for name, _ in headers} & FRAMING:
        makers.append(writing)
    for make in makers:
        async with running(make(body, *headers, number=number), QUICK) as server:
            received.append(re.sub(rb"date: [^\r]+\r\n", b"", await server.all_of(request_)))
    assert set(received) == {received[0]} != {b""}


async def test_head_and_body_arrive_in_one_segment() -> None:
    async with running(sending(b"tide")) as server:
        reader, writer = await server.open(GET)
        head, _, body = (await reader.read(65536)).partition(b"\r\n\r\n")
        assert head.endswith(b"\r\ncontent-type: text/plain\r\ncontent-length: 4") and body == b"tide"
        writer.close()


@pytest.mark.parametrize("make", [sending, writing])
async def test_a_long_body_arrives_whole(make: Any) -> None:
    body = bytes(range(256)) * 40_000
    async with running(make(body)) as server:
        assert [reply[2] == body for reply in await server.replies(GET * 2, b"GET", b"GET")] == [True, True]


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: b", b"a\nb", b"a\0"])
async def test_a_header_that_breaks_the_head_is_a_500(value: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with running(sending(b"tide", (b"x", value)), QUICK) as server:
        received = await server.all_of(GET)
    assert (status(received), error_code(received)) == (500, "internal_error")
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == ["application.crashed"]


@pytest.mark.parametrize(("length", "number"), [(b"4", 200), (b"3", 500), (b"5", 500)])
async def test_a_length_of_the_application_is_sent_once_if_it_is_right(length: bytes, number: int) -> None:
    async with running(sending(b"tide", (b"Content-Length", length)), QUICK) as server:
        received = await server.all_of(GET)
    assert (status(received), received.count(b"content-length: ")) == (number, 1)


async def test_an_application_may_answer_after_a_head_that_was_refused() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        client = scope["extensions"]["tidegate.client"]
        with pytest.raises(ValueError, match="line break"):
            await client.send_reply(200, b"tide", [(b"x", b"a\n")])
        await client.send_reply(503, b"ebb", [TEXT])

    async with running(app) as server:
        ((number, _, body),) = await server.replies(GET, b"GET")
    assert (number, body) == (503, b"ebb")


@pytest.mark.parametrize("second", ["a whole reply", "lines", "a start", "a start with lines", "a body"])
async def test_a_second_reply_is_an_error_of_the_application(second: str, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        client = scope["extensions"]["tidegate.client"]
        await client.send_reply(200, b"tide", [TEXT])
        match second:
            case "a whole reply":
                await client.send_reply(200, b"tide", [TEXT])
            case "lines":
                client.write_reply(200, b"tide", TEXT_LINE)
            case "a start with lines":
                client.begin_reply(200, TEXT_LINE)
            case "a start":
                await send({"type": "http.response.start", "status": 200})
            case _:
                await send({"type": "http.response.body"})

    async with running(app, QUICK) as server:
        assert (await server.all_of(GET)).endswith(b"\r\n\r\ntide")
    assert [record.message for record in caplog.records] == ["application.crashed"]


async def test_a_reply_after_the_start_of_another_is_an_error_of_the_application() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        await scope["extensions"]["tidegate.client"].send_reply(200, b"tide", [TEXT])

    async with running(app, QUICK) as server:
        assert status(await server.all_of(GET)) == 500


async def test_an_application_that_fails_after_its_reply_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await sending(b"tide")(scope, receive, send)
        raise ValueError

    async with running(app) as server:
        replies = await server.replies(GET * 2, b"GET", b"GET")
    assert [(number, body) for number, _, body in replies] == [(200, b"tide")] * 2
    assert [record.message for record in caplog.records] == ["application.crashed"] * 2


async def test_replies_to_a_client_that_has_gone_are_dropped(caplog: pytest.LogCaptureFixture) -> None:
    begun, go, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        begun.set()
        await go.wait()
        for _ in range(2):
            await sending(b"tide")(scope, receive, send)
        done.set()

    async with running(app) as server:
        _, writer = await server.open(GET)
        await begun.wait()
        writer.transport.abort()
        await asyncio.sleep(0.05)
        assert server.connections == 0
        go.set()
        await done.wait()
        await turns()
        assert server.server.state.exchanges == set()
    assert caplog.records == []


async def test_nobody_is_called_back_once_the_reply_is_complete() -> None:
    calls: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        client = scope["extensions"]["tidegate.client"]
        client.watch(lambda: calls.append("gone"))
        await client.send_reply(200, b"tide", [TEXT])
        client.watch(lambda: calls.append("too late"))
        await receive()
        assert await receive() == {"type": "http.disconnect"}

    async with running(app) as server:
        await server.replies(GET, b"GET")
        await turns()
    assert calls == []


@pytest.mark.parametrize("leaves", [True, False])
async def test_a_reply_waits_while_the_client_has_not_taken_the_last_one(leaves: bool) -> None:
    long, ended = b"x" * 10_000_000, 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal ended
        await sending(long)(scope, receive, send)
        ended += 1

    async with running(app) as server:
        reader, writer = await server.open(GET * 2, limit=65536)
        await asyncio.sleep(0.2)
        assert ended == 1  # the second reply waits
        if leaves:
            writer.transport.abort()
        else:
            assert [len(reply[2]) for reply in await read_replies(reader, (b"GET", b"GET"))] == [len(long)] * 2
            writer.close()
        async with asyncio.timeout(2):
            while ended < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


async def test_after_a_reply_before_the_body_the_rest_of_the_body_is_discarded() -> None:
    async with running(sending(b"tide"), QUICK) as server:
        reader, writer = await server.open(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nabc")
        ((number, _, body),) = await read_replies(reader, (b"GET",))
        assert (number, body) == (200, b"tide")
        writer.write(b"defghi" + GET)
        ((number, _, body),) = await read_replies(reader, (b"GET",))
        assert (number, body) == (200, b"tide")
        writer.close()
        assert await until_closed(reader) == b""


async def test_a_reply_is_written_at_once_unless_the_client_is_slow_or_gone() -> None:
    written: list[tuple[bool, bool]] = []
    done = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        client = scope["extensions"]["tidegate.client"]
        client._flow.pause_writing()
        slow = client.write_reply(200, b"tide", TEXT_LINE)
        client._flow.resume_writing()
        if scope["path"] == "/gone":
            assert (await receive())["type"] == "http.request"
            assert (await receive())["type"] == "http.disconnect"
        written.append((slow, client.write_reply(200, b"tide", TEXT_LINE)))
        done.set()

    async with running(app, QUICK) as server:
        ((number, headers, body),) = await server.replies(GET, b"GET")
        assert (number, headers[b"content-length"], body) == (200, b"4", b"tide")
        done.clear()
        _, writer = await server.open(GET.replace(b"/ ", b"/gone ", 1))
        await turns(20)
        writer.close()
        await done.wait()
    assert written == [(False, True), (False, True)]


async def test_a_body_is_taken_once_and_only_if_all_of_it_has_come() -> None:
    taken: list[bytes | None] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        client = scope["extensions"]["tidegate.client"]
        taken.append(client.take_body())
        if taken[-1] is None:
            while (await receive())["more_body"]:
                pass
        taken.append(client.take_body())
        await client.send_reply(200, b"tide", [TEXT])
        taken.append(client.take_body())

    request = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\n"
    async with running(app, QUICK) as server:
        reader, writer = await server.open(request + b"tide")
        await reader.readuntil(b"tide")
        writer.write(request + b"ti")
        await turns(20)
        await asyncio.sleep(0.05)
        writer.write(b"de")
        await reader.readuntil(b"tide")
        writer.close()
    assert taken == [b"tide", None, None, None, None, None]

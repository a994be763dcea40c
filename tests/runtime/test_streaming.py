import asyncio
import os
from typing import Any

import httpx
import pytest

from tests.emulators.gateway import Gateway
from tests.runtime.serving import SSE, body, head, plain, serving
from tidegate.runtime.asgi import Receive, Send
from tidegate.runtime.event import Payload


async def test_a_chunk_arrives_before_the_next_is_made() -> None:
    first_was_read = asyncio.Event()

    @plain
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send(head(200, SSE))
        await send(body(b"data: 1\n\n", more=True))
        await first_was_read.wait()
        await send(body(b"data: 2\n\n"))

    async with serving(app, Gateway()) as client, client.stream("POST", "/v1/chat/completions") as response:
        chunks = response.aiter_raw()
        assert await anext(chunks) == b"data: 1\n\n"
        first_was_read.set()
        assert [chunk async for chunk in chunks] == [b"data: 2\n\n"]


@pytest.mark.parametrize("payload", ["1.0", "2.0"])
async def test_the_application_sees_the_request_that_was_sent(payload: Payload) -> None:
    seen = {}

    @plain
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        seen.update(scope, body=(await receive())["body"])
        await send(head(201, (b"x-a", b"1"), (b"x-a", b"2"), (b"set-cookie", b"c=1"), (b"set-cookie", b"d=2")))
        await send(body(b"\x00\xff"))

    async with serving(app, Gateway(payload=payload)) as client:
        response = await client.post(
            "/v1/m%2Fn?tag=a%20b&tag=c%26d", content=b"\xff\x00", headers=[("cookie", "x=1; y=2"), ("X-Workspace", "w")]
        )
    names = ("method", "path", "raw_path", "query_string", "body", "root_path", "http_version")
    assert {name: seen[name] for name in names} == {
        "method": "POST",
        "path": "/v1/m/n",
        "raw_path": b"/v1/m%2Fn",
        "query_string": b"tag=a%20b&tag=c%26d",
        "body": b"\xff\x00",
        "root_path": "",
        "http_version": "1.1",
    }
    headers = [pair for pair in seen["headers"] if pair[0] in (b"cookie", b"x-workspace")]
    assert sorted(headers) == [(b"cookie", b"x=1; y=2"), (b"x-workspace", b"w")]
    assert (response.status_code, response.content) == (201, b"\x00\xff")
    assert response.headers["x-a"] == "1, 2"
    assert response.headers.get_list("set-cookie") == ["c=1", "d=2"]


async def test_work_after_the_response_is_done_before_the_next_poll() -> None:
    settle, settled = asyncio.Event(), []
    gateway = Gateway()

    @plain
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send(head())
        await send(body(b"done"))
        await settle.wait()
        settled.append(gateway.calls.count("GET /invocation/next"))

    async with serving(app, gateway) as client:
        assert (await client.get("/")).text == "done"
        settle.set()
        assert (await client.get("/")).text == "done"
    assert settled == [1, 2]


async def test_receive_says_disconnect_once_the_response_is_complete() -> None:
    messages = []

    @plain
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send(head())
        await send(body(b"done"))
        messages.extend([await receive(), await receive()])

    async with serving(app, Gateway()) as client:
        await client.post("/", content=b"hi")
    assert messages == [{"type": "http.request", "body": b"hi", "more_body": False}, {"type": "http.disconnect"}]


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
async def test_a_response_without_a_body_still_has_prelude_and_delimiter(method: str, status: int) -> None:
    @plain
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send(head(status, (b"content-length", b"4"), (b"connection", b"close"), (b"x-kept", b"1")))
        await send(body(b"text"))

    gateway = Gateway()
    async with serving(app, gateway):
        event = {"httpMethod": method, "path": "/"}
        answer = await gateway.invoke(event)
    assert (answer.prelude, answer.body) == ({"statusCode": status, "headers": {"x-kept": "1"}, "cookies": []}, b"")


async def test_several_invocations_run_at_once() -> None:
    everyone, release = asyncio.Semaphore(0), asyncio.Event()

    @plain
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        everyone.release()
        await release.wait()
        await send(head())
        await send(body(scope["raw_path"]))

    async with serving(app, Gateway(concurrency=3)) as client:
        calls = [asyncio.create_task(client.get(f"/{number}")) for number in range(3)]
        for _ in calls:
            await everyone.acquire()
        release.set()
        assert [response.text for response in await asyncio.gather(*calls)] == ["/0", "/1", "/2"]


@pytest.mark.parametrize(("concurrency", "expected"), [(1, True), (2, False)])
async def test_the_trace_id_is_set_only_when_it_cannot_be_anothers(
    concurrency: int, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "stale")
    if concurrency > 1:
        monkeypatch.delenv("_X_AMZN_TRACE_ID")

    @plain
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send(head())
        await send(body(os.environ.get("_X_AMZN_TRACE_ID", "").encode()))

    async with serving(app, Gateway(concurrency=concurrency)) as client:
        assert (await client.get("/")).text.startswith("Root=") is expected


async def test_a_lost_connection_is_a_disconnect_for_the_application() -> None:
    seen, noticed = [], asyncio.Event()

    @plain
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await receive()
        await send(head(200, SSE))
        await send(body(b"data: 1\n\n", more=True))
        seen.append(await receive())
        try:
            await send(body(b"data: 2\n\n", more=True))
        except OSError as error:
            seen.append(type(error).__name__)
            noticed.set()
            raise

    gateway = Gateway(cut_responses=True)
    async with serving(app, gateway) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/")
        await noticed.wait()
    assert seen == [{"type": "http.disconnect"}, "OSError"]


@pytest.mark.parametrize("watches", [True, False], ids=["watched", "unwatched"])
async def test_a_lost_connection_calls_back_once(watches: bool) -> None:
    calls: list[str] = []
    done = asyncio.Event()

    @plain
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        client = scope["extensions"]["tidegate.client"]
        await receive()
        client.watch(lambda: calls.append("gone"))
        if not watches:
            client.unwatch()
        await send(head(200, SSE))
        await send(body(b"data: 1\n\n", more=True))
        await receive()
        await asyncio.sleep(0)
        try:
            await send(body(b"data: 2\n\n", more=True))
        finally:
            client.watch(lambda: calls.append("at once"))
            done.set()

    async with serving(app, Gateway(cut_responses=True)) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/")
        await done.wait()
    assert calls == ["gone", "at once"] if watches else ["at once"]


@pytest.mark.parametrize("streams", [True, False])
async def test_pieces_that_are_written_at_once_come_in_their_order(streams: bool) -> None:
    waits: list[bool] = []

    @plain
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        client = scope["extensions"]["tidegate.client"]
        await send(head(200, SSE))
        waits.extend(not client.write(piece) for piece in (b"a", b"b"))
        await send(body(b"", more=True))
        waits.extend(not client.write(piece) for piece in (b"c", b"d", b""))
        await send(body(b"e"))
        waits.append(not client.write(b"f"))

    async with serving(app, Gateway(streams=streams)) as client:
        reply = await client.get("/")
    assert (reply.status_code, reply.content) == (200, b"abcde")
    assert waits == [True, True, False, False, False, False]


async def test_pieces_for_a_client_that_has_gone_are_dropped() -> None:
    calls: list[str] = []
    done = asyncio.Event()

    @plain
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        client = scope["extensions"]["tidegate.client"]
        await receive()
        client.watch(lambda: calls.append("gone"))
        await send(head(200, SSE))
        await send(body(b"data: 1\n\n", more=True))
        await receive()
        await asyncio.sleep(0)
        calls.append(f"goes on: {client.write(b'data: 2')}")
        done.set()

    async with serving(app, Gateway(cut_responses=True)) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/")
        await done.wait()
    assert calls == ["gone", "goes on: True"]


@pytest.mark.parametrize("streams", [True, False])
async def test_a_whole_response_in_one_step_is_one_in_two_messages(streams: bool) -> None:
    headers = [(b"content-type", b"text/plain"), (b"x-tide", b"high")]

    @plain
    async def in_one_step(scope: Any, receive: Receive, send: Send) -> None:
        await scope["extensions"]["tidegate.client"].send_reply(201, b"tide", headers)

    @plain
    async def in_two_messages(scope: Any, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 201, "headers": headers})
        await send(body(b"tide"))

    replies: list[tuple[int, Any, bytes]] = []
    for app in (in_one_step, in_two_messages):
        async with serving(app, Gateway(streams=streams)) as client:
            reply = await client.get("/")
            replies.append((reply.status_code, {**reply.headers, "date": ""}, reply.content))
    assert replies[0] == replies[1]
    assert (replies[0][0], replies[0][1]["x-tide"], replies[0][2]) == (201, "high", b"tide")


@pytest.mark.parametrize("fails", [True, False])
async def test_a_complete_response_calls_nobody_back(fails: bool) -> None:
    calls: list[str] = []

    @plain
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        client = scope["extensions"]["tidegate.client"]
        client.watch(lambda: calls.append("gone"))
        if fails:
            raise ValueError
        await send(head(200))
        await send(body(b"tide"))
        client.watch(lambda: calls.append("too late"))
        await asyncio.sleep(0.01)

    async with serving(app, Gateway()) as client:
        assert (await client.get("/")).status_code == (500 if fails else 200)
    assert calls == []


async def test_a_client_that_leaves_is_not_noticed() -> None:
    left = asyncio.Event()

    @plain
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send(head(200, SSE))
        await send(body(b"data: 1\n\n", more=True))
        await left.wait()
        await send(body(b"data: 2\n\n"))

    gateway = Gateway()
    async with serving(app, gateway) as client:
        async with client.stream("GET", "/") as response:
            assert await anext(response.aiter_raw()) == b"data: 1\n\n"
        await gateway.client_left.wait()
        left.set()
        await gateway.invoke({"httpMethod": "GET", "path": "/"})
    assert gateway.bytes_after_disconnect == len(b"data: 2\n\n")


async def test_every_call_gets_its_own_copy_of_the_state() -> None:
    states = []

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            scope["state"]["started"] = 1
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        states.append(dict(scope["state"]))
        scope["state"]["mine"] = True
        await send(head())
        await send(body())

    async with serving(app, Gateway()) as client:
        await client.get("/")
        await client.get("/")
    assert states == [{"started": 1}, {"started": 1}]


async def test_sam_local_gets_the_stream_whole() -> None:
    @plain
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send(head(200, SSE, (b"set-cookie", b"a=1")))
        await send(body(b"data: 1\n\n", more=True))
        await send(body(b"data: 2\n\n"))

    gateway = Gateway(streams=False)
    async with serving(app, gateway):
        answer = await gateway.invoke({"httpMethod": "GET", "path": "/"})
    assert (answer.prelude, answer.body) == (
        {
            "statusCode": 200,
            "headers": {"content-type": "text/event-stream"},
            "multiValueHeaders": {"set-cookie": ["a=1"]},
            "isBase64Encoded": False,
        },
        b"data: 1\n\ndata: 2\n\n",
    )

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.emulators.gateway import Answer, Failed, Gateway
from tests.emulators.wire import Head, listening, write_reply
from tests.runtime.serving import SSE, body, head, plain, serving
from tidegate.runtime import loop
from tidegate.runtime.asgi import Receive, Send
from tidegate.runtime.endpoint import ContainerError, Endpoint
from tidegate.runtime.invocation import Service
from tidegate.runtime.lifespan import Lifespan
from tidegate.runtime.loop import run

EVENTS = Path(__file__).parents[1] / "events"
GET = {"httpMethod": "GET", "path": "/"}


def events(folder: str) -> list[Any]:
    return [pytest.param(path.read_bytes(), id=path.stem) for path in sorted((EVENTS / folder).iterdir())]


def envelope(message: str, code: str, kind: str = "server_error") -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def json_answer(status: int, value: Any) -> Answer:
    prelude = {"statusCode": status, "headers": {"content-type": "application/json"}, "cookies": []}
    return Answer(prelude, json.dumps(value, separators=(",", ":")).encode(), None)


CRASHED = json_answer(500, envelope("Internal server error.", "internal_error"))


@plain
async def hello(scope: Any, receive: Receive, send: Send) -> None:
    await send(head())
    await send(body(b"hello"))


@pytest.mark.parametrize("event", events("other"))
async def test_an_event_that_is_not_http_is_an_invocation_error(event: bytes) -> None:
    gateway = Gateway()
    async with serving(hello, gateway) as client:
        answer = await gateway.invoke(event)
        assert (await client.get("/")).text == "hello"
    report = {
        "errorType": "Runtime.UnknownEvent",
        "errorMessage": "The event is not an HTTP request from API Gateway or a Function URL.",
        "stackTrace": [],
    }
    assert answer == Answer(None, b"", Failed("Runtime.UnknownEvent", report))


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b"[" * 100_000], ids=["empty", "cut", "latin", "deep"])
async def test_an_event_that_is_not_json_is_an_invocation_error(raw: bytes) -> None:
    gateway = Gateway()
    async with serving(hello, gateway) as client:
        answer = await gateway.invoke(raw)
        assert (await client.get("/")).text == "hello"
    assert answer.failed is not None
    assert answer.failed.error_type == "Runtime.UnknownEvent"


@pytest.mark.parametrize("event", events("malformed"))
async def test_a_malformed_event_is_answered_with_400(event: bytes) -> None:
    gateway = Gateway()
    async with serving(hello, gateway) as client:
        answer = await gateway.invoke(event)
        assert (await client.get("/")).text == "hello"
    message = json.loads(answer.body)["error"]["message"]
    assert answer == json_answer(400, envelope(message, "malformed_event", "invalid_request_error"))
    assert message.startswith("The request could not be read: ")


async def test_an_exception_before_the_response_is_a_500_without_its_message(
    capsys: pytest.CaptureFixture[str],
) -> None:
    @plain
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        raise ValueError("prompt: sk-secret")

    gateway = Gateway()
    async with serving(app, gateway):
        assert await gateway.invoke(GET) == CRASHED
    *_, line = capsys.readouterr().err.splitlines()
    logged = json.loads(line)
    assert (logged["message"], logged["errorType"]) == ("app.crashed", "Function.ValueError")
    assert logged["stackTrace"][-1].endswith(" in app")
    assert "sk-secret" not in line


async def test_an_exception_after_the_start_is_an_event_and_error_trailers(capsys: pytest.CaptureFixture[str]) -> None:
    @plain
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send(head(200, SSE))
        await send(body(b"data: 1\n\n", more=True))
        async with asyncio.TaskGroup():
            raise KeyError("sk-secret")

    gateway = Gateway()
    async with serving(app, gateway):
        answer = await gateway.invoke(GET)
    assert answer.body == b"data: 1\n\n\n\ndata: " + CRASHED.body + b"\n\n"
    assert answer.failed is not None
    stack = answer.failed.report["stackTrace"]
    report = {"errorType": "Function.KeyError", "errorMessage": "Internal server error.", "stackTrace": stack}
    assert answer.failed == Failed("Function.KeyError", report)
    assert "sk-secret" not in str(answer) + capsys.readouterr().err


async def test_other_bodies_end_with_error_trailers_alone() -> None:
    @plain
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send(head(200, (b"content-type", b"application/json")))
        await send(body(b"[1,", more=True))

    gateway = Gateway()
    async with serving(app, gateway):
        answer = await gateway.invoke(GET)
    assert answer.body == b"[1,"
    assert answer.failed is not None
    assert answer.failed.error_type == "Runtime.IncompleteResponse"


@pytest.mark.parametrize("messages", [[], [head()], [body(b"x")], [head(), head()], [{}]])
async def test_an_application_out_of_turn_is_a_500(messages: list[Any]) -> None:
    @plain
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    gateway = Gateway()
    async with serving(app, gateway) as client:
        answer = await gateway.invoke(GET)
        assert (await client.get("/")).status_code == 500
    assert (answer.prelude, answer.failed) == (CRASHED.prelude, None)


async def test_something_that_is_not_an_asgi_application_is_a_500() -> None:
    gateway = Gateway()
    async with serving(lambda environ, start_response: [b"wsgi"], gateway):
        assert await gateway.invoke(GET) == CRASHED


async def test_headers_over_16_kb_are_a_500_and_a_disconnect() -> None:
    seen = []

    @plain
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await receive()
        await send(head(200, (b"x-large", b"x" * 16_400)))
        try:
            await send(body(b"hello", more=True))
        except OSError:
            seen.append(await receive())
            raise

    gateway = Gateway()
    async with serving(app, gateway):
        answer = await gateway.invoke(GET)
    assert answer == json_answer(500, envelope("The response's headers do not fit in 16 KB.", "internal_error"))
    assert seen == [{"type": "http.disconnect"}]


async def test_the_application_is_told_its_deadline_and_its_event() -> None:
    told = []

    @plain
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        told.append(scope["extensions"]["tidegate.lambda"])
        await send(head())
        await send(body())

    gateway = Gateway(timeout_seconds=60)
    before = time.time()
    async with serving(app, gateway):
        await gateway.invoke(GET)
    (lambda_,) = told
    deadline, request_id = lambda_.pop("deadline"), lambda_.pop("request_id")
    assert before + 59 < deadline < time.time() + 60
    assert len(request_id) == 36
    assert lambda_ == {"event": GET, "function_arn": "arn:aws:lambda:eu-central-1:123456789012:function:chat"}


async def test_a_stream_past_its_deadline_ends_with_our_event_and_is_metered() -> None:
    metered = []

    @plain
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send(head(200, SSE))
        try:
            await send(body(b"data: 1\n\n", more=True))
            await asyncio.Event().wait()
        finally:
            with anyio.CancelScope(shield=True):
                await asyncio.sleep(0.01)
                metered.append("metered")

    gateway = Gateway(timeout_seconds=0.4)
    async with serving(app, gateway):
        answer = await gateway.invoke(GET)
        assert metered == ["metered"]
    message = "The gateway ran out of time before the answer was complete."
    told = json.dumps(envelope(message, "gateway_timeout"), separators=(",", ":")).encode()
    report = {"errorType": "Runtime.DeadlinePassed", "errorMessage": message, "stackTrace": []}
    assert (answer.body, answer.failed) == (
        b"data: 1\n\n\n\ndata: " + told + b"\n\n",
        Failed("Runtime.DeadlinePassed", report),
    )


async def test_an_application_that_ignores_its_deadline_is_left_behind() -> None:
    seen, release = [], asyncio.Event()

    @plain
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send(head(200, SSE))
        await send(body(b"data: 1\n\n", more=True))
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await release.wait()
            try:
                await send(body(b"data: 2\n\n"))
            except OSError as error:
                seen.append(str(error))

    gateway = Gateway(timeout_seconds=0.4)
    async with serving(app, gateway):
        answer = await gateway.invoke(GET)
        release.set()
    assert answer.failed is not None
    assert (answer.failed.error_type, seen) == ("Runtime.DeadlinePassed", ["nobody takes the response any more"])


async def test_a_deadline_before_the_start_is_a_504() -> None:
    @plain
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await asyncio.Event().wait()

    gateway = Gateway(timeout_seconds=0.2)
    async with serving(app, gateway):
        answer = await gateway.invoke(GET)
    message = "The gateway ran out of time before the answer was complete."
    assert answer == json_answer(504, envelope(message, "gateway_timeout"))


async def test_metering_after_the_response_is_not_cancelled_at_the_deadline() -> None:
    metered = []

    @plain
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send(head())
        await send(body(b"done"))
        await asyncio.sleep(0.3)
        metered.append("metered")

    gateway = Gateway(timeout_seconds=0.2)
    async with serving(app, gateway) as client:
        assert (await client.get("/")).text == "done"
    assert metered == ["metered"]


async def test_stopping_does_not_wait_for_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_FINISH_SECONDS", 3600)
    async with asyncio.timeout(10), serving(hello, Gateway(concurrency=2)) as client:
        assert (await client.get("/")).text == "hello"


async def test_stopping_lets_calls_finish() -> None:
    stop, started = asyncio.Event(), asyncio.Event()

    @plain
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        started.set()
        await stop.wait()
        await send(head())
        await send(body(b"finished"))

    async with serving(app, Gateway(concurrency=2), stop) as client:
        call = asyncio.create_task(client.get("/"))
        await started.wait()
        stop.set()
        assert (await call).text == "finished"


async def test_stopping_cuts_calls_that_take_too_long_and_meters_them() -> None:
    stop, metered = asyncio.Event(), []

    @plain
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send(head(200, SSE))
        await send(body(b"data: 1\n\n", more=True))
        try:
            stop.set()
            await asyncio.Event().wait()
        finally:
            with anyio.CancelScope(shield=True):
                await asyncio.sleep(0.01)
                metered.append("metered")

    gateway = Gateway()
    async with serving(app, gateway, stop):
        answer = await gateway.invoke(GET)
    assert answer.failed is not None
    assert (answer.failed.error_type, metered) == ("Runtime.ShuttingDown", ["metered"])
    assert b'"code":"shutting_down"' in answer.body


async def test_polling_goes_on_when_the_runtime_api_drops_a_connection() -> None:
    gateway, dropped = Gateway(), []

    async def flaky(request: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not dropped:
            dropped.append(request.target)
            writer.transport.abort()
            return
        await gateway.serve_runtime(request, reader, writer)

    async with listening(flaky) as port:
        stop = asyncio.Event()
        service = Service(hello, Endpoint(f"127.0.0.1:{port}"), {}, streams=True)
        serve = asyncio.create_task(run(Lifespan(hello), service, 1, stop))
        assert (await gateway.invoke(GET)).body == b"hello"
        stop.set()
        await serve
    assert dropped == ["/2018-06-01/runtime/invocation/next"]


async def test_a_500_from_the_runtime_api_ends_the_process() -> None:
    async def broken(request: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        write_reply(writer, 500)

    async with listening(broken) as port:
        service = Service(hello, Endpoint(f"127.0.0.1:{port}"), {}, streams=True)
        with pytest.raises(ContainerError):
            await run(Lifespan(hello), service, 1, asyncio.Event())

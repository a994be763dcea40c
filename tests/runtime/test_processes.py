"""The runtime as Lambda starts it, in a process of its own, in front of three emulators."""

import asyncio
import json
import platform
import signal
from pathlib import Path

import httpx
import pytest

from tests.emulators.cargo_lambda import cargo_lambda
from tests.emulators.gateway import Failed, Gateway, running
from tests.emulators.process import function
from tests.emulators.rie import rie

HERE = Path(__file__).parent
EVENTS = HERE.parent / "events"
CHAT = json.loads((EVENTS / "rest" / "chat.json").read_text())

pytestmark = pytest.mark.slow
needs_binaries = pytest.mark.skipif(
    (platform.system(), platform.machine()) != ("Linux", "x86_64"), reason="the emulators are x86_64 Linux programs"
)


def events_of(text: str) -> list[object]:
    return [json.loads(line[6:]) if line[6:] != "[DONE]" else "[DONE]" for line in text.split("\n\n") if line]


async def test_sigterm_ends_the_lifespan_and_exits_with_0() -> None:
    async with running(Gateway()) as gateway, function("apps:app", gateway.runtime_api, HERE) as process:
        answer = await gateway.invoke(CHAT)
        assert answer.failed is None
        process.send_signal(signal.SIGTERM)
        output, _ = await asyncio.wait_for(process.communicate(), 2)
    assert (process.returncode, output, gateway.violations) == (0, b"lifespan ended\n", [])


async def test_sigterm_ends_an_application_that_does_not_return() -> None:
    async with running(Gateway()) as gateway, function("apps:stuck", gateway.runtime_api, HERE) as process:
        assert (await gateway.invoke(CHAT)).body == b"stuck"
        process.send_signal(signal.SIGTERM)
        output, _ = await asyncio.wait_for(process.communicate(), 5)
    assert (process.returncode, output) == (0, b"lifespan ended\n")


@pytest.mark.parametrize("handler", ["apps:app", "apps.app"])
async def test_the_handler_is_written_either_way(handler: str) -> None:
    async with running(Gateway()) as gateway, function(handler, gateway.runtime_api, HERE):
        answer = await gateway.invoke(CHAT)
    assert events_of(answer.body.decode()) == [
        {"body": CHAT["body"], "state": {"ready": True}, "trace": True},
        "[DONE]",
    ]


async def test_garbage_is_collected_seldom_and_not_while_it_starts() -> None:
    async with running(Gateway()) as gateway, function("apps:collector", gateway.runtime_api, HERE):
        answer = await gateway.invoke(CHAT)
    assert json.loads(answer.body) == {
        "thresholds": [10000, 50, 1000],
        "is_enabled": True,
        "was_enabled": False,
        "has_frozen": True,
    }


@pytest.mark.parametrize(
    ("handler", "error_type", "message"),
    [
        ("apps:nothing", "Runtime.HandlerNotFound", "'apps' has no ASGI application 'nothing'"),
        ("nowhere:app", "Runtime.ModuleNotFoundError", "No module named 'nowhere'"),
        ("apps", "Runtime.HandlerNotFound", "the handler must be MODULE:APP, not 'apps'"),
        ("apps:refuses_to_start", "Runtime.ValueError", "TIDEGATE_TABLE is not set"),
    ],
)
async def test_a_failed_start_is_reported_and_exits_with_1(handler: str, error_type: str, message: str) -> None:
    async with running(Gateway()) as gateway, function(handler, gateway.runtime_api, HERE) as process:
        await asyncio.wait_for(process.communicate(), 10)
    (failed,) = gateway.init_errors
    stack = failed.report["stackTrace"]
    assert failed == Failed(error_type, {"errorType": error_type, "errorMessage": message, "stackTrace": stack})
    assert stack
    assert all(" in " in frame for frame in stack)
    assert (process.returncode, gateway.calls, gateway.violations) == (1, ["POST /init/error"], [])


async def test_snapstart_waits_for_the_restore_before_the_first_next() -> None:
    async with running(Gateway()) as gateway:
        snapstart = {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}
        async with function("apps:app", gateway.runtime_api, HERE, **snapstart):
            await gateway.restoring.wait()
            assert gateway.calls == ["GET /restore/next"]
            gateway.restore.set()
            await gateway.invoke(CHAT)
    assert gateway.calls[:3] == ["GET /restore/next", "GET /invocation/next", "POST /invocation/ID/response"]
    assert gateway.violations == []


async def test_sam_local_gets_an_ordinary_proxy_response() -> None:
    async with running(Gateway(streams=False)) as gateway:
        async with function("apps:app", gateway.runtime_api, HERE, AWS_SAM_LOCAL="true"):
            answer = await gateway.invoke(CHAT)
    assert answer.prelude == {
        "statusCode": 200,
        "headers": {"content-type": "text/event-stream", "x-path": "/v1/chat/completions", "x-query": ""},
        "multiValueHeaders": {"set-cookie": ["a=1", "b=2"]},
        "isBase64Encoded": False,
    }
    assert events_of(answer.body.decode())[1] == "[DONE]"
    assert gateway.violations == []


@needs_binaries
async def test_awss_emulator_takes_the_streamed_response() -> None:
    async with rie("apps:app", HERE) as url, httpx.AsyncClient(trust_env=False, timeout=30) as client:
        answers = [await client.post(url, json=CHAT) for _ in range(2)]
    for answer in answers:
        prelude, body = answer.content.split(bytes(8))
        assert json.loads(prelude) == {
            "statusCode": 200,
            "headers": {"content-type": "text/event-stream", "x-path": "/v1/chat/completions", "x-query": ""},
            "cookies": ["a=1", "b=2"],
        }
        assert events_of(body.decode())[1] == "[DONE]"


@needs_binaries
async def test_awss_emulator_takes_the_proxy_response_of_sam_local() -> None:
    event = json.loads((EVENTS / "url" / "chat.json").read_text())
    async with rie("apps:app", HERE, AWS_SAM_LOCAL="true") as url:
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            answer = (await client.post(url, json=event)).json()
    events = events_of(answer.pop("body"))
    assert answer == {
        "statusCode": 200,
        "headers": {"content-type": "text/event-stream", "x-path": "/v1/chat/completions", "x-query": ""},
        "cookies": ["a=1", "b=2"],
        "isBase64Encoded": False,
    }
    assert events[1] == "[DONE]"


@needs_binaries
async def test_awss_emulator_survives_events_that_are_not_http() -> None:
    sqs = json.loads((EVENTS / "other" / "sqs.json").read_text())
    async with rie("apps:app", HERE) as url, httpx.AsyncClient(trust_env=False, timeout=30) as client:
        refused = (await client.post(url, json=sqs)).json()
        answered = await client.post(url, json=CHAT)
    assert refused["errorType"] == "Runtime.UnknownEvent"
    assert answered.content.endswith(b"data: [DONE]\n\n")


@needs_binaries
async def test_cargo_lambda_delivers_each_chunk_before_the_next_is_made(tmp_path: Path) -> None:
    scratch, gate = tmp_path / "project", tmp_path / "gate"
    scratch.mkdir()
    async with cargo_lambda(scratch) as emulator, function("apps:app", emulator.runtime_api, HERE):
        url = emulator.url + "/v1/models/openai%2Fgpt?tag=a%20b&tag=c"
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            async with client.stream("POST", url, json={"n": 1}, headers={"x-gate": str(gate)}) as response:
                chunks = response.aiter_bytes()
                first = await anext(chunks)
                gate.touch()
                rest = b"".join([chunk async for chunk in chunks])
    assert events_of(first.decode()) == [{"body": '{"n":1}', "state": {"ready": True}, "trace": True}]
    assert (response.status_code, rest) == (200, b"data: [DONE]\n\n")
    assert response.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert (response.headers["x-path"], response.headers["x-query"]) == ("/v1/models/openai%2Fgpt", "tag=a%20b&tag=c")

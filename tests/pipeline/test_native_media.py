"""Media in calls to native providers: who fetches them, what is refused, and how the refusal names them."""

import asyncio
import json
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.native_providers import (
    ANTHROPIC,
    AZURE,
    BEDROCK,
    COHERE,
    GEMINI,
    NATIVES,
    VERTEX,
    Native,
    handler_of,
    streamed,
)
from tests.world import Client, Handler, world
from tidegate.transport.base import Transport
from tidegate.transport.media_fetcher import MediaFetcher

PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)
PICTURE = "https://media.example/a.png?signature=not-a-real-one"
PLACE = "messages[0].content[1].image_url.url"
FETCHING = (BEDROCK, GEMINI, VERTEX)
HOSTS = {
    "media.example": ["93.184.216.34"],
    "inside.example": ["10.0.0.7"],
    "half.example": ["93.184.216.34", "169.254.169.254"],
}

natives = pytest.mark.parametrize("native", NATIVES, ids=lambda native: native.name)
fetching = pytest.mark.parametrize("native", FETCHING, ids=lambda native: native.name)


async def resolve(host: str, port: int) -> list[str]:
    return HOSTS.get(host) or [host]


def fetcher(**limits: Any) -> Callable[[Transport], MediaFetcher]:
    return lambda transport: MediaFetcher(transport, resolve=resolve, **limits)


def picture(native: Native, url: str = PICTURE, **fields: Any) -> dict[str, Any]:
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": url}}]
    return {"model": native.id, "messages": [{"role": "user", "content": parts}], **fields}


def serving(native: Native, media: Handler) -> Handler:
    """The provider, and a host of media: that is asked by its address."""
    answer = handler_of(native)
    return lambda request: media(request) if request.method == "GET" else answer(request)


def png(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, content=PNG, headers={"content-type": "application/octet-stream"})


def blocks(native: Native, client: Client) -> Any:
    body = json.loads(client.requests[-1].content)
    if native in (GEMINI, VERTEX):
        return body["contents"][0]["parts"]
    return body["messages"][0]["content"]


@streamed
@pytest.mark.parametrize(
    ("native", "block"),
    [
        (ANTHROPIC, {"type": "image", "source": {"type": "url", "url": PICTURE}}),
        (AZURE, {"type": "image_url", "image_url": {"url": PICTURE}}),
        (COHERE, {"type": "image_url", "image_url": {"url": PICTURE}}),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
async def test_a_provider_that_fetches_by_itself_gets_the_url(native: Native, block: Any, stream: bool) -> None:
    async with world(handler_of(native), fetcher=fetcher(), **native.env) as client:
        assert (await client.post(picture(native, stream=stream))).status == 200
        assert [request.method for request in client.requests] == ["POST"]
        assert blocks(native, client)[1] == block


@streamed
@fetching
async def test_a_provider_that_wants_bytes_gets_what_was_fetched_from_the_checked_address(
    native: Native, stream: bool
) -> None:
    content = b64encode(PNG).decode()
    async with world(serving(native, png), fetcher=fetcher(), **native.env) as client:
        assert (await client.post(picture(native, stream=stream))).status == 200
        fetched, _ = client.requests
        assert (fetched.url.host, fetched.headers["host"]) == ("93.184.216.34", "media.example")
        assert not {"authorization", "cookie", "x-goog-api-key"} & set(fetched.headers)
        block = (
            {"image": {"format": "png", "source": {"bytes": content}}}
            if native is BEDROCK
            else {"inlineData": {"mimeType": "image/png", "data": content}}
        )
        assert blocks(native, client)[1] == block


async def test_anthropic_gets_the_bytes_behind_a_url_that_it_does_not_fetch() -> None:
    async with world(serving(ANTHROPIC, png), fetcher=fetcher(), **ANTHROPIC.env) as client:
        url = PICTURE.replace("https:", "http:")
        assert (await client.post(picture(ANTHROPIC, url))).status == 200
        source = blocks(ANTHROPIC, client)[1]["source"]
        assert source == {"type": "base64", "media_type": "image/png", "data": b64encode(PNG).decode()}


@fetching
@streamed
@pytest.mark.parametrize(
    "url",
    [
        "https://inside.example/a.png",
        "https://half.example/a.png",
        "http://169.254.169.254/latest/meta-data/",
        "http://127.0.0.1:2773/secretsmanager/get",
        "http://[::1]/a.png",
        "http://[::ffff:10.0.0.1]/a.png",
    ],
)
async def test_what_is_not_public_is_not_fetched(native: Native, url: str, stream: bool) -> None:
    async with world(handler_of(native), fetcher=fetcher(), **native.env) as client:
        reply = await client.post(picture(native, url, stream=stream))
        assert (reply.status, reply.json["error"]["param"]) == (400, PLACE)
        assert reply.json["error"]["message"] == "The URL's host does not have a public address."
        assert client.requests == []
        assert [(outcome.status, outcome.error_code) for outcome in client.recorder.outcomes] == [
            ("failed", "invalid_request")
        ]


@fetching
async def test_a_redirect_into_the_private_is_not_followed(native: Native) -> None:
    def away(request: httpx.Request) -> httpx.Response:
        return httpx.Response(302, headers={"location": "http://169.254.169.254/latest/meta-data/"})

    async with world(serving(native, away), fetcher=fetcher(), **native.env) as client:
        reply = await client.post(picture(native))
        assert (reply.status, reply.json["error"]["param"]) == (400, PLACE)
        assert [request.url.host for request in client.requests] == ["93.184.216.34"]


async def never(request: httpx.Request) -> httpx.Response:
    if request.method == "GET":
        await asyncio.Event().wait()
    raise AssertionError("the provider is not asked")


@fetching
@pytest.mark.parametrize(
    ("media", "limits", "message"),
    [
        (png, {"max_bytes": 71}, "The URL has more than 71 bytes."),
        (lambda request: httpx.Response(404), {}, "The URL responded with HTTP 404."),
        (never, {"timeout_seconds": 0.05}, "The URL did not respond in time."),
    ],
    ids=["large", "lost", "slow"],
)
async def test_what_cannot_be_had_is_the_callers_fault_and_named(
    native: Native, media: Handler, limits: Any, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "tidegate")
    async with world(serving(native, media), fetcher=fetcher(**limits), **native.env) as client:
        reply = await client.post(picture(native))
        error = reply.json["error"]
        assert (reply.status, error["code"], error["param"]) == (400, "invalid_request", PLACE)
        assert error["message"] == message
        assert len(client.requests) == 1
        told = reply.body.decode() + " ".join(
            str(record.__dict__) for record in caplog.records if record.name.startswith("tidegate")
        )
        assert "media.example" not in told
        assert "not-a-real-one" not in told


async def test_a_call_may_not_name_more_media_than_it_may() -> None:
    async with world(serving(GEMINI, png), fetcher=fetcher(max_count=2), **GEMINI.env) as client:
        part = [{"type": "image_url", "image_url": {"url": f"https://media.example/{i}.png"}} for i in range(3)]
        reply = await client.post({"model": GEMINI.id, "messages": [{"role": "user", "content": part}]})
        error = reply.json["error"]
        assert (reply.status, error["param"]) == (400, "messages[0].content[2].image_url.url")
        assert client.requests == []


@natives
@streamed
async def test_a_part_that_a_model_does_not_take_is_named_with_the_model(native: Native, stream: bool) -> None:
    zipped = b64encode(b"PK\x03\x04" + bytes(40)).decode()
    parts = {
        "anthropic": {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
        "azure": {"type": "video_url", "video_url": {"url": "data:video/mp4;base64,AAAA"}},
        "bedrock": {
            "type": "file",
            "file": {"file_data": f"data:application/zip;base64,{zipped}", "filename": "a.zip"},
        },
        "cohere": {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
        "gemini": {"type": "image_url", "image_url": {"url": "data:image/gif;base64,R0lGODlhAQABAAAAACw="}},
        "vertex": {"type": "image_url", "image_url": {"url": f"data:application/zip;base64,{zipped}"}},
    }
    async with world(handler_of(native), fetcher=fetcher(), **native.env) as client:
        content = [{"type": "text", "text": "What is this?"}, parts[native.name]]
        messages = [{"role": "system", "content": "Look."}, {"role": "user", "content": content}]
        reply = await client.post({"model": native.id, "messages": messages, "stream": stream})
        error = reply.json["error"]
        assert (reply.status, error["code"]) == (400, "invalid_request")
        assert error["param"].startswith("messages[1].content[1]")
        assert native.model in error["message"]
        assert client.requests == []

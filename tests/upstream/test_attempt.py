"""One try at a provider that is a part of AWS: its signature, its frames, its failures."""

import datetime
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.providers.calls import call
from tests.upstream.frames import event, exception
from tidegate.domain.deployment import Deployment
from tidegate.errors import (
    GatewayTimeout,
    NotConfigured,
    ProviderMalformed,
    ProviderOverloaded,
    ProviderRateLimited,
    StreamCut,
)
from tidegate.providers.base import SigV4Auth as OurSigV4Auth
from tidegate.providers.base import UpstreamRequest
from tidegate.providers.bedrock import PROVIDER
from tidegate.providers.chat_translator import ChatTranslator
from tidegate.settings import EnvironmentSecrets
from tidegate.transport.httpx import HttpxTransport
from tidegate.transport.sigv4 import AwsKey, SigningScope, sign
from tidegate.upstream import reply_stream
from tidegate.upstream.attempt import Upstream

NOW = 1_795_262_400.0
KEY = AwsKey("an-id", "a-secret", "a-token")
MODEL = "arn:aws:bedrock:eu-central-1:000000000000:application-inference-profile/a.b:0"
HOST = "https://bedrock-runtime.eu-central-1.amazonaws.com"
WHOLE = {
    "output": {"message": {"role": "assistant", "content": [{"text": "Hello"}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2},
}
START = event("messageStart", {"role": "assistant"})
TEXT = event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Hello"}})
END = event("messageStop", {"stopReason": "end_turn"}) + event("metadata", {"usage": WHOLE["usage"]})


class Pieces(httpx.AsyncByteStream):
    def __init__(self, raw: bytes, size: int) -> None:
        self._pieces = [raw[at : at + size] for at in range(0, len(raw), size)]

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


async def ask(
    answer: httpx.Response,
    *,
    stream: bool = False,
    secret: str | None = None,
    keys: bool = True,
    seconds: float = 5,
    heard: list[str] | None = None,
) -> Any:
    """The text that came of the answer, which is `heard` piece by piece, and what was sent."""
    sent: list[httpx.Request] = []
    pieces: list[str] = [] if heard is None else heard

    def answering(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return answer

    async def key() -> AwsKey:
        return KEY

    transport = HttpxTransport(httpx.MockTransport(answering))
    secrets = EnvironmentSecrets({"TOKEN": "bearer-token"})
    upstream = Upstream(transport, secrets, key if keys else None, clock=lambda: NOW)
    deployment = Deployment("bedrock", MODEL, HOST, secret, region="eu-central-1")
    body = {"model": "bedrock/m", "messages": [{"role": "user", "content": "Hi"}], "stream": stream}
    request = PROVIDER.build_request(call(body), deployment)
    async with upstream.open(ChatTranslator(PROVIDER), request, secret=secret, stream=stream, seconds=seconds) as reply:
        if reply.reply is not None:
            return reply.reply["choices"][0]["message"]["content"] or "", sent
        assert reply.batches is not None
        async for batch in reply.batches:
            pieces.extend(one["delta"].get("content") or "" for chunk in batch for one in chunk["choices"])
        return "".join(pieces), sent


def frames(raw: bytes, size: int = 11) -> httpx.Response:
    headers = {"content-type": "application/vnd.amazon.eventstream"}
    return httpx.Response(200, headers=headers, stream=Pieces(raw, size))


async def test_a_request_is_signed_as_botocore_signs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    text, (sent,) = await ask(httpx.Response(200, json=WHOLE))
    assert text == "Hello"
    assert sent.url.raw_path.startswith(b"/model/arn%3Aaws%3Abedrock%3Aeu-central-1%3A000000000000%3A")
    moment = datetime.datetime.fromtimestamp(NOW, datetime.UTC)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_, **__: moment)
    theirs = AWSRequest(
        "POST", str(sent.url), headers={"content-type": sent.headers["content-type"]}, data=sent.content
    )
    SigV4Auth(Credentials(KEY.id, KEY.secret, KEY.token), "bedrock", "eu-central-1").add_auth(theirs)
    assert sent.headers["authorization"] == theirs.headers["Authorization"]
    assert sent.headers["x-amz-security-token"] == "a-token"


async def test_a_bearer_token_goes_unsigned() -> None:
    _, (sent,) = await ask(httpx.Response(200, json=WHOLE), secret="TOKEN")
    assert sent.headers["authorization"] == "Bearer bearer-token"
    assert "x-amz-date" not in sent.headers


async def test_without_credentials_nothing_is_sent() -> None:
    with pytest.raises(NotConfigured, match="AWS credentials"):
        await ask(httpx.Response(200, json=WHOLE), keys=False)


@pytest.mark.parametrize("size", [1, 11, 10_000])
async def test_frames_become_chunks(size: int) -> None:
    assert (await ask(frames(START + TEXT + TEXT + END, size), stream=True))[0] == "HelloHello"


async def test_an_exception_before_the_first_word_can_be_tried_again() -> None:
    """The role alone is no first chunk."""
    with pytest.raises(ProviderRateLimited) as caught:
        await ask(frames(START + exception("throttlingException", {"message": "Too many tokens"})), stream=True)
    assert caught.value.retryable


async def test_an_exception_behind_the_first_word_is_an_error() -> None:
    with pytest.raises(ProviderOverloaded):
        await ask(frames(START + TEXT + exception("serviceUnavailableException", {"message": "gone"})), stream=True)


@pytest.mark.parametrize("raw", [START + TEXT, START + TEXT + END[:40], b"", START])
async def test_a_stream_that_ends_too_early_is_a_cut(raw: bytes) -> None:
    with pytest.raises(StreamCut):
        await ask(frames(raw), stream=True)


@pytest.mark.parametrize("size", [11, 10_000])
@pytest.mark.parametrize(
    ("before", "said"), [(b"", ""), (START, ""), (START + TEXT, "Hello"), (START + TEXT + TEXT, "HelloHello")]
)
async def test_a_damaged_stream_is_refused_and_what_came_before_is_heard(before: bytes, said: str, size: int) -> None:
    heard: list[str] = []
    with pytest.raises(ProviderMalformed, match="checksum"):
        await ask(frames(before + TEXT[:-1] + b"\x00" + END, size), stream=True, heard=heard)
    assert "".join(heard) == said


@pytest.mark.parametrize("size", [1, 4096])
async def test_a_stream_without_an_end_has_one(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reply_stream, "MAX_STREAM_BYTES", 20_000)
    with pytest.raises(ProviderMalformed, match="larger than 20000 bytes"):
        await ask(frames(START + TEXT * 1000, size), stream=True)


async def test_nobody_is_asked_when_the_time_is_over() -> None:
    with pytest.raises(GatewayTimeout):
        await ask(httpx.Response(200, json=WHOLE), seconds=0)


async def test_a_request_that_is_not_a_call_is_signed_with_its_method_and_its_errors_hide_the_key() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(404, json={"message": "no secret-key here"})

    async def aws_keys() -> AwsKey:
        return KEY

    transport = HttpxTransport(httpx.MockTransport(answer))
    upstream = Upstream(transport, EnvironmentSecrets({"A_KEY": "secret-key"}), aws_keys, clock=lambda: NOW)
    url = "https://bedrock.eu-central-1.amazonaws.com/model-invocation-jobs?maxResults=5"
    signed = UpstreamRequest(url, b"", {}, OurSigV4Auth("bedrock", "eu-central-1"))
    async with upstream.send("bedrock", "GET", signed, secret=None, seconds=5) as response:
        assert (response.status, seen[0].method) == (404, "GET")
    headers = {name: value for name, value in seen[0].headers.items() if name != "authorization"}
    assert (
        seen[0].headers["authorization"]
        == sign("GET", url, {}, b"", KEY, SigningScope("bedrock", "eu-central-1"), at=NOW)["authorization"]
    )
    assert "secret-key" not in str(headers)
    plain = UpstreamRequest("https://api.test/v1/batches", b"")
    with pytest.raises(ProviderMalformed) as raised:
        async with upstream.send("openai", "GET", plain, secret="A_KEY", seconds=5):
            raise ProviderMalformed("secret-key at api.test")
    assert raised.value.message == "*** at ***"
    assert seen[1].headers["authorization"] == "Bearer secret-key"
    with pytest.raises(NotConfigured):
        async with upstream.send("openai", "GET", plain, secret="NO_KEY", seconds=5):
            pass

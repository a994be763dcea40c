"""The headers that are remembered for a URL and a key: they serve equal requests, and no others."""

import asyncio

import pytest
from msgspec.structs import replace

from tests.providers.calls import call
from tidegate.domain.deployment import Deployment
from tidegate.providers import Registry
from tidegate.providers.base import KeyAuth, SigV4Auth, Translator, UpstreamRequest
from tidegate.transport.httptools import HttptoolsTransport
from tidegate.upstream.attempt import Upstream
from tidegate.upstream.remembered_headers import MAX_REMEMBERED, RememberedHeaders

REQUEST = UpstreamRequest("https://provider.test/v1", b"{}")
SIGNED = {**REQUEST.headers, "authorization": "Bearer a"}


OPENAI, GROQ = (Registry().translator(name, "chat") for name in ("openai", "groq"))


def test_headers_are_remembered_for_requests_that_differ_in_their_body_only() -> None:
    remembered = RememberedHeaders()
    assert remembered.find(OPENAI, REQUEST, "a") is None
    signed = remembered.add(OPENAI, REQUEST, "a", SIGNED)
    assert remembered.find(OPENAI, replace(REQUEST, body=b"[]", headers=dict(REQUEST.headers)), "a") is signed
    assert (signed.name, signed.headers) == ("openai", SIGNED)


@pytest.mark.parametrize(
    ("translator", "request_", "key"),
    [
        (OPENAI, REQUEST, "b"),
        (OPENAI, REQUEST, None),
        (GROQ, REQUEST, "a"),
        (OPENAI, replace(REQUEST, url="https://provider.test/v2"), "a"),
        (OPENAI, replace(REQUEST, headers={**REQUEST.headers, "traceparent": "00"}), "a"),
        (OPENAI, replace(REQUEST, auth=KeyAuth("api-key", "")), "a"),
        (OPENAI, replace(REQUEST, auth=None), "a"),
    ],
)
def test_all_else_is_signed_anew(translator: Translator, request_: UpstreamRequest, key: str | None) -> None:
    remembered = RememberedHeaders()
    remembered.add(OPENAI, REQUEST, "a", SIGNED)
    assert remembered.find(translator, request_, key) is None


def test_the_keys_of_two_workspaces_are_remembered_beside_each_other() -> None:
    remembered = RememberedHeaders()
    signed = [remembered.add(OPENAI, REQUEST, key, {"authorization": f"Bearer {key}"}) for key in "ab"]
    for _ in range(2):
        assert [remembered.find(OPENAI, REQUEST, key) for key in "ab"] == signed
    assert [each.headers["authorization"] for each in signed] == ["Bearer a", "Bearer b"]


def test_a_signature_holds_for_its_body_only() -> None:
    remembered, request = RememberedHeaders(), replace(REQUEST, auth=SigV4Auth("bedrock", "eu-central-1"))
    assert remembered.add(OPENAI, request, None, SIGNED).headers == SIGNED
    assert remembered.find(OPENAI, request, None) is None


def test_no_more_than_some_headers_are_remembered_and_secrets_are_not_shown() -> None:
    remembered = RememberedHeaders()
    requests = [replace(REQUEST, url=f"https://provider.test/{number}") for number in range(MAX_REMEMBERED + 1)]
    for request in requests:
        assert "Bearer" not in repr(remembered.add(OPENAI, request, "a", SIGNED))
    assert [remembered.find(OPENAI, request, "a") is not None for request in requests] == [False] * MAX_REMEMBERED + [
        True
    ]


class Keys:
    """A source of keys, each for one request."""

    def __init__(self, *keys: str) -> None:
        self._keys = list(keys)

    def cached(self, name: str) -> str | None:
        return None

    async def get(self, name: str) -> str | None:
        return self._keys.pop(0)


async def test_another_key_is_sent_with_the_next_request() -> None:
    heads: list[bytes] = []
    reply = b'{"choices":[{"index":0,"message":{"role":"assistant","content":"a"},"finish_reason":"stop"}]}'

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(reply), reply))
        writer.close()

    transport = HttptoolsTransport()
    upstream = Upstream(transport, Keys("one", "one", "two", "one"))
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        for text in ("a", "b", "c", "d"):
            body = {"model": "openai/m", "messages": [{"role": "user", "content": text}]}
            request = OPENAI.build_request(call(body), Deployment("openai", "m", url, "KEY"))
            async with upstream.open(OPENAI, request, secret="KEY", stream=False, seconds=5) as opened:
                assert opened.reply is not None
        await transport.close()
    assert [head.partition(b"authorization: ")[2].partition(b"\r\n")[0] for head in heads] == [
        *(b"Bearer one", b"Bearer one", b"Bearer two", b"Bearer one")
    ]

"""What the transports of the local server send, byte for byte, and where to."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.faults import certificates
from tidegate.errors import ProviderUnreachable
from tidegate.transport.aiohttp import AiohttpTransport
from tidegate.transport.base import HttpRequest, Timeouts
from tidegate.transport.httptools import HttptoolsTransport

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Made = AiohttpTransport | HttptoolsTransport
transports = pytest.mark.parametrize("make", [AiohttpTransport, HttptoolsTransport])


class Listening:
    """A server that answers "ok". `heads` are the lines of what was sent to it, `names` the hosts of TLS."""

    def __init__(self) -> None:
        self.heads: list[list[str]] = []
        self.names: list[str | None] = []
        self.port = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.heads.append(head.decode().split("\r\n")[:-2])
            writer.write(ANSWER)
            await writer.drain()
        finally:
            writer.close()

    def named(self, _: object, name: str | None, __: object) -> None:
        self.names.append(name)

    @asynccontextmanager
    async def here(self, tls: ssl.SSLContext | None = None) -> AsyncIterator["Listening"]:
        if tls is not None:
            tls.sni_callback = self.named
        server = await asyncio.start_server(self.answer, "127.0.0.1", 0, ssl=tls)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self


@asynccontextmanager
async def made(make: type[Made], root: bytes | None = None) -> AsyncIterator[Made]:
    transport = make(root_certificate_pem=root)
    try:
        yield transport
    finally:
        await transport.close()


async def ask(transport: Made, url: str, address: str | None = None) -> bytes:
    async with transport.open(HttpRequest("POST", url, {"x-a": "b"}, b"{}", address), Timeouts(5)) as response:
        return await response.read(100)


@transports
async def test_an_address_is_sent_as_it_was_signed(make: type[Made]) -> None:
    async with Listening().here() as server, made(make) as transport:
        path = "/model/arn%3Aaws%3Ax%2Fy/converse?a=%7Eb"
        assert await ask(transport, f"http://127.0.0.1:{server.port}{path}") == b"ok"
    (head,) = server.heads
    assert head[0] == f"POST {path} HTTP/1.1"
    assert {"x-a: b", "user-agent: tidegate", "content-length: 2"} <= {line.lower() for line in head}


@transports
@pytest.mark.parametrize("bypass", [False, True])
async def test_the_environments_proxy_is_asked_but_for_whom_it_leaves_out(
    make: type[Made], monkeypatch: pytest.MonkeyPatch, bypass: bool
) -> None:
    async with Listening().here() as server:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.port}")
        monkeypatch.setenv("no_proxy", "provider.invalid" if bypass else "")
        async with made(make) as transport:
            if bypass:
                with pytest.raises(ProviderUnreachable):
                    await ask(transport, "http://provider.invalid/v1")
            else:
                assert await ask(transport, "http://provider.invalid/v1") == b"ok"
    assert [head[0] for head in server.heads] == ([] if bypass else ["POST http://provider.invalid/v1 HTTP/1.1"])


@transports
async def test_an_address_that_was_looked_up_is_asked_under_its_name_and_past_the_proxy(
    make: type[Made], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    authority = certificates.authority()
    tls = certificates.context(tmp_path, authority, host="provider.invalid")
    async with Listening().here(tls) as server, made(make, authority.pem) as transport:
        assert await ask(transport, f"https://provider.invalid:{server.port}/v1", "127.0.0.1") == b"ok"
        with pytest.raises(ProviderUnreachable, match="certificate"):
            await ask(transport, f"https://another.invalid:{server.port}/v1", "127.0.0.1")
    assert server.names == ["provider.invalid", "another.invalid"]
    assert [line for line in server.heads[0] if line.lower().startswith("host:")] == [
        f"host: provider.invalid:{server.port}"
    ]


@transports
async def test_a_certificate_of_nobody_is_refused(make: type[Made], tmp_path: Path) -> None:
    async with Listening().here(certificates.context(tmp_path, None)) as server, made(make) as transport:
        with pytest.raises(ProviderUnreachable, match="certificate"):
            await ask(transport, f"https://127.0.0.1:{server.port}/v1")
    assert server.heads == []

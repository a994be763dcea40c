"""Our own HTTP client on the wire: heads, proxies and tunnels, TLS, addresses, and content codings."""

import asyncio
import gzip
import socket
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from tests.faults import certificates
from tests.transport.server import OK, always_ok, recording, serving
from tidegate.errors import ProviderMalformed, ProviderTimeout, ProviderUnreachable
from tidegate.transport.base import HttpRequest, Timeouts, take_notes
from tidegate.transport.httptools import HttptoolsTransport
from tidegate.transport.origin import parse_origin, parse_proxy, split_url

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(handle: Handler, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """The port of a server that handles connections so, and closes them."""

    async def closed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await handle(reader, writer)
                await writer.drain()
        finally:
            writer.close()

    server = await asyncio.start_server(closed, host, 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def made(root: bytes | None = None) -> AsyncIterator[HttptoolsTransport]:
    transport = HttptoolsTransport(root_certificate_pem=root)
    try:
        yield transport
    finally:
        await transport.close()


async def ask(transport: HttptoolsTransport, url: str, seconds: float = 5, connect: float | None = None) -> bytes:
    request = HttpRequest("POST", url, {"x-a": "b"}, b"{}")
    async with transport.open(request, Timeouts(seconds, connect)) as response:
        return await response.read(1000)


class Heads:
    """A server's requests, as lines, each answered with "ok"."""

    def __init__(self) -> None:
        self.heads: list[list[str]] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head.decode().split("\r\n")[:-2])
        writer.write(OK)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://h", "/"),
        ("http://h?a=b", "/?a=b"),
        ("http://h/a%2Fb?c=%7E#d", "/a%2Fb?c=%7E"),
        ("http://h/ü b", "/%C3%BC%20b"),
    ],
)
def test_a_target_is_sent_as_it_is_written(url: str, target: str) -> None:
    assert split_url(url) == ("http://h", target)


@pytest.mark.parametrize("url", ["", "h/a", "http:///a", "http://h/a\r\nx-a: b", "http://h/\x7f", "http://h\\@i/a"])
def test_a_url_that_is_not_valid_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="not valid"):
        split_url(url)


@pytest.mark.parametrize(
    ("url", "host", "port", "authority"),
    [
        ("https://API.example", "api.example", 443, "api.example"),
        ("https://api.example:443", "api.example", 443, "api.example"),
        ("http://api.example:8080", "api.example", 8080, "api.example:8080"),
        ("http://[2001:DB8::1]:81", "2001:db8::1", 81, "[2001:db8::1]:81"),
        ("http://bücher.example", "xn--bcher-kva.example", 80, "xn--bcher-kva.example"),
    ],
)
def test_an_origin_has_its_host_port_and_authority(url: str, host: str, port: int, authority: str) -> None:
    origin = parse_origin(url)
    assert (origin.host, origin.port, origin.authority) == (host, port, authority)


@pytest.mark.parametrize("url", ["http://h:99999", "http://h:x", "http://", "http://a b", "http://a%2fb", "ftp://h"])
def test_an_origin_that_is_not_valid_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_origin(url)


def test_a_head_has_one_field_of_each_name_and_the_users_credentials() -> None:
    origin = parse_origin("http://user%40x:word@h:81")
    head = origin.encode_head("GET", "/a", {"Accept-Encoding": "br", "x-a": "b"}).decode().split("\r\n")
    basic = "authorization: Basic " + b64encode(b"user@x:word").decode()
    assert head[0] == "GET /a HTTP/1.1"
    expected = ["accept-encoding: br", "accept: */*", basic, "host: h:81", "user-agent: tidegate", "x-a: b"]
    assert sorted(head[1:]) == ["", *expected]
    assert origin.encode_head("GET", "/a", {"Content-Length": "3"}) == origin.encode_head("GET", "/a", {})
    assert b"Bearer c" in origin.encode_head("GET", "/a", {"authorization": "Bearer c"})
    assert "word" not in repr(origin)


@pytest.mark.parametrize(
    "headers",
    [
        {"x-a": "b\r\nx-c: d"},
        {"x-a": "b\nc"},
        {"x-a": "b\rc"},
        {"x-a": "b\0"},
        {"x a": "b"},
        {"": "b"},
        {"x-a:": "b"},
        {"transfer-encoding": "chunked"},
        {"connection": "close"},
    ],
)
def test_a_header_that_would_change_the_message_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="cannot be sent"):
        parse_origin("http://h").encode_head("POST", "/", headers)


async def test_a_request_without_content_has_no_length_unless_it_is_a_post() -> None:
    heads = Heads()
    async with listening(heads) as port, made() as transport:
        for method in ("GET", "POST"):
            request = HttpRequest(method, f"http://127.0.0.1:{port}/", {}, b"")
            async with transport.open(request, Timeouts(5)) as response:
                assert await response.read(10) == b"ok"
            await asyncio.sleep(0.01)  # the server closes the connection
    lengths = [[line for line in head if line.startswith("content-length")] for head in heads.heads]
    assert lengths == [[], ["content-length: 0"]]


async def test_a_head_request_ends_with_the_head() -> None:
    async def answer(connection: int, request: int, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")

    async with serving(HttptoolsTransport, answer) as (transport, url):
        for _ in range(2):
            async with transport.open(HttpRequest("HEAD", url, {}, b""), Timeouts(5)) as response:
                assert (response.headers["content-length"], await response.read(10)) == ("10", b"")


async def test_compressed_content_is_decoded_and_not_asked_for() -> None:
    heads: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        data = gzip.compress(b"high tide")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (len(data), data))

    async with listening(handle) as port, made() as transport:
        assert await ask(transport, f"http://127.0.0.1:{port}/") == b"high tide"
    assert b"\r\naccept-encoding: identity\r\n" in heads[0]


async def test_a_field_that_is_not_utf_8_is_read_as_latin_1() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nX-A: \xfc\r\nX-B: \xc3\xbc\r\nContent-Length: 0\r\n\r\n")

    async with listening(handle) as port, made() as transport:
        request = HttpRequest("POST", f"http://127.0.0.1:{port}/", {}, b"{}")
        async with transport.open(request, Timeouts(5)) as response:
            assert (response.headers["x-a"], response.headers["x-b"]) == ("ü", "ü")


class TunnelProxy:
    """A proxy that connects to `port`, whatever host is asked for, or answers with `refusal`."""

    def __init__(self, port: int = 0, refusal: bytes = b"") -> None:
        self.port = port
        self.refusal = refusal
        self.heads: list[list[str]] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head.decode().split("\r\n")[:-2])
        if self.refusal:
            writer.write(self.refusal)
            return
        there, back = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(_pump(reader, back), _pump(there, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
    finally:
        writer.close()


async def test_a_proxy_opens_a_tunnel_through_which_the_server_proves_its_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authority = certificates.authority()
    tls = certificates.context(tmp_path, authority, host="provider.invalid")
    heads = Heads()
    async with listening(heads, tls=tls) as port:
        proxy = TunnelProxy(port)
        async with listening(proxy) as proxy_port:
            monkeypatch.setenv("https_proxy", f"http://us%40er:word@127.0.0.1:{proxy_port}")
            async with made(authority.pem) as transport:
                assert await ask(transport, "https://provider.invalid/v1") == b"ok"
                with pytest.raises(ProviderUnreachable, match="certificate"):
                    await ask(transport, "https://another.invalid:8443/v1")
    basic = "proxy-authorization: Basic " + b64encode(b"us@er:word").decode()
    assert proxy.heads == [
        ["CONNECT provider.invalid:443 HTTP/1.1", "host: provider.invalid:443", "user-agent: tidegate", basic],
        ["CONNECT another.invalid:8443 HTTP/1.1", "host: another.invalid:8443", "user-agent: tidegate", basic],
    ]
    (head,) = heads.heads
    assert (head[0], [line for line in head if "proxy" in line]) == ("POST /v1 HTTP/1.1", [])


@pytest.mark.parametrize(
    "refusal",
    [
        b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
        b"tide",
        b"HTTP/1.1 200 OK\r\n\r\nmore than the head",
        b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 20_000 + b"\r\n\r\n",
    ],
)
async def test_a_proxy_that_opens_no_tunnel_is_an_error(monkeypatch: pytest.MonkeyPatch, refusal: bytes) -> None:
    async with listening(TunnelProxy(refusal=refusal)) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        async with made() as transport:
            with pytest.raises(ProviderUnreachable) as caught:
                await ask(transport, "https://provider.invalid/v1")
    assert "the proxy" in (take_notes(caught.value) or "")
    assert caught.value.was_sent is False


async def test_a_proxy_reads_requests_without_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    heads = Heads()
    async with listening(heads) as port:
        monkeypatch.setenv("all_proxy", f"user:word@127.0.0.1:{port}")
        async with made() as transport:
            assert await ask(transport, "http://provider.invalid:81/v1?a=b") == b"ok"
    (head,) = heads.heads
    assert head[0] == "POST http://provider.invalid:81/v1?a=b HTTP/1.1"
    assert {"host: provider.invalid:81", "proxy-authorization: Basic dXNlcjp3b3Jk"} <= set(head)


async def test_a_proxy_of_another_kind_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "socks5://127.0.0.1:1")
    async with made() as transport:
        with pytest.raises(ProviderUnreachable) as caught:
            await ask(transport, "https://provider.invalid/v1")
    assert "only proxies with http://" in (take_notes(caught.value) or "")
    assert "word" not in repr(parse_proxy("http://user:word@h"))


async def test_http_1_1_is_offered_and_nothing_else(tmp_path: Path) -> None:
    chosen: list[str | None] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        chosen.append(writer.get_extra_info("ssl_object").selected_alpn_protocol())
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)

    authority = certificates.authority()
    tls = certificates.context(tmp_path, authority)
    tls.set_alpn_protocols(["h2", "http/1.1"])
    async with listening(handle, tls=tls) as port, made(authority.pem) as transport:
        assert await ask(transport, f"https://127.0.0.1:{port}/v1") == b"ok"
    assert chosen == ["http/1.1"]


async def test_a_server_proves_its_ipv6_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    authority = certificates.authority()
    heads = Heads()
    async with listening(heads, "::1", certificates.context(tmp_path, authority, host="::1")) as port:
        async with made(authority.pem) as transport:
            assert await ask(transport, f"https://[::1]:{port}/v1") == b"ok"
    assert f"host: [::1]:{port}" in heads.heads[0]
    async with listening(heads, "::1", certificates.context(tmp_path, authority)) as port:
        async with made(authority.pem) as transport:
            with pytest.raises(ProviderUnreachable, match="certificate"):
                await ask(transport, f"https://[::1]:{port}/v1")


class Names:
    """A resolver that gives every host those addresses, in place of the loop's."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses

    async def __call__(self, host: str, port: int, **_: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in self.addresses]


async def test_an_address_that_does_not_answer_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    connect = loop.sock_connect
    given_up: list[str] = []

    async def sock_connect(connecting: socket.socket, place: tuple[str, int]) -> None:
        if place[0] == "127.0.0.3":
            raise ConnectionRefusedError(111, "Connection refused")
        if place[0] == "127.0.0.2":
            try:
                await asyncio.Event().wait()
            finally:
                given_up.append(place[0])
        await connect(connecting, place)

    monkeypatch.setattr(loop, "sock_connect", sock_connect)
    async with listening(Heads()) as port, made() as transport:
        monkeypatch.setattr(loop, "getaddrinfo", Names("127.0.0.3", "127.0.0.2", "127.0.0.1"))
        began = loop.time()
        assert await ask(transport, f"http://provider.invalid:{port}/") == b"ok"
        assert loop.time() - began < 2
        await asyncio.sleep(0)
        assert given_up == ["127.0.0.2"]
        monkeypatch.setattr(loop, "getaddrinfo", Names("127.0.0.3", "127.0.0.3"))
        with pytest.raises(ProviderUnreachable, match="refused"):
            await ask(transport, f"http://another.invalid:{port}/")
        monkeypatch.setattr(loop, "getaddrinfo", Names("127.0.0.2", "127.0.0.2"))
        with pytest.raises(ProviderTimeout, match="could not be reached in time"):
            await ask(transport, f"http://third.invalid:{port}/", 5, 0.1)
        await asyncio.sleep(0)
        assert given_up == ["127.0.0.2"] * 2 or given_up == ["127.0.0.2"] * 3


async def test_the_deadline_ends_a_connection_that_is_being_made(tmp_path: Path) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with listening(silent) as port, made() as transport:
        with pytest.raises(ProviderTimeout) as caught:
            await ask(transport, f"https://127.0.0.1:{port}/", 0.1)
        assert caught.value.was_sent is False


async def test_a_request_is_not_sent_to_a_proxy_when_its_address_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    heads = Heads()
    async with listening(heads) as port, made() as transport:
        request = HttpRequest("GET", f"http://provider.invalid:{port}/a", {}, b"", "127.0.0.1")
        for _ in range(2):
            async with transport.open(request, Timeouts(5)) as response:
                assert await response.read(10) == b"ok"
    assert [(head[0], head[1]) for head in heads.heads] == [("GET /a HTTP/1.1", f"host: provider.invalid:{port}")] * 2


async def test_a_response_leaves_no_cycles_for_the_collector() -> None:
    import gc

    async with serving(HttptoolsTransport, always_ok) as (transport, url):
        assert isinstance(transport, HttptoolsTransport)
        await ask(transport, url)
        gc.collect()
        gc.disable()
        try:
            for _ in range(5):
                await ask(transport, url)
            assert gc.collect() == 0
        finally:
            gc.enable()


async def test_a_whole_body_is_taken_if_it_has_arrived() -> None:
    rest = asyncio.Event()

    async def answer(connection: int, request: int, writer: asyncio.StreamWriter) -> None:
        writer.write(OK if request < 3 else OK[:-1])
        await writer.drain()
        if request == 3:
            await rest.wait()
            writer.write(OK[-1:])

    async with serving(HttptoolsTransport, answer) as (transport, url):
        request, timeouts, recorded = HttpRequest("POST", url, {}, b"{}"), Timeouts(5), list[bytes]()
        response = await transport.open(request, timeouts).__aenter__()
        assert response.take_whole(2) == b"ok"  # and needs no `__aexit__`
        async with transport.open(request, timeouts) as response:
            assert response.take_whole(1) is None
            with pytest.raises(ProviderMalformed):
                await response.read(1)
        async with transport.open(request, timeouts) as response:
            response.recording = recording(recorded.append)
            assert response.take_whole(2) is None
            assert (await response.read(2), recorded) == (b"ok", [b"ok"])
        async with transport.open(request, timeouts) as response:
            assert response.take_whole(2) is None
            rest.set()
            assert await response.read(2) == b"ok"

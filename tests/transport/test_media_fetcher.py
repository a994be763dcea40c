"""The safe fetcher: what it brings, and everything that it will not touch."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.transport.server import Behaviour, serving, transports
from tidegate.domain.call import Media
from tidegate.errors import InvalidRequest, ProviderTimeout, ProviderUnreachable, UpstreamError
from tidegate.transport.base import HttpRequest, HttpResponse, Timeouts, Transport
from tidegate.transport.media_fetcher import MediaFetcher, is_public

PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 20


def answer(body: bytes = PNG, status: str = "200 OK", headers: str = "") -> Behaviour:
    async def behave(connection: int, request: int, writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode()
        writer.write(head + body)

    return behave


async def here(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


@asynccontextmanager
async def fetching(make: type[Transport], behave: Behaviour, **options: Any) -> AsyncIterator[tuple[MediaFetcher, str]]:
    """A fetcher, and the URL of a server that behaves so."""
    async with serving(make, behave) as (transport, url):
        fetcher = MediaFetcher(transport, **{"resolve": here, "is_allowed": lambda address: True, **options})
        yield fetcher, url.replace("127.0.0.1", "media.example")


async def refusal(
    make: type[Transport], behave: Behaviour, url: str | None = None, **options: Any
) -> tuple[str | None, str]:
    async with fetching(make, behave, **options) as (fetcher, served):
        with pytest.raises(InvalidRequest) as caught:
            await fetcher.fetch({"messages[0].content[1].image_url.url": url or served}, 5)
    return caught.value.param, caught.value.message


@transports
async def test_the_bytes_come_with_the_type_that_they_have_from_the_pinned_address(make: type[Transport]) -> None:
    async with fetching(make, answer(headers="Content-Type: text/html\r\n")) as (fetcher, url):
        assert await fetcher.fetch({"a": url, "b": url}, 5) == {url: Media("image/png", PNG)}


@transports
async def test_text_keeps_the_type_that_it_claims(make: type[Transport]) -> None:
    async with fetching(make, answer(b"# Hi", headers="Content-Type: Text/Markdown; charset=utf-8\r\n")) as (
        fetcher,
        url,
    ):
        assert await fetcher.fetch({"a": url}, 5) == {url: Media("text/markdown", b"# Hi")}


@transports
async def test_a_redirect_is_followed_and_checked_again(make: type[Transport]) -> None:
    async def behave(connection: int, request: int, writer: asyncio.StreamWriter) -> None:
        if connection == 0:
            await answer(b"", "302 Found", "Location: /elsewhere\r\n")(0, 0, writer)
        else:
            await answer()(0, 0, writer)

    async with fetching(make, behave) as (fetcher, url):
        assert (await fetcher.fetch({"a": url}, 5))[url].data == PNG


@transports
async def test_a_redirect_to_a_private_address_is_refused(make: type[Transport]) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.1"] if host == "media.example" else ["169.254.169.254"]

    param, message = await refusal(
        make,
        answer(b"", "302 Found", "Location: http://metadata.example/latest\r\n"),
        resolve=resolve,
        is_allowed=lambda address: address == "127.0.0.1",
    )
    assert (param, "public address" in message) == ("messages[0].content[1].image_url.url", True)


@transports
async def test_endless_redirects_are_refused(make: type[Transport]) -> None:
    assert "redirects" in (await refusal(make, answer(b"", "302 Found", "Location: /again\r\n")))[1]


@transports
async def test_too_much_too_slow_and_broken_are_refused(make: type[Transport]) -> None:
    async def silent(connection: int, request: int, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async def broken(connection: int, request: int, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    assert "more than 10 bytes" in (await refusal(make, answer(), max_bytes=10))[1]
    assert "in time" in (await refusal(make, silent, timeout_seconds=0.1))[1]
    assert "could not be fetched" in (await refusal(make, broken))[1]
    assert "404" in (await refusal(make, answer(b"", "404 Not Found")))[1]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ProviderTimeout("slow"), "The URL did not respond in time."),
        (ProviderUnreachable("broken"), "The URL could not be fetched."),
    ],
)
async def test_it_is_said_what_the_transport_ran_into(error: UpstreamError, said: str) -> None:
    class Failing:
        @asynccontextmanager
        async def open(self, request: HttpRequest, timeouts: Timeouts) -> AsyncGenerator[HttpResponse]:
            raise error
            yield

        async def close(self) -> None:
            pass

    with pytest.raises(InvalidRequest) as caught:
        await MediaFetcher(Failing(), resolve=here, is_allowed=lambda address: True).fetch({"a": "http://a.example"}, 5)
    assert (caught.value.param, caught.value.message) == ("a", said)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://media.example/a",
        "file:///etc/passwd",
        "http://",
        "http://u:p@media.example/",
        "http://[::1",
        "http://a:99999/",
    ],
)
async def test_only_plain_web_urls_are_fetched(url: str) -> None:
    from tidegate.transport.httpx import HttpxTransport

    assert (await refusal(HttpxTransport, answer(), url))[0] == "messages[0].content[1].image_url.url"


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1\\a.media.example", "%31%32%37.0.0.1", "localhos\u00adt", "\uff4cocalhost", "b\u00fccher.example"],
)
async def test_a_host_that_the_client_might_read_otherwise_is_not_looked_up(host: str) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        raise AssertionError(host)

    from tidegate.transport.reqwest import ReqwestTransport

    assert "ASCII" in (await refusal(ReqwestTransport, answer(), f"http://{host}/a", resolve=resolve))[1]


async def test_the_first_failure_ends_the_other_fetches() -> None:
    class Slow:
        fetching = 0

        @asynccontextmanager
        async def open(self, request: HttpRequest, timeouts: Timeouts) -> AsyncGenerator[HttpResponse]:
            self.fetching += 1
            try:
                await asyncio.sleep(5 if "slow" in request.url else 0)
                raise ProviderUnreachable("broken")
                yield
            finally:
                self.fetching -= 1

        async def close(self) -> None:
            pass

    slow = Slow()
    urls = {"a": "http://slow.example", "b": "http://broken.example"}
    with pytest.raises(InvalidRequest, match="could not be fetched") as caught:
        await MediaFetcher(slow, resolve=here, is_allowed=lambda address: True).fetch(urls, 5)
    assert (caught.value.param, slow.fetching) == ("b", 0)


async def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["93.184.216.34", "10.0.0.1"]

    from tidegate.transport.httpx import HttpxTransport

    assert "public" in (await refusal(HttpxTransport, answer(), resolve=resolve, is_allowed=is_public))[1]


async def test_more_urls_than_allowed_are_refused() -> None:
    from tidegate.transport.httpx import HttpxTransport

    transport = HttpxTransport()
    with pytest.raises(InvalidRequest) as caught:
        await MediaFetcher(transport, max_count=1).fetch({"a": "http://a.example", "b": "http://b.example"}, 5)
    assert caught.value.param == "b"
    await transport.close()


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("fd00:ec2::254", False),
        ("ff02::1", False),
        ("::ffff:10.0.0.1", False),
        ("::ffff:93.184.216.34", True),
        ("64:ff9b::a00:1", False),
        ("2002:a00:1::", False),
        ("::10.0.0.1", False),
        ("::ffff:0:10.0.0.1", False),
        ("64:ff9b:1::a00:1", False),
        ("fec0::1", False),
        ("not an address", False),
    ],
)
def test_public_addresses(address: str, public: bool) -> None:
    assert is_public(address) is public


@transports
async def test_all_media_of_a_call_have_one_sum(make: type[Transport]) -> None:
    async with fetching(make, answer(), max_total_bytes=3 * len(PNG)) as (fetcher, url):
        urls = {str(number): f"{url}/{number}" for number in range(3)}
        assert len(await fetcher.fetch(urls, 5)) == 3
        with pytest.raises(InvalidRequest) as caught:
            await fetcher.fetch({**urls, "3": f"{url}/3"}, 5)
        assert caught.value.message == f"The URLs of a call have more than {3 * len(PNG)} bytes together."
        assert caught.value.param in {*urls, "3"}
        assert await fetcher.fetch({"a": url, "b": url, "c": url, "d": url}, 5) == {url: Media("image/png", PNG)}


async def test_twenty_large_media_are_never_in_memory_together() -> None:
    """A host that sends 20 x 20 MB: the fetches end when they have read the sum, not when each is complete."""
    sent = 0

    class Large:
        status, headers = 200, {"content-type": "video/mp4"}

        async def read(self, limit: int) -> bytes:
            raise AssertionError("It would hold a whole medium for each URL.")

        async def chunks(self) -> AsyncGenerator[bytes]:
            nonlocal sent
            for _ in range(20 * 16):
                await asyncio.sleep(0)
                sent += 65_536
                yield bytes(65_536)

    class Host:
        @asynccontextmanager
        async def open(self, request: HttpRequest, timeouts: Timeouts) -> AsyncGenerator[HttpResponse]:
            yield Large()

        async def close(self) -> None:
            pass

    fetcher = MediaFetcher(Host(), resolve=here, is_allowed=lambda address: True)
    with pytest.raises(InvalidRequest, match="together"):
        await fetcher.fetch({str(number): f"http://media.example/{number}" for number in range(20)}, 5)
    assert fetcher.max_total_bytes <= sent <= fetcher.max_total_bytes + 20 * 65_536

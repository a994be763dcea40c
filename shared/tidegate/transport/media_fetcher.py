"""Fetches media that callers name by URL, safely, for providers that accept only bytes.

Nothing is fetched from a private address. A host is resolved once, all of its addresses are checked, and the
connection goes to one of them, so that a second DNS answer changes nothing. The URL of each redirect is checked too.

Source: https://cheatsheetseries.owasp.org/cheatsheets/Server_Side_Request_Forgery_Prevention_Cheat_Sheet.html
"""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import TypeAlias
from urllib.parse import urljoin, urlsplit

import anyio
from msgspec import Struct

from tidegate.chat.media import sniff_media_type
from tidegate.domain.call import MAX_URLS, Media
from tidegate.errors import InvalidRequest, ProviderTimeout, UpstreamError
from tidegate.transport.base import HttpRequest, HttpResponse, Timeouts, Transport

Resolver: TypeAlias = Callable[[str, int], Awaitable[list[str]]]
"""Gives the IP addresses of a host. Raises `OSError`."""

MAX_REDIRECTS = 3
MAX_URL_CHARACTERS = 2048
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_NAT64 = IPv6Network("64:ff9b::/96")
_UNICAST = IPv6Network("2000::/3")
"""All public IPv6 addresses; the others are local, reserved, or contain an IPv4 address."""

# All URL parsers agree on these characters. With others (backslashes, percent signs, Unicode) the HTTP client might
# connect to another host than the checked one.
_HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+")


async def resolve(host: str, port: int) -> list[str]:
    """Resolve the host with the system's resolver. Raises `OSError`."""
    addresses = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[4][0]) for address in addresses]


def is_public(address: str) -> bool:
    """True for an address of the public internet. An IPv4 address that an IPv6 one embeds is checked instead of it."""
    try:
        ip: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, IPv6Address):
        embedded = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if embedded is None and ip in _NAT64:
            embedded = IPv4Address(int(ip) & 0xFFFFFFFF)
        if embedded is not None:
            return embedded.is_global and not embedded.is_multicast
        if ip not in _UNICAST:
            return False
    return ip.is_global and not ip.is_multicast


class _ByteBudget(Struct):
    """The bytes that the fetches of a call may still read together."""

    maximum: int
    used: int = 0

    def use(self, count: int, path: str) -> None:
        """Count bytes that have arrived. Raises `InvalidRequest`."""
        self.used += count
        if self.used > self.maximum:
            raise InvalidRequest(f"The URLs of a call have more than {self.maximum} bytes together.", param=path)


class MediaFetcher(Struct, frozen=True):
    """Limits: `max_bytes` of one medium, `max_total_bytes` of all media and `max_count` URLs of a call,
    `timeout_seconds` for a URL with its redirects.
    """

    transport: Transport
    max_bytes: int = 20 * 1024 * 1024
    max_total_bytes: int = 32 * 1024 * 1024
    """The media are in memory, as base64 and in the request's body at the same time: about four times their bytes."""

    max_count: int = MAX_URLS
    timeout_seconds: float = 10.0
    resolve: Resolver = resolve
    is_allowed: Callable[[str], bool] = is_public

    async def fetch(self, urls: Mapping[str, str], remaining_seconds: float) -> dict[str, Media]:
        """Fetch `urls`, given by the path of their part in the request; the media are returned by their URL.

        `remaining_seconds` is the call's remaining time. Raises `InvalidRequest`, which names the part, for an address
        that is not public, a failed fetch, and an exceeded limit.
        """
        paths = {url: path for path, url in reversed(list(urls.items()))}
        if len(paths) > self.max_count:
            path = list(urls)[self.max_count]
            raise InvalidRequest(f"A call may name at most {self.max_count} URLs.", param=path)
        timeout_seconds = min(self.timeout_seconds, remaining_seconds)
        media: dict[str, Media] = {}
        budget = _ByteBudget(self.max_total_bytes)
        try:
            async with anyio.create_task_group() as tasks:
                for url, path in paths.items():
                    tasks.start_soon(self._fetch_in_time, url, path, timeout_seconds, media, budget)
        except ExceptionGroup as failures:  # the first failure has cancelled the other fetches
            raise failures.exceptions[0] from None
        return media

    async def _fetch_in_time(
        self, url: str, path: str, timeout_seconds: float, media: dict[str, Media], budget: _ByteBudget
    ) -> None:
        try:
            async with asyncio.timeout(timeout_seconds):
                media[url] = await self._fetch_with_redirects(url, path, timeout_seconds, budget)
        except TimeoutError:
            raise InvalidRequest("The URL did not respond in time.", param=path) from None

    async def _fetch_with_redirects(self, url: str, path: str, timeout_seconds: float, budget: _ByteBudget) -> Media:
        for _ in range(MAX_REDIRECTS + 1):
            address = await self.find_public_address(url, path)
            request = HttpRequest("GET", url, {"accept": "*/*", "accept-encoding": "identity"}, b"", address)
            try:
                async with self.transport.open(request, Timeouts(total=timeout_seconds)) as response:
                    if response.status in _REDIRECTS and "location" in response.headers:
                        url = urljoin(url, response.headers["location"])
                        continue
                    if response.status != 200:
                        raise InvalidRequest(f"The URL responded with HTTP {response.status}.", param=path)
                    data = await self._read(response, path, budget)
                    return _as_media(data, response.headers.get("content-type", ""))
            except ProviderTimeout:  # it and `_fetch_in_time`'s timeout end together: either may be first
                raise TimeoutError from None
            except UpstreamError:
                raise InvalidRequest("The URL could not be fetched.", param=path) from None
        raise InvalidRequest(f"The URL redirects more than {MAX_REDIRECTS} times.", param=path)

    async def _read(self, response: HttpResponse, path: str, budget: _ByteBudget) -> bytes:
        """Read the body piece by piece: all fetches together never hold more than the budget."""
        data = bytearray()
        async with aclosing(response.chunks()) as pieces:
            async for piece in pieces:
                if len(data) + len(piece) > self.max_bytes:
                    raise InvalidRequest(f"The URL has more than {self.max_bytes} bytes.", param=path)
                budget.use(len(piece), path)
                data += piece
        return bytes(data)

    async def find_public_address(self, url: str, path: str) -> str:
        """One IP address of the URL's host, all of which must be public. Raises `InvalidRequest`, naming `path`."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            raise InvalidRequest("The URL is not valid.", param=path) from None
        if parts.scheme not in ("http", "https") or not host or len(url) > MAX_URL_CHARACTERS:
            message = f"Only http and https URLs of at most {MAX_URL_CHARACTERS} characters can be fetched."
            raise InvalidRequest(message, param=path)
        if parts.username is not None or parts.password is not None:
            raise InvalidRequest("A URL with a user name or password is not fetched: remove them.", param=path)
        if not _HOST.fullmatch(host):
            raise InvalidRequest("The URL's host must be ASCII: letters, digits, dots and hyphens.", param=path)
        try:
            addresses = await self.resolve(host, port)
        except (OSError, UnicodeError):
            raise InvalidRequest("The URL's host could not be resolved.", param=path) from None
        if not addresses or not all(self.is_allowed(address) for address in addresses):
            raise InvalidRequest("The URL's host does not have a public address.", param=path)
        return addresses[0]


def _as_media(data: bytes, declared: str) -> Media:
    media_type = sniff_media_type(data) or declared.partition(";")[0].strip().lower() or "application/octet-stream"
    return Media(media_type, data)

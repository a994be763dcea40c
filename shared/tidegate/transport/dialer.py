"""Makes connections: resolves names, tries addresses side by side, opens tunnels of proxies, checks certificates.

Source: https://www.rfc-editor.org/rfc/rfc8305 (2017), section 5, and https://www.rfc-editor.org/rfc/rfc9110 (2022),
section 9.3.6.
"""

import asyncio
import math
import socket
import ssl
from collections.abc import Callable, Sequence
from itertools import chain, zip_longest
from typing import TypeAlias

from msgspec import Struct

from tidegate.lazy import late_pattern, load
from tidegate.transport.connection import Connection, describe
from tidegate.transport.exchange import ExchangeError
from tidegate.transport.origin import Origin, Proxy

ATTEMPT_SECONDS = 0.25
"""How long an address is tried alone before the next one is tried beside it (RFC 8305, section 5)."""

MAX_PROXY_HEAD_BYTES = 16 * 1024

_OPENED = late_pattern(rb"HTTP/1\.[01] 2\d\d[ \r]")

Address: TypeAlias = tuple[socket.AddressFamily, tuple[str | int, ...] | tuple[int, bytes]]


class DialLimits(Struct, frozen=True):
    """A connection must be made within `seconds`, and before `deadline`, a time of the event loop."""

    seconds: float
    deadline: float = math.inf


class Dialer:
    """Makes connections. `root_certificate_pem` is trusted besides the system's and certifi's authorities."""

    def __init__(self, root_certificate_pem: bytes | None = None) -> None:
        self._root_certificate_pem = root_certificate_pem
        self._ssl_context: ssl.SSLContext | None = None

    async def connect(
        self, origin: Origin, limits: DialLimits, make: Callable[[], Connection], address: str | None = None
    ) -> Connection:
        """A new connection to the origin, or to `address`, which must prove to be the origin's host.

        Raises `ExchangeError` if it could not be made in time.
        """
        try:
            async with asyncio.timeout_at(min(asyncio.get_running_loop().time() + limits.seconds, limits.deadline)):
                return await self._connect(origin, make, address)
        except TimeoutError as error:
            # The operating system's own timeout has an error number.
            reason = describe(error) if error.errno else "the connection was not made in time"
            raise ExchangeError(reason, was_sent=False, timed_out=True) from None
        except (OSError, ValueError) as error:
            raise ExchangeError(describe(error), was_sent=False) from None

    async def _connect(self, origin: Origin, make: Callable[[], Connection], address: str | None) -> Connection:
        loop = asyncio.get_running_loop()
        proxy = origin.proxy if address is None else None
        host, port = (proxy.host, proxy.port) if proxy is not None else (address or origin.host, origin.port)
        raw = await connect_socket(host, port)
        try:
            if proxy is not None and origin.is_tunnelled:
                await open_tunnel(raw, origin, proxy)
            context = self._get_ssl_context() if origin.scheme == "https" else None
            name = origin.host if context is not None else None
            _, connection = await loop.create_connection(make, sock=raw, ssl=context, server_hostname=name)
        except BaseException:
            raw.close()
            raise
        return connection

    def _get_ssl_context(self) -> ssl.SSLContext:
        context = self._ssl_context
        if context is None:
            create = load("tidegate.transport.tls", "create_ssl_context")
            self._ssl_context = context = create(self._root_certificate_pem)
        return context


async def connect_socket(host: str, port: int) -> socket.socket:
    """A socket that is connected to the first address of the host that answers. Raises `OSError`."""
    addresses = await _resolve(host, port)
    if len(addresses) == 1:
        return await _connect_to(addresses[0])
    return await _connect_to_first(addresses)


async def _resolve(host: str, port: int) -> list[Address]:
    """The addresses of a host, both families in turns."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return [(family, (host, port) if family == socket.AF_INET else (host, port, 0, 0))]
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses: list[Address] = [(family, place) for family, _, _, _, place in found]
    first = [address for address in addresses if address[0] == addresses[0][0]]
    other = [address for address in addresses if address[0] != addresses[0][0]]
    return [address for address in chain(*zip_longest(first, other)) if address is not None]


async def _connect_to_first(addresses: Sequence[Address]) -> socket.socket:
    """Try the addresses one after the other, and a slow one beside the next ones. Raises the last `OSError`."""
    attempts: set[asyncio.Task[socket.socket]] = set()
    failure = OSError("the host has no address")
    left = list(addresses)
    try:
        while left or attempts:
            if left:
                attempts.add(asyncio.ensure_future(_connect_to(left.pop(0))))
            seconds = ATTEMPT_SECONDS if left else None
            done, attempts = await asyncio.wait(attempts, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            for attempt in done:
                error = attempt.exception()
                if error is None:
                    attempts |= done - {attempt}
                    return attempt.result()
                if not isinstance(error, OSError):
                    raise error
                failure = error
        raise failure
    finally:
        for attempt in attempts:
            attempt.add_done_callback(_close_late)
            attempt.cancel()


def _close_late(attempt: asyncio.Task[socket.socket]) -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()


async def _connect_to(address: Address) -> socket.socket:
    family, place = address
    connected = socket.socket(family, socket.SOCK_STREAM)
    try:
        connected.setblocking(False)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        await asyncio.get_running_loop().sock_connect(connected, place)
    except BaseException:
        connected.close()
        raise
    return connected


async def open_tunnel(connected: socket.socket, origin: Origin, proxy: Proxy) -> None:
    """Let the proxy connect to the origin. Raises `OSError` if it refuses."""
    loop = asyncio.get_running_loop()
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    place = f"{host}:{origin.port}"
    authorization = f"proxy-authorization: {proxy.authorization}\r\n" if proxy.authorization else ""
    head = f"CONNECT {place} HTTP/1.1\r\nhost: {place}\r\nuser-agent: tidegate\r\n{authorization}\r\n"
    await loop.sock_sendall(connected, head.encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        data = await loop.sock_recv(connected, MAX_PROXY_HEAD_BYTES)
        answer += data
        if not data or len(answer) > MAX_PROXY_HEAD_BYTES:
            raise OSError("the proxy did not answer with HTTP")
    if _OPENED.match(answer) is None or not answer.endswith(b"\r\n\r\n"):
        raise OSError("the proxy refused to connect to the server")

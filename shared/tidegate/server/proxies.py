"""Addresses of clients, as proxies in front of the server report them in `x-forwarded-for` and `x-forwarded-proto`.

Source: https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/X-Forwarded-For. A client can write such
headers itself: only those of trusted proxies are read, from the last proxy back to the first address that is not one.
"""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from msgspec import Struct

LOOPBACK = "127.0.0.1,::1"
_SCHEMES = frozenset({"http", "https"})


class TrustedProxies(Struct, frozen=True):
    """Networks whose machines report the addresses of their clients truly; `trusts_all` for every machine."""

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    trusts_all: bool = False

    @classmethod
    def parse(cls, setting: str) -> "TrustedProxies":
        """Read addresses and networks, separated by commas, or "*". Raises `ValueError`."""
        words = [word.strip() for word in setting.split(",") if word.strip()]
        return cls(tuple(ip_network(word) for word in words if word != "*"), "*" in words)

    def trust(self, host: str) -> bool:
        """True for the address of a trusted proxy."""
        if self.trusts_all:
            return True
        try:
            address = ip_address(host)
        except ValueError:
            return False
        return any(address in network for network in self.networks)

    def client_of(self, forwarded: Iterable[bytes]) -> tuple[str, int] | None:
        """Return the client in the values of `x-forwarded-for`: the last address that is not a trusted proxy's."""
        text = b",".join(forwarded).decode("latin-1")
        addresses = [_host_and_port(word.strip()) for word in text.split(",") if word.strip()]
        for host, port in reversed(addresses):
            if not self.trust(host):
                return host, port
        return addresses[0] if addresses else None


def scheme_of(forwarded: bytes) -> str | None:
    """Return the scheme in the value of `x-forwarded-proto`, None unless it is one of HTTP's."""
    scheme = forwarded.decode("latin-1").strip()
    return scheme if scheme in _SCHEMES else None


def _host_and_port(word: str) -> tuple[str, int]:
    """Split `1.2.3.4:5`, `[::1]:5` or a bare address. A port that is missing or not a number is 0."""
    if word.startswith("["):
        host, _, port = word[1:].partition("]")
        port = port.removeprefix(":")
    elif word.count(":") == 1:
        host, _, port = word.partition(":")
    else:
        host, port = word, ""
    return host, int(port) if port.isascii() and port.isdecimal() else 0

"""Restrictions of a virtual key to networks and endpoints."""

from fnmatch import fnmatchcase
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from tidegate.domain.workspace import RequestSource, VirtualKey
from tidegate.errors import EndpointNotAllowed, InvalidRequest, NetworkNotAllowed

MAX_ENDPOINTS = 50
MAX_NETWORKS = 50
MAX_PATTERN = 200


def check_restrictions(key: VirtualKey, source: RequestSource) -> None:
    """Raise `EndpointNotAllowed` or `NetworkNotAllowed` unless the key allows `source`; an unknown one never passes."""
    if key.endpoints is not None and not _matches(source.path, key.endpoints):
        raise EndpointNotAllowed("This key may not use this endpoint.")
    if key.networks is not None and not _is_within(source.address, key.networks):
        raise NetworkNotAllowed("This key may not be used from this network.")


def parse_endpoints(patterns: list[str]) -> tuple[str, ...]:
    """Validated patterns of paths ("/v1/chat/*") without duplicates. Raises `InvalidRequest`."""
    if not 0 < len(patterns) <= MAX_ENDPOINTS:
        raise InvalidRequest(f"A key may be limited to 1 to {MAX_ENDPOINTS} endpoints.", param="endpoints")
    for pattern in patterns:
        printable = pattern.isascii() and pattern.isprintable() and " " not in pattern
        if not pattern.startswith("/") or not printable or len(pattern) > MAX_PATTERN:
            message = f"{pattern!r} is not a valid endpoint: write a path such as '/v1/chat/*'."
            raise InvalidRequest(message, param="endpoints")
    return tuple(dict.fromkeys(patterns))


def parse_networks(ranges: list[str]) -> tuple[str, ...]:
    """Networks in canonical form ("203.0.113.0/24"); an address becomes a network of one. Raises `InvalidRequest`."""
    if not 0 < len(ranges) <= MAX_NETWORKS:
        raise InvalidRequest(f"A key may be limited to 1 to {MAX_NETWORKS} networks.", param="networks")
    return tuple(dict.fromkeys(_canonical_network(each) for each in ranges))


def parse_address(text: str | None) -> IPv4Address | IPv6Address | None:
    """The address without its zone; IPv4-mapped IPv6 becomes IPv4. None if `text` is not an address."""
    try:
        address = ip_address((text or "").partition("%")[0])
    except ValueError:
        return None
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def _matches(path: str | None, patterns: tuple[str, ...]) -> bool:
    return path is not None and any(fnmatchcase(path, pattern) for pattern in patterns)


def _is_within(text: str | None, ranges: tuple[str, ...]) -> bool:
    address = parse_address(text)
    return address is not None and any(network is not None and address in network for network in map(_network, ranges))


@lru_cache(maxsize=4096)
def _network(text: str) -> IPv4Network | IPv6Network | None:
    """The network; None if `text` is not one, which then contains no address."""
    try:
        return ip_network(text)
    except ValueError:
        return None


def _canonical_network(text: str) -> str:
    network = _network(text.strip())
    if network is None:
        raise InvalidRequest(
            f"{text!r} is not a valid network: write it as '203.0.113.0/24' or '2001:db8::/32', with no host bits set.",
            param="networks",
        )
    return str(network)

import pytest

from tests.store_worlds import key
from tidegate.domain import restrictions
from tidegate.domain.workspace import RequestSource
from tidegate.errors import EndpointNotAllowed, InvalidRequest, NetworkNotAllowed

CHAT = "/v1/chat/completions"


def allowed(source: RequestSource, **limits: tuple[str, ...] | None) -> bool:
    try:
        restrictions.check_restrictions(key(**limits), source)
    except (EndpointNotAllowed, NetworkNotAllowed):
        return False
    return True


@pytest.mark.parametrize(
    ("patterns", "path", "expected"),
    [
        (None, CHAT, True),
        (None, None, True),
        ((CHAT,), CHAT, True),
        ((CHAT,), "/v1/models", False),
        ((CHAT,), CHAT + "/", False),
        ((CHAT,), CHAT.upper(), False),
        (("/v1/*",), CHAT, True),
        (("/v1/*",), "/v1/models/openai/gpt-4o", True),
        (("/v1/*",), "/api/ds-prototypes/chat/completions", False),
        (("/v1/models", "/v1/models/*"), "/v1/models", True),
        (("/*",), None, False),
        ((), CHAT, False),
    ],
)
def test_a_path_must_match_a_pattern(patterns: tuple[str, ...] | None, path: str | None, expected: bool) -> None:
    assert allowed(RequestSource("192.0.2.1", path), endpoints=patterns) is expected


@pytest.mark.parametrize(
    ("ranges", "address", "expected"),
    [
        (None, None, True),
        (("203.0.113.0/24",), "203.0.113.255", True),
        (("203.0.113.0/24",), "203.0.114.0", False),
        (("203.0.113.7/32", "198.51.100.0/24"), "198.51.100.9", True),
        (("2001:db8::/32",), "2001:db8:ffff::1", True),
        (("2001:db8::/32",), "2001:db9::1", False),
        (("fe80::/10",), "fe80::1%eth0", True),
        (("203.0.113.0/24",), "::ffff:203.0.113.7", True),
        (("203.0.113.0/24",), "2001:db8::1", False),
        (("0.0.0.0/0",), "2001:db8::1", False),
        (("0.0.0.0/0",), None, False),
        (("0.0.0.0/0",), "", False),
        (("0.0.0.0/0",), "test-invoke-source-ip", False),
        (("0.0.0.0/0",), "203.0.113.7, 203.0.113.8", False),
        (("no network",), "203.0.113.7", False),
        ((), "203.0.113.7", False),
    ],
)
def test_an_address_must_be_in_a_network(ranges: tuple[str, ...] | None, address: str | None, expected: bool) -> None:
    assert allowed(RequestSource(address, CHAT), networks=ranges) is expected


def test_patterns_are_kept_as_they_are() -> None:
    assert restrictions.parse_endpoints([CHAT, "/v1/*", CHAT]) == (CHAT, "/v1/*")


@pytest.mark.parametrize("patterns", [[], [""], ["v1/*"], ["/v1 /x"], ["/é"], ["/a\n"], ["/" * 201], ["/a"] * 51])
def test_what_is_no_pattern_of_paths_is_refused(patterns: list[str]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        restrictions.parse_endpoints(patterns)
    assert caught.value.param == "endpoints"


def test_networks_are_kept_in_one_spelling() -> None:
    given = ["203.0.113.0/24", " 203.0.113.7 ", "2001:DB8:0::/32", "203.0.113.0/255.255.255.0"]
    assert restrictions.parse_networks(given) == ("203.0.113.0/24", "203.0.113.7/32", "2001:db8::/32")


@pytest.mark.parametrize("ranges", [[], [""], ["203.0.113.7/24"], ["203.0.113.0/33"], ["example.com"], ["::/0"] * 51])
def test_what_is_no_network_is_refused(ranges: list[str]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        restrictions.parse_networks(ranges)
    assert caught.value.param == "networks"

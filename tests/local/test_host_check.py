"""Requests for other hosts are refused: a web page's name that leads to this machine opens nothing."""

from typing import Any

import httpx
import pytest
from starlette.responses import Response

from tests.server.serving import post, read_replies, running
from tidegate.local.host_check import AllowedHosts, HostCheck, allowed_hosts

LOOPBACK = allowed_hosts("127.0.0.1")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1", "127.0.0.1:8000", "[::1]", "[::1]:8000"])
def test_this_machine_is_allowed(host: str) -> None:
    assert LOOPBACK.allow([host])


@pytest.mark.parametrize(
    "hosts",
    [
        ["evil.example"],
        ["evil.example:8000"],
        ["localhost.evil.example"],
        ["127.0.0.1.evil.example"],
        ["127.0.0.1@evil.example"],
        ["evil.example#127.0.0.1"],
        ["192.168.0.7"],
        [""],
        [],
        ["localhost", "evil.example"],
        ["localhost:8000:1"],
        ["::1"],
    ],
)
def test_all_others_are_refused(hosts: list[str]) -> None:
    assert not LOOPBACK.allow(hosts)


def test_the_address_that_is_listened_on_and_the_setting_add_hosts() -> None:
    assert allowed_hosts("192.168.0.7").allow(["192.168.0.7:8000"])
    assert allowed_hosts("fd00::7").allow(["[fd00::7]:8000"])
    named = allowed_hosts("127.0.0.1", "tide.example, Gate.example")
    assert [named.allow([host]) for host in ("tide.example:80", "gate.example", "evil.example")] == [True, True, False]
    assert allowed_hosts("127.0.0.1", "*").allow(["anything.example"])


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_on_all_interfaces_every_address_is_allowed_and_no_other_name(host: str) -> None:
    hosts = allowed_hosts(host)
    assert [hosts.allow([name]) for name in ("192.168.0.7:8000", "[fd00::7]", "evil.example")] == [True, True, False]


async def test_a_request_for_another_host_does_not_reach_the_application() -> None:
    transport = httpx.ASGITransport(HostCheck(Response(status_code=204), AllowedHosts(frozenset({"localhost"}))))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8000") as client:
        assert (await client.get("/health")).status_code == 204
        for path in ("/health", "/v1/models", "/docs", "/admin/v1/workspaces"):
            refused: Any = await client.get(path, headers={"host": "evil.example"})
            assert (refused.status_code, refused.json()["error"]["code"]) == (403, "host_not_allowed")
            assert len(refused.headers["x-request-id"]) == 26
            assert "TIDEGATE_ALLOWED_HOSTS" in refused.json()["error"]["message"]


async def test_a_host_that_was_allowed_allows_no_other_one() -> None:
    app: Any = HostCheck(Response(status_code=204), LOOPBACK)
    statuses: list[int] = []

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    for hosts in ([], ["localhost"], ["localhost"], ["evil.example"], [], ["localhost", "localhost"], ["localhost"]):
        headers = [(b"host", host.encode()) for host in hosts]
        await app({"type": "http", "method": "GET", "path": "/", "headers": headers}, None, send)
    assert statuses == [403, 204, 204, 403, 403, 403, 204]


async def test_a_head_that_is_sent_again_is_refused_again() -> None:
    async with running(HostCheck(Response(status_code=204), LOOPBACK)) as server:
        reader, writer = await server.open()
        statuses: list[int] = []
        for host in [b"localhost"] * 4 + [b"evil.example"] * 4 + [b"localhost"]:
            writer.write(post(b"tide").replace(b"host: a", b"host: %b" % host))
            ((number, _, _),) = await read_replies(reader, (b"POST",))
            statuses.append(number)
        writer.close()
    assert statuses == [204] * 4 + [403] * 4 + [204]

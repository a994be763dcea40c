"""The address `/`: browsers are led to the dashboard, programs are told that there is nothing."""

import httpx
import pytest
from starlette.applications import Starlette

from tidegate.local.home_page import home_routes


def browser() -> httpx.AsyncClient:
    transport = httpx.ASGITransport(Starlette(routes=home_routes()))
    headers = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000", headers=headers)


async def test_a_browser_is_led_to_the_dashboard() -> None:
    async with browser() as client:
        answer = await client.get("/")
    shown = {name: answer.headers[name] for name in ("location", "vary", "cache-control")}
    assert (answer.status_code, shown) == (
        307,
        {"location": "/console/", "vary": "accept", "cache-control": "no-store"},
    )


@pytest.mark.parametrize("accept", ["*/*", "application/json", ""])
async def test_a_program_gets_the_error_of_an_unknown_path(accept: str) -> None:
    async with browser() as client:
        assert (await client.get("/", headers={"accept": accept})).status_code == 404

"""The page `/`: for browsers, without a key, and without anything from another host."""

import re

import httpx
import pytest
from starlette.applications import Starlette

from tidegate.local.home_page import home_routes


def browser() -> httpx.AsyncClient:
    transport = httpx.ASGITransport(Starlette(routes=home_routes()))
    headers = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000", headers=headers)


async def test_a_browser_gets_a_page_with_a_first_request_and_no_key() -> None:
    async with browser() as client:
        page = await client.get("/")
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert "curl -N http://127.0.0.1:8000/v1/chat/completions" in page.text
        assert re.findall(r"sk-[\w-]+", page.text) == ["sk-tidegate-"]
        policy = page.headers["content-security-policy"].split("; ")
        assert {"default-src 'none'", "style-src 'self'", "frame-ancestors 'none'"} <= set(policy)
        assert not re.search(r"<script|<style|\sstyle=|\son\w+=|javascript:", page.text)
        links = re.findall(r'(?:href|src)="([^"]+)"', page.text)
        assert all(link.startswith("/") and not link.startswith("//") for link in links)
        style = await client.get("/docs/home.css")
        assert (style.status_code, style.headers["content-type"]) == (200, "text/css; charset=utf-8")
        assert "url(" not in style.text and "@import" not in style.text


async def test_the_host_of_the_request_is_escaped() -> None:
    async with browser() as client:
        page = await client.get("/", headers={"host": 'a"<b>'})
        assert "<b>" not in page.text


@pytest.mark.parametrize("accept", ["*/*", "application/json", ""])
async def test_a_program_gets_the_error_of_an_unknown_path(accept: str) -> None:
    async with browser() as client:
        assert (await client.get("/", headers={"accept": accept})).status_code == 404

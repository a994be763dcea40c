"""The pages of the dashboard: small, without foreign hosts, without a way to make HTML of text, in two languages."""

import asyncio
import json
import re
from gzip import decompress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from mangum import Mangum

from tests.api.console.world import Console, open_console
from tidegate.api.admin.app import build_admin
from tidegate.api.console import static_files
from tidegate.domain.identity import OidcIssuer

FOLDER = Path(static_files.__file__).parent / "pages"
FILES = sorted(FOLDER.iterdir())
MODULES = [path for path in FILES if path.suffix == ".js"]
MAX_BYTES = 200_000
"""Of what one visitor loads, also where it is not compressed; in gzip, it is `MAX_GZIP_BYTES`."""

MAX_GZIP_BYTES = 100_000
GERMAN_KEY_CHARACTERS = 16

HTML_FROM_TEXT = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|setHTML|DOMParser"
    r"|createContextualFragment|srcdoc|setTimeout\(\s*[\"'`]"
)

modules = pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)


@pytest.fixture
async def visitor():
    transport = httpx.ASGITransport(build_admin())
    async with httpx.AsyncClient(transport=transport, base_url="http://admin.test") as client:
        yield client


async def test_the_pages_need_no_key_and_allow_their_own_host_alone(visitor: httpx.AsyncClient) -> None:
    page = await visitor.get("/console/")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = dict(part.split(" ", 1) for part in page.headers["content-security-policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": "'self'",
        "img-src": "'self' data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|<script(?! type=\"module\" src=)", page.text)
    assert all(not link.startswith(("http", "//", "/")) for link in re.findall(r'(?:href|src)="([^"]+)"', page.text))


async def test_the_pages_may_also_ask_the_issuer_that_knows_them(visitor: httpx.AsyncClient) -> None:
    issuer = OidcIssuer("https://issuer.example/realms/sea", "tidegate", client_id="dashboard", scopes="openid email")
    unknown = OidcIssuer("https://issuer.example", "tidegate")
    assert (await visitor.get("/console/issuer.json")).json() is None
    for configured, hosts, document in (
        (unknown, "'self'", None),
        (
            issuer,
            "'self' https://issuer.example",
            {
                "url": "https://issuer.example/realms/sea",
                "client_id": "dashboard",
                "scopes": "openid email",
                "audience": "tidegate",
            },
        ),
    ):
        transport = httpx.ASGITransport(build_admin(issuer=configured))
        async with httpx.AsyncClient(transport=transport, base_url="http://admin.test") as client:
            answer = await client.get("/console/issuer.json")
            policy = (await client.get("/console/")).headers["content-security-policy"]
        assert (answer.json(), answer.headers["content-type"]) == (document, "application/json")
        strict = static_files.HEADERS["content-security-policy"]
        assert policy == strict.replace("connect-src 'self'", f"connect-src {hosts}")


async def test_every_file_has_its_type_and_is_checked_anew_at_each_visit(visitor: httpx.AsyncClient) -> None:
    types = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
    for path in FILES:
        answer = await visitor.get(f"/console/{path.name}")
        lines = [line.strip() for line in path.read_text().split("\n")]
        assert answer.status_code == 200
        expected = ["" if line.startswith("//") else line for line in lines]
        if path.suffix == ".css":
            assert "".join(answer.text.split()) == "".join("".join(expected).split())
        else:
            assert answer.text.split("\n") == expected
        assert answer.headers["content-type"].startswith(types[path.suffix])
        assert answer.headers["cache-control"] == "no-cache"
        again = await visitor.get(f"/console/{path.name}", headers={"if-none-match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


async def test_no_other_file_can_be_read(visitor: httpx.AsyncClient) -> None:
    for path in (
        "/console/../static_files.py",
        "/console/%2e%2e/static_files.py",
        "/console/nothing.js",
        "/console/v1",
    ):
        assert (await visitor.get(path)).status_code in (401, 404)
    assert (await visitor.post("/console/")).status_code in (401, 404, 405)


async def test_the_address_without_a_slash_leads_to_the_pages(visitor: httpx.AsyncClient) -> None:
    for path in ("/console", "/"):
        answer = await visitor.get(path)
        assert (answer.status_code, answer.headers["location"]) == (307, "console/index.html")


@pytest.mark.parametrize(
    ("path", "full_path", "location"),
    [
        ("/console", "/live/console", "console/index.html"),
        ("/", "/live", "/live/console/index.html"),
        ("/", "/live/", "console/index.html"),
        ("/", "/", "console/index.html"),
        ("/console", "/console", "console/index.html"),
    ],
)
def test_api_gateways_addresses_lead_to_the_pages(path: str, full_path: str, location: str) -> None:
    answer = answer_of_lambda(path, full_path)
    assert (answer["statusCode"], answer["headers"]["location"]) == (307, location)


def test_api_gateway_gets_text_because_it_does_not_decode_what_browsers_ask_for() -> None:
    answer = answer_of_lambda("/console/app.js", "/live/console/app.js")
    assert (answer["statusCode"], answer["isBase64Encoded"]) == (200, False)
    assert "content-encoding" not in answer["headers"]
    assert answer["body"].encode() == static_files.read_files()["app.js"].content


def answer_of_lambda(path: str, full_path: str) -> dict[str, Any]:
    headers = {"host": "abc.execute-api.eu-central-1.amazonaws.com", "accept": "*/*", "accept-encoding": "gzip, br"}
    event = {
        "resource": path,
        "path": path,
        "httpMethod": "GET",
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "requestContext": {"identity": {"sourceIp": "192.0.2.1"}, "path": full_path, "stage": "live"},
        "body": None,
        "isBase64Encoded": False,
    }
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        return Mangum(build_admin(), lifespan="off")(event, SimpleNamespace())  # type: ignore[arg-type]
    finally:
        asyncio.set_event_loop(None)
        loop.close()


@pytest.mark.parametrize(
    ("accepted", "is_compressed"),
    [
        ("gzip, deflate, br", True),
        ("br;q=1.0, GZIP;q=0.8", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000, br", False),
        ("br", False),
        ("identity", False),
        ("", False),
    ],
)
async def test_who_takes_gzip_gets_it(visitor: httpx.AsyncClient, accepted: str, *, is_compressed: bool) -> None:
    async with visitor.stream("GET", "/console/app.js", headers={"accept-encoding": accepted}) as answer:
        sent = b"".join([part async for part in answer.aiter_raw()])
    assert answer.headers["vary"] == "accept-encoding"
    assert answer.headers.get("content-encoding") == ("gzip" if is_compressed else None)
    assert answer.headers["content-length"] == str(len(sent))
    content = static_files.read_files()["app.js"].content
    assert (decompress(sent) if is_compressed else sent) == content


async def test_calls_may_be_made_at_another_host_if_the_operator_names_it() -> None:
    transport = httpx.ASGITransport(build_admin(api_url="https://abc.example/live"))
    async with httpx.AsyncClient(transport=transport, base_url="http://admin.test") as client:
        policy = (await client.get("/console/")).headers["content-security-policy"]
    assert "connect-src 'self' https://abc.example;" in policy
    for url in (None, "https://abc.example/live"):
        async with open_console(url) as console:
            assert (await console.get("/me")).json()["api_url"] == url


async def test_the_local_server_has_the_pages(console: Console) -> None:
    assert "app.js" in (await console.http.get("/console/")).text
    assert (await console.http.get("/consolex")).status_code == 404


def test_all_files_together_are_small() -> None:
    files = static_files.read_files()
    assert sum(len(static_files.compressed(file)) for file in files.values()) <= MAX_GZIP_BYTES
    assert sum(len(file.content) for name, file in files.items() if name != "german.js") <= MAX_BYTES


def test_only_who_reads_german_loads_the_german_texts() -> None:
    naming = {path.name: path.read_text() for path in MODULES if "german.js" in path.read_text()}
    assert set(naming) == {"text.js"}
    assert 'if (language === "de") german = (await import("./german.js")).GERMAN;' in naming["text.js"]


@modules
def test_no_text_spans_lines_because_indentation_is_not_sent(path: Path) -> None:
    lines = [re.sub(r"^\s*//.*|\\\\|```", "", line) for line in path.read_text().split("\n")]
    opening_or_closing = [line for line in lines if len(re.findall(r"(?<!\\)`", line)) % 2]
    assert len(opening_or_closing) < 2  # one alone is a regular expression


@modules
def test_no_page_makes_html_of_text(path: Path) -> None:
    assert HTML_FROM_TEXT.findall(path.read_text()) == []


@modules
def test_no_page_names_another_host(path: Path) -> None:
    addresses = set(re.findall(r"\bhttps?://[\w./-]+", path.read_text()))
    assert addresses <= {"http://www.w3.org/2000/svg"}  # the name of a namespace


def test_every_text_of_the_pages_exists_in_german() -> None:
    sources = "".join(path.read_text() for path in MODULES if path.name != "german.js")
    english = {json.loads(text) for text in re.findall(r'\bt\(\s*("(?:[^"\\]|\\.)*")', sources)}
    lines = re.findall(
        r'^ {2}("(?:[^"\\]|\\.)*"): ("(?:[^"\\]|\\.)*"),$', (FOLDER / "german.js").read_text(), re.MULTILINE
    )
    german = {json.loads(key): json.loads(text) for key, text in lines}
    keys = {text: text if text in german else text[:GERMAN_KEY_CHARACTERS] for text in english}
    assert sorted(german) == sorted(keys.values())  # also: no key is of two texts
    names = {text: [set(re.findall(r"\{\w+\}", each)) for each in (text, german[key])] for text, key in keys.items()}
    assert {text for text, (wanted, found) in names.items() if wanted != found} == set()


def test_only_the_session_stores_the_key_and_only_requests_send_it() -> None:
    naming = {
        path.name for path in MODULES if "session.key" in path.read_text() or "sessionStorage" in path.read_text()
    }
    assert naming == {"session.js", "api.js", "app.js"}
    assert {path.name for path in MODULES if "localStorage" in path.read_text()} == {"app.js", "text.js"}

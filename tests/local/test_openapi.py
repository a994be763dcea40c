"""The OpenAPI document says what the gateway takes and tells."""

import json
import re
from typing import Any, cast

import httpx
import jsonschema
import pytest
from starlette.applications import Starlette

from tidegate.api.app import COUNTS, ENDPOINTS
from tidegate.api.batch_routes import ROUTES
from tidegate.api.errors import surface_of
from tidegate.api.routes import BATCH_PREFIXES, EXPOSED_HEADERS, READS
from tidegate.domain.gateway_fields import GATEWAY_FIELDS
from tidegate.errors import InvalidKey
from tidegate.local.openapi import openapi_document
from tidegate.local.openapi_routes import document_routes

DOCUMENT = cast(Any, openapi_document())


def test_every_field_of_the_gateways_own_is_described() -> None:
    properties = DOCUMENT["components"]["schemas"]["ChatFields"]["properties"]
    assert {name for name, field in properties.items() if "description" in field} == GATEWAY_FIELDS


def test_every_path_is_described_under_a_name_of_its_own() -> None:
    paths = DOCUMENT["paths"]
    batch_paths = {prefix + route.partition(" ")[2] for prefix in BATCH_PREFIXES for route in ROUTES}
    stored = {path for path, methods in paths.items() for each in methods.values() if each["tags"] == ["responses"]}
    assert {*paths} == {path.replace(":path", "") for path in (*ENDPOINTS, *COUNTS, *READS)} | batch_paths | stored
    names = [operation["operationId"] for methods in paths.values() for operation in methods.values()]
    assert len({*names}) == len(names)
    for path, methods in paths.items():
        for operation in methods.values():
            asked = {each["name"] for each in operation["parameters"] if each["in"] == "path"}
            assert asked == set(re.findall(r"\{(\w+)\}", path)), path


@pytest.mark.parametrize("path", [*ENDPOINTS, *COUNTS, *READS])
def test_the_errors_of_every_path_have_the_form_that_is_described(path: str) -> None:
    surface = {**ENDPOINTS, **COUNTS}[path][0] if path in ENDPOINTS or path in COUNTS else surface_of(path, {})
    sent = json.loads(surface.error(InvalidKey("This key is not known.")))
    for operation in DOCUMENT["paths"][path.replace(":path", "")].values():
        if "401" in operation["responses"]:
            schema = operation["responses"]["401"]["content"]["application/json"]["schema"]
            jsonschema.validate(sent, {**schema, "components": DOCUMENT["components"]})


def test_every_method_of_files_and_batches_is_described() -> None:
    paths = DOCUMENT["paths"]
    described = {
        f"{method.upper()} {path}"
        for path in {route.partition(" ")[2] for route in ROUTES}
        for method in paths[f"/v1{path}"]
    }
    assert described == {*ROUTES}


def test_every_header_of_an_answer_is_described() -> None:
    of_failures = {"retry-after", "x-should-retry"}
    for path in ENDPOINTS:
        told = DOCUMENT["paths"][path.replace(":path", "")]["post"]["responses"]["200"]["headers"]
        assert set(told) == set(EXPOSED_HEADERS) - of_failures


def test_the_headers_of_a_call_are_described() -> None:
    asked = [each["name"] for each in DOCUMENT["paths"]["/v1/chat/completions"]["post"]["parameters"]]
    assert asked == [
        *("x-workspace-id", "idempotency-key", "x-app-id", "x-session-id", "x-request-deadline"),
        *("traceparent", "tracestate"),
    ]


@pytest.mark.parametrize(
    ("path", "document"), [("/docs", "/openapi.json"), ("/admin/v1/docs", "/admin/v1/openapi.json")]
)
async def test_a_page_needs_no_other_host(path: str, document: str) -> None:
    """All that it loads is here. Its policy forbids other hosts, and scripts and styles within the page."""
    transport = httpx.ASGITransport(Starlette(routes=document_routes()))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        page = await client.get(path)
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
        assert policy == {
            "default-src": "'none'",
            "script-src": "'self'",
            "style-src": "'self'",
            "img-src": "'self' data:",
            "connect-src": "'self'",
            "base-uri": "'none'",
            "form-action": "'none'",
            "frame-ancestors": "'none'",
        }
        assert f'data-document="{document}"' in page.text
        assert not re.findall(r"https?:|//|<style|style=|<script>|on\w+=", page.text.replace("</script>", ""))
        loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        assert loaded == [
            *("/docs/favicon-32x32.png", "/docs/swagger-ui.css"),
            *("/docs/swagger-ui-bundle.js", "/docs/start.js"),
        ]
        kinds = [(await client.get(asset)) for asset in loaded]
        assert [reply.status_code for reply in kinds] == [200] * 4
        assert [reply.headers["content-type"].split(";")[0] for reply in kinds] == [
            *("image/png", "text/css", "text/javascript", "text/javascript")
        ]
        assert "validatorUrl: null" in kinds[-1].text
        assert (await client.get("/docs/swagger-ui.js")).status_code == 404
        assert (await client.get("/docs/../openapi.json")).status_code == 200

"""The OpenAPI document says what the gateway takes and tells."""

from typing import Any, cast

from tidegate.api.app import ENDPOINTS, EXPOSED_HEADERS
from tidegate.domain.gateway_fields import GATEWAY_FIELDS
from tidegate.local.openapi import openapi_document

DOCUMENT = cast(Any, openapi_document())


def test_every_field_of_the_gateways_own_is_described() -> None:
    properties = DOCUMENT["components"]["schemas"]["ChatFields"]["properties"]
    assert {name for name, field in properties.items() if "description" in field} == GATEWAY_FIELDS


def test_every_header_of_an_answer_is_described() -> None:
    of_failures = {"retry-after", "x-should-retry"}
    for path in ENDPOINTS:
        told = DOCUMENT["paths"][path]["post"]["responses"]["200"]["headers"]
        assert set(told) == set(EXPOSED_HEADERS) - of_failures


def test_the_headers_of_a_call_are_described() -> None:
    asked = [each["name"] for each in DOCUMENT["paths"]["/v1/chat/completions"]["post"]["parameters"]]
    assert asked == ["x-workspace-id", "idempotency-key", "x-app-id", "x-session-id", "x-request-deadline"]

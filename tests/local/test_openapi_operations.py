"""Each operation has a title and a description, and each example can be tried with the demo tenant."""

from typing import Any, cast

import jsonschema
import pytest

from tests.local.demo_app import demo_client
from tidegate.api.admin.app import build_admin
from tidegate.local.openapi import openapi_document

DOCUMENT = cast(Any, openapi_document())
ADMIN = cast(Any, build_admin().openapi())
UNKNOWN_CALL = {
    *("/v1/generation", "/api/v1/generation", "/v1/chat/generation/{generation_id}"),
    *(f"{prefix}/generations/{{generation_id}}{part}" for prefix in ("/v1", "/api/v1") for part in ("", "/trace")),
}
"""They need the id of a call that was made."""


def operations(document: Any) -> list[Any]:
    return [
        pytest.param(path, method, operation, id=f"{method} {path}")
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


CALLS_AND_READS = [each for each in operations(DOCUMENT) if each.values[2]["tags"][0] not in ("batches", "responses")]
"""`test_openapi_batches.py` and `test_openapi_responses.py` try the others, which need ids of each other's replies."""


@pytest.mark.parametrize(("path", "method", "operation"), [*operations(DOCUMENT), *operations(ADMIN)])
def test_an_operation_has_a_title_and_a_description(path: str, method: str, operation: Any) -> None:
    assert operation["summary"][0].isupper() and not operation["summary"].endswith(".")
    assert operation["description"].endswith(".")
    assert operation["tags"]


def test_example_bodies_are_valid() -> None:
    bodies = [
        (kind, body)
        for _, _, operation in (each.values for each in operations(DOCUMENT))
        for kind, body in operation.get("requestBody", {"content": {}})["content"].items()
    ]
    assert len(bodies) >= 12
    for kind, body in bodies:
        schema = {**body["schema"], "components": DOCUMENT["components"]}
        example = body["example"] if kind == "application/json" else form_example(schema)
        jsonschema.Draft202012Validator(schema).validate(example)


def form_example(schema: Any) -> dict[str, Any]:
    """What Swagger UI fills into a form, and an empty file."""
    return {
        name: "" if field.get("format") == "binary" else field["examples"][0]
        for name, field in schema["properties"].items()
    }


def test_example_calls_ask_a_model_of_the_demo_provider() -> None:
    for path, _, operation in (each.values for each in CALLS_AND_READS):
        for body in operation.get("requestBody", {"content": {}})["content"].values():
            assert body["example"]["model"].startswith("demo/"), path


@pytest.mark.parametrize(("path", "method", "operation"), CALLS_AND_READS)
async def test_try_it_out_succeeds_at_once(path: str, method: str, operation: Any) -> None:
    given = [parameter for parameter in operation["parameters"] if "example" in parameter]
    values = {
        place: {p["name"]: p["example"] for p in given if p["in"] == place} for place in ("path", "query", "header")
    }
    missing = [p["name"] for p in operation["parameters"] if p.get("required") and p not in given]
    if path in UNKNOWN_CALL:
        assert missing
        return
    assert missing == []
    async with demo_client() as client:
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
        url = path.format(**values["path"])
        reply = await client.request(method, url, json=body, params=values["query"], headers=values["header"])
    assert reply.status_code == 200, reply.text

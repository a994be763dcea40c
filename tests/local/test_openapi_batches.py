"""The OpenAPI document's examples of files, uploads and batches can be tried with the demo tenant."""

import asyncio
import re
from typing import Any, cast

import httpx

from tests.local.demo_app import demo_client
from tidegate.api.batch_routes import ROUTES
from tidegate.api.routes import BATCH_PREFIXES
from tidegate.local.openapi import openapi_document

PATHS = cast(Any, openapi_document())["paths"]


def content(route: str) -> Any:
    """The kinds of bodies of a route such as "POST /files"."""
    method, path = route.split(" ")
    return PATHS[f"/v1{path}"][method.lower()]["requestBody"]["content"]


def example_line() -> bytes:
    """The line of a batch that the description of a new file shows, as a file of its own."""
    description = content("POST /files")["multipart/form-data"]["schema"]["properties"]["file"]["description"]
    (line,) = re.findall("`(.+)`", description)
    return f"{line}\n".encode()


class Visitor:
    """Someone who tries operations out: the form is filled with the example, and ids are those of earlier replies."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self.tried: set[str] = set()

    async def send(self, route: str, id: str = "", *, file: bytes | None = None, **changes: Any) -> httpx.Response:
        """Send the example of a route, whose fields are replaced by `changes`."""
        self.tried.add(route)
        method, path = route.split(" ")
        url = "/v1" + path.format(id=id)
        if file is not None:
            form = content(route)["multipart/form-data"]
            (name,) = [name for name, field in form["schema"]["properties"].items() if field.get("format") == "binary"]
            fields = {
                name: field["examples"][0]
                for name, field in form["schema"]["properties"].items()
                if "examples" in field
            }
            return await self._client.request(
                method, url, data={**fields, **changes}, files={name: ("requests.jsonl", file)}
            )
        is_json = "requestBody" in PATHS[f"/v1{path}"][method.lower()]
        body = {**content(route)["application/json"]["example"], **changes} if is_json else None
        return await self._client.request(method, url, json=body)

    async def tries(self, route: str, id: str = "", **fields: Any) -> Any:
        """The body of a reply that succeeds."""
        reply = await self.send(route, id, **fields)
        assert reply.status_code == 200, reply.text
        return reply.json()


async def test_every_operation_can_be_tried_out() -> None:
    line = example_line()
    async with demo_client() as client:
        visitor = Visitor(client)
        file = await visitor.tries("POST /files", file=line)
        assert (file["purpose"], file["bytes"]) == ("batch", len(line))
        assert [each["id"] for each in (await visitor.tries("GET /files"))["data"]] == [file["id"]]
        assert await visitor.tries("GET /files/{id}", file["id"]) == file
        assert (await visitor.send("GET /files/{id}/content", file["id"])).content == line
        batch = await visitor.tries("POST /batches", input_file_id=file["id"])
        assert batch["status"] == "validating"
        assert (await visitor.tries("GET /batches"))["data"] == [batch]
        assert await visitor.tries("GET /batches/{id}", batch["id"]) == batch
        assert await visitor.tries("POST /batches/{id}/resume", batch["id"]) == batch
        assert (await visitor.tries("POST /batches/{id}/cancel", batch["id"]))["status"] == "cancelling"
        upload = await visitor.tries("POST /uploads")
        part = await visitor.tries("POST /uploads/{id}/parts", upload["id"], file=line)
        completed = await visitor.tries("POST /uploads/{id}/complete", upload["id"], part_ids=[part["id"]])
        assert (completed["status"], completed["file"]["bytes"]) == ("completed", len(line))
        other = await visitor.tries("POST /uploads")
        assert (await visitor.tries("POST /uploads/{id}/cancel", other["id"]))["status"] == "cancelled"
        assert (await visitor.tries("DELETE /files/{id}", file["id"]))["deleted"]
    assert visitor.tried == {*ROUTES}


async def test_the_json_form_of_a_new_file_is_refused_only_for_the_store() -> None:
    async with demo_client() as client:
        reply = await Visitor(client).send("POST /files")
    assert reply.json()["error"]["code"] == "presigned_uploads_unsupported"


async def test_the_example_of_a_batch_is_answered() -> None:
    async with demo_client(has_worker=True) as client, asyncio.timeout(20):
        visitor = Visitor(client)
        file = await visitor.tries("POST /files", file=example_line())
        batch = await visitor.tries("POST /batches", input_file_id=file["id"])
        while batch["status"] not in ("completed", "failed"):
            await asyncio.sleep(0.01)
            batch = await visitor.tries("GET /batches/{id}", batch["id"])
        assert batch["request_counts"] == {"total": 1, "completed": 1, "failed": 0}, batch


async def test_the_other_paths_are_described_and_answer_alike() -> None:
    async with demo_client() as client:
        for route in ROUTES:
            method, path = route.split(" ")
            described, unnamed = PATHS[f"/v1{path}"][method.lower()], {"operationId": ""}
            reply = await client.request(method, "/v1" + path.format(id="unknown"), json={})
            for prefix in BATCH_PREFIXES:
                alias = PATHS[prefix + path][method.lower()]
                assert {**alias, **unnamed} == {**described, **unnamed}
                same = await client.request(method, prefix + path.format(id="unknown"), json={})
                assert (same.status_code, same.json()) == (reply.status_code, reply.json()), f"{prefix}{path}"

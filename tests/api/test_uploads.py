"""Uploads over HTTP: parts as forms, and what OpenAI's SDK types say of the replies."""

from typing import Any

import pytest
from openai.types import Upload
from openai.types.uploads import UploadPart

from tests.api.batch_app import FORM, batch_app, form
from tests.batch.world import NOON, jsonl, requests
from tests.world import Client
from tidegate.api.routes import BATCH_PREFIXES
from tidegate.domain.batch_options import BatchOptions

LINES = jsonl(requests(5))
FIELDS = {"filename": "in.jsonl", "bytes": len(LINES), "mime_type": "application/jsonl", "purpose": "batch"}


async def begin(client: Client, prefix: str = "/v1") -> str:
    reply = await client.post(FIELDS, f"{prefix}/uploads")
    assert reply.status == 200, reply.json
    return f"{prefix}/uploads/{reply.json['id']}"


async def add(client: Client, at: str, data: bytes) -> Any:
    return await client.post(form({"data": ("upload", data)}), f"{at}/parts", {"content-type": FORM})


@pytest.mark.parametrize("prefix", BATCH_PREFIXES)
async def test_parts_become_a_file(prefix: str) -> None:
    async with batch_app() as (client, _):
        created = (await client.post(FIELDS, f"{prefix}/uploads")).json
        upload = Upload.model_validate(created, strict=True)
        assert created == {
            "object": "upload",
            "id": upload.id,
            "purpose": "batch",
            "filename": "in.jsonl",
            "bytes": len(LINES),
            "created_at": int(NOON),
            "expires_at": int(NOON) + 3600,
            "status": "pending",
            "file": None,
        }
        at, part_ids = f"{prefix}/uploads/{upload.id}", []
        for first in range(0, len(LINES), 200):
            part = UploadPart.model_validate((await add(client, at, LINES[first : first + 200])).json, strict=True)
            assert (part.upload_id, part.created_at) == (upload.id, int(NOON))
            part_ids.append(part.id)
        completed = Upload.model_validate(
            (await client.post({"part_ids": part_ids}, f"{at}/complete")).json, strict=True
        )
        assert completed.status == "completed" and completed.file is not None
        assert (await client.get(f"{prefix}/files/{completed.file.id}/content")).body == LINES


async def test_an_upload_is_cancelled_once_and_again() -> None:
    async with batch_app() as (client, world):
        at = await begin(client)
        await add(client, at, LINES)
        for body in (b"", {}):
            cancelled = await client.post(body, f"{at}/cancel")
            assert Upload.model_validate(cancelled.json, strict=True).status == "cancelled"
        assert await world.components.objects.list_keys("") == []
        refused = await add(client, at, LINES)
        assert (refused.status, refused.json["error"]["param"]) == (400, "upload_id")


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (form({}), 400, "send one in the field 'data'"),
        (form({"file": ("a", LINES)}), 400, "send it in 'data'"),
        (form({"data": ("a", b"")}), 400, "The part is empty"),
        (form({"data": [("a", b"1"), ("b", b"2")]}), 400, "has the field 'data' twice"),
        (form({"data": ("a", LINES)})[:-10], 400, "The form is incomplete"),
        (form({"data": ("a", LINES + b"1")}), 413, "the size of the whole file"),
    ],
)
async def test_a_part_that_is_wrong_is_refused(body: bytes, status: int, message: str) -> None:
    async with batch_app() as (client, _):
        at = await begin(client)
        reply = await client.post(body, f"{at}/parts", {"content-type": FORM})
        assert reply.status == status and message in reply.json["error"]["message"]


async def test_parts_beyond_the_declared_size_are_413() -> None:
    async with batch_app() as (client, world):
        created = await client.post({**FIELDS, "bytes": 500}, "/v1/uploads")
        at = f"/v1/uploads/{created.json['id']}"
        replies = [await add(client, at, LINES[:500]) for _ in range(5)]
        assert [reply.status for reply in replies] == [200, 413, 413, 413, 413]
        error = replies[1].json["error"]
        assert (error["code"], error["param"]) == ("request_too_large", "data")
        assert "have 500 of its 500 bytes" in error["message"]
        assert len(await world.components.objects.list_keys("")) == 1


async def test_uploads_for_which_the_workspace_has_no_room_are_refused() -> None:
    options = BatchOptions(max_stored_bytes=3 * len(LINES), max_open_uploads=2)
    async with batch_app(options=options) as (client, _):
        large = await client.post({**FIELDS, "bytes": 3 * len(LINES) + 1}, "/v1/uploads")
        assert (large.status, large.json["error"]["code"]) == (413, "storage_limit_exceeded")
        at = await begin(client)
        await begin(client)
        many = await client.post(FIELDS, "/v1/uploads")
        assert (many.status, many.json["error"]["type"], many.headers["x-should-retry"]) == (
            429,
            "rate_limit_error",
            "false",
        )
        assert "has 2 open uploads, and may have 2" in many.json["error"]["message"]
        part_id = (await add(client, at, LINES)).json["id"]
        assert (await client.post({"part_ids": [part_id]}, f"{at}/complete")).json["status"] == "completed"
        await begin(client)


async def test_a_foreign_upload_and_a_stranger_are_refused() -> None:
    async with batch_app() as (client, _):
        at = await begin(client)
        for path in ("/v1/uploads/upload_x/parts", "/v1/uploads/upload_x/complete", "/v1/uploads/upload_x/cancel"):
            content_type = FORM if path.endswith("parts") else "application/json"
            body: Any = form({"data": ("a", b"1")}) if path.endswith("parts") else {"part_ids": ["part_1"]}
            reply = await client.post(body, path, {"content-type": content_type})
            assert (reply.status, reply.json["error"]) == (
                404,
                {
                    "message": "No such Upload object: upload_x",
                    "type": "invalid_request_error",
                    "param": "upload_id",
                    "code": None,
                },
            )
            assert (await client.post(body, path, {"authorization": "Bearer nobody"})).status == 401
        assert (await client.post(b"no JSON", f"{at}/complete")).status == 400
        assert (await client.post(b"a=b", f"{at}/complete", {"content-type": "text/plain"})).status == 415

"""Files over HTTP: forms as a stream, JSON for a presigned URL, lists, content with ranges, and refusals."""

import tracemalloc
from typing import Any

import pytest
from msgspec.structs import replace
from openai.types import FileDeleted, FileObject

from tests.api.batch_app import BOUNDARY, FORM, batch_app, form
from tests.batch.world import NOON, jsonl, requests
from tests.world import SECRET, Client, Exchange
from tidegate.api.form import MAX_FIELD_BYTES
from tidegate.api.form_parser import MAX_PARTS
from tidegate.api.routes import BATCH_PREFIXES
from tidegate.domain.batch_options import BatchOptions
from tidegate.domain.server_options import ServerOptions
from tidegate.memory.batch_objects import MemoryBatchObjects

LINES = jsonl(requests(3))
HEADERS = {"content-type": FORM}
FILE = ("in.jsonl", LINES)


class PresignedObjects(MemoryBatchObjects, frozen=True):
    async def presigned_put(self, key: str, seconds: float, size: int) -> str | None:
        return f"https://bucket.example/{key}"


async def send(client: Client, body: bytes, path: str = "/v1/files", **headers: str) -> Any:
    return await client.post(body, path, HEADERS | headers)


async def upload(client: Client, data: bytes = LINES, purpose: str = "batch", **fields: Any) -> Any:
    reply = await send(client, form({"purpose": purpose, "file": ("in.jsonl", data), **fields}))
    assert reply.status == 200, reply.json
    return reply.json


@pytest.mark.parametrize("prefix", BATCH_PREFIXES)
async def test_a_file_is_created_shown_listed_read_and_deleted(prefix: str) -> None:
    async with batch_app() as (client, _):
        created = await send(client, form({"purpose": "batch", "file": FILE}), f"{prefix}/files")
        file = FileObject.model_validate(created.json, strict=True)
        assert created.json == {
            "object": "file",
            "id": file.id,
            "purpose": "batch",
            "filename": "in.jsonl",
            "bytes": len(LINES),
            "created_at": int(NOON),
            "expires_at": int(NOON) + 30 * 86_400,
            "status": "processed",
            "status_details": None,
        }
        assert len(created.headers["x-request-id"]) == 26
        at = f"{prefix}/files/{file.id}"
        assert (await client.get(at)).json == created.json
        listed = (await client.get(f"{prefix}/files")).json
        assert listed == {
            "object": "list",
            "data": [created.json],
            "first_id": file.id,
            "last_id": file.id,
            "has_more": False,
        }
        content = await client.get(f"{at}/content")
        assert (content.body, content.headers["content-type"]) == (LINES, "application/octet-stream")
        assert content.headers["content-length"] == str(len(LINES))
        deleted = await client.post(b"", at, method="DELETE")
        FileDeleted.model_validate(deleted.json, strict=True)
        assert deleted.json == {"object": "file", "id": file.id, "deleted": True}
        for method, path in (("GET", at), ("GET", f"{at}/content"), ("DELETE", at)):
            gone = await client.post(b"", path, method=method)
            assert (gone.status, gone.json) == (
                404,
                {
                    "error": {
                        "message": f"No such File object: {file.id}",
                        "type": "invalid_request_error",
                        "param": "id",
                        "code": None,
                    }
                },
            )


@pytest.mark.parametrize("order", [("purpose", "file"), ("file", "purpose"), ("expires_after", "file", "purpose")])
async def test_the_fields_of_a_form_may_come_in_any_order(order: tuple[str, ...]) -> None:
    fields: dict[str, Any] = {}
    for name in order:
        if name == "expires_after":
            fields |= {"expires_after[anchor]": "created_at", "other": "ignored"}
        else:
            fields[name] = FILE if name == "file" else "batch"
    if "expires_after" in order:
        fields["expires_after[seconds]"] = "3600"
    async with batch_app() as (client, _):
        reply = await send(client, form(fields))
        expected = 3600 if "expires_after" in order else 30 * 86_400
        assert (reply.status, reply.json["expires_at"]) == (200, int(NOON) + expected)


REFUSED: dict[str, tuple[bytes, int, str]] = {
    "no file": (form({"purpose": "batch"}), 400, "The form has no file: send one in the field 'file'."),
    "no fields": (form({}), 400, "The form has no file"),
    "an empty body": (b"", 400, "The form is incomplete"),
    "an empty file": (form({"purpose": "batch", "file": ("a.jsonl", b"")}), 400, "The file is empty"),
    "two files": (form({"purpose": "batch", "file": [FILE, FILE]}), 400, "has the field 'file' twice"),
    "another file": (form({"purpose": "batch", "file": FILE, "document": FILE}), 400, "has a file in 'document'"),
    "text for a file": (form({"purpose": "batch", "file": LINES}), 400, "write -F file=@FILE"),
    "no purpose": (form({"file": FILE}), 400, "Missing required parameter: 'purpose'."),
    "an unknown purpose": (
        form({"purpose": "vector_store", "file": FILE}),
        400,
        "'vector_store' is not one of ['fine-tune', 'assistants', 'batch', 'user_data', 'vision', 'evals'] - 'purpose'",
    ),
    "a purpose of outputs": (form({"purpose": "batch_output", "file": FILE}), 400, "is not one of"),
    "no JSONL": (form({"purpose": "batch", "file": ("a.txt", b"Dear all")}), 400, "Must be .jsonl"),
    "a purpose that says so too late": (
        form({"file": ("a.txt", b"Dear all"), "purpose": "batch"}),
        400,
        "Invalid file format for Batch API. Must be .jsonl",
    ),
    "a short life": (
        form({"purpose": "batch", "file": FILE, "expires_after[anchor]": "created_at", "expires_after[seconds]": "60"}),
        400,
        "Invalid 'expires_after.seconds': integer below minimum value. Expected a value >= 3600, but got 60 instead.",
    ),
    "a life that is both": (form({"expires_after": "1", "expires_after[seconds]": "1"}), 400, "has both"),
    "a truncated form": (form({"purpose": "batch", "file": FILE})[:-40], 400, "The form is incomplete"),
    "a form without its end": (form({"purpose": "batch", "file": FILE})[:-8], 400, "The form is incomplete"),
    "another boundary": (form({"purpose": "batch", "file": FILE}, "other"), 400, "does not begin with the boundary"),
    "a long field": (form({"purpose": "x" * (MAX_FIELD_BYTES + 1)}), 400, "has more than 65,536 bytes"),
    "many fields": (form({f"a{n}": "" for n in range(MAX_PARTS + 1)}), 400, f"more than {MAX_PARTS} fields"),
    "a field that is not UTF-8": (form({"purpose": b"\xff"}), 400, "is not valid UTF-8"),
    "a part without a name": (
        f"--{BOUNDARY}\r\nContent-Type: text/plain\r\n\r\na\r\n--{BOUNDARY}--\r\n".encode(),
        400,
        "has no name",
    ),
    "long headers": (
        f"--{BOUNDARY}\r\nContent-Disposition: {'x' * 10_000}\r\n\r\na\r\n--{BOUNDARY}--\r\n".encode(),
        400,
        "have more than 8,192 bytes",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_form_that_is_wrong_is_refused_and_says_what_to_do(name: str) -> None:
    body, status, message = REFUSED[name]
    async with batch_app() as (client, world):
        reply = await send(client, body)
        assert (reply.status, reply.json["error"]["type"]) == (status, "invalid_request_error"), reply.json
        assert message in reply.json["error"]["message"]
        assert (await client.get("/v1/files")).json["data"] == []
        assert await world.components.objects.list_keys("") == []


@pytest.mark.parametrize(
    ("content_type", "status", "message"),
    [
        ("multipart/form-data", 400, "no valid boundary"),
        (f"multipart/form-data; boundary={'x' * 71}", 400, "no valid boundary"),
        ("text/plain", 415, "send it as multipart/form-data"),
        ("", 415, "send it as multipart/form-data"),
    ],
)
async def test_a_body_that_is_no_form_is_refused(content_type: str, status: int, message: str) -> None:
    async with batch_app() as (client, _):
        reply = await client.post(LINES, "/v1/files", {"content-type": content_type})
        assert reply.status == status and message in reply.json["error"]["message"]


@pytest.mark.parametrize(("purpose", "limit"), [("batch", "1,000 bytes"), ("user_data", "3,000 bytes")])
@pytest.mark.parametrize("first", ["purpose", "file"])
async def test_a_file_that_is_too_large_is_413_with_the_number(purpose: str, limit: str, first: str) -> None:
    fields = {"purpose": purpose, "file": ("a.jsonl", LINES.ljust(1_500 if purpose == "batch" else 3_500))}
    if first == "file":
        fields = dict(reversed(fields.items()))
    async with batch_app(options=BatchOptions(max_input_bytes=1_000, max_file_bytes=3_000)) as (client, world):
        reply = await send(client, form(fields))
        assert (reply.status, reply.json["error"]["code"]) == (413, "request_too_large")
        assert limit in reply.json["error"]["message"]
        assert await world.components.objects.list_keys("") == []


@pytest.mark.parametrize("order", [("purpose", "file"), ("file", "purpose")])
async def test_a_file_for_which_the_workspace_has_no_room_is_413_and_leaves_nothing(order: tuple[str, ...]) -> None:
    async with batch_app(options=BatchOptions(max_stored_bytes=len(LINES) + 10)) as (client, world):
        kept = await upload(client)
        body = form({name: {"purpose": "batch", "file": FILE}[name] for name in order})
        for path, sent in (("/v1/files", body), ("/openai/v1/files", body)):
            refused = await send(client, sent, path)
            error = refused.json["error"]
            message = error.pop("message")
            assert (refused.status, error) == (
                413,
                {"type": "invalid_request_error", "param": "file", "code": "storage_limit_exceeded"},
            )
            assert f"stores 1 files with {len(LINES):,} bytes" in message and "delete files first" in message
        assert [each["id"] for each in (await client.get("/v1/files")).json["data"]] == [kept["id"]]
        assert len(await world.components.objects.list_keys("")) == 1
        await client.post(b"", f"/v1/files/{kept['id']}", method="DELETE")
        await upload(client)


async def test_a_pending_file_for_which_the_workspace_has_no_room_is_413() -> None:
    def presigning(components: Any) -> Any:
        return replace(components, objects=PresignedObjects())

    async with batch_app(components=presigning, options=BatchOptions(max_stored_bytes=100)) as (client, _):
        body = {"filename": "in.jsonl", "bytes": 60, "purpose": "batch"}
        assert (await client.post(body, "/v1/files")).status == 200
        refused = await client.post(body, "/v1/files")
        assert (refused.status, refused.json["error"]["code"]) == (413, "storage_limit_exceeded")
        assert len((await client.get("/v1/files")).json["data"]) == 1


async def test_a_declared_length_that_is_too_large_is_413_before_the_body_is_read() -> None:
    async with batch_app() as (client, _):
        reply = await send(client, b"", **{"content-length": "999999999999"})
        assert (reply.status, reply.json["error"]["code"]) == (413, "request_too_large")
        over = str(210 * 2**20)
        for purpose, status in (("batch", 413), ("evals", 200)):
            body = form({"purpose": purpose, "file": FILE})
            assert (await send(client, body, **{"content-length": over})).status == status


async def test_a_client_that_leaves_within_its_file_leaves_nothing() -> None:
    async with batch_app() as (client, world):
        body = form({"purpose": "batch", "file": FILE})
        messages = [{"type": "http.request", "body": body[:300], "more_body": True}, {"type": "http.disconnect"}]
        sent: list[Any] = []

        async def receive() -> Any:
            return messages.pop(0)

        async def collect(message: Any) -> None:
            sent.append(message)

        scope = Exchange(client.app, b"", "/v1/files", HEADERS)._scope
        await client.app(scope, receive, collect)
        assert sent[0]["status"] == 400
        assert await world.components.objects.list_keys("") == []


async def test_a_large_file_is_never_in_memory_as_a_whole() -> None:
    class CountedObjects(MemoryBatchObjects, frozen=True):
        def writer(self, key: str, *, content_type: str = "application/jsonl") -> Any:
            return _Discarding()

    class _Discarding:
        size = 0

        async def write(self, data: bytes) -> None:
            self.size += len(data)

        async def __aenter__(self) -> Any:
            return self

        async def __aexit__(self, *error: object) -> None:
            pass

    head, end = form({"purpose": "batch", "file": ("a", b"{}\n@")}).split(b"@")
    line = b'{"a": "' + b"x" * 65_527 + b'"}\n'
    count = 1_000
    pieces = iter([head, *[line] * count, end])
    left = count + 2

    async def receive() -> Any:
        nonlocal left
        left -= 1
        return {"type": "http.request", "body": next(pieces), "more_body": left > 0}

    sent: list[Any] = []

    async def collect(message: Any) -> None:
        sent.append(message)

    async with batch_app(components=lambda each: replace(each, objects=CountedObjects())) as (client, _):
        scope = Exchange(client.app, b"", "/v1/files", HEADERS)._scope
        tracemalloc.start()
        await client.app(scope, receive, collect)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert sent[0]["status"] == 200
        assert peak < 4 * 2**20


async def test_files_are_listed_in_pages() -> None:
    async with batch_app() as (client, world):
        ids: list[str] = []
        for purpose in ("batch", "evals", "batch"):
            world.clock.move(1.0)
            ids.append((await upload(client, purpose=purpose))["id"])

        async def listed(query: str) -> tuple[list[int], bool]:
            page = (await client.get(f"/v1/files?{query}")).json
            return [ids.index(file["id"]) for file in page["data"]], page["has_more"]

        assert await listed("limit=2") == ([2, 1], True)
        assert await listed(f"limit=2&after={ids[1]}") == ([0], False)
        assert await listed("order=asc") == ([0, 1, 2], False)
        assert await listed("purpose=evals") == ([1], False)
        assert await listed("purpose=vision") == ([], False)


@pytest.mark.parametrize(
    ("query", "param", "code"),
    [
        ("limit=0", "limit", "integer_below_min_value"),
        ("limit=10001", "limit", "integer_above_max_value"),
        ("limit=ten", "limit", "invalid_type"),
        ("limit=", "limit", "invalid_type"),
        ("after=", "after", "empty_string"),
        ("order=up", "order", "invalid_value"),
        (f"after={'x' * 600}", "after", "string_above_max_length"),
    ],
)
async def test_a_page_that_does_not_exist_is_refused(query: str, param: str, code: str) -> None:
    async with batch_app() as (client, _):
        reply = await client.get(f"/v1/files?{query}")
        assert (reply.status, reply.json["error"]["param"], reply.json["error"]["code"]) == (400, param, code)


@pytest.mark.parametrize(
    ("header", "first", "end"),
    [("bytes=0-9", 0, 10), ("bytes=5-", 5, None), ("bytes=-7", -7, None), ("bytes=10-999999999", 10, None)],
)
async def test_a_range_of_the_content_is_sent_alone(header: str, first: int, end: int | None) -> None:
    async with batch_app() as (client, _):
        file_id = (await upload(client))["id"]
        part = await client.get(f"/v1/files/{file_id}/content", range=header)
        expected = LINES[first:end]
        begin = first % len(LINES)
        assert (part.status, part.body) == (206, expected)
        assert part.headers["content-range"] == f"bytes {begin}-{begin + len(expected) - 1}/{len(LINES)}"


async def test_a_range_beyond_the_content_is_416_and_other_ones_are_ignored() -> None:
    async with batch_app() as (client, _):
        file_id = (await upload(client))["id"]
        at = f"/v1/files/{file_id}/content"
        for header in ("bytes=99999-", "bytes=99999-999999", "bytes=-0"):
            beyond = await client.get(at, range=header)
            assert (beyond.status, beyond.headers["content-range"]) == (416, f"bytes */{len(LINES)}")
            assert beyond.json["error"]["param"] == "range"
        for header in ("bytes=0-1,4-5", "lines=1-2", "bytes=a-b", "bytes=9-5", "bytes=99999-5"):
            assert (await client.get(at, range=header)).body == LINES


async def test_a_name_with_any_characters_is_kept_and_breaks_no_header() -> None:
    async with batch_app() as (client, _):
        for name in ('ä"; x', "a;b.jsonl", "x" * 600):
            quoted = name.replace('"', "%22")
            file = (await send(client, form({"purpose": "batch", "file": (quoted, LINES)}))).json
            assert file["filename"] == quoted[:512]
            content = await client.get(f"/v1/files/{file['id']}/content")
            assert content.status == 200 and "\n" not in content.headers["content-disposition"]


async def test_json_creates_a_file_that_is_sent_to_a_url() -> None:
    presigned = PresignedObjects()
    async with batch_app(components=lambda each: replace(each, objects=presigned)) as (client, _):
        body = {"filename": "in.jsonl", "bytes": len(LINES), "purpose": "batch"}
        created = (await client.post(body, "/v1/files")).json
        where = created.pop("upload")
        FileObject.model_validate(created, strict=True)
        assert created["status"] == "uploaded"
        assert where["method"] == "PUT" and where["headers"] == {"content-length": str(len(LINES))}
        assert where["expires_at"] == int(NOON) + 3600
        await presigned.put(where["url"].removeprefix("https://bucket.example/"), LINES)
        assert (await client.get(f"/v1/files/{created['id']}")).json == created | {"status": "processed"}
        assert (await client.get(f"/v1/files/{created['id']}/content")).body == LINES


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"bytes": 5, "purpose": "batch"}, 400, "filename"),
        ({"filename": "a", "purpose": "batch"}, 400, "bytes"),
        ({"filename": "a", "bytes": -1, "purpose": "batch"}, 400, "bytes"),
        ({"filename": "a", "bytes": 5}, 400, "purpose"),
        ({"filename": "a", "bytes": 200 * 2**20 + 1, "purpose": "batch"}, 413, "file"),
        ({"filename": "a", "bytes": 5, "purpose": "batch"}, 400, None),  # memory has no URLs
        (["a"], 400, None),
        (b"{", 400, None),
    ],
)
async def test_json_that_is_wrong_is_refused(body: Any, status: int, param: str | None) -> None:
    async with batch_app() as (client, _):
        reply = await client.post(body, "/v1/files")
        assert (reply.status, reply.json["error"]["param"]) == (status, param)


async def test_a_stranger_and_a_foreign_workspace_are_refused_before_the_body_is_read() -> None:
    async with batch_app() as (client, world):
        body = form({"purpose": "batch", "file": FILE})
        unknown = await send(client, body, authorization="Bearer nobody")
        assert (unknown.status, unknown.json["error"]["code"]) == (401, "invalid_api_key")
        foreign = await send(client, body, **{"x-workspace-id": "ws_other"})
        assert (foreign.status, foreign.json["error"]["code"]) == (403, "workspace_forbidden")
        assert await world.components.objects.list_keys("") == []
        for method, path in (("GET", "/v1/files"), ("GET", "/v1/files/file-1"), ("DELETE", "/v1/files/file-1")):
            assert (await client.post(b"", path, {"authorization": "Bearer nobody"}, method=method)).status == 401


async def test_the_files_of_another_workspace_do_not_exist() -> None:
    async with batch_app() as (client, world):
        foreign = (await world.submit(requests(1), workspace_id="ws_other")).input_file_id
        for method, path in (("GET", ""), ("GET", "/content"), ("DELETE", "")):
            reply = await client.post(b"", f"/v1/files/{foreign}{path}", method=method)
            assert (reply.status, reply.json["error"]["message"]) == (404, f"No such File object: {foreign}")
        assert (await client.get("/v1/files")).json["data"] == []


async def test_browsers_may_delete_files() -> None:
    options = ServerOptions(cors_origins=("https://app.example",))
    async with batch_app(options) as (client, _):
        asked = {"origin": "https://app.example", "access-control-request-method": "DELETE"}
        allowed = await client.post(b"", "/v1/files/file-1", asked, method="OPTIONS")
        assert (allowed.status, allowed.headers["access-control-allow-methods"]) == (200, "DELETE, GET, POST")
        headers = {"authorization": f"Bearer {SECRET}", "origin": "https://app.example"}
        gone = await client.post(b"", "/v1/files/file-1", headers, method="DELETE")
        assert (gone.status, gone.headers["access-control-allow-origin"]) == (404, "https://app.example")

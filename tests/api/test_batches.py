"""Batches over HTTP, and what OpenAI's SDK types say of the replies. No worker runs them here."""

import json
from typing import Any

import httpx
import pytest
from msgspec.structs import replace
from openai import AsyncOpenAI
from openai.types import Batch

from tests.api.batch_app import FORM, batch_app, form
from tests.batch.world import NOON, PATH, jsonl, requests
from tests.world import KEY, Client
from tidegate.api.routes import BATCH_PREFIXES


async def upload(client: Client, purpose: str = "batch") -> str:
    body = form({"purpose": purpose, "file": ("in.jsonl", jsonl(requests(3)))})
    return (await client.post(body, "/v1/files", {"content-type": FORM})).json["id"]


def fields(file_id: str, **changes: Any) -> dict[str, Any]:
    return {"input_file_id": file_id, "endpoint": PATH, "completion_window": "24h", **changes}


def strict(reply: Any) -> Batch:
    """The batch of a reply, if the SDK's type allows it as it was written."""
    return Batch.model_validate_json(reply.body, strict=True)


@pytest.mark.parametrize("prefix", BATCH_PREFIXES)
async def test_a_batch_is_created_shown_listed_and_cancelled(prefix: str) -> None:
    async with batch_app() as (client, world):
        created = await client.post(fields(await upload(client), metadata={"a": "b"}), f"{prefix}/batches")
        batch = strict(created)
        assert (created.status, batch.status, batch.metadata) == (200, "validating", {"a": "b"})
        assert (batch.created_at, batch.expires_at) == (int(NOON), int(NOON) + 86_400)
        assert (await world.batch(batch.id)).key_id == "key_test"
        at = f"{prefix}/batches/{batch.id}"
        assert (await client.get(at)).json == created.json
        page = (await client.get(f"{prefix}/batches?limit=1")).json
        assert page == {
            "object": "list",
            "data": [created.json],
            "first_id": batch.id,
            "last_id": batch.id,
            "has_more": False,
        }
        cancelled = strict(await client.post(b"", f"{at}/cancel"))
        assert (cancelled.status, cancelled.cancelling_at) == ("cancelling", int(NOON))


async def test_an_idempotency_key_has_one_batch() -> None:
    key = {"idempotency-key": "job-7"}
    async with batch_app() as (client, world):
        body = fields(await upload(client))
        first = await client.post(body, "/v1/batches", key)
        second = await client.post(dict(reversed(body.items())), "/openai/batches", key)
        assert (first.status, second.status, second.json) == (200, 200, first.json)
        assert [each.headers.get("idempotent-replayed") for each in (first, second)] == [None, "true"]
        other = await client.post({**body, "completion_window": "2h"}, "/v1/batches", key)
        assert (other.status, other.json["error"]["code"]) == (422, "idempotency_key_reused")
        call = await client.post(
            {"model": "openai/gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}, headers=key
        )
        assert (call.status, call.json["error"]["code"]) == (422, "idempotency_key_reused")
        wrong = await client.post(body, "/v1/batches", {"idempotency-key": "x" * 256})
        assert (wrong.status, wrong.json["error"]["param"]) == (400, "idempotency-key")
        assert [each["id"] for each in (await client.get("/v1/batches")).json["data"]] == [first.json["id"]]
        assert len((await client.post(body, "/v1/batches")).json["id"]) == len(first.json["id"])
        assert len(await world.components.table.open_batches()) == 2


@pytest.mark.jumping_clock
async def test_a_creation_that_the_sdk_repeats_after_a_lost_answer_creates_one_batch() -> None:
    keys: list[str | None] = []
    async with batch_app() as (client, world):
        body = fields(await upload(client))

        async def lose_first(request: httpx.Request) -> httpx.Response:
            key = request.headers.get("idempotency-key")
            keys.append(key)
            reply = await client.post(request.content, request.url.path, {"idempotency-key": key} if key else None)
            if len(keys) in (1, 3):
                raise httpx.ReadTimeout("late")
            return httpx.Response(reply.status, content=reply.body, headers={"content-type": "application/json"})

        http = httpx.AsyncClient(transport=httpx.MockTransport(lose_first))
        async with AsyncOpenAI(api_key="sk-test", base_url="http://gateway.test/v1", http_client=http) as sdk:
            batch = await sdk.batches.create(**body, extra_headers={"Idempotency-Key": "job-7"})
            assert [each.id for each in await world.components.table.open_batches()] == [batch.id]
            await sdk.batches.create(**body)  # the SDK has no key of its own: docs/CLIENTS.md
        assert keys == ["job-7", "job-7", None, None]
        assert len(await world.components.table.open_batches()) == 3


async def test_pages_of_batches_follow_one_another() -> None:
    async with batch_app() as (client, world):
        ids: list[str] = []
        for _ in range(3):
            world.clock.move(1.0)
            ids.append((await world.submit(requests(1))).id)
        first = (await client.get("/v1/batches?limit=2")).json
        assert ([each["id"] for each in first["data"]], first["has_more"]) == ([ids[2], ids[1]], True)
        rest = (await client.get(f"/v1/batches?limit=2&after={first['last_id']}")).json
        assert ([each["id"] for each in rest["data"]], rest["has_more"]) == ([ids[0]], False)
        for limit, code in ((0, "integer_below_min_value"), (101, "integer_above_max_value")):
            reply = await client.get(f"/v1/batches?limit={limit}")
            assert (reply.status, reply.json["error"]["code"]) == (400, code)


@pytest.mark.parametrize(
    ("changes", "status", "param", "message"),
    [
        ({"input_file_id": "file-unknown"}, 404, "input_file_id", "No such File object: file-unknown"),
        ({"input_file_id": None}, 400, "input_file_id", "Missing required parameter: 'input_file_id'."),
        (
            {"endpoint": "/v1/embeddings"},
            400,
            "endpoint",
            f"Invalid value: '/v1/embeddings'. Supported values are: '{PATH}'.",
        ),
        (
            {"completion_window": "1w"},
            400,
            "completion_window",
            "Invalid value: '1w'. Supported values are: '24h', and hours and days from '1h' to '7d'.",
        ),
        (
            {"metadata": {"a": "b" * 513}},
            400,
            "metadata.a",
            "Invalid 'metadata.a': string too long. Expected a string with maximum length 512, but got 513 instead.",
        ),
    ],
)
async def test_what_cannot_be_a_batch_is_refused_at_once(
    changes: dict[str, Any], status: int, param: str, message: str
) -> None:
    async with batch_app() as (client, _):
        reply = await client.post(fields(await upload(client)) | changes, "/v1/batches")
        error = reply.json["error"]
        assert (reply.status, error["param"], error["message"]) == (status, param, message)
        assert error["type"] == "invalid_request_error"
        assert (await client.get("/v1/batches")).json["data"] == []


async def test_errors_of_batches_are_openais() -> None:
    async with batch_app() as (client, world):
        for path in ("", "/cancel", "/resume"):
            reply = await client.post(b"", f"/v1/batches/batch_x{path}", method="POST" if path else "GET")
            message = "No batch found with id 'batch_x'."
            expected = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
            assert (reply.status, reply.json["error"]) == (404, expected)
        ended = await world.submit(requests(1), status="completed")
        reply = await client.post(b"", f"/v1/batches/{ended.id}/cancel")
        message = "Cannot cancel a batch with status 'completed'."
        expected = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
        assert (reply.status, reply.json["error"]) == (409, expected)


async def test_a_batch_of_another_workspace_does_not_exist() -> None:
    async with batch_app() as (client, world):
        foreign = await world.submit(requests(1), workspace_id="ws_other")
        for path in ("", "/cancel", "/resume"):
            reply = await client.post(b"", f"/v1/batches/{foreign.id}{path}", method="POST" if path else "GET")
            assert reply.status == 404
        refused = await client.post(fields(foreign.input_file_id), "/v1/batches")
        assert (refused.status, refused.json["error"]["param"]) == (404, "input_file_id")
        assert (await client.get("/v1/batches")).json["data"] == []


@pytest.mark.parametrize("path", ["/v1/batches", "/v1/batches/batch_1/cancel", "/v1/batches/batch_1/resume"])
async def test_a_stranger_is_refused(path: str) -> None:
    async with batch_app() as (client, _):
        reply = await client.post({}, path, {"authorization": "Bearer nobody"})
        assert (reply.status, reply.json["error"]["code"]) == (401, "invalid_api_key")


async def test_a_paused_batch_says_why_and_is_resumed() -> None:
    async with batch_app() as (client, world):
        paused = {"status": "in_progress", "pause": "budget", "paused_at": NOON, "parts": 1, "total": 3}
        batch = await world.submit(requests(3), **paused)
        shown = await client.get(f"/v1/batches/{batch.id}")
        assert strict(shown).status == "in_progress"
        own = {"pause": "budget", "paused_at": int(NOON)}
        assert shown.json["tidegate"] == shown.json["tidegate"] | own
        await world.components.table.save(batch_without_parts(await world.batch(batch.id)))
        resumed = await client.post(b"", f"/v1/batches/{batch.id}/resume")
        assert (resumed.status, resumed.json["tidegate"]["pause"]) == (200, None)


def batch_without_parts(batch: Any) -> Any:
    """The batch when all of its parts are done, so that nothing is fed."""

    return replace(batch, fed=batch.parts)


async def test_the_body_of_a_batch_is_json_and_bounded() -> None:
    async with batch_app() as (client, _):
        large = json.dumps({"metadata": {"a": "x" * 2**20}}).encode()
        assert (await client.post(large, "/v1/batches")).status == 413
        assert (await client.post(b"{}", "/v1/batches", {"content-type": "text/plain"})).status == 415
        assert (await client.post(b"[]", "/v1/batches")).status == 400


async def test_a_key_for_other_endpoints_has_no_files_and_batches() -> None:
    async with batch_app(key=replace(KEY, endpoints=("/v1/chat/*",))) as (client, _):
        for path in ("/v1/files", "/v1/batches", "/v1/files/file-1/content"):
            reply = await client.get(path)
            assert (reply.status, reply.json["error"]["code"]) == (403, "endpoint_not_allowed")


async def test_a_batch_needs_a_key_for_its_endpoint() -> None:
    paths = ("/v1/files*", "/v1/batches*", "/v1/models")
    for endpoints, status in ((paths, 403), ((*paths, "/v1/chat/*"), 200)):
        async with batch_app(key=replace(KEY, endpoints=endpoints)) as (client, world):
            sent = fields(await upload(client))
            reply = await client.post(sent, "/v1/batches")
            assert (reply.status, len(await world.components.table.open_batches())) == (status, int(status == 200))
            assert status == 200 or reply.json["error"]["code"] == "endpoint_not_allowed"
            for unknown in (["/v1/chat/completions"], "/v1/embeddings"):
                assert (await client.post({**sent, "endpoint": unknown}, "/v1/batches")).status == 400

"""client.files, client.uploads and client.batches of openai-python and openai-node, as applications use them."""

import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AzureOpenAI, OpenAI

from tests.clients import published
from tests.clients.programs import printed
from tests.clients.world import DEMO_KEY, Server, serving

pytestmark = pytest.mark.slow

MODEL = "demo/echo"
PATH = "/v1/chat/completions"


@pytest.fixture
def client(server: Server) -> Iterator[OpenAI]:
    with OpenAI(base_url=server.url, api_key=DEMO_KEY, max_retries=0, timeout=30) as made:
        yield made


def lines(count: int, wrong: tuple[int, ...] = ()) -> bytes:
    """A file of requests; those at `wrong` are valid lines that no provider is asked about."""
    text = ""
    for number in range(count):
        body = {"model": MODEL, "messages": [{"role": "user", "content": f"Line {number}."}]}
        limit = {"max_tokens": -1} if number in wrong else {}
        line = {"custom_id": f"line-{number}", "method": "POST", "url": PATH, "body": {**body, **limit}}
        text += json.dumps(line) + "\n"
    return text.encode()


def test_a_file_is_sent_listed_read_and_deleted(client: OpenAI, tmp_path: Path) -> None:
    data = lines(20)
    path = tmp_path / "requests.jsonl"
    path.write_bytes(data)
    with path.open("rb") as content:
        file = client.files.create(
            file=content, purpose="batch", expires_after={"anchor": "created_at", "seconds": 3600}
        )
    assert (file.filename, file.bytes, file.purpose, file.status) == ("requests.jsonl", len(data), "batch", "processed")
    assert file.expires_at == file.created_at + 3600
    assert client.files.retrieve(file.id) == file
    assert client.files.wait_for_processing(file.id) == file
    assert client.files.content(file.id).read() == data
    assert client.files.content(file.id, extra_headers={"range": "bytes=0-9"}).read() == data[:10]
    streamed = tmp_path / "streamed.jsonl"
    with client.files.with_streaming_response.content(file.id) as reply:
        reply.stream_to_file(streamed)
    assert streamed.read_bytes() == data
    others = [client.files.create(file=data, purpose="user_data").id for _ in range(4)]
    listed = [each.id for each in client.files.list(limit=2, purpose="user_data")]
    assert [each for each in listed if each in others] == others[::-1]
    ascending = [each.id for each in client.files.list(limit=3, order="asc")]
    assert [each for each in ascending if each in (file.id, *others)] == [file.id, *others]
    for each in (file.id, *others):
        assert client.files.delete(each).deleted
    with pytest.raises(openai.NotFoundError, match=f"No such File object: {file.id}") as raised:
        client.files.retrieve(file.id)
    assert (raised.value.param, raised.value.code, raised.value.type) == ("id", None, "invalid_request_error")


def test_a_file_is_uploaded_in_small_parts(client: OpenAI, tmp_path: Path) -> None:
    data = lines(2_000)
    path = tmp_path / "large.jsonl"
    path.write_bytes(data)
    digest = hashlib.md5(data).hexdigest()
    upload = client.uploads.upload_file_chunked(
        file=path, mime_type="application/jsonl", purpose="batch", part_size=100_000, md5=digest
    )
    assert upload.status == "completed" and upload.file is not None
    assert client.files.content(upload.file.id).read() == data
    in_memory = client.uploads.upload_file_chunked(
        file=data, filename="b", bytes=len(data), mime_type="text/plain", purpose="vision", part_size=4_000_000
    )
    assert in_memory.file is not None and in_memory.file.bytes == len(data)
    pending = client.uploads.create(bytes=5, filename="a", mime_type="text/plain", purpose="user_data")
    part = client.uploads.parts.create(pending.id, data=b"12345")
    assert (part.upload_id, client.uploads.cancel(pending.id).status) == (pending.id, "cancelled")
    with pytest.raises(openai.BadRequestError, match="is cancelled"):
        client.uploads.complete(pending.id, part_ids=[part.id])


def test_a_batch_is_created_followed_and_read(client: OpenAI) -> None:
    file = client.files.create(file=("in.jsonl", lines(30, wrong=(7, 19))), purpose="batch")
    batch = client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", metadata={"job": "night"}
    )
    assert (batch.status, batch.metadata, batch.endpoint) == ("validating", {"job": "night"}, PATH)
    batch = ended(client, batch.id)
    assert (batch.status, batch.errors, batch.model) == ("completed", None, MODEL)
    assert batch.request_counts is not None and batch.usage is not None
    assert (batch.request_counts.total, batch.request_counts.completed, batch.request_counts.failed) == (30, 28, 2)
    assert batch.output_file_id is not None and batch.error_file_id is not None
    output, errors = (results(client, each) for each in (batch.output_file_id, batch.error_file_id))
    assert [each["custom_id"] for each in output] == [f"line-{n}" for n in range(30) if n not in (7, 19)]
    assert [each["custom_id"] for each in errors] == ["line-7", "line-19"]
    for each in output:
        published.check_completion(each["response"]["body"])
        assert (each["response"]["status_code"], each["error"]) == (200, None)
    tokens = sum(each["response"]["body"]["usage"]["total_tokens"] for each in output)
    assert batch.usage.total_tokens == tokens
    for each in errors:
        assert each["response"]["status_code"] == 400
    assert batch.id in [each.id for each in client.batches.list(limit=1)]
    assert client.files.retrieve(batch.output_file_id).purpose == "batch_output"
    with pytest.raises(openai.ConflictError, match="Cannot cancel a batch with status 'completed'"):
        client.batches.cancel(batch.id)


def test_a_batch_is_cancelled(client: OpenAI) -> None:
    file = client.files.create(file=lines(3_000), purpose="batch")
    batch = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    assert client.batches.cancel(batch.id).status in ("cancelling", "cancelled")
    batch = ended(client, batch.id)
    assert batch.status == "cancelled" and batch.cancelled_at is not None


def test_what_is_wrong_is_said_at_once_or_by_the_batch(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match=r"Must be \.jsonl"):
        client.files.create(file=("notes.txt", b"Dear all,"), purpose="batch")
    with pytest.raises(openai.NotFoundError, match="No such File object: file-abc"):
        client.batches.create(input_file_id="file-abc", endpoint="/v1/chat/completions", completion_window="24h")
    with pytest.raises(openai.NotFoundError, match="No batch found with id 'batch_abc'"):
        client.batches.retrieve("batch_abc")
    file = client.files.create(file=lines(1) + b"{no json}\n" + lines(1), purpose="batch")
    with pytest.raises(openai.BadRequestError, match="Supported values are") as raised:
        client.batches.create(input_file_id=file.id, endpoint="/v1/videos", completion_window="24h")
    assert raised.value.param == "endpoint"
    batch = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    batch = ended(client, batch.id)
    assert batch.status == "failed" and batch.errors is not None
    faults = [(each.code, each.line) for each in batch.errors.data or ()]
    assert faults == [("invalid_json_line", 2), ("duplicate_custom_id", 3)]


def test_azures_client_finds_the_same_paths(server: Server) -> None:
    with AzureOpenAI(azure_endpoint=server.root, api_key=DEMO_KEY, api_version="2026-01-01") as client:
        file = client.files.create(file=lines(1), purpose="batch")
        batch = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
        assert client.batches.retrieve(batch.id).input_file_id == file.id
        assert client.files.delete(file.id).deleted


@pytest.mark.parametrize("size", [201 * 2**20])
def test_a_file_that_is_too_large_is_413_and_not_a_broken_connection(client: OpenAI, tmp_path: Path, size: int) -> None:
    path = tmp_path / "large.jsonl"
    with path.open("wb") as file:
        file.write(lines(1))
        file.truncate(size)
    with path.open("rb") as content, pytest.raises(openai.APIStatusError, match="209,715,200") as raised:
        client.files.create(file=content, purpose="batch")
    assert raised.value.status_code == 413


def test_a_workspace_without_room_is_told_to_delete_files() -> None:
    data = lines(10)
    env = {"TIDEGATE_BATCH_OPTIONS": json.dumps({"max_stored_bytes": 2 * len(data), "max_open_uploads": 1})}
    with (
        serving("--store", "memory", env=env) as (_, port),
        OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=DEMO_KEY, timeout=30) as client,
    ):
        file = client.files.create(file=data, purpose="batch")
        fields: Any = {"filename": "a", "mime_type": "application/jsonl", "purpose": "batch"}
        upload = client.uploads.create(bytes=len(data), **fields)
        with pytest.raises(openai.RateLimitError, match="has 1 open uploads, and may have 1"):
            client.uploads.create(bytes=1, **fields)
        part = client.uploads.parts.create(upload.id, data=data)
        for parts in (data, data[:1]):
            with pytest.raises(openai.APIStatusError, match="so another one may have at most 0") as refused:
                client.uploads.parts.create(upload.id, data=parts)
            assert (refused.value.status_code, refused.value.param) == (413, "data")
        assert client.uploads.complete(upload.id, part_ids=[part.id]).status == "completed"
        with pytest.raises(openai.APIStatusError, match=r"stores 2 files .* delete files first") as full:
            client.files.create(file=data, purpose="batch")
        assert (full.value.status_code, full.value.code) == (413, "storage_limit_exceeded")
        client.files.delete(file.id)
        uploaded = client.uploads.upload_file_chunked(
            file=data, filename="a", bytes=len(data), mime_type="application/jsonl", purpose="batch", part_size=500
        )
        assert uploaded.file is not None and client.files.content(uploaded.file.id).read() == data


def test_openai_node_does_the_same(running_server: Server, tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(lines(12, wrong=(3,)))
    running_server.tap.forget()
    seen = printed("batches.mjs", running_server.url, DEMO_KEY, str(path))
    for exchange in running_server.tap.exchanges():
        published.check(exchange)
    assert seen["file"] == {"name": "in.jsonl", "same": True, "paged": True, "deleted": True, "gone": [404, "id"]}
    assert seen["upload"] == {"status": "completed", "same": True}
    assert seen["batch"] == {
        "status": "completed",
        "counts": {"total": 12, "completed": 11, "failed": 1},
        "output": [f"line-{number}" for number in range(12) if number != 3],
        "errors": ["line-3"],
        "listed": True,
    }


def ended(client: OpenAI, batch_id: str) -> Any:
    """The batch once it has ended."""
    deadline = time.monotonic() + 60
    while True:
        batch = client.batches.retrieve(batch_id)
        if batch.status in ("completed", "failed", "expired", "cancelled"):
            return batch
        assert time.monotonic() < deadline, batch
        time.sleep(0.2)


def results(client: OpenAI, file_id: str) -> list[Any]:
    return [json.loads(line) for line in client.files.content(file_id).text.splitlines()]

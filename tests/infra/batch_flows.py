"""What callers, jobs and Lambda ask of the functions about files and batches."""

import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import boto3
import httpx
import msgspec
import openai
from msgspec.structs import replace

from tests.batch.world import PATH, jsonl, requests
from tests.store_worlds import REGION
from tests.world import SECRET, WORKSPACE
from tidegate.api.app import ENDPOINTS
from tidegate.aws.batch_queue import create_batch_queue
from tidegate.aws.batch_triggers import BatchFunction
from tidegate.aws.batches import create_aws_batches
from tidegate.aws.gateway import create_aws_gateway
from tidegate.aws.world import AwsWorld
from tidegate.batch.components import BatchComponents
from tidegate.batch.keys import ranges_key
from tidegate.batch.messages import Notify, Validate
from tidegate.batch.ports import PIECE_BYTES
from tidegate.compose import Overrides
from tidegate.domain.batch import Batch, PartRange, StoredFile

ROUTED = [{**line, "body": {**line["body"], "model": "fast"}} for line in requests(3)]


@dataclass(frozen=True)
class Resources:
    """The bucket and queues of a stack."""

    s3: Any
    sqs: Any
    bucket: str
    queues: dict[str, str]

    @property
    def env(self) -> dict[str, str]:
        return {
            "TIDEGATE_BATCH_BUCKET": self.bucket,
            "TIDEGATE_BATCH_QUEUE": self.queues["work"],
            "TIDEGATE_REPLY_QUEUE": self.queues["answers"],
        }

    def drop(self, key: str, data: bytes) -> str:
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=data)
        return key

    def records(self, name: str) -> list[dict[str, Any]]:
        """A message of the queue, as Lambda delivers it."""
        names = {"MessageSystemAttributeNames": ["All"]}
        received = self.sqs.receive_message(QueueUrl=self.queues[name], MaxNumberOfMessages=1, **names)
        return [
            {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": message["Attributes"],
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "eventSourceARN": f"arn:aws:sqs:{REGION}:123456789012:{self.queues[name].rpartition('/')[2]}",
            }
            for message in received.get("Messages", [])
        ]


def create_resources(endpoint: str) -> Resources:
    s3, sqs = (boto3.client(name, endpoint_url=endpoint, region_name=REGION) for name in ("s3", "sqs"))
    bucket = f"batches-{uuid.uuid4()}"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    queues = {
        name: sqs.create_queue(QueueName=f"{name}-{uuid.uuid4()}")["QueueUrl"] for name in ("work", "intake", "answers")
    }
    return Resources(s3, sqs, bucket, queues)


async def manage_batches(app: Any, components: BatchComponents, stack: Resources) -> None:
    """Do with files, uploads and batches all that a caller can."""

    async def with_state(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "state": dict(app.lifespan_state)}, receive, send)

    http = httpx.AsyncClient(transport=httpx.ASGITransport(with_state), base_url="http://gateway.test")
    async with openai.AsyncOpenAI(api_key=SECRET, base_url="http://gateway.test/v1", http_client=http) as client:
        data = jsonl(requests(5))
        file = await client.files.create(file=("in.jsonl", data), purpose="batch")
        await client.files.retrieve(file.id)
        [page async for page in client.files.list()]
        assert (await client.files.content(file.id)).content == data
        await _upload_to_url(http, stack, data)
        await _upload_parts(client, data)
        batch = await client.batches.create(input_file_id=file.id, endpoint=PATH, completion_window="24h")
        [page async for page in client.batches.list()]
        await _resume(client, components, stack, batch.id)
        await client.batches.cancel(batch.id)
        await client.batches.retrieve(batch.id)
        await client.files.delete(file.id)
        key = stack.drop(f"workspaces/{WORKSPACE.id}/in/a.jsonl", data)
        dropped = StoredFile(
            id="file-dropped",
            workspace_id=WORKSPACE.id,
            filename="a.jsonl",
            purpose="batch",
            bytes=len(data),
            key=key,
            created_at=components.clock(),
        )
        assert await components.table.save(dropped)
        assert (await client.files.content(dropped.id)).content == data
        await client.files.delete(dropped.id)
    await abort_upload(components, f"files/{WORKSPACE.id}/aborted")


async def _upload_to_url(http: httpx.AsyncClient, stack: Resources, data: bytes) -> None:
    headers = {"authorization": f"Bearer {SECRET}"}
    asked = {"filename": "in.jsonl", "bytes": len(data), "purpose": "batch"}
    made = (await http.post("/v1/files", json=asked, headers=headers)).json()
    stack.drop(f"uploads/{WORKSPACE.id}/{made['id']}/content", data)
    found = (await http.get(f"/v1/files/{made['id']}", headers=headers)).json()
    assert found["status"] == "processed", found


async def _upload_parts(client: openai.AsyncOpenAI, data: bytes) -> None:
    fields: Any = {"filename": "in.jsonl", "bytes": len(data), "mime_type": "application/jsonl", "purpose": "batch"}
    upload = await client.uploads.create(**fields)
    parts = [(await client.uploads.parts.create(upload.id, data=piece)).id for piece in (data[:100], data[100:])]
    assert (await client.uploads.complete(upload.id, part_ids=parts)).status == "completed"
    cancelled = await client.uploads.create(**fields)
    await client.uploads.parts.create(cancelled.id, data=data[:100])
    await client.uploads.cancel(cancelled.id)


async def _resume(client: openai.AsyncOpenAI, components: BatchComponents, stack: Resources, batch_id: str) -> None:
    """Resume a batch that waits, as a worker leaves it behind."""
    stack.drop(ranges_key(WORKSPACE.id, batch_id, 0), msgspec.json.encode(PartRange(0, 0, 0, 100, 5)) + b"\n")
    batch = await components.table.find_batch(WORKSPACE.id, batch_id)
    assert batch is not None
    paused = replace(batch, status="in_progress", total=5, parts=1, pause="budget", paused_at=1.0)
    assert await components.table.save(paused)
    await client.post(f"/batches/{batch_id}/resume", cast_to=object)


async def abort_upload(components: BatchComponents, key: str) -> None:
    """Begin a large object, and fail."""
    try:
        async with components.objects.writer(key) as writer:
            await writer.write(bytes(2 * PIECE_BYTES))
            raise KeyError
    except KeyError:
        pass


@asynccontextmanager
async def batch_function(world: AwsWorld, overrides: Overrides) -> AsyncIterator[BatchFunction]:
    """The function over a world, as `open_batch_function` makes it."""
    settings = world.settings
    assert settings.batch_queue is not None and settings.batch_bucket is not None
    queue = create_batch_queue(world.http, world.signing_keys, settings.aws, settings.batch_queue)
    components = create_aws_batches(world, await create_aws_gateway(world, overrides), ENDPOINTS, queue)
    assert components is not None
    yield BatchFunction(components, queue.queue.service, settings.batch_queue, settings.batch_bucket)


async def work(function: BatchFunction, stack: Resources) -> None:
    """Deliver the messages of the work queue until none is due."""
    while records := stack.records("work"):
        assert await function.handle({"Records": records}, 120.0) == {"batchItemFailures": []}
        stack.sqs.delete_message(QueueUrl=stack.queues["work"], ReceiptHandle=records[0]["receiptHandle"])


def object_event(stack: Resources, key: str) -> dict[str, Any]:
    return {
        "id": key,
        "source": "aws.s3",
        "detail-type": "Object Created",
        "time": "2026-11-21T12:00:00Z",
        "detail": {"bucket": {"name": stack.bucket}, "object": {"key": key, "sequencer": key}},
    }


async def run_everything(function: BatchFunction, stack: Resources, key_id: str) -> None:
    """Start the function with all its events, those that fail as well, and for a batch of this key."""
    await _create_batch(function.components, key_id)
    prefix = f"workspaces/{WORKSPACE.id}/in/"
    key = stack.drop(f"{prefix}routed.jsonl", jsonl(ROUTED))
    assert await function.handle(object_event(stack, key), 120.0) == {}
    for name, data in (("bad.csv", b"no JSON\n"), ("twice.jsonl", jsonl([ROUTED[0], ROUTED[0]]))):
        await function.handle(object_event(stack, stack.drop(prefix + name, data)), 120.0)
    await function.handle(object_event(stack, f"{prefix}gone.jsonl"), 120.0)
    await work(function, stack)
    assert stack.s3.list_objects_v2(Bucket=stack.bucket, Prefix=f"workspaces/{WORKSPACE.id}/out/")["KeyCount"] == 1
    assert stack.s3.list_objects_v2(Bucket=stack.bucket, Prefix=f"workspaces/{WORKSPACE.id}/rejected/")["KeyCount"] == 4
    line = {**ROUTED[0], "workspace_id": WORKSPACE.id}
    for body in (line, {**line, "url": "/v1/other"}):
        stack.sqs.send_message(QueueUrl=stack.queues["intake"], MessageBody=json.dumps(body))
        assert await function.handle({"Records": stack.records("intake")}, 120.0) == {"batchItemFailures": []}
    await function.handle({"detail-type": "Scheduled Event"}, 120.0)
    await function.handle({"workspace_id": WORKSPACE.id, "requests": [ROUTED[0]]}, 120.0)
    await _fail(function, stack)
    await function.components.queue.send(Notify(WORKSPACE.id, "batch_unknown", "batch.completed", "evt_1"))
    await abort_upload(function.components, f"batches/{WORKSPACE.id}/aborted")


async def _create_batch(components: BatchComponents, key_id: str) -> None:
    now, data = components.clock(), jsonl(ROUTED)
    key = f"files/{WORKSPACE.id}/file-key"
    await components.objects.put(key, data)
    file = StoredFile(
        id="file-key",
        workspace_id=WORKSPACE.id,
        filename="a.jsonl",
        purpose="batch",
        bytes=len(data),
        key=key,
        created_at=now,
    )
    batch = Batch(
        id="batch_key",
        workspace_id=WORKSPACE.id,
        key_id=key_id,
        endpoint=PATH,
        input_file_id=file.id,
        input_key=key,
        input_bytes=len(data),
        completion_window="24h",
        created_at=now,
        expires_at=now + 86_400,
    )
    assert await components.table.save(file, batch)
    await components.queue.send(Validate(WORKSPACE.id, batch.id))


async def _fail(function: BatchFunction, stack: Resources) -> None:
    """Return messages to both queues: an unknown step, and a request to a provider that is busy."""
    busy = json.dumps({**requests(1)[0], "workspace_id": WORKSPACE.id})
    for name, body in (("work", '{"step": "unknown"}'), ("intake", busy)):
        stack.sqs.send_message(QueueUrl=stack.queues[name], MessageBody=body)
        answer: Any = await function.handle({"Records": stack.records(name)}, 120.0)
        assert len(answer["batchItemFailures"]) == 1

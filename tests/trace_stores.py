"""Stores of traces over a world's table, with a bucket or a folder, and with a KMS key or without."""

import json
import os
import uuid
from pathlib import Path

from tests.store_worlds import REGION, World
from tidegate.aws.bucket import Bucket
from tidegate.aws.dynamo import DynamoClient
from tidegate.aws.trace_keys import KmsKey, TraceKeys
from tidegate.aws.traces import DynamoTraces
from tidegate.sqlite.objects import FileObjects
from tidegate.transport.aws_service import AwsService
from tidegate.transport.base import Timeouts, Transport
from tidegate.transport.sigv4 import AwsKey

DAY = 86_400.0
MARKER = b"a marker out of a prompt"
LARGE = MARKER + os.urandom(5 * 1024 * 1024) + MARKER


async def aws_key() -> AwsKey:
    return AwsKey("testing", "testing", "testing")


async def create_kms_key(transport: Transport, endpoint: str) -> KmsKey:
    service = AwsService(transport, aws_key, REGION, "kms", endpoint)
    _, answer = await service.post("TrentService.CreateKey", b"{}", Timeouts(total=30))
    return KmsKey(service, str(json.loads(answer)["KeyMetadata"]["Arn"]))


async def traces_of(world: World, endpoint: str, folder: Path, *, has_kms: bool = False) -> DynamoTraces:
    store = world.store
    assert store is not None
    if not isinstance(store.client, DynamoClient):
        return DynamoTraces(store, TraceKeys(store), FileObjects(folder / "objects"))
    transport = store.client.service.transport
    bucket = Bucket(AwsService(transport, aws_key, REGION, "s3", endpoint), f"replies-{uuid.uuid4()}")
    await bucket.create()
    kms_key = await create_kms_key(transport, endpoint) if has_kms else None
    return DynamoTraces(store, TraceKeys(store, kms_key), bucket)

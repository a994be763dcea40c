"""S3's objects in a bucket of their own."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.aws.script import instantly
from tests.store_worlds import REGION
from tidegate.aws.batch_objects import S3BatchObjects
from tidegate.aws.bucket import Bucket
from tidegate.aws.dynamo import Backoff
from tidegate.aws.s3_client import S3Client
from tidegate.transport.aws_service import AwsService
from tidegate.transport.base import Transport
from tidegate.transport.reqwest import ReqwestTransport
from tidegate.transport.sigv4 import AwsKey


async def root_key() -> AwsKey:
    """The key of ministack's root user, with which it verifies presigned URLs."""
    return AwsKey("test", "test")


def s3_over(transport: Transport, endpoint: str | None = None, bucket: str = "batches") -> S3BatchObjects:
    """The objects of a bucket that need not exist. Failed requests are tried again at once."""
    service = AwsService(transport, root_key, REGION, "s3", endpoint)
    return S3BatchObjects(S3Client(Bucket(service, bucket), Backoff(tries=6, sleep=instantly)))


@asynccontextmanager
async def s3_objects(endpoint: str) -> AsyncIterator[S3BatchObjects]:
    """The objects of a new bucket."""
    transport = ReqwestTransport()
    objects = s3_over(transport, endpoint, f"tidegate-{uuid.uuid4()}")
    await objects.client.bucket.create()
    yield objects
    await transport.close()

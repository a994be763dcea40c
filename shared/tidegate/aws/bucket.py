"""Objects in one bucket of S3: written whole, read whole.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html and …/API_GetObject.html
"""

import hashlib
import time
from collections.abc import Callable
from urllib.parse import quote

from msgspec import Struct

from tidegate.errors import StoreUnavailable, UpstreamError
from tidegate.transport.base import HttpRequest, Timeouts, Transport
from tidegate.transport.sigv4 import AwsKeys, SigningScope, sign

MAX_BYTES = 16 * 1024 * 1024

_TIMEOUTS = Timeouts(total=10.0)


class Bucket(Struct, frozen=True):
    """The bucket `name`, at `endpoint` or else the region's own. Both methods raise `StoreUnavailable`."""

    transport: Transport
    aws_keys: AwsKeys
    name: str
    region: str
    endpoint: str | None = None
    clock: Callable[[], float] = time.time

    async def put(self, key: str, data: bytes) -> None:
        """Write the object, in the place of what was there."""
        status, _ = await self._send("PUT", key, data)
        if status != 200:
            raise StoreUnavailable(f"S3 refused an object with {status}.")

    async def get(self, key: str) -> bytes | None:
        """The object; None where there is none, which S3 says with 403 to those who may not list."""
        status, data = await self._send("GET", key, b"")
        if status in (403, 404):
            return None
        if status != 200:
            raise StoreUnavailable(f"S3 did not give an object: {status}.")
        return data

    async def create(self) -> None:
        """Make the bucket, for local use; one that exists stays as it is."""
        location = f"<LocationConstraint>{self.region}</LocationConstraint>" if self.region != "us-east-1" else ""
        body = f"<CreateBucketConfiguration>{location}</CreateBucketConfiguration>" if location else ""
        status, _ = await self._send("PUT", "", body.encode())
        if status not in (200, 409):
            raise StoreUnavailable(f"S3 refused a bucket with {status}.")

    async def _send(self, method: str, key: str, data: bytes) -> tuple[int, bytes]:
        url = f"{self._bucket_url()}/{quote(key, safe='/-_.~')}"
        digest = hashlib.sha256(data).hexdigest()
        headers = {"x-amz-content-sha256": digest}
        if method == "PUT":
            headers["content-type"] = "application/octet-stream"
        try:
            signing_scope = SigningScope("s3", self.region)
            signed = sign(method, url, headers, data, await self.aws_keys(), signing_scope, at=self.clock())
            async with self.transport.open(HttpRequest(method, url, signed, data), _TIMEOUTS) as response:
                return response.status, await response.read(MAX_BYTES)
        except (UpstreamError, TimeoutError) as error:
            raise StoreUnavailable("S3 does not answer.", retry_after_seconds=1) from error

    def _bucket_url(self) -> str:
        """S3's certificate does not cover names with dots."""
        if self.endpoint is not None:
            return f"{self.endpoint.rstrip('/')}/{self.name}"
        if "." in self.name:
            return f"https://s3.{self.region}.amazonaws.com/{self.name}"
        return f"https://{self.name}.s3.{self.region}.amazonaws.com"

"""Objects in one S3 bucket, written and read in one piece.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html, …/API_GetObject.html and
…/API_DeleteObject.html
"""

import hashlib
from urllib.parse import quote

from msgspec import Struct

from tidegate.errors import StoreUnavailable, UpstreamError
from tidegate.transport.aws_service import AwsService
from tidegate.transport.base import HttpRequest, Timeouts

MAX_BYTES = 16 * 1024 * 1024

_TIMEOUTS = Timeouts(total=10.0)


class Bucket(Struct, frozen=True):
    """The bucket `name`. All methods raise `StoreUnavailable`."""

    service: AwsService
    name: str

    async def put(self, key: str, data: bytes) -> None:
        """Write the object; an existing one is replaced."""
        status, _ = await self._send("PUT", key, data)
        if status != 200:
            raise StoreUnavailable(f"S3 refused to store an object (status {status}).")

    async def get(self, key: str) -> bytes | None:
        """The object, None if it does not exist: S3 answers 403 to callers that may not list the bucket."""
        status, data = await self._send("GET", key, b"")
        if status in (403, 404):
            return None
        if status != 200:
            raise StoreUnavailable(f"S3 refused to return an object (status {status}).")
        return data

    async def delete(self, key: str) -> None:
        """Delete the object; S3 also says so of one that does not exist."""
        status, _ = await self._send("DELETE", key, b"")
        if status not in (200, 204, 404):
            raise StoreUnavailable(f"S3 refused to delete an object (status {status}).")

    async def create(self) -> None:
        """Create the bucket, for local use; an existing one stays as it is."""
        region = self.service.region
        location = f"<LocationConstraint>{region}</LocationConstraint>" if region != "us-east-1" else ""
        body = f"<CreateBucketConfiguration>{location}</CreateBucketConfiguration>" if location else ""
        status, _ = await self._send("PUT", "", body.encode())
        if status not in (200, 409):
            raise StoreUnavailable(f"S3 refused to create the bucket {self.name!r} (status {status}).")

    def object_url(self, key: str) -> str:
        """The URL of an object, or of the bucket for an empty key. Raises `StoreUnavailable` for a key with dots.

        HTTP clients resolve the segments "." and "..", and would ask for another object.
        """
        if not {".", ".."}.isdisjoint(key.split("/")):
            raise StoreUnavailable("The key of an object is not valid.")
        return f"{self._bucket_url()}/{quote(key, safe='/-_.~')}"

    async def _send(self, method: str, key: str, data: bytes) -> tuple[int, bytes]:
        headers = {"x-amz-content-sha256": hashlib.sha256(data).hexdigest()}
        if method == "PUT":
            headers["content-type"] = "application/octet-stream"
        request = HttpRequest(method, self.object_url(key), headers, data)
        try:
            return await self.service.send(request, _TIMEOUTS, MAX_BYTES)
        except (UpstreamError, TimeoutError) as error:
            raise StoreUnavailable("S3 does not answer; try again in a moment.", retry_after_seconds=1) from error

    def _bucket_url(self) -> str:
        """The bucket's own host, or a path where its name has dots: S3's certificate does not cover those."""
        region, endpoint = self.service.region, self.service.endpoint
        if endpoint is not None:
            return f"{endpoint.rstrip('/')}/{self.name}"
        if "." in self.name:
            return f"https://s3.{region}.amazonaws.com/{self.name}"
        return f"https://{self.name}.s3.{region}.amazonaws.com"

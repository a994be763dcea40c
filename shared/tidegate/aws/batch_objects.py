"""Objects of files and batches in an S3 bucket, without an SDK: the data plane uses it as well.

The role needs `s3:ListBucket`: without it, S3 answers 403 for an object that does not exist. Entity tags are taken as
they are, since those of encrypted buckets are not MD5 digests.
Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html, …/API_ListObjectsV2.html,
…/API_DeleteObjects.html (read 2026-11)
"""

import base64
import hashlib
import math
import re
from collections.abc import AsyncGenerator, Sequence
from typing import NamedTuple
from urllib.parse import unquote_plus

from msgspec import Struct

from tidegate.aws.s3_client import S3Client, S3Response, refusal, xml_text, xml_values
from tidegate.aws.s3_writer import S3ObjectWriter
from tidegate.batch.ports import PIECE_BYTES, ObjectWriter
from tidegate.errors import NotFound, StoreUnavailable

MAX_DELETED_KEYS = 1000
"""S3's limit for one deletion."""

_AS_STORED = {"response-content-encoding": "identity"}
"""Somebody may have stored an object as compressed: HTTP clients would decompress it, and know no size."""

_NOT_IN_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")

MAX_PRESIGNED_SECONDS = 7 * 86_400


class _Piece(NamedTuple):
    """Bytes of an object, and the size of the whole object; where there are no bytes, it is at most `size`."""

    data: bytes
    size: int


class S3BatchObjects(Struct, frozen=True):
    """The port `BatchObjects`. It opens nothing: the caller owns the transport of the client's bucket."""

    client: S3Client

    async def put(self, key: str, data: bytes) -> None:
        """See `BatchObjects.put`."""
        response = await self.client.send("PUT", key, body=data)
        if response.status != 200:
            raise refusal("to store an object", response)

    async def size(self, key: str) -> int | None:
        """See `BatchObjects.size`. It reads a byte: a HEAD request would tell no size of a compressed object."""
        try:
            return (await self._read_piece(key, 0, 1)).size
        except NotFound:
            return None

    async def read(self, key: str, first: int = 0, length: int | None = None) -> bytes | None:
        """See `BatchObjects.read`: a request for each piece."""
        try:
            return b"".join([piece async for piece in self.chunks(key, first, length)])
        except NotFound:
            return None

    async def chunks(self, key: str, first: int = 0, length: int | None = None) -> AsyncGenerator[bytes]:
        """See `BatchObjects.chunks`."""
        end = math.inf if length is None else first + length
        if first >= end and await self.size(key) is None:
            raise _not_found(key)
        while first < end:
            piece = await self._read_piece(key, first, int(min(PIECE_BYTES, end - first)))
            if not piece.data:
                return
            yield piece.data
            first += len(piece.data)
            end = min(end, piece.size)

    def writer(self, key: str, *, content_type: str = "application/jsonl") -> ObjectWriter:
        """See `BatchObjects.writer`."""
        return S3ObjectWriter(self.client, self, key, content_type)

    async def delete(self, keys: Sequence[str]) -> None:
        """See `BatchObjects.delete`: a request for each 1,000 keys, and for each key that XML cannot express."""
        listed_keys = [key for key in keys if not _NOT_IN_XML.search(key)]
        for start in range(0, len(listed_keys), MAX_DELETED_KEYS):
            await self._delete(listed_keys[start : start + MAX_DELETED_KEYS])
        for key in filter(_NOT_IN_XML.search, keys):
            response = await self.client.send("DELETE", key)
            if response.status not in (204, 404):
                raise refusal("to delete an object", response)

    async def list_keys(self, prefix: str) -> Sequence[str]:
        """See `BatchObjects.list_keys`: a request for each 1,000 keys."""
        keys: list[str] = []
        query = {"list-type": "2", "encoding-type": "url", "prefix": prefix}
        while True:
            response = await self.client.send("GET", "", query=query)
            if response.status != 200:
                raise refusal("to list objects", response)
            keys += [unquote_plus(key) for key in xml_values(response.body, "Key")]
            tokens = xml_values(response.body, "NextContinuationToken")
            if not tokens:
                return keys
            query["continuation-token"] = tokens[0]

    async def presigned_put(self, key: str, seconds: float, size: int) -> str | None:
        """See `BatchObjects.presigned_put`. The URL is valid no longer than the credentials of this process."""
        bucket, seconds = self.client.bucket, min(int(seconds), MAX_PRESIGNED_SECONDS)
        headers = {"content-length": str(size)}
        return await bucket.service.presign_url("PUT", bucket.object_url(key), headers, seconds)

    async def uri(self, key: str) -> str | None:
        """See `BatchObjects.uri`."""
        return f"s3://{self.client.bucket.name}/{key}"

    async def _read_piece(self, key: str, first: int, length: int) -> _Piece:
        """At most `length` bytes from `first`, with one request."""
        headers = {"range": f"bytes={first}-{first + length - 1}"}
        response = await self.client.send("GET", key, query=_AS_STORED, headers=headers)
        match response.status:
            case 206:
                return _Piece(response.body, _total_size(response))
            case 404:
                raise _not_found(key)
            case 416:  # the object ends before `first`
                return _Piece(b"", first)
            case _:
                raise refusal("to return an object", response)

    async def _delete(self, keys: Sequence[str]) -> None:
        objects = "".join(f"<Object><Key>{xml_text(key)}</Key></Object>" for key in keys)
        body = f"<Delete><Quiet>true</Quiet>{objects}</Delete>".encode()
        digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        headers = {"content-md5": digest, "content-type": "application/xml"}
        response = await self.client.send("POST", "", query={"delete": ""}, headers=headers, body=body)
        if response.status != 200:
            raise refusal("to delete objects", response)


def _total_size(response: S3Response) -> int:
    """The size of the whole object, of which a range was returned: "bytes 0-9/1234"."""
    try:
        return int(response.headers.get("content-range", "").rpartition("/")[2])
    except ValueError:
        raise StoreUnavailable("S3 returned a range without the size of its object.") from None


def _not_found(key: str) -> NotFound:
    return NotFound(f"The object {key!r} does not exist.")

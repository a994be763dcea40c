"""Writes one S3 object piece by piece: a small one with one request, a larger one as a multipart upload.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html: parts have 5 MiB to 5 GiB, only the last one
may be smaller, and there are at most 10,000; …/API/API_UploadPartCopy.html (read 2026-11)
"""

from collections.abc import Mapping
from contextlib import suppress
from itertools import pairwise
from urllib.parse import quote

from tidegate.aws.s3_client import S3Client, S3Response, refusal, xml_text, xml_values
from tidegate.batch.ports import PIECE_BYTES, BatchObjects, ObjectWriter
from tidegate.errors import NotFound, StoreUnavailable
from tidegate.pipeline.shield import run_shielded

MIN_PART_BYTES = 5 * 1024 * 1024
MAX_PARTS = 10_000

MAX_COPIED_BYTES = 1024 * 1024 * 1024
"""A fifth of what S3 copies in one request, so that none takes minutes."""

_PARTS_BEFORE_GROWTH = 4000
"""Parts grow with an object beyond 31 GiB, and so does the buffer: to 22 MiB at 87 GiB, which any object may have."""

_COPY_SECONDS = 120.0


class S3ObjectWriter:
    """See `ObjectWriter`. `objects` are those of the client's bucket, from which `append_object` reads."""

    def __init__(self, client: S3Client, objects: BatchObjects, key: str, content_type: str) -> None:
        self.size = 0
        self._client = client
        self._objects = objects
        self._key = key
        self._content_type = content_type
        self._pieces: list[bytes] = []
        self._buffered = 0
        self._upload_id: str | None = None
        self._part_tags: list[str] = []

    async def write(self, data: bytes) -> None:
        """See `ObjectWriter.write`."""
        rest = memoryview(data)
        while rest:
            taken = bytes(rest[: await self._make_room()])
            self._append(taken)
            rest = rest[len(taken) :]

    async def append_object(self, key: str, size: int) -> None:
        """See `ObjectWriter.append_object`. S3 copies what can be a part, or several."""
        least = self._grown(MIN_PART_BYTES)
        missing = max(0, least - self._buffered) if self._buffered else 0
        if size - missing < least:
            await self._append_bytes(key, size)
            return
        await self._append_bytes(key, missing)
        if self._buffered:
            await self._upload_buffer()
        await self._copy(key, missing, size)

    async def __aenter__(self) -> ObjectWriter:
        return self

    async def __aexit__(self, *error: object) -> None:
        is_complete = False
        try:
            if error[0] is None:
                await self._complete()
                is_complete = True
        finally:
            if not is_complete:
                await run_shielded(self._abort())

    def _grown(self, part_bytes: int) -> int:
        return max(part_bytes, self.size // _PARTS_BEFORE_GROWTH)

    async def _make_room(self) -> int:
        """The bytes that fit in the buffer, which is uploaded if it is full."""
        part_bytes = self._grown(PIECE_BYTES)
        if self._buffered >= part_bytes:
            await self._upload_buffer()
        return part_bytes - self._buffered

    def _append(self, data: bytes) -> None:
        self._pieces.append(data)
        self._buffered += len(data)
        self.size += len(data)

    def _take_buffer(self) -> bytes:
        data = b"".join(self._pieces)
        self._pieces.clear()
        self._buffered = 0
        return data

    async def _append_bytes(self, key: str, end: int) -> None:
        """Read the object up to the byte `end`, in pieces that fit in the buffer."""
        first = 0
        while first < end:
            piece = await self._objects.read(key, first, min(end - first, await self._make_room()))
            if piece is None:
                raise _source_not_found(key)
            if not piece:
                raise StoreUnavailable("An object is smaller than it was when it was written.")
            self._append(piece)
            first += len(piece)

    async def _copy(self, key: str, first: int, end: int) -> None:
        """Copy the bytes from `first` to `end` inside S3, as parts of about the same size."""
        count = -(-(end - first) // MAX_COPIED_BYTES)
        bounds = [first + (end - first) * number // count for number in range(count + 1)]
        source = quote(f"{self._client.bucket.name}/{key}", safe="/-_.~")
        for start, stop in pairwise(bounds):
            headers = {"x-amz-copy-source": source, "x-amz-copy-source-range": f"bytes={start}-{stop - 1}"}
            response = await self._put_part(headers=headers)
            if "NoSuchKey" in xml_values(response.body, "Code") or (response.status == 404 and not response.body):
                raise _source_not_found(key)
            self._part_tags.append(_only_value(response, "ETag"))
            self.size += stop - start

    async def _upload_buffer(self) -> None:
        response = await self._put_part(body=self._take_buffer())
        if response.status != 200 or "etag" not in response.headers:
            raise refusal("to store a part of an object", response)
        self._part_tags.append(response.headers["etag"])

    async def _put_part(self, *, headers: Mapping[str, str] | None = None, body: bytes = b"") -> S3Response:
        number = len(self._part_tags) + 1
        if number > MAX_PARTS:
            raise StoreUnavailable(f"An object cannot have more than {MAX_PARTS:,} parts.")
        if self._upload_id is None:
            create = {"content-type": self._content_type}
            response = await self._client.send("POST", self._key, query={"uploads": ""}, headers=create)
            self._upload_id = _only_value(response, "UploadId")
        query = {"partNumber": str(number), "uploadId": self._upload_id}
        return await self._client.send("PUT", self._key, query=query, headers=headers, body=body, seconds=_COPY_SECONDS)

    async def _complete(self) -> None:
        if self._upload_id is None:
            content_type = {"content-type": self._content_type}
            response = await self._client.send("PUT", self._key, headers=content_type, body=self._take_buffer())
            if response.status != 200:
                raise refusal("to store an object", response)
            return
        if self._buffered:
            await self._upload_buffer()
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{xml_text(tag)}</ETag></Part>"
            for number, tag in enumerate(self._part_tags, 1)
        )
        body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
        query, headers = {"uploadId": self._upload_id}, {"content-type": "application/xml"}
        response = await self._client.send(
            "POST", self._key, query=query, headers=headers, body=body, seconds=_COPY_SECONDS
        )
        if response.status == 404 and await self._objects.size(self._key) == self.size:
            return  # an earlier try was successful, and its answer was lost
        if response.status != 200:
            raise refusal("to complete an object", response)

    async def _abort(self) -> None:
        """Delete the parts. The bucket's lifecycle rule deletes what this does not."""
        if self._upload_id is not None:
            with suppress(StoreUnavailable):
                await self._client.send("DELETE", self._key, query={"uploadId": self._upload_id})


def _only_value(response: S3Response, tag: str) -> str:
    """The text of the answer's element of that name."""
    values = xml_values(response.body, tag)
    if response.status != 200 or len(values) != 1:
        raise refusal("a multipart upload", response)
    return values[0]


def _source_not_found(key: str) -> NotFound:
    return NotFound(f"The object {key!r} does not exist.")

"""An S3 that keeps the sizes of objects and no bytes of them, and what its client had in memory meanwhile."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, unquote, urlsplit

from tidegate.transport.base import HttpRequest, HttpResponse, Timeouts

MAX_PART_BYTES = 5 * 1024**3
_ZEROS = bytes(64 * 1024**2)


class _Response:
    def __init__(self, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
        self.status = status
        self.headers = headers
        self._body = body

    async def read(self, limit: int) -> bytes:
        assert len(self._body) <= limit
        return self._body

    async def chunks(self) -> AsyncGenerator[bytes]:
        yield self._body


class FakeS3:
    """One bucket and one upload. `parts` are the sizes of the upload's parts; S3's bounds of parts are asserted."""

    def __init__(self, min_part_bytes: int = 5 * 1024**2, max_parts: int = 10_000) -> None:
        self.min_part_bytes = min_part_bytes
        self.max_parts = max_parts
        self.sizes: dict[str, int] = {}
        self.parts: list[int] = []
        self.requests: list[str] = []
        self.sent_bytes = 0
        self.largest_body = 0

    @asynccontextmanager
    async def open(self, request: HttpRequest, timeouts: Timeouts) -> AsyncIterator[HttpResponse]:
        parts = urlsplit(request.url)
        query = parse_qs(parts.query, keep_blank_values=True)
        self.sent_bytes += len(request.body)
        self.largest_body = max(self.largest_body, len(request.body))
        await asyncio.sleep(0.0001)  # as a network would, it lets threads run
        yield self._answer(request, unquote(parts.path).removeprefix("/"), set(query), query)

    async def close(self) -> None:
        pass

    def _answer(self, request: HttpRequest, key: str, names: set[str], query: dict[str, list[str]]) -> _Response:
        match request.method:
            case "GET":
                return self._get(request, key)
            case "POST" if "uploads" in names:
                self.requests.append("create")
                return _Response(200, {}, b"<UploadId>upload</UploadId>")
            case "POST":
                self.requests.append("complete")
                assert len(re.findall(b"<Part>", request.body)) == len(self.parts) <= self.max_parts
                assert all(self.min_part_bytes <= size <= MAX_PART_BYTES for size in self.parts[:-1])
                self.sizes[key] = sum(self.parts)
                return _Response(200, {}, b"<ETag>&quot;x-2&quot;</ETag>")
            case "PUT" if "uploadId" in names:
                return self._put_part(request, int(query["partNumber"][0]))
            case "PUT":
                self.requests.append("put")
                self.sizes[key] = len(request.body)
                return _Response(200, {})
            case _:
                assert request.method == "DELETE"
                self.requests.append("abort")
                return _Response(204, {})

    def _get(self, request: HttpRequest, key: str) -> _Response:
        self.requests.append("get")
        first, last = map(int, request.headers["range"].removeprefix("bytes=").split("-"))
        size = min(last + 1, self.sizes[key]) - first
        return _Response(206, {"content-range": f"bytes {first}-{first + size - 1}/{self.sizes[key]}"}, _ZEROS[:size])

    def _put_part(self, request: HttpRequest, number: int) -> _Response:
        assert number == len(self.parts) + 1
        if "x-amz-copy-source" not in request.headers:
            self.requests.append("part")
            self.parts.append(len(request.body))
            return _Response(200, {"etag": '"one"'})
        self.requests.append("copy")
        first, last = map(int, request.headers["x-amz-copy-source-range"].removeprefix("bytes=").split("-"))
        assert last < self.sizes[request.headers["x-amz-copy-source"].partition("/")[2]]
        self.parts.append(last + 1 - first)
        return _Response(200, {}, b"<CopyPartResult><ETag>&quot;one&quot;</ETag></CopyPartResult>")

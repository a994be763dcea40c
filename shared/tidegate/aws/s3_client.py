"""Requests to one S3 bucket, with retries, and the few values that are needed of S3's XML.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html and
…/API/ErrorResponses.html (read 2026-11)
"""

import hashlib
import re
from collections.abc import Mapping
from html import unescape
from typing import NamedTuple
from urllib.parse import quote

from msgspec import Struct

from tidegate.aws.bucket import Bucket
from tidegate.aws.dynamo import Backoff
from tidegate.batch.ports import PIECE_BYTES
from tidegate.errors import StoreUnavailable, UpstreamError
from tidegate.offload import offload
from tidegate.transport.base import HttpRequest, Timeouts

_RETRIED_STATUSES = frozenset({429, 500, 502, 503, 504})
_MAX_RESPONSE_BYTES = PIECE_BYTES + 1024 * 1024
_UNRESERVED = "-_.~"


class S3Response(NamedTuple):
    """The status, headers (names in lower case) and body of an answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class S3Client(Struct, frozen=True):
    """Sends requests to a bucket. Every request may be repeated: those that S3 cannot take now are."""

    bucket: Bucket
    backoff: Backoff = Backoff(tries=6, first_seconds=0.1, longest_seconds=5.0)

    async def send(
        self,
        method: str,
        key: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        seconds: float = 30.0,
    ) -> S3Response:
        """The answer to one request, whose tries take at most `seconds` each. Raises `StoreUnavailable`."""
        pairs = (f"{name}={quote(value, safe=_UNRESERVED)}" for name, value in (query or {}).items())
        url = self.bucket.object_url(key) + (f"?{'&'.join(pairs)}" if query else "")
        digest = await offload(len(body), lambda: hashlib.sha256(body).hexdigest())
        sent_headers = {"x-amz-content-sha256": digest, **(headers or {})}
        if not body and method in ("POST", "PUT"):
            sent_headers["content-length"] = "0"  # S3 demands it, and pyreqwest sends none for an empty body
        request = HttpRequest(method, url, sent_headers, body)
        for delay in self.backoff.delays():
            response = await self._try(request, Timeouts(total=seconds), is_last=delay is None)
            if response is not None:
                return response
            await self.backoff.sleep(delay or 0.0)
        raise AssertionError("unreachable: the last try returns or raises")

    async def _try(self, request: HttpRequest, timeouts: Timeouts, *, is_last: bool) -> S3Response | None:
        """The answer, None for a failure that may pass."""
        service = self.bucket.service
        try:
            async with service.transport.open(await service.sign_request(request), timeouts) as opened:
                body = await opened.read(_MAX_RESPONSE_BYTES)
                response = S3Response(opened.status, opened.headers, body)
        except (UpstreamError, TimeoutError) as error:
            if is_last:
                raise StoreUnavailable("S3 does not answer; try again in a moment.", retry_after_seconds=1) from error
            return None
        if response.status in _RETRIED_STATUSES or has_failed_late(request.method, response):
            if is_last:
                raise refusal("to answer", response)
            return None
        return response


def has_failed_late(method: str, response: S3Response) -> bool:
    """True for a failure after S3 had begun to answer with status 200, or of some keys of a deletion."""
    return response.status == 200 and method in ("POST", "PUT") and b"<Error>" in response.body


def refusal(request: str, response: S3Response) -> StoreUnavailable:
    """The error of a request that was refused."""
    reason = ", ".join([f"status {response.status}", *xml_values(response.body, "Code")[:1]])
    return StoreUnavailable(f"S3 refused {request} ({reason}).", retry_after_seconds=1)


def xml_values(body: bytes, tag: str) -> list[str]:
    """The texts of all elements of that name which hold text only. No entities but those of characters are replaced."""
    found = re.findall(rf"<{tag}>([^<]*)</{tag}>", body.decode(errors="replace"))
    return [unescape(text) for text in found]


def xml_text(text: str) -> str:
    """Text for an element. Control characters become references: a parser would change or drop some of them."""
    return re.sub(r"[&<>\"\x00-\x1f\x7f]", lambda match: f"&#{ord(match[0])};", text)

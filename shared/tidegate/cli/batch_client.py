"""Requests about files and batches to a gateway, in the form of OpenAI's API. No file is ever in memory as a whole."""

import secrets
import time
from collections.abc import Iterator, Mapping
from typing import BinaryIO

import httpx

from tidegate.cli.server_access import ServerAccess
from tidegate.cli.server_client import TIMEOUT, RequestFailed, ServerClient, failures, refusal
from tidegate.json import JsonObject

CHUNK_BYTES = 256 * 1024

REPETITION_SECONDS = (1.0, 2.0, 4.0)
"""The pauses before a request that creates a batch is repeated."""


class BatchClient(ServerClient):
    """A connection to the gateway for files and batches, closed when its context is left. All raise `RequestFailed`.

    with BatchClient(access) as client:
        print(client.batch("batch_01")["status"])
    """

    def __init__(self, access: ServerAccess, transport: httpx.BaseTransport | None = None) -> None:
        super().__init__(access, transport)
        self._bare = httpx.Client(timeout=TIMEOUT, transport=transport)

    def close(self) -> None:
        super().close()
        self._bare.close()

    def create_batch(self, body: Mapping[str, object]) -> JsonObject:
        """Create a batch. A request whose answer is lost is repeated: its idempotency key prevents a second batch."""
        headers = {"idempotency-key": secrets.token_hex(16)}
        for seconds in REPETITION_SECONDS:
            try:
                return self.json(self.request("POST", "/batches", json=body, headers=headers))
            except RequestFailed as error:
                if 0 < error.status < 500 and error.code != "idempotency_in_flight":
                    raise
            time.sleep(seconds)
        return self.json(self.request("POST", "/batches", json=body, headers=headers))

    def batch(self, batch_id: str) -> JsonObject:
        return self.json(self.request("GET", f"/batches/{batch_id}"))

    def batches(self, limit: int, after: str | None) -> JsonObject:
        query = {"limit": str(limit), **({"after": after} if after else {})}
        return self.json(self.request("GET", "/batches", params=query))

    def cancel(self, batch_id: str) -> JsonObject:
        return self.post(f"/batches/{batch_id}/cancel")

    def resume(self, batch_id: str) -> JsonObject:
        return self.post(f"/batches/{batch_id}/resume")

    def post(self, path: str, body: Mapping[str, object] | None = None) -> JsonObject:
        return self.json(self.request("POST", path, json=body or {}))

    def post_form(
        self, path: str, fields: Mapping[str, str], name: str, filename: str, content: BinaryIO
    ) -> JsonObject:
        """Send a form with one file, which is read from its place on while it is sent."""
        files = {name: (filename, content, "application/jsonl")}
        return self.json(self.request("POST", path, data=dict(fields), files=files))

    def put(self, url: str, headers: Mapping[str, str], content: Iterator[bytes], size: int) -> None:
        """Send an object to a presigned URL. The key is not sent there."""
        with failures("The storage"):
            reply = self._bare.put(url, content=content, headers={**headers, "content-length": str(size)})
        if reply.status_code >= 300:
            raise RequestFailed(f"The storage refused the file (status {reply.status_code}).", reply.status_code)

    def download(self, file_id: str, file: BinaryIO) -> int:
        """Write the content of a file to `file`, and return its size."""
        size = 0
        with failures(self.base_url), self.http.stream("GET", f"/files/{file_id}/content") as reply:
            if reply.status_code >= 300:
                reply.read()
                raise refusal(reply)
            for chunk in reply.iter_bytes(CHUNK_BYTES):
                size += file.write(chunk)
        return size

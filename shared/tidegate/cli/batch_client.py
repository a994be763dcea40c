"""Requests about files and batches to a gateway, in the form of OpenAI's API. No file is ever in memory as a whole."""

import json
import secrets
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import BinaryIO, Self, cast

import httpx

from tidegate.cli.server_access import ServerAccess
from tidegate.errors import TidegateError
from tidegate.json import JsonObject

_TIMEOUT = httpx.Timeout(60.0, connect=5.0)
"""To write a part of a large file, or to wait for an answer, takes a minute at most."""

CHUNK_BYTES = 256 * 1024

REPETITION_SECONDS = (1.0, 2.0, 4.0)
"""The pauses before a request that creates a batch is repeated."""


class RequestFailed(TidegateError):
    """The gateway refused a request, with its status; or it did not answer, with the status 0."""

    def __init__(self, message: str, status: int = 0, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code

    @property
    def may_pass(self) -> bool:
        """True if the same request may succeed soon."""
        return self.status == 0 or self.status == 429 or self.status >= 500


class BatchClient:
    """A connection to the gateway, closed when its context is left. All methods raise `RequestFailed`.

    with BatchClient(access) as client:
        print(client.batch("batch_01")["status"])
    """

    def __init__(self, access: ServerAccess, transport: httpx.BaseTransport | None = None) -> None:
        headers = {"authorization": f"Bearer {access.key}"}
        if access.workspace_id is not None:
            headers["x-workspace-id"] = access.workspace_id
        self.base_url = access.base_url
        is_here = httpx.URL(access.base_url).host in ("127.0.0.1", "::1", "localhost")
        self._http = httpx.Client(
            base_url=access.base_url,
            headers=headers,
            timeout=_TIMEOUT,
            transport=transport,
            trust_env=not is_here,  # no proxy leads to this machine
        )
        self._bare = httpx.Client(timeout=_TIMEOUT, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._http.close()
        self._bare.close()

    def create_batch(self, body: Mapping[str, object]) -> JsonObject:
        """Create a batch. A request whose answer is lost is repeated: its idempotency key prevents a second batch."""
        headers = {"idempotency-key": secrets.token_hex(16)}
        for seconds in REPETITION_SECONDS:
            try:
                return self._json(self._request("POST", "/batches", json=body, headers=headers))
            except RequestFailed as error:
                if 0 < error.status < 500 and error.code != "idempotency_in_flight":
                    raise
            time.sleep(seconds)
        return self._json(self._request("POST", "/batches", json=body, headers=headers))

    def batch(self, batch_id: str) -> JsonObject:
        return self._json(self._request("GET", f"/batches/{batch_id}"))

    def batches(self, limit: int, after: str | None) -> JsonObject:
        query = {"limit": str(limit), **({"after": after} if after else {})}
        return self._json(self._request("GET", "/batches", params=query))

    def cancel(self, batch_id: str) -> JsonObject:
        return self.post(f"/batches/{batch_id}/cancel")

    def resume(self, batch_id: str) -> JsonObject:
        return self.post(f"/batches/{batch_id}/resume")

    def post(self, path: str, body: Mapping[str, object] | None = None) -> JsonObject:
        return self._json(self._request("POST", path, json=body or {}))

    def post_form(
        self, path: str, fields: Mapping[str, str], name: str, filename: str, content: BinaryIO
    ) -> JsonObject:
        """Send a form with one file, which is read from its place on while it is sent."""
        files = {name: (filename, content, "application/jsonl")}
        return self._json(self._request("POST", path, data=dict(fields), files=files))

    def put(self, url: str, headers: Mapping[str, str], content: Iterator[bytes], size: int) -> None:
        """Send an object to a presigned URL. The key is not sent there."""
        with _failures("The storage"):
            reply = self._bare.put(url, content=content, headers={**headers, "content-length": str(size)})
        if reply.status_code >= 300:
            raise RequestFailed(f"The storage refused the file (status {reply.status_code}).", reply.status_code)

    def download(self, file_id: str, file: BinaryIO) -> int:
        """Write the content of a file to `file`, and return its size."""
        size = 0
        with _failures(self.base_url), self._http.stream("GET", f"/files/{file_id}/content") as reply:
            if reply.status_code >= 300:
                reply.read()
                raise _refusal(reply)
            for chunk in reply.iter_bytes(CHUNK_BYTES):
                size += file.write(chunk)
        return size

    def _request(self, method: str, path: str, **content: object) -> httpx.Response:
        with _failures(self.base_url):
            # The keyword arguments are those of the methods of this class.
            return self._http.request(method, path, **content)  # pyright: ignore[reportArgumentType]

    @staticmethod
    def _json(reply: httpx.Response) -> JsonObject:
        if reply.status_code >= 300:
            raise _refusal(reply)
        value = _decoded(reply)
        if value is None:
            raise RequestFailed("The answer is not JSON: is the URL that of a Tidegate gateway?", reply.status_code)
        return value


@contextmanager
def _failures(server: str) -> Generator[None]:
    try:
        yield
    except httpx.ConnectError as error:
        raise RequestFailed(f"{server} does not answer: is the server running, and is the URL right?") from error
    except httpx.TimeoutException as error:
        raise RequestFailed(f"{server} did not answer in time; try again.") from error
    except httpx.HTTPError as error:
        raise RequestFailed(f"The connection to {server} broke off: {error or type(error).__name__}.") from error


def _refusal(reply: httpx.Response) -> RequestFailed:
    """The error that the gateway has sent, with what to do about it."""
    value, status = _decoded(reply), reply.status_code
    match value:
        case {"error": {"message": str(message), **rest}}:
            code = rest.get("code")
            hint = " Use another key with --key, or set TIDEGATE_API_KEY." if status == 401 else ""
            return RequestFailed(f"{message}{hint}", status, code if isinstance(code, str) else None)
        case _:
            return RequestFailed(f"The gateway answered with the status {status}.", status)


def _decoded(reply: httpx.Response) -> JsonObject | None:
    try:
        value = json.loads(reply.content)
    except ValueError:
        return None
    # json.loads has no type.
    return cast("JsonObject", value) if isinstance(value, dict) else None

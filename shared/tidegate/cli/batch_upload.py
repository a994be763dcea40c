"""Uploads a file of requests in the way that suits its size and the gateway, without having it in memory.

Up to `SMALL_BYTES` it is one form. A larger one goes to the storage behind the gateway, if that gives out a presigned
URL; else it is one form, and where that is too large for the gateway, an upload of many parts.
"""

from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, cast

from tidegate.cli.batch_client import CHUNK_BYTES, BatchClient
from tidegate.cli.server_client import RequestFailed
from tidegate.errors import ConfigurationError
from tidegate.json import JsonObject

SMALL_BYTES = PART_BYTES = 4 * 1024 * 1024
"""API Gateway and Lambda take 4.4 MB of binary data in one request, with the rest of the form."""

OnProgress = Callable[[int, int], None]
"""Takes the bytes sent and the bytes of the file."""

PURPOSE = "batch"

_NO_URLS = "presigned_uploads_unsupported"


def upload(client: BatchClient, path: Path, on_progress: OnProgress) -> str:
    """Upload the file, and return its id. Raises `RequestFailed`, and `ConfigurationError` if it cannot be read."""
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            if not path.is_file():
                raise ConfigurationError(f"{path} is not a file.")
            if size == 0:
                raise ConfigurationError(f"{path} is empty: write one request in each line.")
            return _upload_open(client, path.name, file, size, on_progress)
    except OSError as error:
        raise ConfigurationError(f"Cannot read {path}: {error.strerror}.") from None


def _upload_open(client: BatchClient, name: str, file: BinaryIO, size: int, on_progress: OnProgress) -> str:
    if size > SMALL_BYTES:
        file_id = _upload_to_storage(client, name, file, size, on_progress)
        if file_id is not None:
            return file_id
    # httpx uses only those methods of a file that it has.
    content = cast("BinaryIO", _Counted(file, size, on_progress))
    try:
        return _id(client.post_form("/files", {"purpose": PURPOSE}, "file", name, content))
    except RequestFailed as error:
        if error.status != 413 or size <= SMALL_BYTES:
            raise
        file.seek(0)
        return _upload_in_parts(client, name, file, size, on_progress)


def _upload_to_storage(
    client: BatchClient, name: str, file: BinaryIO, size: int, on_progress: OnProgress
) -> str | None:
    """Upload to a presigned URL; None if the gateway does not offer one."""
    try:
        reply = client.post("/files", {"filename": name, "bytes": size, "purpose": PURPOSE})
    except RequestFailed as error:
        if error.code == _NO_URLS or error.status in (404, 405, 415, 501):  # others do not know such a request
            return None
        raise
    match reply:
        case {"id": str(file_id), "upload": {"url": str(url), **rest}}:
            headers = rest.get("headers")
            named = {name: str(value) for name, value in headers.items()} if isinstance(headers, dict) else {}
            client.put(url, named, _chunks(file, size, on_progress), size)
            return file_id
        case _:
            return None


def _upload_in_parts(client: BatchClient, name: str, file: BinaryIO, size: int, on_progress: OnProgress) -> str:
    fields = {"filename": name, "purpose": PURPOSE, "bytes": size, "mime_type": "application/jsonl"}
    upload_id = _id(client.post("/uploads", fields))
    part_ids: list[str] = []
    sent = 0
    while part := file.read(PART_BYTES):
        part_ids.append(_id(client.post_form(f"/uploads/{upload_id}/parts", {}, "data", name, BytesIO(part))))
        sent += len(part)
        on_progress(sent, size)
    match client.post(f"/uploads/{upload_id}/complete", {"part_ids": part_ids}):
        case {"file": {"id": str(file_id)}}:
            return file_id
        case _:
            raise RequestFailed("The gateway did not return the file of the upload.", 200)


def _id(reply: JsonObject) -> str:
    match reply:
        case {"id": str(id)}:
            return id
        case _:
            raise RequestFailed("The answer has no id: is the URL that of a Tidegate gateway?", 200)


def _chunks(file: BinaryIO, size: int, on_progress: OnProgress) -> Iterator[bytes]:
    counted = _Counted(file, size, on_progress)
    while chunk := counted.read(CHUNK_BYTES):
        yield chunk


class _Counted:
    """A file that tells how much of it was read."""

    def __init__(self, file: BinaryIO, size: int, on_progress: OnProgress) -> None:
        self._file, self._size, self._on_progress = file, size, on_progress

    def read(self, size: int = -1) -> bytes:
        chunk = self._file.read(size)
        self._on_progress(self._file.tell(), self._size)
        return chunk

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def fileno(self) -> int:
        return self._file.fileno()

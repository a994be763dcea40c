"""Objects of files and batches as files: the port `BatchObjects`, where the gateway runs without S3.

They are in the folder of `sqlite.objects`, which deletes what a process that died has left half written.
"""

import os
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar

import anyio
from anyio.to_thread import run_sync
from msgspec import Struct

from tidegate.batch.ports import PIECE_BYTES, ObjectWriter
from tidegate.errors import NotFound, StoreUnavailable
from tidegate.sqlite.object_files import NEW_FILES, NewFile, object_path, unavailable, write_object

PEOPLES_FOLDER = "workspaces"
"""Here people create folders, into which they drop files."""

_COPIED_BYTES = 1024 * 1024

_T = TypeVar("_T")


class FileBatchObjects(Struct, frozen=True):
    """The port `BatchObjects`, over the files in `folder`. Each key must be valid as the path of a file."""

    folder: Path

    async def put(self, key: str, data: bytes) -> None:
        """See `BatchObjects.put`. The object is on the disk when the call returns."""
        await run_sync(write_object, self.folder, key, data)

    async def size(self, key: str) -> int | None:
        """See `BatchObjects.size`."""
        return await self._use(key, lambda file: os.fstat(file.fileno()).st_size)

    async def read(self, key: str, first: int = 0, length: int | None = None) -> bytes | None:
        """See `BatchObjects.read`."""
        return await self._use(key, partial(_read_range, first=first, length=length))

    async def chunks(self, key: str, first: int = 0, length: int | None = None) -> AsyncGenerator[bytes]:
        """See `BatchObjects.chunks`."""
        size = await self.size(key)
        if size is None:
            raise _not_found(key)
        end = size if length is None else min(size, first + length)
        for start in range(first, end, PIECE_BYTES):
            piece = await self.read(key, start, min(PIECE_BYTES, end - start))
            if piece is None:
                raise _not_found(key)
            yield piece

    def writer(self, key: str, *, content_type: str = "application/jsonl") -> ObjectWriter:
        """See `BatchObjects.writer`. The type of the content is not kept."""
        return _FileWriter(self.folder, key)

    async def delete(self, keys: Sequence[str]) -> None:
        """See `BatchObjects.delete`. Folders that are empty then are deleted as well, but for those of people."""
        await run_sync(self._delete, [object_path(self.folder, key) for key in keys])

    async def list_keys(self, prefix: str) -> Sequence[str]:
        """See `BatchObjects.list_keys`."""
        return await run_sync(lambda: sorted(self._keys(prefix)))

    async def presigned_put(self, key: str, seconds: float, size: int) -> str | None:
        """See `BatchObjects.presigned_put`: a folder has no URLs."""
        return None

    async def uri(self, key: str) -> str | None:
        """See `BatchObjects.uri`: a folder has no addresses."""
        return None

    async def _use(self, key: str, work: Callable[[BinaryIO], _T]) -> _T | None:
        """Return what `work` makes of the object's file, in a thread; None if the file does not exist."""
        return await run_sync(_use_file, object_path(self.folder, key), work)

    def _delete(self, paths: Sequence[Path]) -> None:
        try:
            for path in paths:
                with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
                    path.unlink()
        except OSError as error:
            raise unavailable(error) from error
        for folder in {path.parent for path in paths if not path.is_relative_to(self.folder / PEOPLES_FOLDER)}:
            with suppress(OSError):  # it is not empty
                while folder != self.folder:
                    folder.rmdir()
                    folder = folder.parent

    def _keys(self, prefix: str) -> Iterator[str]:
        deepest = prefix.rpartition("/")[0]
        root = object_path(self.folder, deepest) if deepest else self.folder
        for place, folders, names in os.walk(root):
            if Path(place) == self.folder and NEW_FILES in folders:
                folders.remove(NEW_FILES)
            for name in names:
                key = Path(place, name).relative_to(self.folder).as_posix()
                if key.startswith(prefix):
                    yield key


class _FileWriter:
    """See `ObjectWriter`. The file is written in a folder of its own, and moved to its place at the end."""

    def __init__(self, folder: Path, key: str) -> None:
        self.size = 0
        self._folder = folder
        self._path = object_path(folder, key)

    async def write(self, data: bytes) -> None:
        """See `ObjectWriter.write`."""
        await _run_guarded(partial(self._new_file.file.write, data))
        self.size += len(data)

    async def append_object(self, key: str, size: int) -> None:
        """See `ObjectWriter.append_object`. The content is copied in a thread, a megabyte at a time."""
        copy = partial(_copy, self._new_file.file, size)
        copied = await run_sync(_use_file, object_path(self._folder, key), copy)
        if copied is None:
            raise _not_found(key)
        if copied < size:
            raise StoreUnavailable("An object is smaller than it was when it was written.")
        self.size += size

    async def __aenter__(self) -> ObjectWriter:
        self._new_file = await _run_guarded(partial(NewFile, self._folder))
        return self

    async def __aexit__(self, *error: object) -> None:
        try:
            if error[0] is None:
                await _run_guarded(partial(self._new_file.keep, self._path))
        finally:
            with anyio.CancelScope(shield=True):
                await _run_guarded(self._new_file.discard)


def _use_file(path: Path, work: Callable[[BinaryIO], _T]) -> _T | None:
    try:
        with path.open("rb") as file:
            return work(file)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except OSError as error:
        raise unavailable(error) from error


async def _run_guarded(work: Callable[[], _T]) -> _T:
    """Work on files, in a thread."""
    try:
        return await run_sync(work)
    except OSError as error:
        raise unavailable(error) from error


def _read_range(file: BinaryIO, first: int, length: int | None) -> bytes:
    file.seek(first)
    return file.read() if length is None else file.read(length)


def _copy(target: BinaryIO, size: int, source: BinaryIO) -> int:
    """Copy at most `size` bytes, and return how many there were."""
    left = size
    while left and (piece := source.read(min(left, _COPIED_BYTES))):
        target.write(piece)
        left -= len(piece)
    return size - left


def _not_found(key: str) -> NotFound:
    return NotFound(f"The object {key!r} does not exist.")

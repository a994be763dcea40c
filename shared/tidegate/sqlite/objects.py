"""Objects as files: the port `ObjectStore` of `aws.reply_store`, where the gateway runs without S3.

The end of a lifetime is that of the file's first folder: template.yaml has the same rules for the bucket.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import anyio
from msgspec import Struct

from tidegate.errors import StoreUnavailable

LIFETIME_DAYS = {"cache": 31, "idem": 2}
"""A day more than the longest lifetime of an item that refers to an object."""

_DAY_SECONDS = 86_400.0


class FileObjects(Struct, frozen=True):
    """The files in `folder`, each written and read in one piece. All methods raise `StoreUnavailable`."""

    folder: Path

    async def put(self, key: str, data: bytes) -> None:
        """Write the object; an existing one is replaced. It is on the disk when the call returns."""
        await anyio.to_thread.run_sync(self._write, key, data)

    async def get(self, key: str) -> bytes | None:
        """The object, None if it does not exist."""
        return await anyio.to_thread.run_sync(self._read, key)

    async def delete_expired(self, now: float) -> int:
        """Delete the objects whose lifetime has ended, and return their number."""
        return await anyio.to_thread.run_sync(self._delete_expired, now)

    def _write(self, key: str, data: bytes) -> None:
        path = self._path(key)
        temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink()
            raise _unavailable(error) from error

    def _read(self, key: str) -> bytes | None:
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unavailable(error) from error

    def _delete_expired(self, now: float) -> int:
        expired = list(self._expired_files(now))
        for path in expired:
            path.unlink(missing_ok=True)
        return len(expired)

    def _expired_files(self, now: float) -> Iterator[Path]:
        for name, days in LIFETIME_DAYS.items():
            for path in (self.folder / name).rglob("*"):
                if path.is_file() and path.stat().st_mtime < now - days * _DAY_SECONDS:
                    yield path

    def _path(self, key: str) -> Path:
        """The file of an object. Its key has no part that leads out of the folder."""
        path = self.folder.joinpath(*key.split("/"))
        if ".." in path.parts or not path.is_relative_to(self.folder):
            raise StoreUnavailable("The key of an object is not valid.")
        return path


def _unavailable(error: OSError) -> StoreUnavailable:
    return StoreUnavailable(f"The data folder cannot be used: {error.strerror}.", retry_after_seconds=1)

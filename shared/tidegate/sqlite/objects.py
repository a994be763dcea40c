"""Objects as files: the port `ObjectStore` of `aws.store`, where the gateway runs without S3.

The end of a lifetime is that of the file's first folders: template.yaml has the same rules for the bucket.
"""

from collections.abc import Iterator
from pathlib import Path

import anyio
from msgspec import Struct

from tidegate.aws.traces import OBJECT_DAYS
from tidegate.domain.response_state import STATE_DAYS
from tidegate.sqlite.object_files import NEW_FILES, object_path, unavailable, write_object

LIFETIME_DAYS = {
    **{"cache": 31, "idem": 2, NEW_FILES: 1, "uploads": 2, "batches": 40},
    **{f"traces/{days}": days + 1 for days in OBJECT_DAYS},
    f"responses/{STATE_DAYS}": STATE_DAYS + 1,
}
"""A day more than the longest lifetime of an item that refers to an object, or of a file that is being written.

`sqlite.expiry` deletes the content of files. What jobs have dropped, and its results, belong to the user.
"""

_DAY_SECONDS = 86_400.0


class FileObjects(Struct, frozen=True):
    """The files in `folder`, each written and read in one piece. All methods raise `StoreUnavailable`."""

    folder: Path

    async def put(self, key: str, data: bytes) -> None:
        """Write the object; an existing one is replaced. It is on the disk when the call returns."""
        await anyio.to_thread.run_sync(write_object, self.folder, key, data)

    async def get(self, key: str) -> bytes | None:
        """The object, None if it does not exist."""
        return await anyio.to_thread.run_sync(self._read, key)

    async def delete(self, key: str) -> None:
        """Delete the object, if it exists."""
        await anyio.to_thread.run_sync(self._delete, key)

    async def delete_expired(self, now: float) -> int:
        """Delete the objects whose lifetime has ended, and return their number."""
        return await anyio.to_thread.run_sync(self._delete_expired, now)

    def _read(self, key: str) -> bytes | None:
        try:
            return object_path(self.folder, key).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise unavailable(error) from error

    def _delete(self, key: str) -> None:
        try:
            object_path(self.folder, key).unlink(missing_ok=True)
        except OSError as error:
            raise unavailable(error) from error

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

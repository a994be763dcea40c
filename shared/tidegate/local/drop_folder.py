"""Watches the folders of the local server in which jobs drop files of requests: `workspaces/<workspace>/in/`.

A file is taken once it has not changed for a while. Its results appear below `out/`, or the file and the reason why it
was not accepted below `rejected/`, beside `in/`.
"""

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from anyio.to_thread import run_sync
from msgspec import Struct

from tidegate.batch.components import BatchComponents
from tidegate.batch.dropped_objects import StoredObject, take_object
from tidegate.batch.keys import dropped_prefix
from tidegate.errors import StoreUnavailable
from tidegate.local.background_task import in_background

log = logging.getLogger(__name__)

POLL_SECONDS = 2.0
UNFINISHED_SUFFIXES = (".tmp", ".part", ".partial", ".crdownload", "~")
"""Ends of the names of files that other programs are still writing. Names that begin with a point are left out too."""

_BUCKET = "local"


class _Version(NamedTuple):
    """Tells one state of a file from another. A file that is moved away and back has the same version."""

    inode: int
    modified_ns: int
    size: int


class DropFolder(Struct, frozen=True):
    """The folders of all workspaces below `objects`. That of `workspace_id` always exists, users create the others."""

    objects: Path
    workspace_id: str | None = None

    @property
    def path(self) -> Path:
        """The folder of `workspace_id`, or that in which all are."""
        return self.objects / (dropped_prefix(self.workspace_id) if self.workspace_id else "workspaces")

    def create(self) -> None:
        """Create the folder for this user alone unless it exists; the engine deletes empty ones. Raises `OSError`."""
        self.objects.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def files(self) -> dict[str, _Version]:
        """The versions of all dropped files, by the key of their object. Raises `OSError`."""
        self.create()
        return dict(self._files())

    def _files(self) -> Iterator[tuple[str, _Version]]:
        for folder in (self.objects / "workspaces").glob("*/in"):
            for place, folders, names in os.walk(folder):
                folders[:] = [name for name in folders if not name.startswith(".")]
                for name in names:
                    if name.startswith(".") or name.endswith(UNFINISHED_SUFFIXES):
                        continue
                    path = Path(place, name)
                    with suppress(OSError, UnicodeEncodeError):
                        key = path.relative_to(self.objects).as_posix()
                        key.encode()
                        if path.is_file() and not path.is_symlink():
                            state = path.stat()
                            yield key, _Version(state.st_ino, state.st_mtime_ns, state.st_size)


@asynccontextmanager
async def watch_drop_folder(
    components: BatchComponents, folder: DropFolder, pause: Callable[[float], Awaitable[object]] = asyncio.sleep
) -> AsyncGenerator[None]:
    """Take the files that are dropped, until the context is left."""
    async with in_background(_watch(components, folder, pause)):
        yield


async def _watch(components: BatchComponents, folder: DropFolder, pause: Callable[[float], Awaitable[object]]) -> None:
    previous: dict[str, _Version] = {}
    taken: dict[str, _Version] = {}
    while True:
        try:
            files = await run_sync(folder.files)
            for key, version in files.items():
                if taken.get(key) != version and previous.get(key) == version:
                    await take_object(components, _stored_object(key, version))
                    taken[key] = version
            previous = files
        except (OSError, StoreUnavailable) as error:
            log.warning("drop_folder.failed", extra={"error": type(error).__name__})
        await pause(POLL_SECONDS)


def _stored_object(key: str, version: _Version) -> StoredObject:
    """The object with a version, and with an id of its event, that are the same whenever the file is seen."""
    text = f"{version.inode}-{version.modified_ns}"
    at = max(version.modified_ns, 0) / 1e9
    return StoredObject(bucket=_BUCKET, key=key, version=text, size=version.size, event_id=text, at=at)

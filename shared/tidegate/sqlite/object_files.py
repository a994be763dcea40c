"""Files that hold one object each: where they are in a folder, and how they are written in one step.

A file is this user's alone, and on the disk when it is there.
"""

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from tidegate.errors import StoreUnavailable

NEW_FILES = ".new"
"""The folder of files that are being written. What a process that died has left there is deleted after a day."""

_TRIES = 5
"""Tries of a rename: somebody may delete the folder, which is empty, in the moment before."""


def object_path(folder: Path, key: str) -> Path:
    """The file of an object. Raises `StoreUnavailable` for a key that leads out of the folder."""
    names = key.split("/")
    if "\0" in key or names[0] == NEW_FILES or not {"", ".", ".."}.isdisjoint(names):
        raise StoreUnavailable("The key of an object is not valid.")
    return folder.joinpath(*names)


def unavailable(error: OSError) -> StoreUnavailable:
    """The error of a data folder that cannot be used."""
    return StoreUnavailable(f"The data folder cannot be used: {error.strerror}.", retry_after_seconds=1)


class NewFile:
    """A file that is being written, and moved to its place in the folder of objects when it is complete.

    Whoever creates it must `keep` or `discard` it. All methods raise `OSError`.
    """

    def __init__(self, folder: Path) -> None:
        beside = folder / NEW_FILES
        _make_folder(beside)
        self._path = beside / secrets.token_hex(16)
        self.file: BinaryIO = os.fdopen(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")

    def keep(self, path: Path) -> None:
        """Write all to the disk, and replace the file `path`, whose folders are created."""
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        for tries_left in reversed(range(_TRIES)):
            try:
                _make_folder(path.parent)
                self._path.replace(path)
                break
            except FileNotFoundError:
                if not tries_left:
                    raise
        _write_names(path.parent)

    def discard(self) -> None:
        """Delete what was written, unless it was kept."""
        with suppress(OSError):
            self.file.close()
        self._path.unlink(missing_ok=True)


def write_object(folder: Path, key: str, data: bytes) -> None:
    """Write an object in one step: all of it is there, or nothing. Raises `StoreUnavailable`."""
    path = object_path(folder, key)
    try:
        new_file = NewFile(folder)
        try:
            new_file.file.write(data)
            new_file.keep(path)
        finally:
            new_file.discard()
    except OSError as error:
        raise unavailable(error) from error


def _make_folder(folder: Path) -> None:
    """Create the folder and those above it, for this user alone: `Path.mkdir` does so for the last one only."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def _write_names(folder: Path) -> None:
    """Write the names of a folder's files to the disk, where the system can do that for folders."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

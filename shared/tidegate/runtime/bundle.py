"""Imports modules from one file with their bytecode, which `infra/artifact.py` writes: it is quicker than 200 files.

The file: the length of the index in four bytes, the index, then the code of the modules. Its name has the version of
Python. A module that it lacks or that is damaged, and all of them if there is no such file, come from the folder.
"""

import marshal
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import CodeType, ModuleType
from typing import TypeAlias

FILE_NAME = f"bytecode.{sys.implementation.cache_tag}.bin"

_LENGTH_BYTES = 4

_Entry: TypeAlias = tuple[int, int, str]
"""Where the code of a module begins in the file, counted from the end of the index; its length; the module's path."""


class BundleFinder:
    """A finder for the modules in the bundle of a folder. Raises `OSError`, and `ValueError` if it is damaged."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._file = os.open(f"{folder}/{FILE_NAME}", os.O_RDONLY)
        length = int.from_bytes(os.pread(self._file, _LENGTH_BYTES, 0), "little")
        self._start = _LENGTH_BYTES + length
        try:
            # The file is a part of the artifact, like the modules themselves.
            self._index: dict[str, _Entry] = dict(marshal.loads(os.pread(self._file, length, _LENGTH_BYTES)))  # noqa: S302
        except (EOFError, TypeError) as error:
            raise ValueError(f"{FILE_NAME} is damaged") from error

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder`."""
        entry = self._index.get(fullname)
        if entry is None:
            return None
        begin, length, place = entry
        file = f"{self._folder}/{place}"
        loader = _BundleLoader(fullname, file, self._file, self._start + begin, length)
        folder, _, name = file.rpartition("/")
        spec = ModuleSpec(fullname, loader, origin=file, is_package=name.startswith("__init__."))
        spec.has_location = True
        if spec.submodule_search_locations is not None:
            spec.submodule_search_locations.append(folder)
        return spec


class _BundleLoader(SourceFileLoader):
    """Loads one module. Its file is asked for what bytecode lacks: the lines of a traceback."""

    def __init__(self, fullname: str, path: str, bundle: int, begin: int, length: int) -> None:
        super().__init__(fullname, path)
        self._place = bundle, length, begin

    def get_code(self, fullname: str) -> CodeType | None:
        """Return the code of the module; from its own file if the bundle is damaged."""
        try:
            # The file is a part of the artifact, like the modules themselves.
            return marshal.loads(os.pread(*self._place))  # noqa: S302
        except (EOFError, TypeError, ValueError):
            return super().get_code(fullname)


def import_from_bundle(folder: str) -> bool:
    """Import modules from the bundle in `folder` from now on, if there is one for this Python."""
    try:
        finder = BundleFinder(folder)
    except (OSError, ValueError):
        return False
    sys.meta_path.insert(-1, finder)  # before the finder of folders
    return True

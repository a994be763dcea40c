"""Modules from one file: as from their own files, and from these where the bundle does not help."""

import json
import marshal
import subprocess
import sys
from pathlib import Path

import pytest

from tidegate.runtime.bundle import FILE_NAME

SHARED = Path(__file__).resolve().parents[2] / "shared"

_SOURCES = {
    "tide/__init__.py": "LEVEL = 'high'\n",
    "tide/water.py": "from tide import LEVEL\n\n\ndef rise():\n    raise ValueError(LEVEL)\n",
}

_PROGRAM = """
import json, sys, traceback
from tidegate.runtime.bundle import import_from_bundle
is_bundled = import_from_bundle(sys.argv[1])
sys.path.insert(0, sys.argv[1])
import tide, tide.water
try:
    tide.water.rise()
except ValueError as error:
    frame = traceback.extract_tb(error.__traceback__)[-1]
found = {"is_bundled": is_bundled, "frame": [frame.filename, frame.lineno, frame.line], "path": list(tide.__path__)}
loaders = {type(module.__spec__.loader).__name__ for module in (tide, tide.water)}
print(json.dumps(found | {"file": tide.water.__file__, "loaders": sorted(loaders)}))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A package of two modules and a bundle of both."""
    index: dict[str, tuple[int, int, str]] = {}
    codes = b""
    for place, source in _SOURCES.items():
        file = tmp_path / place
        file.parent.mkdir(exist_ok=True)
        file.write_text(source)
        code = marshal.dumps(compile(source, str(file), "exec"))
        index[place.removesuffix(".py").removesuffix("/__init__").replace("/", ".")] = (len(codes), len(code), place)
        codes += code
    head = marshal.dumps(index)
    (tmp_path / FILE_NAME).write_bytes(len(head).to_bytes(4, "little") + head + codes)
    return tmp_path


def import_from(folder: Path) -> dict[str, object]:
    """What a new process imports from the folder."""
    command = [sys.executable, "-c", _PROGRAM, str(folder)]
    env = {"PYTHONPATH": str(SHARED), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def expected(folder: Path, *loaders: str, is_bundled: bool) -> dict[str, object]:
    water = str(folder / "tide" / "water.py")
    return {
        "is_bundled": is_bundled,
        "frame": [water, 5, "raise ValueError(LEVEL)"],
        "path": [str(folder / "tide")],
        "file": water,
        "loaders": list(loaders),
    }


def test_modules_of_a_bundle_know_their_files_and_lines(folder: Path) -> None:
    (folder / "tide" / "__pycache__").mkdir()
    assert import_from(folder) == expected(folder, "_BundleLoader", is_bundled=True)


def test_without_a_bundle_for_this_python_modules_come_from_the_folder(folder: Path) -> None:
    (folder / FILE_NAME).rename(folder / "bytecode.cpython-27.bin")
    assert import_from(folder) == expected(folder, "SourceFileLoader", is_bundled=False)


def test_a_damaged_index_is_not_used(folder: Path) -> None:
    whole = (folder / FILE_NAME).read_bytes()
    for damaged in (b"", whole[:3], whole[:20], b"\xff" * len(whole), b"\x01\0\0\0N"):
        (folder / FILE_NAME).write_bytes(damaged)
        assert import_from(folder) == expected(folder, "SourceFileLoader", is_bundled=False), damaged


def test_a_module_that_is_cut_off_comes_from_its_own_file(folder: Path) -> None:
    whole = (folder / FILE_NAME).read_bytes()
    (folder / FILE_NAME).write_bytes(whole[:-30])
    assert import_from(folder) == expected(folder, "_BundleLoader", is_bundled=True)


def test_a_module_that_the_bundle_lacks_comes_from_the_folder(folder: Path) -> None:
    code = marshal.dumps(compile(_SOURCES["tide/__init__.py"], str(folder / "tide" / "__init__.py"), "exec"))
    head = marshal.dumps({"tide": (0, len(code), "tide/__init__.py")})
    (folder / FILE_NAME).write_bytes(len(head).to_bytes(4, "little") + head + code)
    assert import_from(folder) == expected(folder, "SourceFileLoader", "_BundleLoader", is_bundled=True)

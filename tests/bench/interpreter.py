"""The Python that gateways are measured on: the best build on this machine, and what makes it one.

A build without profile-guided optimisation (PGO) takes a fifth more of the processor's time for the same code, so each
run says which one it used. Most who install Python get an optimised one; pyenv compiles one without.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from msgspec import Struct

ROOT = Path(__file__).resolve().parents[2]
PYTHON_VARIABLE = "TIDEGATE_BENCH_PYTHON"
"""The path of an interpreter to use instead of the best one on PATH."""

_NAMES = ("python3.13", "python3.14", "python3.12", "python3.11", "python3")
_REQUIREMENTS = ROOT / "infra" / "constraints-run.txt"

_DESCRIBE = """
import json, platform, sysconfig
flags = " ".join(value for value in sysconfig.get_config_vars().values() if isinstance(value, str))
debian = "/usr/share/python-wheels/" in (sysconfig.get_config_var("CONFIG_ARGS") or "")
print(json.dumps({
    "version": platform.python_version(),
    "has_pgo": debian or "--enable-optimizations" in flags,
    "has_lto": debian or "--with-lto" in flags or "-flto" in flags,
}))
"""
"""Debian's and Ubuntu's builds have both, but remove the flags from what `sysconfig` tells; their folder of wheels
tells them. Source: https://salsa.debian.org/cpython-team/python3/-/blob/master/debian/rules (2026-11)."""


class Interpreter(Struct, frozen=True):
    """A Python, how it was built, and the folders of the packages that it needs."""

    command: str
    version: str
    has_pgo: bool
    has_lto: bool
    folders: tuple[str, ...] = ()

    @property
    def build(self) -> str:
        """The optimisations of the build, for people."""
        optimisations = [name for name, has in (("PGO", self.has_pgo), ("LTO", self.has_lto)) if has]
        return f"Python {self.version}, built with {' and '.join(optimisations) or 'neither PGO nor LTO'}"


@cache
def find_interpreter() -> Interpreter:
    """Return the interpreter that was chosen, else the best one: optimised, then as new as Lambda's, then this one.

    The packages of the gateway are installed for it when it is first used, below `.tools`.
    """
    chosen = os.environ.get(PYTHON_VARIABLE)
    found = list(_described([chosen] if chosen else [*_on_path(), sys.executable]))
    if not found:
        raise RuntimeError(f"{chosen or 'Python'} cannot be started")
    best = max(found, key=lambda each: each.has_pgo)  # the first one, if several are
    if best.version.rpartition(".")[0] == "{}.{}".format(*sys.version_info):
        is_ours = not best.has_pgo or os.path.realpath(best.command) == os.path.realpath(sys.executable)
        if is_ours:
            return this_interpreter()
    return Interpreter(best.command, best.version, best.has_pgo, best.has_lto, (str(_packages(best.version)),))


@cache
def this_interpreter() -> Interpreter:
    """Return the interpreter that runs this, with the packages of its environment."""
    return describe(sys.executable)


def describe(command: str) -> Interpreter:
    """Return the interpreter that a command starts. Raises `RuntimeError` if it does not start one."""
    for found in _described([command]):
        return found
    raise RuntimeError(f"{command} does not start a Python")


def _on_path() -> list[str]:
    folders = [*os.environ.get("PATH", "").split(os.pathsep), "/usr/bin"]
    return [path for name in _NAMES for folder in folders if (path := shutil.which(name, path=folder))]


def _described(commands: Iterable[str]) -> Iterable[Interpreter]:
    for command in dict.fromkeys(commands):
        done = subprocess.run([command, "-c", _DESCRIBE], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            facts = json.loads(done.stdout)
            if tuple(map(int, facts["version"].split(".")[:2])) >= (3, 11):
                yield Interpreter(command, **facts)


def _packages(version: str) -> Path:
    """The folder of the gateway's packages for that version, installed once for each set of pinned versions."""
    minor = version.rpartition(".")[0]
    digest = hashlib.sha256(_REQUIREMENTS.read_bytes()).hexdigest()[:12]
    folder = ROOT / ".tools" / f"packages-{minor}-{digest}"
    if not folder.exists():
        part = folder.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        options = ["--quiet", "--no-deps", "--only-binary=:all:", "--python-version", minor, "--target", str(part)]
        command = [sys.executable, "-m", "pip", "install", *options, "--require-hashes", "-r", str(_REQUIREMENTS)]
        subprocess.run(command, check=True)
        part.rename(folder)
    return folder

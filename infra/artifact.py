"""Builds the Lambda artifact of a function: pinned wheels for its platform, the packages that it needs, and bytecode.

`python3 infra/artifact.py OUTPUT --function NAME --platforms FILE`, as functions/NAME/Makefile calls it. One checkout
gives the same bytes on every machine. Bytecode halves the cold start, and only Python 3.13 can write it.
"""

import argparse
import ast
import hashlib
import marshal
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "shared" / "tidegate"
PYTHON = "3.13"
"""The Python version of the Lambda runtime, as in template.yaml."""

DEVELOPER_TOOLS = {"cli", "local", "memory", "sqlite", "__main__.py"}
BATCH_STEPS = {
    *("providers/batch_jobs", "catalog/batch_prices.py", "aws/batch_triggers.py", "aws/message_processor.py"),
    *(
        f"batch/{name}"
        for name in (
            *("provider_jobs", "claim.py", "composition.py", "conclusion.py", "digests.py", "direct.py"),
            *("dropped_objects.py", "engine.py", "file_cleanup.py", "findings.py", "results.py", "steps.py"),
            *("intake.py", "journal.py", "line_call.py", "pace.py", "pauses.py", "single_calls.py", "sweep.py"),
            *("part_answers.py", "part_end.py", "part_ledger.py", "part_meter.py", "part_results.py", "part_run.py"),
            *("part_settlement.py", "part_worker.py", "settled_lines.py", "validation.py"),
        )
    ),
}
"""The parts that only workers of batches load."""

AGGREGATES = {
    *("aws/aggregates.py", "aws/sweeper.py", "domain/aggregate.py", "domain/aggregate_document.py"),
    *("domain/histogram.py", "policy/metering/roller.py"),
}
POWERTOOLS = {"aws/function_log.py"}
MANAGEMENT = {"api/admin", "api/console", "aws/control.py", "aws/resources.py", "control"}
EXCLUDED = {
    "admin": DEVELOPER_TOOLS | BATCH_STEPS | {"runtime"},
    "batch": DEVELOPER_TOOLS | AGGREGATES | MANAGEMENT | {"runtime"},
    "chat": DEVELOPER_TOOLS | BATCH_STEPS | AGGREGATES | MANAGEMENT | POWERTOOLS,
    "keeper": DEVELOPER_TOOLS | BATCH_STEPS | {"control", "api", "runtime"},
}
"""By function: the parts of the package that it never imports."""

FIRST_CALL = (
    *("functions.chat.app", "tidegate.runtime.process", "tidegate.aws.secrets", "tidegate.transport.httptools"),
    *(f"tidegate.providers.openai.{name}" for name in ("completion", "request", "stream")),
    *("tidegate.api.stream", "tidegate.upstream.sse"),
)
"""The modules that a first call loads. Their bytecode, and that of all that they import, is in one file as well."""

LIGHT_LIBRARIES = {"httptools", "msgspec", "starlette/__init__", "starlette/types", "typing_extensions"}
"""The libraries that a first call loads."""

UNNEEDED = (
    *("**/*.pyi", "**/*.pyx", "**/*.pxd", "**/*.c", "**/*.h", "**/py.typed"),
    *(f"**/*.dist-info/{name}" for name in ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")),
    *("regex/tests", "**/pytest_plugin", "**/pytest_plugin.py", "starlette/testclient.py", "click/testing.py"),
    *("cffi", "anyio/_backends/_trio.py"),
)
"""Files and folders that no function loads. `cryptography` needs `_cffi_backend`, and not the rest of cffi."""

_TAG = f"cpython-{PYTHON.replace('.', '')}"
_PYC_HEAD_BYTES = 16
"""Source: https://peps.python.org/pep-0552/"""

TIMESTAMP = 1_577_836_800
"""2020-01-01, the modification time of all files, so that every machine builds the same zip file."""

PYTHON_NOT_FOUND = f"""\
Python {PYTHON} is needed to precompile the function, but was not found: TIDEGATE_PYTHON, PATH, pyenv and uv were tried.
Install one (`uv python install {PYTHON}` or `pyenv install {PYTHON}`), or set TIDEGATE_PYTHON to its path."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the Lambda artifact of a function.")
    parser.add_argument("output", type=Path)
    parser.add_argument("--function", choices=sorted(EXCLUDED), required=True, help="its folder in functions/")
    parser.add_argument("--platforms", type=Path, required=True, help="a file of wheel platform tags, best first")
    arguments = parser.parse_args()
    python = find_python()
    if python is None:
        sys.exit(PYTHON_NOT_FOUND)
    build(arguments.output, arguments.platforms.read_text().split(), python, arguments.function)


def build(output: Path, platforms: list[str], python: str, function: str = "chat") -> None:
    """Write the artifact to the folder `output`, which is created if needed."""
    output.mkdir(parents=True, exist_ok=True)
    wiring = ROOT / "functions" / function
    _install(output, platforms, python, wiring / "requirements.txt")
    shutil.rmtree(output / "bin", ignore_errors=True)
    for pattern in UNNEEDED:
        for path in [*output.glob(pattern)]:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    _compile_libraries(output, python)
    shutil.copytree(PACKAGE, output / "tidegate", ignore=partial(_excluded_names, function))
    for name in ("functions/__init__.py", f"functions/{function}/__init__.py", f"functions/{function}/app.py"):
        (output / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, output / name)
    for script in wiring.glob("*.sh"):
        shutil.copyfile(script, output / script.name)
    (output / "revision.txt").write_text(_revision() + "\n")
    _compile(output, python)
    if function == "chat":
        _bundle(output)
    _normalise(output)


def _excluded_names(function: str, folder: str, names: list[str]) -> set[str]:
    package_path = Path(folder).relative_to(PACKAGE)
    return {"__pycache__"} | {name for name in names if str(package_path / name) in EXCLUDED[function]}


def find_python() -> str | None:
    """The path of a Python with the runtime's minor version, None if there is none."""
    return next((python for python in _pythons() if _version(python) == PYTHON), None)


def _pythons() -> Iterator[str]:
    if named := os.environ.get("TIDEGATE_PYTHON"):
        yield named
    yield sys.executable
    if found := shutil.which(f"python{PYTHON}"):
        yield found
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from map(str, sorted(pyenv.glob(f"versions/{PYTHON}*/bin/python{PYTHON}"), reverse=True))
    if uv := shutil.which("uv"):
        found = subprocess.run([uv, "python", "find", "--no-project", PYTHON], capture_output=True, text=True)
        yield found.stdout.strip()


def _version(python: str) -> str:
    # pyenv's shim on PATH fails if its version is not installed.
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        return subprocess.run([python, "-c", code], capture_output=True, text=True).stdout.strip()
    except OSError:
        return ""


def _install(output: Path, platforms: list[str], python: str, requirements: Path) -> None:
    command = [_with_pip(python), "-m", "pip", "install", "--quiet", "--no-compile", "--target", str(output)]
    command += [
        "--require-hashes",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--requirement",
        str(requirements),
    ]
    command += ["--python-version", PYTHON, "--implementation", "cp"]
    for platform in platforms:
        command += ["--platform", platform]
    subprocess.run(command, check=True, env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"})


def _with_pip(python: str) -> str:
    """A Python that has pip. Any will do, because the wheels are chosen by `platforms`."""
    for candidate in (python, sys.executable, "python3"):
        if subprocess.run([candidate, "-m", "pip", "--version"], capture_output=True).returncode == 0:
            return candidate
    sys.exit("pip is needed to download the function's dependencies: install it for python3.")


def _revision() -> str:
    """A digest of the template and its parameters. It changes the artifact, because SAM publishes no new version when
    only a parameter's value changes (https://github.com/aws/serverless-application-model/issues/3820)."""
    digest = hashlib.sha256()
    for name in ("template.yaml", "infra/samconfig.toml"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def _compile_libraries(output: Path, python: str) -> None:
    """Replace the sources of the libraries by bytecode: a zip file that is a megabyte smaller."""
    _compile(output, python, "-b")
    for path in output.rglob("*.py"):
        path.unlink()


def _compile(output: Path, python: str, *options: str) -> None:
    """Compile all modules for /var/task, unchecked at run time: a zip file rounds the times of the sources."""
    paths = ["-s", str(output), "-p", "/var/task"]
    command = [python, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", *options, *paths]
    subprocess.run([*command, str(output)], check=True)


def _bundle(output: Path) -> None:
    """Write the bytecode of a first call into one file too; `tidegate/runtime/bundle.py` describes and reads it."""
    index: dict[str, tuple[int, int, str]] = {}
    codes: list[bytes] = []
    begin = 0
    for file in sorted(_first_call_files(output)):
        compiled = file if file.suffix == ".pyc" else file.parent / "__pycache__" / f"{file.stem}.{_TAG}.pyc"
        code = compiled.read_bytes()[_PYC_HEAD_BYTES:]
        place = file.relative_to(output)
        index[".".join(place.with_suffix("").parts).removesuffix(".__init__")] = (begin, len(code), str(place))
        codes.append(code)
        begin += len(code)
    head = marshal.dumps(index, 2)  # the last version that writes equal bytes for equal values
    (output / f"bytecode.{_TAG}.bin").write_bytes(len(head).to_bytes(4, "little") + head + b"".join(codes))


def _first_call_files(output: Path) -> set[Path]:
    """Return the modules of `FIRST_CALL`, those that they import, and `LIGHT_LIBRARIES`."""
    found = {path for path in output.rglob("*.pyc") if _library(path.relative_to(output)) in LIGHT_LIBRARIES}
    names = [*FIRST_CALL]
    while names:
        parts = names.pop().split(".")
        for end in range(1, len(parts) + 1):
            place = output.joinpath(*parts[:end])
            file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
            if file.exists() and file not in found:
                found.add(file)
                names += _imports(file)
    return found


def _library(path: Path) -> str:
    name = path.parts[0].removesuffix(".pyc")
    return name if name != "starlette" else str(path.with_suffix(""))


def _imports(file: Path) -> Iterator[str]:
    """The modules that a file may import; a name that it imports from a package may be one as well."""
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _normalise(output: Path) -> None:
    """Set modes that Lambda's user can read, whatever the umask, and one time for all files."""
    for path in sorted(output.rglob("*"), reverse=True):
        path.chmod(0o755 if path.is_dir() or path.suffix == ".sh" else 0o644)
        os.utime(path, (TIMESTAMP, TIMESTAMP))


if __name__ == "__main__":
    main()

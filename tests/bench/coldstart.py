"""From starting the process to the first byte of the stream, on Lambda's Python, beside the usual stack.

Both run on the same runtime (`tidegate.runtime`) against the model of the Runtime API, with a warm DynamoDB (moto)
and a warm provider in processes of their own, from precompiled folders like the one that is deployed.
"""

import asyncio
import hashlib
import json
import os
import platform
import shutil
import statistics
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from infra.artifact import PYTHON, build, find_python
from tests.bench.interpreter import Interpreter, describe, find_interpreter
from tests.bench.processes import ROOT, Program, provider_env
from tests.bench.requests import DEMO_KEY, body
from tests.emulators.gateway import Failed, Gateway, Invocation, running
from tests.emulators.process import function
from tests.emulators.requests import rest_event
from tests.emulators.wire import Head
from tidegate.local.demo_tenant import DEMO_WORKSPACE
from tidegate.local.stores import TABLE

_WAIT_SECONDS = 30.0
_PACKAGES = ("boto3", "fastapi", "httpx")
_LAMBDA = {"x86_64": "x86_64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True)
class Start:
    """Milliseconds, medians: a bare interpreter, ours and the usual stack; `cpu` is the processor time of ours."""

    bare: float
    ours: float
    usual: float
    cpu: float


class FirstByte(NamedTuple):
    """Seconds from before the process is started to the first byte of the body, and its processor time until then."""

    seconds: float
    cpu_seconds: float


def build_artifact(folder: Path, architecture: str) -> Path:
    """The function as it is deployed, for that architecture of Lambda's."""
    platforms = (ROOT / "functions" / "chat" / architecture / "platforms.txt").read_text().split()
    build(folder, platforms, find_lambda_python())
    return folder


def build_here(folder: Path) -> Path:
    """The function as it is deployed, for this machine."""
    return build_artifact(folder, _LAMBDA[platform.machine()])


def zipped_mb(folder: Path) -> float:
    """What the folder weighs as the zip file that Lambda gets, in units of a million bytes."""
    with tempfile.TemporaryFile() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(folder.rglob("*")):
                archive.write(path, path.relative_to(folder))
        return file.tell() / 1e6


def measure(table: Program, provider: Program, runs: int) -> Start:
    """`runs` starts of each, taking turns. The first of each only warms the disk's cache."""
    with tempfile.TemporaryDirectory() as folder:
        artifact = build_here(Path(folder))
        usual = _comparison()
        variables = env(table, provider)
        ours: list[FirstByte] = []
        others: list[float] = []
        bare: list[float] = []
        for _ in range(runs + 1):
            bare.append(_bare())
            ours.append(asyncio.run(start("functions.chat.app.app", artifact, (artifact,), variables)))
            others.append(asyncio.run(start("comparison.app", usual, (usual, artifact), variables)).seconds)
        seconds, cpu = zip(*ours, strict=True)
        return Start(*(statistics.median(times[1:]) * 1000 for times in (bare, seconds, others, cpu)))


def _bare() -> float:
    started = time.perf_counter()
    subprocess.run([find_start_python().command, "-c", "pass"], check=True)
    return time.perf_counter() - started


async def start(handler: str, root: Path, path: tuple[Path, ...], variables: Mapping[str, str]) -> FirstByte:
    """Start the function, make a stream of it, and return when its first byte came."""
    async with running(Gateway()) as gateway, asyncio.timeout(_WAIT_SECONDS):
        asked = invocation(body("paced"))
        gateway.waiting.put_nowait(asked)
        variables = {**variables, "PYTHONPATH": os.pathsep.join(map(str, path)), "PYTHONWARNINGS": "ignore"}
        started = time.perf_counter()
        async with function(handler, gateway.runtime_api, root, find_start_python().command, **variables) as process:
            match await asked.parts.get():
                case {"statusCode": 200}:
                    pass
                case other:
                    raise RuntimeError(f"{handler} did not answer: {other!r}, {gateway.init_errors!r}")
            first = await asked.parts.get()
            taken = FirstByte(time.perf_counter() - started, Program(0, process.pid).processor_seconds())
            if first is None or isinstance(first, Failed):
                raise RuntimeError(f"{handler} sent no body: {first!r}")
            while await asked.parts.get() is not None:
                pass
            return taken


def invocation(body: str) -> Invocation:
    """A call of the demo key with that body, as Lambda hands it to the function."""
    head = Head("POST", "/v1/chat/completions", _headers(len(body)))
    return Invocation(json.dumps(rest_event(head, body.encode())).encode(), "1.0")


def _headers(length: int) -> list[tuple[str, str]]:
    return [
        ("Content-Type", "application/json"),
        ("Content-Length", str(length)),
        ("Authorization", f"Bearer {DEMO_KEY}"),
        ("X-Workspace-Id", DEMO_WORKSPACE),
    ]


def env(table: Program, provider: Program) -> dict[str, str]:
    return {
        "TIDEGATE_TABLE": TABLE,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_ENDPOINT_URL_DYNAMODB": f"http://127.0.0.1:{table.port}",
        **provider_env(provider),
    }


def _comparison() -> Path:
    """The folder of the usual stack, installed once for each set of pinned versions."""
    pinned = (line.removesuffix(" \\") for line in _constraints().splitlines())
    pins = [line for line in pinned if "==" in line and not line.startswith((" ", "#"))]
    digest = hashlib.sha256("\n".join(pins).encode()).hexdigest()[:12]
    folder = ROOT / ".tools" / f"comparison-{PYTHON}-{digest}"
    if not folder.exists():
        part = folder.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        constraints = part / "constraints.txt"
        part.mkdir(parents=True)
        constraints.write_text("\n".join(pins) + "\n")
        command = [find_lambda_python(), "-m", "pip", "install", "--quiet", "--no-compile", "--target", str(part)]
        subprocess.run([*command, "--constraint", str(constraints), *_PACKAGES], check=True)
        _precompile(part)
        part.rename(folder)
    program = folder / "comparison.py"
    shutil.copyfile(Path(__file__).with_name(program.name), program)
    _precompile(program)
    return folder


def _precompile(path: Path) -> None:
    options = ["-q", "-f", "--invalidation-mode", "unchecked-hash"]
    subprocess.run([find_lambda_python(), "-m", "compileall", *options, str(path)], check=True)


def _constraints() -> str:
    return (ROOT / "infra" / "constraints.txt").read_text()


@cache
def find_start_python() -> Interpreter:
    """The interpreter that cold starts are measured on: the best one, if it is of Lambda's version."""
    best = find_interpreter()
    return best if best.version.startswith(f"{PYTHON}.") else describe(find_lambda_python())


@cache
def find_lambda_python() -> str:
    """The interpreter of Lambda's version. Raises `RuntimeError` where there is none."""
    python = find_python()
    if python is None:
        raise RuntimeError(f"The cold start is measured on Python {PYTHON}, and none was found.")
    return python

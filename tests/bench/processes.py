"""The programs that are measured, each a process of its own that ends with its block."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO

from tests.bench.interpreter import ROOT, Interpreter
from tests.bench.requests import DEMO_KEY

ADMIN_KEY = "sk-admin-tidegate-bench"
PROVIDER_KEY = "bench-provider-key"
"""Occurs in no reply, as keys do: "bench" was in each chunk, where traces had to hide it a thousand times."""

_START_SECONDS = 30.0
_STOP_SECONDS = 10.0
_PROCESSOR_TIME = 2
"""CPUCLOCK_SCHED in a clock's number: https://github.com/torvalds/linux/blob/v6.12/include/linux/posix-timers_types.h"""


@dataclass(frozen=True, slots=True)
class Program:
    """A server on 127.0.0.1."""

    port: int
    pid: int

    def processor_seconds(self) -> float:
        """The processor time of all its threads and its processes so far, as Linux counts it: to the nanosecond."""
        return sum(time.clock_gettime(~pid << 3 | _PROCESSOR_TIME) for pid in _family(self.pid))

    def resident_mb(self) -> float:
        """The resident memory of it and its processes, in millions of bytes."""
        pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in _family(self.pid))
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@cache
def _family(pid: int) -> tuple[int, ...]:
    """A process and those that it has started, and so on, when asked first. Source: proc_pid_stat(5), field 4."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            children.setdefault(int(path.read_text().rpartition(")")[2].split()[1]), []).append(int(path.parent.name))
    found = [pid]
    for each in found:
        found += children.get(each, ())
    return tuple(found)


@contextmanager
def upstream() -> Generator[Program]:
    with _started("tests.bench.upstream") as program:
        yield program


@contextmanager
def table() -> Generator[Program]:
    """A DynamoDB with the demo tenant in it."""
    with _started("tests.bench.table") as program:
        yield program


@contextmanager
def gateway(store: str, provider: Program, interpreter: Interpreter | None = None) -> Generator[Program]:
    """`python -m tidegate serve` on that store, with `provider` as every provider. "local": a folder of its own."""
    arguments = ["serve", "--port", "0", "--store", store, "--demo-key", DEMO_KEY]
    arguments += ["--embedded-port", "0"] if store == "embedded" else []
    with tempfile.TemporaryDirectory() as folder:
        arguments += ["--data", folder] if store == "local" else []
        env = {**every_provider_env(provider), "TIDEGATE_DEMO_ADMIN_KEY": ADMIN_KEY}
        with started(python_command("tidegate", *arguments, interpreter=interpreter), env, interpreter) as program:
            yield program


@contextmanager
def pass_through(provider: Program) -> Generator[Program]:
    """The gateway's server and HTTP client, without the gateway."""
    with _started("tests.bench.passthrough", env=provider_env(provider)) as program:
        yield program


@contextmanager
def data_plane(provider: Program) -> Generator[Program]:
    """The data plane alone, on the in-memory store: no embedded AWS, no document, no demo provider."""
    with _started("tests.bench.plane", env=provider_env(provider)) as program:
        yield program


@contextmanager
def limited(store: str, provider: Program, *whose: str) -> Generator[Program]:
    """The data plane on that store ("memory" or "embedded"), with all limits of "workspace" or "key", or none.

    "features": with all features configured.
    """
    with _started("tests.bench.limited", store, *whose, env=provider_env(provider)) as program:
        yield program


def printed(module: str, *arguments: str, env: Mapping[str, str]) -> str:
    """The last line that a program has printed, once it has ended. Raises `CalledProcessError`."""
    command = [sys.executable, "-m", module, *arguments]
    environment = _environment(env)
    done = subprocess.run(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.splitlines()[-1]


def provider_env(provider: Program) -> dict[str, str]:
    return {"OPENAI_API_KEY": PROVIDER_KEY, "OPENAI_BASE_URL": f"http://127.0.0.1:{provider.port}/v1"}


def every_provider_env(provider: Program) -> dict[str, str]:
    """Variables that make `provider` answer for OpenAI, Anthropic, Gemini and Bedrock."""
    url = f"http://127.0.0.1:{provider.port}"
    return {
        **provider_env(provider),
        **{"ANTHROPIC_API_KEY": "bench", "ANTHROPIC_BASE_URL": url, "GEMINI_API_KEY": "bench", "GEMINI_BASE_URL": url},
        **{"AWS_BEARER_TOKEN_BEDROCK": "bench", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": url, "BEDROCK_REGION": "eu-west-1"},
    }


def _started(module: str, *arguments: str, env: Mapping[str, str] | None = None) -> AbstractContextManager[Program]:
    return started(python_command(module, *arguments), env or {})


def python_command(module: str, *arguments: str, interpreter: Interpreter | None = None) -> list[str]:
    """The command that runs a module of this repository with that interpreter, or with this one."""
    return [interpreter.command if interpreter else sys.executable, "-m", module, *arguments]


@contextmanager
def started(
    command: Sequence[str],
    env: Mapping[str, str],
    interpreter: Interpreter | None = None,
    port: int | None = None,
) -> Generator[Program]:
    """Run a program. It names its port in its first lines, unless it was told to listen on `port`."""
    environment = _environment(env, interpreter.folders if interpreter else ())
    # A file, not a pipe: a gateway logs each call, and nobody reads here.
    with tempfile.TemporaryFile() as output:
        errors = None if port is None else output  # other gateways tell much there
        process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=output, stderr=errors)
        try:
            yield Program(port or _port(process, output, " ".join(command)), process.pid)
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _environment(env: Mapping[str, str], folders: Sequence[str] = ()) -> dict[str, str]:
    variables = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return variables | {"PYTHONPATH": os.pathsep.join((str(ROOT), f"{ROOT}/shared", *folders))} | dict(env)


def _port(process: "subprocess.Popen[bytes]", output: IO[bytes], name: str) -> int:
    """The first port that the program names."""
    give_up = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < give_up:
        said = os.pread(output.fileno(), 4096, 0)
        if found := re.search(rb"(?m)^(\d+)$|127\.0\.0\.1:(\d+)", said):
            return int(found[1] or found[2])
        time.sleep(0.02)
    raise RuntimeError(f"{name} named no port")

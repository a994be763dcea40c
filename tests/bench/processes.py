"""The programs that are measured, each a process of its own that ends with its block."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.bench.requests import DEMO_KEY

ROOT = Path(__file__).resolve().parents[2]
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
        """The processor time of all its threads so far, as Linux counts it: to the nanosecond."""
        return time.clock_gettime(~self.pid << 3 | _PROCESSOR_TIME)

    def resident_mb(self) -> float:
        """What it holds of memory, in units of a million bytes."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


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
def gateway(store: str, provider: Program) -> Generator[Program]:
    """`python -m tidegate serve` on that store, with `provider` as its OpenAI."""
    arguments = ["serve", "--port", "0", "--store", store, "--demo-key", DEMO_KEY]
    arguments += ["--embedded-port", "0"] if store == "embedded" else []
    with _started("tidegate", *arguments, env=provider_env(provider)) as program:
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
    return {"OPENAI_API_KEY": "bench", "OPENAI_BASE_URL": f"http://127.0.0.1:{provider.port}/v1"}


@contextmanager
def _started(module: str, *arguments: str, env: Mapping[str, str] | None = None) -> Generator[Program]:
    environment = _environment(env or {})
    # A file, not a pipe: a gateway logs each call, and nobody reads here.
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen([sys.executable, "-m", module, *arguments], env=environment, cwd=ROOT, stdout=output)
        try:
            yield Program(_port(process, output, module), process.pid)
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _environment(env: Mapping[str, str]) -> dict[str, str]:
    variables = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return variables | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'shared'}"} | dict(env)


def _port(process: "subprocess.Popen[bytes]", output: IO[bytes], module: str) -> int:
    """The first port that the program names."""
    give_up = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < give_up:
        said = os.pread(output.fileno(), 4096, 0)
        if found := re.search(rb"(?m)^(\d+)$|127\.0\.0\.1:(\d+)", said):
            return int(found[1] or found[2])
        time.sleep(0.02)
    raise RuntimeError(f"{module} named no port")

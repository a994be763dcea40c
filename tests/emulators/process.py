"""Other programs on 127.0.0.1, started for one test and ended by their own process id."""

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".tools"

_START_SECONDS = 30.0
_STOP_SECONDS = 5.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def tool(name: str) -> str:
    """The path of a fetched tool. Raises `FileNotFoundError` before `fetch.sh` has run."""
    path = TOOLS / name
    if not path.exists():
        raise FileNotFoundError(f"{name} is missing: run tests/emulators/fetch.sh")
    return str(path)


def function_env(**more: str) -> dict[str, str]:
    """What a function's process needs of this one's environment, and `more`."""
    keep = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return keep | {"PYTHONPATH": str(ROOT / "shared"), "PYTHONWARNINGS": "error"} | more


@asynccontextmanager
async def started(*command: str, env: Mapping[str, str], cwd: Path | None = None) -> AsyncIterator[Process]:
    """Run `command` in a process group of its own, which ends with the block. Its output is in `stdout`."""
    process = await asyncio.create_subprocess_exec(
        *command, env=dict(env), cwd=cwd, stdout=PIPE, stderr=STDOUT, start_new_session=True
    )
    try:
        yield process
    finally:
        for ending in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, ending)
            with suppress(TimeoutError):
                await asyncio.wait_for(process.communicate(), _STOP_SECONDS)
                break
        # What the program itself started may outlive it.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


async def until_listening(port: int) -> None:
    """Return once something accepts connections on `port`. Raises `TimeoutError`."""
    async with asyncio.timeout(_START_SECONDS):
        while True:
            with suppress(ConnectionRefusedError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                await writer.wait_closed()
                return
            await asyncio.sleep(0.02)


@asynccontextmanager
async def function(
    handler: str, runtime_api: str, task_root: Path, python: str = sys.executable, **env: str
) -> AsyncIterator[Process]:
    """Our runtime with the application `handler` of `task_root`, as Lambda would start it."""
    variables = function_env(AWS_LAMBDA_RUNTIME_API=runtime_api, LAMBDA_TASK_ROOT=str(task_root), **env)
    async with started(python, "-m", "tidegate.runtime", handler, env=variables, cwd=task_root) as process:
        yield process

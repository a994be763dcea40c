"""What each HTTP client of the data plane costs on Lambda: its cold start, and the processor's time of warm calls.

The function runs as in `coldstart`: from the deployed folder, on Lambda's Python, with DynamoDB (moto) and the provider
in processes of their own. Each call makes its requests to both over the client.
"""

import asyncio
import os
import statistics
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.bench import coldstart
from tests.bench.processes import Program
from tests.bench.requests import body
from tests.emulators.gateway import Gateway, running
from tests.emulators.process import function

HANDLER = "functions.chat.app.app"
TRANSPORTS = ("httptools", "httpx")

_WAIT_SECONDS = 120.0
_WARM_CALLS = 20
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds: from the start of the process to the first byte, and of the processor for one warm call."""

    start: float
    plain: float
    stream: float


def measure(table: Program, provider: Program, starts: int, calls: int) -> dict[str, Cost]:
    """By transport. They take turns; the first round only warms the disk's cache."""
    with tempfile.TemporaryDirectory() as folder:
        artifact = coldstart.build_here(Path(folder))
        envs = {name: coldstart.env(table, provider) | {"TIDEGATE_TRANSPORT": name} for name in TRANSPORTS}
        begun: dict[str, list[float]] = {name: [] for name in TRANSPORTS}
        for _ in range(starts + 1):
            for name, env in envs.items():
                begun[name].append(asyncio.run(coldstart.start(HANDLER, artifact, (artifact,), env)).seconds)
        return {
            name: Cost(
                statistics.median(begun[name][1:]) * 1000,
                asyncio.run(_processor_seconds(artifact, body(), env, calls)) * 1000,
                asyncio.run(_processor_seconds(artifact, body("whole"), env, calls)) * 1000,
            )
            for name, env in envs.items()
        }


async def _processor_seconds(artifact: Path, asked: str, env: Mapping[str, str], calls: int) -> float:
    """Seconds of the processor that one call takes the function, in all its threads, once it is warm."""
    variables = {**env, "PYTHONPATH": str(artifact), "PYTHONWARNINGS": "ignore"}
    python = coldstart.find_start_python().command
    async with running(Gateway()) as gateway, asyncio.timeout(_WAIT_SECONDS):
        async with function(HANDLER, gateway.runtime_api, artifact, python, **variables) as process:
            await _call(gateway, asked, _WARM_CALLS)
            before = _processor_ticks(process.pid)
            await _call(gateway, asked, calls)
            return (_processor_ticks(process.pid) - before) / _TICKS / calls


async def _call(gateway: Gateway, asked: str, calls: int) -> None:
    for _ in range(calls):
        invocation = coldstart.invocation(asked)
        gateway.waiting.put_nowait(invocation)
        match await invocation.parts.get():
            case {"statusCode": 200}:
                pass
            case other:
                raise RuntimeError(f"The function did not answer: {other!r}, {gateway.init_errors!r}")
        while await invocation.parts.get() is not None:
            pass


def _processor_ticks(pid: int) -> int:
    """Ticks in user and system mode. Source: proc_pid_stat(5), fields 14 and 15."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])

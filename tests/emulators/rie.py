"""AWS's own Runtime API: the runtime interface emulator that `sam local` runs functions behind.

It takes a streamed response and delivers it whole, prelude and delimiter included.
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.emulators.process import free_port, function_env, started, tool, until_listening


@asynccontextmanager
async def rie(handler: str, task_root: Path, **env: str) -> AsyncIterator[str]:
    """Yield the URL that invokes `handler` with the event posted to it."""
    port, runtime_port = free_port(), free_port()
    command = [
        tool("aws-lambda-rie"),
        "--runtime-interface-emulator-address",
        f"127.0.0.1:{port}",
        "--runtime-api-address",
        f"127.0.0.1:{runtime_port}",
        sys.executable,
        "-m",
        "tidegate.runtime",
        handler,
    ]
    variables = function_env(LAMBDA_TASK_ROOT=str(task_root), AWS_LAMBDA_FUNCTION_TIMEOUT="10", **env)
    async with started(*command, env=variables, cwd=task_root):
        await until_listening(port)
        yield f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations"

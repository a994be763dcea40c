"""The built artifact, and a small world around it: a table, a secret, a key, and a provider that the test plays."""

import asyncio
import json
import os
import platform
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest

from infra.artifact import find_python
from tests.emulators.process import ROOT, free_port, started, tool, until_listening
from tests.emulators.wire import Head, listening, read_body
from tests.store_worlds import World, aws_world, key, workspace

SAM = ROOT / ".venv-sam" / "bin" / "sam"
HOST_ARCHITECTURE = {"aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "x86_64")
SECRET = "sk-tidegate-one"
WORKSPACE = "ws_one"
MODEL = "openai/tide-1"


def missing() -> str | None:
    """Why the artifact cannot be built here; None when it can."""
    if not SAM.exists():
        return "there is no SAM CLI: make setup"
    return None if find_python() else "there is no Python 3.13, which alone can precompile for Lambda's"


def sam_build(architecture: str, output: Path) -> Path:
    """`sam build`, as an operator runs it; returns the folder with one folder for each function."""
    command = [str(SAM), "build", "--build-dir", str(output), "--parameter-overrides", f"Architecture={architecture}"]
    env = {**os.environ, "SAM_CLI_TELEMETRY": "0", "PYTHON": sys.executable}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return output


@dataclass
class Provider:
    """An OpenAI-compatible upstream. A streamed answer stops after its first piece until `gate` is set."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    requests: list[tuple[str, dict[str, Any]]] = field(default_factory=list[tuple[str, dict[str, Any]]])

    async def serve(self, head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = json.loads(await read_body(head, reader))
        self.requests.append((head.get("authorization"), asked))
        kind = "text/event-stream" if asked.get("stream") else "application/json"
        writer.write(f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\nconnection: close\r\n\r\n".encode())
        if asked.get("stream"):
            self._event(writer, [{"index": 0, "delta": {"role": "assistant", "content": "High "}}])
            await writer.drain()
            await self.gate.wait()
            self._event(writer, [{"index": 0, "delta": {"content": "tide."}}])
            self._event(writer, [{"index": 0, "delta": {}, "finish_reason": "stop"}])
            self._event(writer, [], usage=USAGE)
            writer.write(b"data: [DONE]\n\n")
        else:
            message = {"role": "assistant", "content": "High tide."}
            choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
            answer = {"id": "up-1", "object": "chat.completion", "created": 1, "model": "tide-1", "choices": choices}
            writer.write(json.dumps(answer | {"usage": USAGE}).encode())
        await writer.drain()
        writer.close()

    @staticmethod
    def _event(writer: asyncio.StreamWriter, choices: list[Any], **more: Any) -> None:
        chunk = {"id": "up-1", "object": "chat.completion.chunk", "created": 1, "model": "tide-1", "choices": choices}
        writer.write(b"data: " + json.dumps(chunk | more).encode() + b"\n\n")


USAGE = {"prompt_tokens": 8, "completion_tokens": 12, "total_tokens": 20}


@dataclass(frozen=True)
class Site:
    """What the function finds when it starts."""

    code: Path
    environment: dict[str, str]
    provider: Provider
    store: World

    async def calls(self, count: int) -> list[dict[str, object]]:
        """The workspace's metered calls, once there are `count`: the last is written after its reply has ended."""
        async with asyncio.timeout(10):
            # Another process writes the records.
            while len(found := list(await self.store.usages.calls(WORKSPACE, 10))) < count:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        return found


@asynccontextmanager
async def site(code: Path, aws_endpoint: str, scratch: Path) -> AsyncIterator[Site]:
    """A fresh table, secret, key and provider for the artifact in `code`."""
    provider = Provider()
    async with aws_world(aws_endpoint) as store, listening(provider.serve) as port:
        assert store.store is not None
        await store.tenants.put_workspace(workspace(WORKSPACE))
        await store.keys.put_key(key(SECRET, (WORKSPACE,), default_workspace_id=WORKSPACE))
        secrets = boto3.client("secretsmanager", endpoint_url=aws_endpoint, region_name="eu-central-1")
        name = f"providers-{uuid.uuid4()}"
        held = {"OPENAI_API_KEY": "upstream-key", "OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1"}
        secrets.create_secret(Name=name, SecretString=json.dumps(held))
        yield Site(code, _environment(code, scratch, aws_endpoint, store.store.table, name), provider, store)


def _environment(code: Path, scratch: Path, aws_endpoint: str, table: str, secret: str) -> dict[str, str]:
    python = find_python()
    assert python is not None
    path = scratch / "bin"
    path.mkdir()
    # On Lambda, `python3` is the runtime's.
    (path / "python3").symlink_to(python)
    return {
        "PATH": f"{path}{os.pathsep}/usr/bin{os.pathsep}/bin",
        "LAMBDA_TASK_ROOT": str(code),
        "AWS_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_ENDPOINT_URL": aws_endpoint,
        "PYTHONWARNINGS": "error",
        "TIDEGATE_TABLE": table,
        "TIDEGATE_PROVIDER_SECRET": secret,
    }


@asynccontextmanager
async def behind(runtime_api: str, site: Site) -> AsyncIterator[None]:
    """The function started by its own bootstrap.sh, polling the Runtime API at `runtime_api`."""
    more = {"AWS_LAMBDA_RUNTIME_API": runtime_api, "_HANDLER": "functions.chat.app.app"}
    # From elsewhere, as it is Lambda that chooses the folder.
    async with started(str(site.code / "bootstrap.sh"), env=site.environment | more, cwd=Path("/")):
        yield


@asynccontextmanager
async def awss_emulator(site: Site, **more: str) -> AsyncIterator[str]:
    """AWS's runtime interface emulator with the function; yields the URL to post events to."""
    port, runtime_port = free_port(), free_port()
    command = [tool("aws-lambda-rie"), "--runtime-interface-emulator-address", f"127.0.0.1:{port}"]
    command += ["--runtime-api-address", f"127.0.0.1:{runtime_port}"]
    command += [str(site.code / "bootstrap.sh"), "functions.chat.app.app"]
    env = site.environment | {"AWS_LAMBDA_FUNCTION_TIMEOUT": "30"} | more
    async with started(*command, env=env, cwd=site.code):
        await until_listening(port)
        yield f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations"


@asynccontextmanager
async def emulated_batch_function(found: Site, scratch: Path, **env: str) -> AsyncIterator[str]:
    """AWS's emulator with the batch function in a stand-in of Lambda's Python runtime; yields the URL for events."""
    bootstrap = scratch / "bootstrap"
    bootstrap.write_text(f"#!/bin/sh\nexec {find_python()} {Path(__file__).with_name('lambda_runtime.py')}\n")
    bootstrap.chmod(0o755)
    port, runtime_port = free_port(), free_port()
    command = [tool("aws-lambda-rie"), "--runtime-interface-emulator-address", f"127.0.0.1:{port}"]
    command += ["--runtime-api-address", f"127.0.0.1:{runtime_port}", str(bootstrap), "functions.batch.app.handler"]
    more = {"AWS_LAMBDA_FUNCTION_TIMEOUT": "60", "PYTHONPATH": str(found.code)}
    async with started(*command, env={**found.environment, **more, **env}, cwd=found.code):
        await until_listening(port)
        yield f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations"


@asynccontextmanager
async def web_adapters_command(site: Site) -> AsyncIterator[str]:
    """What the Lambda Web Adapter starts, without the adapter; yields its URL."""
    port = free_port()
    async with started(str(site.code / "run.sh"), env=site.environment | {"AWS_LWA_PORT": str(port)}, cwd=Path("/")):
        await until_listening(port)
        yield f"http://127.0.0.1:{port}"


runs_here = pytest.mark.skipif(platform.system() != "Linux", reason="the artifact holds Linux wheels")


# Lambda never ends an interpreter in order, and threads of an HTTP client can fail in an interpreter that ends.
_INVOKE = """
import importlib, json, os, pathlib, sys
module, name = sys.argv[1].rsplit(".", 1)
answer = getattr(importlib.import_module(module), name)(json.loads(pathlib.Path(sys.argv[2]).read_text()), None)
print("\\n" + json.dumps(answer), flush=True)
os._exit(0)
"""


def invoke(code: Path, handler: str, event: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """The handler called as Lambda's runtime would: by the runtime's Python, on what is in the artifact."""
    python = find_python()
    assert python is not None
    paths = {"PATH": os.environ["PATH"], "PYTHONPATH": str(code), "PYTHONWARNINGS": "error"}
    command = [python, "-c", _INVOKE, handler, str(event)]
    return subprocess.run(command, env={**paths, **env}, cwd="/", capture_output=True, text=True)


def last_line(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])

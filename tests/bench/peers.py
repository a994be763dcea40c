"""Other gateways from their published packages, which `make bench` measures beside this one.

ferrogw is the Go gateway (https://github.com/ferro-labs/ai-gateway), LiteLLM's proxy the usual one in Python
(https://docs.litellm.ai/docs/simple_proxy). Both are installed from PyPI below `.tools` when they are first measured,
and never by another target. Each writes one log line for a call, checks a key, and keeps nothing.
"""

import json
import socket
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.interpreter import ROOT
from tests.bench.latency import connected
from tests.bench.processes import Program, provider_env, started
from tests.bench.requests import DEMO_KEY

FERROGW, LITELLM = "ferrogw==1.5.10", "litellm[proxy]==1.108.7"
MODEL = "gpt-4o-mini"
_START_SECONDS = 60.0


@contextmanager
def ferrogw(provider: Program) -> Generator[Program]:
    """The Go gateway on all cores, with `provider` as its OpenAI. Its limit of requests is far away."""
    binary = _installed(FERROGW) / "bin" / "ferrogw"
    port = _free_port()
    env = {
        **provider_env(provider),
        **{"PORT": str(port), "MASTER_KEY": DEMO_KEY, "FERRO_MODEL_CATALOG_TIMEOUT": "0"},
        **{"RATE_LIMIT_RPS": "1000000", "RATE_LIMIT_BURST": "1000000"},
    }
    with started([str(binary), "serve"], env, port=port) as program:
        connected(port).close()
        yield program


@contextmanager
def litellm(provider: Program) -> Generator[Program]:
    """LiteLLM's proxy in one process, with `provider` as its OpenAI."""
    folder, port = _installed(LITELLM), _free_port()
    parameters = {"model": f"openai/{MODEL}", "api_base": f"http://127.0.0.1:{provider.port}/v1", "api_key": "bench"}
    settings = {
        "model_list": [{"model_name": MODEL, "litellm_params": parameters}],
        "general_settings": {"master_key": DEMO_KEY},
    }
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as config:
        json.dump(settings, config)  # JSON is YAML, too
        config.flush()
        command = [str(folder / "bin" / "litellm"), "--config", config.name, "--host", "127.0.0.1"]
        env = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "PYTHONPATH": "", "NO_DOCS": "True"}
        with started([*command, "--port", str(port), "--telemetry", "False"], env, port=port) as program:
            connected(port, _START_SECONDS).close()
            yield program


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as door:
        return door.getsockname()[1]


def _installed(requirement: str) -> Path:
    """The environment of a package, made when it is first needed. Raises `CalledProcessError` where it cannot be."""
    name = requirement.replace("==", "-").replace("[proxy]", "")
    folder = ROOT / ".tools" / name
    marker = folder / "installed"
    if not marker.exists():
        print(f"installing {requirement} into .tools, once …", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", requirement], check=True)
        marker.touch()
    return folder

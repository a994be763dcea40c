"""Processes that wait for their first call load what it needs before."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"

_OPEN = """
import asyncio, json, os, sys
from tidegate.api.app import ENDPOINTS
from tidegate.aws.gateway import AwsDataPlane
from tidegate.settings import Settings

async def open_and_list():
    async with AwsDataPlane(Settings.from_env(os.environ), ENDPOINTS).open_gateway():
        return sorted(name for name in sys.modules if name.startswith("tidegate."))

print(json.dumps(asyncio.run(open_and_list())))
"""

NAMES = (
    *("tidegate.api.stream", "tidegate.upstream.sse", "tidegate.upstream.eventstream"),
    *("tidegate.providers.openai.stream", "tidegate.providers.anthropic.stream", "tidegate.providers.gemini.stream"),
)


def primed(kind: str) -> set[str]:
    """The modules of `NAMES` that a function with OpenAI and Anthropic loads when it starts."""
    keys = {"OPENAI_API_KEY": "a", "ANTHROPIC_API_KEY": "b", "AWS_ACCESS_KEY_ID": "c", "AWS_SECRET_ACCESS_KEY": "d"}
    env = {"TIDEGATE_TABLE": "t", "AWS_REGION": "eu-west-1", "AWS_LAMBDA_INITIALIZATION_TYPE": kind, **keys}
    command = [sys.executable, "-c", _OPEN]
    done = subprocess.run(command, env=env | {"PYTHONPATH": str(SHARED)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout)) & {*NAMES}


@pytest.mark.parametrize("kind", ["snap-start", "provisioned-concurrency"])
def test_what_calls_to_configured_providers_need_is_loaded_before_the_snapshot(kind: str) -> None:
    assert primed(kind) == set(NAMES) - {"tidegate.providers.gemini.stream"}


def test_a_process_that_was_started_for_a_call_loads_nothing_beforehand() -> None:
    assert primed("on-demand") == set()

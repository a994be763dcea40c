"""The functions with httpx, from artifacts without httptools: one setting replaces it everywhere."""

import json
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from tests.artifact.world import MODEL, SECRET, Site, behind, invoke, last_line, runs_here, site
from tests.emulators.gateway import Gateway, running

pytestmark = [pytest.mark.slow, runs_here]

EVENTS = Path(__file__).parents[1] / "events"
BODY = {"model": MODEL, "messages": [{"role": "user", "content": "Hi."}]}


def without_httptools(code: Path, folder: Path) -> Path:
    """A copy of the artifact, in which whatever imports httptools fails."""
    assert (code / "httptools").is_dir()
    return shutil.copytree(code, folder / code.name, ignore=shutil.ignore_patterns("httptools-*", "httptools"))


@pytest.fixture
async def on_httpx(artifact: Path, aws_endpoint: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with site(without_httptools(artifact, tmp_path), aws_endpoint, tmp_path) as found:
        yield replace(found, environment=found.environment | {"TIDEGATE_TRANSPORT": "httpx"})


async def test_calls_are_answered_streamed_and_metered(on_httpx: Site) -> None:
    on_httpx.provider.gate.set()
    headers = {"authorization": f"Bearer {SECRET}"}
    async with running(Gateway()) as gateway, behind(gateway.runtime_api, on_httpx):
        async with httpx.AsyncClient(base_url=gateway.url, trust_env=False, timeout=30) as client:
            whole = await client.post("/v1/chat/completions", json=BODY, headers=headers)
            streamed = await client.post("/v1/chat/completions", json=BODY | {"stream": True}, headers=headers)
            calls = await on_httpx.calls(2)
    assert whole.json()["choices"][0]["message"]["content"] == "High tide."
    assert streamed.text.endswith("data: [DONE]\n\n")
    assert [(call["status"], call["stream"]) for call in calls] == [("ok", True), ("ok", False)]
    assert gateway.violations == []


async def test_the_other_functions_reach_their_table(artifacts: Path, on_httpx: Site, tmp_path: Path) -> None:
    env = on_httpx.environment
    keeper = without_httptools(artifacts / "KeeperFunction", tmp_path)
    swept = last_line(invoke(keeper, "functions.keeper.app.handler", EVENTS / "other" / "schedule.json", **env))
    assert (swept["workspaces"], swept["failed"]) == (1, 0)
    admin = without_httptools(artifacts / "AdminFunction", tmp_path)
    event = json.loads((EVENTS / "rest" / "models.json").read_text())
    event |= {"path": "/admin/v1/plans", "resource": "/admin/{proxy+}"}
    event["multiValueHeaders"] |= {"Authorization": ["Bearer sk-tidegate-nobody"]}
    asked = tmp_path / "event.json"
    asked.write_text(json.dumps(event))
    answer = last_line(invoke(admin, "functions.admin.app.handler", asked, **env))
    assert json.loads(answer["body"])["error"]["code"] == "invalid_api_key"  # no such key is in the table

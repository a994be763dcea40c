"""Codex, unmodified, in front of providers that know chat completions or Anthropic's messages, and no responses."""

import base64
import json
import os
import platform
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.clients.actor import DOT, SIGNATURE, Actor, Turn, serving_actor
from tests.clients.programs import MODULES, Program
from tests.clients.world import DEMO_ADMIN, DEMO_KEY, DEMO_WORKSPACE, serving

pytestmark = pytest.mark.slow

ANTHROPIC, CHAT, REASONER = "anthropic/claude-sonnet-4-5", "mistral/mistral-large-2512", "deepseek/deepseek-reasoner"
MACHINE = {"x86_64": "x64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "unknown")
FOUND = sorted(MODULES.glob(f"@openai/codex-{platform.system().lower()}-{MACHINE}/vendor/*/bin/codex"))

if not FOUND:
    pytest.skip("Codex is not installed for this machine: run `npm ci` in tests/clients", allow_module_level=True)

PROGRAM = FOUND[0]
CONFIGURATION = """model = "{model}"
model_provider = "tidegate"

[features]
api_key_model_discovery = true

[model_providers.tidegate]
name = "{name}"
base_url = "{url}"
model_catalog_url = "{url}/models"
env_key = "TIDEGATE_API_KEY"
wire_api = "responses"
"""
ADDED = """*** Begin Patch
*** Add File: a.txt
+one "tide"
*** End Patch
"""
UPDATED = """*** Begin Patch
*** Update File: a.txt
@@
-one "tide"
+two
*** End Patch
"""


@dataclass(frozen=True)
class Agent:
    """Codex in a folder of its own, at one gateway."""

    actor: Actor
    gateway: Program
    root: str
    folder: Path

    def run(
        self, model: str, prompt: str, *words: str, base: str = "/v1", key: str = DEMO_KEY, name: str = "Tidegate"
    ) -> tuple[int, list[Any]]:
        """Run a task without a person; return Codex's exit code and its events."""
        work, home = self.folder / "work", self.folder / "codex"
        work.mkdir(exist_ok=True)
        home.mkdir(exist_ok=True)
        (home / "config.toml").write_text(CONFIGURATION.format(model=model, url=self.root + base, name=name))
        done = subprocess.run(
            [str(PROGRAM), "exec", "--json", "--skip-git-repo-check", "-s", "danger-full-access", *words, prompt],
            cwd=work,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "CODEX_HOME": str(home)}
            | {"TIDEGATE_API_KEY": key},
            text=True,
            capture_output=True,
            timeout=90,
            check=False,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    def file(self, name: str) -> Path:
        return self.folder / "work" / name


@pytest.fixture(scope="module")
def gateway() -> Iterator[tuple[Actor, Program, str]]:
    with serving_actor("mistral", "deepseek") as gateway:
        yield gateway


@pytest.fixture
def agent(gateway: tuple[Actor, Program, str], tmp_path: Path) -> Agent:
    return Agent(*gateway, tmp_path)


def items(events: list[Any], kind: str) -> list[Any]:
    """The items of one kind that Codex has completed."""
    done = [event["item"] for event in events if event["type"] == "item.completed"]
    return [item for item in done if item["type"] == kind]


@pytest.mark.parametrize("model", [ANTHROPIC, CHAT, REASONER])
def test_a_task_with_edits_over_several_turns_is_done(agent: Agent, model: str) -> None:
    agent.actor.plays(
        Turn("I write it.", "A new file.", (("apply_patch", {"input": ADDED}),)),
        Turn("", "Now the edit.", (("apply_patch", {"input": UPDATED}),)),
        Turn("", "Two commands.", (("exec_command", {"cmd": "cat a.txt"}), ("exec_command", {"cmd": "echo here"}))),
        Turn("Done: two."),
    )
    code, events = agent.run(model, "Write a.txt")
    assert (code, agent.file("a.txt").read_text()) == (0, "two\n")
    assert [item["text"] for item in items(events, "agent_message")] == ["I write it.", "Done: two."]
    assert [item["text"] for item in items(events, "reasoning")] == ["A new file.", "Now the edit.", "Two commands."]
    assert sorted(item["aggregated_output"] for item in items(events, "command_execution")) == ["here\n", "two\n"]
    assert [change["kind"] for item in items(events, "file_change") for change in item["changes"]] == ["add", "update"]
    assert (events[-1]["type"], events[-1]["usage"]["output_tokens"]) == ("turn.completed", 80)
    assert items(events, "error") == []
    turns = agent.actor.requests[-1][2]["messages"]
    if model == ANTHROPIC:
        thoughts = [block for turn in turns for block in turn["content"] if block["type"] == "thinking"]
        assert [(block["thinking"], block["signature"]) for block in thoughts] == [
            (text, SIGNATURE) for text in ("A new file.", "Now the edit.", "Two commands.")
        ]
    if model == REASONER:
        thoughts = [turn.get("reasoning_content") for turn in turns if turn["role"] == "assistant"]
        assert thoughts == ["A new file.", "Now the edit.", "Two commands."]


def test_a_provider_of_responses_gets_codexs_own_request(agent: Agent) -> None:
    """The provider is a second gateway, to which the first one passes on all as it is."""
    row = {"name": "harbour", "base_url": f"{agent.root}/v1", "key": "HARBOUR_API_KEY", "quirks": "openai"}
    env = {"TIDEGATE_PROVIDERS": json.dumps([row]), "HARBOUR_API_KEY": DEMO_KEY}
    agent.actor.plays(
        Turn("I write it.", calls=(("apply_patch", {"input": ADDED}),)),
        Turn("The tide comes in", cut=True),
        Turn("Done."),
    )
    with serving("--store", "memory", env=env) as (program, port):
        first = Agent(agent.actor, program, f"http://127.0.0.1:{port}", agent.folder)
        code, events = first.run(f"harbour/{CHAT}", "Write a.txt")
    assert (code, agent.file("a.txt").read_text(), program.err) == (0, 'one "tide"\n', [])
    assert items(events, "agent_message")[-1]["text"] == "Done."
    assert events[-1]["usage"]["output_tokens"] == 40
    calls = [json.loads(line) for line in agent.gateway.out if "call.settled" in line]
    assert [call["endpoint"] for call in calls[-3:]] == ["/v1/responses"] * 3


def test_an_interrupted_stream_is_asked_for_again(agent: Agent) -> None:
    agent.actor.plays(Turn("The tide comes in", cut=True), Turn("The tide is here."))
    code, events = agent.run(CHAT, "Say it")
    assert (code, len(agent.actor.requests)) == (0, 2)
    assert items(events, "agent_message")[-1]["text"] == "The tide is here."


def test_the_model_sees_an_image_that_codex_looks_at(agent: Agent) -> None:
    work = agent.folder / "work"
    work.mkdir()
    (work / "a.png").write_bytes(base64.b64decode(DOT))
    agent.actor.plays(Turn(calls=(("view_image", {"path": str(work / "a.png")}),)), Turn("A dot."))
    code, events = agent.run(ANTHROPIC, "Look at a.png")
    assert (code, items(events, "agent_message")[-1]["text"]) == (0, "A dot.")
    assert '"media_type": "image/png"' in json.dumps(agent.actor.requests[-1][2]["messages"])


@pytest.mark.parametrize("model", [ANTHROPIC, CHAT])
@pytest.mark.parametrize("name", ["Tidegate", "OpenAI"])
def test_codex_compacts_a_long_conversation_itself_or_has_it_compacted(agent: Agent, model: str, name: str) -> None:
    """It asks a provider that it takes for OpenAI for an item with the summary, and any other one for a text."""
    agent.actor.plays(
        Turn("I look.", read=250_000, calls=(("exec_command", {"cmd": "echo blue"}),)),
        Turn("Done."),
        Turn("Blue."),
        aside="The colour is blue.",
    )
    code, events = agent.run(model, "Which colour?", "-c", "model_auto_compact_token_limit=100000", name=name)
    assert (code, items(events, "agent_message")[-1]["text"], items(events, "error")) == (0, "Done.", [])
    (asked,) = (json.dumps(request[2]["messages"]) for request in agent.actor.asides)
    sent = json.dumps(agent.actor.requests[-1][2]["messages"])
    assert ("I look." in asked, "I look." in sent) == (True, False)
    assert "Which colour?" in sent and "The colour is blue." in sent
    code, events = agent.run(model, "Which?", "resume", "--last", name=name)
    assert (code, items(events, "agent_message")[-1]["text"]) == (0, "Blue.")
    sent = json.dumps(agent.actor.requests[-1][2]["messages"])
    assert "The colour is blue." in sent and "I look." not in sent


def test_the_base_url_may_lack_the_version(agent: Agent) -> None:
    agent.actor.plays(Turn("Hello."))
    code, events = agent.run(CHAT, "Hi", base="")
    assert (code, items(events, "agent_message")[-1]["text"], items(events, "error")) == (0, "Hello.", [])


def test_an_answer_conforms_to_a_schema(agent: Agent, tmp_path: Path) -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    (tmp_path / "schema.json").write_text(json.dumps(schema))
    agent.actor.plays(Turn('{"a": "b"}'))
    code, events = agent.run(CHAT, "Hi", "--output-schema", str(tmp_path / "schema.json"))
    assert (code, items(events, "agent_message")[-1]["text"]) == (0, '{"a": "b"}')
    assert agent.actor.requests[0][2]["response_format"]["json_schema"]["schema"] == schema


def test_the_person_sees_that_the_budget_is_used_up(agent: Agent) -> None:
    agent.actor.plays(Turn("Not reached."))
    code, events = agent.run(ANTHROPIC, "Hi", key=poor_key(agent))
    assert (code, agent.actor.requests) == (1, [])
    # Codex has words of its own for the code "insufficient_quota", and does not ask again.
    assert events[-1]["error"]["message"] == "Quota exceeded. Check your plan and billing details."
    assert [event["type"] for event in events].count("error") == 1


def poor_key(agent: Agent) -> str:
    """A key whose budget does not suffice for one call."""
    headers = {"authorization": f"Bearer {DEMO_ADMIN}", "content-type": "application/json"}
    limits = {"usd_per_month": "0.000001"}
    body = json.dumps({"name": "poor", "workspace_ids": [DEMO_WORKSPACE], "limits": limits}).encode()
    with urlopen(Request(f"{agent.root}/admin/v1/keys", body, headers), timeout=30) as reply:
        return json.load(reply)["secret"]

"""Claude Code, unmodified, in front of providers in Anthropic's dialect and in OpenAI's."""

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

from tests.clients.actor import DOT, SIGNATURE, Actor, Turn, acting
from tests.clients.programs import MODULES
from tests.clients.world import DEMO_ADMIN, DEMO_KEY, DEMO_WORKSPACE, serving

pytestmark = pytest.mark.slow

ANTHROPIC, OPENAI, REASONER = "anthropic/claude-sonnet-4-5", "openai/gpt-4.1-mini", "deepseek/deepseek-reasoner"
EVERY_DIALECT = pytest.mark.parametrize("model", [ANTHROPIC, OPENAI])
SUMMARY = "<analysis>Short.</analysis><summary>The colour is blue.</summary>"
TOO_LONG = "This model's maximum context length is 128000 tokens. However, your messages resulted in 195000 tokens."
MACHINE = {"x86_64": "x64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "unknown")
PROGRAM = MODULES / f"@anthropic-ai/claude-code-{platform.system().lower()}-{MACHINE}/claude"

if not PROGRAM.exists():
    pytest.skip("Claude Code is not installed for this machine: run `npm ci` in tests/clients", allow_module_level=True)


@dataclass(frozen=True)
class Agent:
    """Claude Code in a folder of its own, at one gateway."""

    actor: Actor
    url: str
    folder: Path

    def run(self, model: str, prompt: str, *words: str, stdin: str = "", **env: str) -> tuple[int, Any]:
        """Run a task in print mode; return its exit code and its last message, "result"."""
        work = self.folder / "work"
        work.mkdir(exist_ok=True)
        own = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "ANTHROPIC_BASE_URL": self.url,
            "ANTHROPIC_AUTH_TOKEN": DEMO_KEY,
            "ANTHROPIC_MODEL": model,
            "ANTHROPIC_DEFAULT_HAIKU_MODEL": model,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
        }
        options = ["--output-format", "stream-json", "--verbose", "--permission-mode", "acceptEdits"]
        asked = [prompt] if prompt else ["--input-format", "stream-json"]
        done = subprocess.run(
            [str(PROGRAM), "-p", *asked, *options, *words, "--allowedTools", "Write,Edit,Read"],
            cwd=work,
            env=own | env,
            text=True,
            capture_output=True,
            timeout=60,
            check=False,
            input=stdin,
            start_new_session=True,
        )
        return done.returncode, json.loads(done.stdout.splitlines()[-1])

    def file(self, name: str) -> Path:
        return self.folder / "work" / name


def settings(actor: Actor) -> dict[str, str]:
    base = f"http://127.0.0.1:{actor.port}"
    env = {"ANTHROPIC_BASE_URL": base, "ANTHROPIC_API_KEY": "not-a-key-anthropic"}
    for name in ("OPENAI", "DEEPSEEK"):
        env |= {f"{name}_BASE_URL": f"{base}/v1", f"{name}_API_KEY": f"not-a-key-{name}"}
    return env


@pytest.fixture(scope="module")
def gateway() -> Iterator[tuple[Actor, str]]:
    with acting() as actor, serving("--store", "memory", env=settings(actor)) as (program, port):
        yield actor, f"http://127.0.0.1:{port}"
    assert program.err == []


@pytest.fixture
def agent(gateway: tuple[Actor, str], tmp_path: Path) -> Agent:
    return Agent(*gateway, tmp_path)


def limit_workspace(agent: Agent, **limits: str) -> None:
    """Set limits before the gateway's first call: later changes take up to a minute."""
    headers = {"authorization": f"Bearer {DEMO_ADMIN}", "content-type": "application/json", "if-match": "*"}
    url = f"{agent.url}/admin/v1/workspaces/{DEMO_WORKSPACE}?force=true"
    with urlopen(Request(url, json.dumps({"limits": limits}).encode(), headers, method="PATCH"), timeout=30) as reply:
        assert reply.status == 200


@pytest.mark.parametrize("model", [ANTHROPIC, OPENAI, REASONER])
def test_a_task_with_edits_over_several_turns_is_done(agent: Agent, model: str) -> None:
    path = str(agent.file("a.txt"))
    edit = {"file_path": path, "old_string": "one", "new_string": "two"}
    thinks = model != OPENAI
    agent.actor.plays(
        Turn("I write it.", "A new file." if thinks else "", (("Write", {"file_path": path, "content": "one\n"}),)),
        Turn("", "Now the edit." if thinks else "", (("Edit", edit), ("Read", {"file_path": path}))),
        Turn("Done: two."),
    )
    code, result = agent.run(model, "Write a.txt")
    assert (code, result["result"], result["is_error"]) == (0, "Done: two.", False)
    assert agent.file("a.txt").read_text() == "two\n"
    assert (result["usage"]["output_tokens"], len(agent.actor.requests)) == (60, 3)
    turns = agent.actor.requests[-1][2]["messages"]
    text = json.dumps(turns)
    assert "File created successfully" in text and "has been updated" in text
    if model == ANTHROPIC:
        assert [block for turn in turns for block in turn["content"] if block["type"] == "thinking"] == [
            {"type": "thinking", "thinking": thought, "signature": SIGNATURE}
            for thought in ("A new file.", "Now the edit.")
        ]
    if model == REASONER:
        thoughts = [turn.get("reasoning_content") for turn in turns if turn["role"] == "assistant"]
        assert thoughts == ["A new file.", "Now the edit."]


@EVERY_DIALECT
def test_the_model_sees_an_image_that_claude_code_reads(agent: Agent, model: str) -> None:
    agent.file("a.png").parent.mkdir()
    agent.file("a.png").write_bytes(base64.b64decode(DOT))
    agent.actor.plays(Turn(calls=(("Read", {"file_path": str(agent.file("a.png"))}),)), Turn("A dot."))
    code, result = agent.run(model, "Look at a.png")
    assert (code, result["result"]) == (0, "A dot.")
    last = agent.actor.requests[-1][2]["messages"][-1]["content"]
    if model == ANTHROPIC:
        assert last[0]["content"][0]["source"] == {"type": "base64", "media_type": "image/png", "data": DOT}
    else:  # after the results of tools, which hold text alone
        assert last[-1] == {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{DOT}"}}


def test_the_model_sees_an_image_that_the_person_pastes(agent: Agent) -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": DOT}}
    message = {"role": "user", "content": [image, {"type": "text", "text": "What is it?"}]}
    agent.actor.plays(Turn("A dot."))
    code, result = agent.run(OPENAI, "", stdin=json.dumps({"type": "user", "message": message}) + "\n")
    assert (code, result["result"]) == (0, "A dot.")
    (user,) = [turn for turn in agent.actor.requests[0][2]["messages"] if turn["role"] == "user"]
    assert {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{DOT}"}} in user["content"]
    assert "What is it?" in json.dumps(user)


def is_compacted(agent: Agent) -> bool:
    """Whether the last request has a summary in place of the first turn, and the one before it asked for one."""
    asking, last = (json.dumps(request[2]["messages"]) for request in agent.actor.requests[-2:])
    asked = "Remember blue" in asking and "<summary>" in asking
    return asked and "The colour is blue." in last and "Remember blue" not in last


def two_turns(agent: Agent, model: str) -> str:
    """Talk for two turns, as a compaction needs; return the session's id."""
    session = agent.run(model, "Remember blue")[1]["session_id"]
    agent.run(model, "Say two", "--resume", session)
    return session


@EVERY_DIALECT
def test_a_person_compacts_the_conversation(agent: Agent, model: str) -> None:
    agent.actor.plays(Turn("Yes."), Turn("Two."), Turn(SUMMARY), Turn("Blue."))
    session = two_turns(agent, model)
    code, result = agent.run(model, "/compact", "--resume", session)
    assert (code, result["is_error"], len(agent.actor.requests)) == (0, False, 3)
    code, result = agent.run(model, "Which colour?", "--resume", session)
    assert (code, result["result"], is_compacted(agent)) == (0, "Blue.", True)


@pytest.mark.parametrize("model", [ANTHROPIC, OPENAI, REASONER])
def test_claude_code_compacts_a_conversation_that_is_too_long_for_the_model(agent: Agent, model: str) -> None:
    error = {"type": "invalid_request_error", "code": "context_length_exceeded", "message": TOO_LONG}
    if model == ANTHROPIC:
        error = {"type": "invalid_request_error", "message": "prompt is too long: 205000 tokens > 200000 maximum"}
    refused = Turn(status=400, error={"type": "error", "error": error})
    agent.actor.plays(Turn("Yes."), Turn("Two."), refused, Turn(SUMMARY), Turn("Blue."))
    code, result = agent.run(model, "Which colour?", "--resume", two_turns(agent, model))
    assert (code, result["result"], len(agent.actor.requests), is_compacted(agent)) == (0, "Blue.", 5, True)


def test_claude_code_asks_for_a_shorter_answer_if_the_prompt_leaves_no_room_for_it(agent: Agent) -> None:
    counts = "However, you requested 52000 tokens (20000 in the messages, 32000 in the completion)."
    message = f"This model's maximum context length is 40000 tokens. {counts}"
    error = {"error": {"message": message, "type": "invalid_request_error", "code": "context_length_exceeded"}}
    agent.actor.plays(Turn(status=400, error=error), Turn("Hello."))
    code, result = agent.run(OPENAI, "Hi")
    assert (code, result["result"]) == (0, "Hello.")
    assert [request[2]["max_tokens"] for request in agent.actor.requests] == [32_000, 19_000]


@EVERY_DIALECT
def test_claude_code_compacts_before_the_end_of_a_smaller_window(agent: Agent, model: str) -> None:
    """It goes by the tokens that the gateway reports."""
    agent.actor.plays(Turn("Yes."), Turn("Two.", read=120_000), Turn(SUMMARY), Turn("Blue."))
    session, window = two_turns(agent, model), {"CLAUDE_CODE_AUTO_COMPACT_WINDOW": "128000"}
    code, result = agent.run(model, "Which colour?", "--resume", session, **window)
    assert (code, result["result"], len(agent.actor.requests), is_compacted(agent)) == (0, "Blue.", 4, True)


def test_what_claude_code_sends_reaches_anthropic_unchanged(agent: Agent) -> None:
    agent.actor.plays(Turn("Hello."))
    agent.run(ANTHROPIC, "Hi")
    _, headers, body = agent.actor.requests[0]
    assert (body["model"], headers["x-api-key"]) == ("claude-sonnet-4-5", "not-a-key-anthropic")
    assert "claude-code-20250219" in headers["anthropic-beta"]
    assert {"system", "tools", "thinking", "context_management", "metadata"} <= body.keys()
    assert body["system"][0]["text"].startswith("x-anthropic-billing-header")
    assert not [name for name in headers if name.startswith("x-claude-code") or name == "authorization"]


@pytest.mark.parametrize("model", [ANTHROPIC, REASONER])
def test_an_interrupted_stream_is_asked_for_again_and_the_task_is_done(agent: Agent, model: str) -> None:
    agent.actor.plays(Turn("The tide comes in", cut=True), Turn("The tide is here."), Turn("The tide is here."))
    code, result = agent.run(model, "Say it")
    assert (code, result["result"]) == (0, "The tide is here.")


def test_an_error_of_anthropics_reaches_the_person_in_its_own_words(agent: Agent) -> None:
    error = {"type": "invalid_request_error", "message": "messages.0: this is what Anthropic says"}
    agent.actor.plays(*[Turn(status=400, error={"type": "error", "error": error})] * 3)
    code, result = agent.run(ANTHROPIC, "Hi")
    assert (code, result["is_error"]) == (1, True)
    assert "messages.0: this is what Anthropic says" in result["result"]


def test_the_person_sees_whose_budget_is_used_up_and_when_it_resets(tmp_path: Path) -> None:
    with acting() as actor, serving("--store", "memory", env=settings(actor)) as (_, port):
        agent = Agent(actor, f"http://127.0.0.1:{port}", tmp_path)
        limit_workspace(agent, usd_per_month="0.000001")
        actor.plays(Turn("Not reached."))
        code, result = agent.run(ANTHROPIC, "Hi")
    assert (code, result["is_error"], actor.requests) == (1, True, [])
    assert "Tidegate: This workspace's limit usd_per_month" in result["result"]
    assert "resets at" in result["result"]

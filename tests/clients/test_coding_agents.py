"""opencode and Continue's CLI, unmodified, set up by `tidegate connect`, in front of providers of two dialects."""

import base64
import json
import os
import platform
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.clients.actor import DOT, Actor, Turn, serving_actor
from tests.clients.programs import MODULES, finished, tidegate
from tests.clients.world import DEMO_KEY

pytestmark = pytest.mark.slow

ANTHROPIC, CHAT = "anthropic/claude-sonnet-4-5", "mistral/mistral-large-2512"
models = pytest.mark.parametrize("model", [ANTHROPIC, CHAT])
MACHINE = {"x86_64": "x64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "unknown")
OPENCODE = MODULES / f"opencode-{platform.system().lower()}-{MACHINE}/bin/opencode"
CONTINUE = MODULES / "@continuedev/cli/dist/cn.js"
QUIET = {
    "OPENCODE_DISABLE_MODELS_FETCH": "1",
    "OPENCODE_DISABLE_AUTOUPDATE": "1",
    "CONTINUE_METRICS_ENABLED": "0",
    "CONTINUE_TELEMETRY_ENABLED": "0",
    "npm_config_offline": "true",
}
"""Keeps both from calling home, and opencode from installing what plugins need."""


@dataclass(frozen=True)
class Home:
    """The home folder of a person who uses one of them at a gateway, and has run `tidegate connect`."""

    actor: Actor
    url: str
    folder: Path

    @property
    def work(self) -> Path:
        return self.folder / "work"

    def connect(self, client: str, model: str) -> None:
        words = ("--url", self.url, "--key", DEMO_KEY, "--model", model, "--home", str(self.folder), "--write")
        done = finished(*tidegate("connect", client, *words))
        assert done.returncode == 0, done.stderr
        self.work.mkdir()

    def run(self, *command: str) -> str:
        """Run a task without a person; return what was said."""
        done = subprocess.run(
            command,
            cwd=self.work,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "TIDEGATE_API_KEY": DEMO_KEY, **QUIET},
            text=True,
            capture_output=True,
            timeout=120,
            check=False,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def gateway() -> Iterator[tuple[Actor, str]]:
    with serving_actor("mistral") as (actor, _, url):
        yield actor, url


@pytest.fixture
def home(gateway: tuple[Actor, str], tmp_path: Path) -> Home:
    return Home(*gateway, tmp_path)


def sent(home: Home) -> str:
    return json.dumps(home.actor.requests[-1][2]["messages"])


@pytest.mark.skipif(
    not OPENCODE.exists(), reason="opencode is not installed for this machine: run `npm ci` in tests/clients"
)
def test_opencode_edits_files_shows_an_image_and_compacts_the_conversation(home: Home) -> None:
    home.connect("opencode", ANTHROPIC)
    (home.work / "a.png").write_bytes(base64.b64decode(DOT))
    path = str(home.work / "a.txt")
    home.actor.plays(
        Turn("I write it.", "A new file.", (("write", {"filePath": path, "content": "one\n"}),)),
        Turn("", "Now the edit.", (("edit", {"filePath": path, "oldString": "one", "newString": "two"}),)),
        Turn("", "", (("read", {"filePath": str(home.work / "a.png")}), ("bash", {"command": "cat a.txt"}))),
        Turn("", "", (("bash", {"command": "echo end"}),), read=195_000),
        Turn("Done: two."),
        aside="The file says two.",
    )
    said = home.run(str(OPENCODE), "run", "--format", "json", "--model", f"tidegate/{ANTHROPIC}", "Write a.txt")
    events: list[Any] = [json.loads(line) for line in said.splitlines()]
    texts = [event["part"]["text"] for event in events if event["type"] == "text"]
    assert (texts[0], texts[-1], (home.work / "a.txt").read_text()) == ("I write it.", "Done: two.", "two\n")
    steps = [event["part"]["tokens"] for event in events if event["type"] == "step_finish"]
    assert [step["input"] for step in steps] == [100, 100, 100, 195_000, 100, 100]  # the last but one: the summary
    seen = json.dumps(home.actor.requests[3][2]["messages"])
    assert DOT in seen and "two\\n" in seen
    assert "The file says two." in sent(home) and "I write it." not in sent(home)


@models
@pytest.mark.skipif(not CONTINUE.exists(), reason="Continue's CLI is not installed: run `npm ci` in tests/clients")
def test_continue_edits_files_over_several_turns(home: Home, model: str) -> None:
    home.connect("continue", model)
    path = str(home.work / "a.txt")
    edit = {"old_string": "one", "new_string": "two"}
    home.actor.plays(
        Turn("I write it.", "A new file.", (("Write", {"filepath": path, "content": "one\n"}),)),
        Turn("", "", (("Read", {"filepath": path}),)),
        Turn("", "", (("MultiEdit", {"file_path": path, "edits": [edit]}), ("Bash", {"command": "cat a.txt"}))),
        Turn("Done: two."),
    )
    config = str(home.folder / ".continue/config.yaml")
    assert "Done: two." in home.run("node", str(CONTINUE), "--config", config, "--auto", "-p", "Write a.txt")
    assert (home.work / "a.txt").read_text() == "two\n"
    assert len(home.actor.requests) == 4 and "two\\n" in sent(home)

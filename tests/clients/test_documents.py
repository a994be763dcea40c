"""The requests that documents show, sent with a shell to a server with a data folder."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.programs import environment
from tests.clients.world import DEMO_KEY, serving

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "infra/DEPLOY.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(?:sh|bash)\n(.*?)^```", re.M | re.S)


def commands(document: Path) -> list[str]:
    """The commands in the document's blocks; a line that ends with a backslash or within quotes goes on."""
    found: list[str] = []
    for block in BLOCK.findall(document.read_text()):
        lines = ""
        for line in block.splitlines():
            lines += line
            if is_whole(lines):
                found.append(lines)
                lines = ""
            else:
                lines += "\n"
        assert not lines, f"{document.name}: {lines}"
    return [command for command in found if command.strip()]


def is_whole(lines: str) -> bool:
    try:
        shlex.split(lines, comments=True)
    except ValueError:
        return False
    return not lines.endswith("\\")


REQUESTS = [
    pytest.param(command, id=f"{document.name}-{number}")
    for document in DOCUMENTS
    for number, command in enumerate(commands(document))
    if command.startswith("curl ") and '"demo/' in command
]


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serving() as (_, port):
        yield port


def test_documents_show_requests() -> None:
    assert len(REQUESTS) >= 6


@pytest.mark.parametrize("command", REQUESTS)
def test_a_request_is_answered(command: str, port: int) -> None:
    assert "127.0.0.1:8000" in command
    line = command.replace("127.0.0.1:8000", f"127.0.0.1:{port}").replace("curl ", "curl --silent --fail-with-body ", 1)
    env = environment({"KEY": DEMO_KEY})
    done = subprocess.run(["sh", "-c", line], env=env, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"choices"' in done.stdout or '"tidegate.dry_run"' in done.stdout


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_a_shell_understands_every_block(document: Path) -> None:
    for block in BLOCK.findall(document.read_text()):
        done = subprocess.run(["sh", "-n"], input=block, capture_output=True, text=True)
        assert done.returncode == 0, block + done.stderr

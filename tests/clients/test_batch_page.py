"""The commands and programs of docs/BATCH.md, run as a reader would, beside a server of their own."""

import argparse
import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.programs import environment
from tests.clients.world import DEMO_ENV, DEMO_KEY, DEMO_WORKSPACE, serving
from tests.documents import blocks
from tidegate.cli.batch import add_parser

pytestmark = pytest.mark.slow

PAGE = "docs/BATCH.md"
SHELL = [block for block in blocks(PAGE, "sh") if "aws " not in block]
PROGRAMS = blocks(PAGE, "python")


@dataclass(frozen=True)
class Reader:
    """Somebody with a shell in a folder of their own, who has started a server."""

    folder: Path
    port: int
    env: dict[str, str]

    def run(self, block: str) -> str:
        """What the commands of a block print. All of them must succeed."""
        env = environment({"TIDEGATE_DATA": str(self.folder / "data"), **self.env})
        env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"
        words = block.replace(". .venv/bin/activate", "true").replace("127.0.0.1:8000", f"127.0.0.1:{self.port}")
        words = words.replace("export DROP=…/objects", f"export DROP={self.folder}/data/objects")
        words = words.replace("curl ", "curl --silent --fail-with-body ")
        done = subprocess.run(
            ["sh", "-e", "-c", words], cwd=self.folder, env=env, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    with serving(env={"TIDEGATE_DATA": str(tmp_path / "data")}) as (_, port):
        yield Reader(tmp_path, port, {})


@pytest.fixture
def reader_with_bucket(tmp_path: Path) -> Iterator[Reader]:
    with serving("--store", "embedded", "--embedded-port", "0") as (_, port):
        yield Reader(
            tmp_path,
            port,
            {"TIDEGATE_URL": f"http://127.0.0.1:{port}/v1", "TIDEGATE_API_KEY": DEMO_ENV["TIDEGATE_DEMO_KEY"]},
        )


def test_the_commands_do_what_the_page_says(reader: Reader) -> None:
    tried, dropped, listed, webhook, records, half_price = (
        reader.run(block) for block in SHELL if "$TIDEGATE_URL" not in block
    )
    assert "2 completed, 0 failed" in tried
    results = (reader.folder / "results" / "requests.output.jsonl").read_text().splitlines()
    for lines in (results, dropped.splitlines()):
        assert [json.loads(line)["custom_id"] for line in lines] == ["a", "b"]
    assert listed.count("completed") >= 3  # the three batches so far
    assert sum(" batch " in line for line in records.splitlines()) == 3  # a part of each
    assert "Webhooks of ws_demo are signed with it" in webhook
    assert "Changed workspace ws_demo" in half_price


def test_a_file_goes_to_the_bucket_by_a_url(reader_with_bucket: Reader) -> None:
    (block,) = [block for block in SHELL if "$TIDEGATE_URL" in block]
    (reader_with_bucket.folder / "requests.jsonl").write_text('{"custom_id": "a"}\n')
    said = reader_with_bucket.run(block + '\ncurl "$TIDEGATE_URL/files" -H "Authorization: Bearer $TIDEGATE_API_KEY"')
    (file,) = json.loads(said)["data"]
    assert (file["filename"], file["bytes"]) == ("requests.jsonl", 19)


def test_the_programs_do_what_the_page_says(reader: Reader) -> None:
    reader.run(SHELL[0].partition("tidegate ")[0])  # the file of requests
    program = "\n".join(PROGRAMS).replace("sk-tidegate-…", DEMO_KEY)
    wait = "\nprint(client.batches.retrieve(batch.id).input_file_id == upload.file.id)"
    said = reader.run(f"{shlex.quote(sys.executable)} - <<'END'\n{program}{wait}\nEND\n")
    first, *lines, same = said.splitlines()
    assert first.startswith("completed BatchRequestCounts(completed=3, failed=0, total=3)")
    assert [json.loads(line)["custom_id"] for line in lines if line] == ["line-0", "line-1", "line-2"]
    assert same == "True"


def test_the_command_line_has_the_options_that_the_page_shows() -> None:
    (synopsis,) = blocks(PAGE, "")[:1]
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers(), "batch", "")
    for line in synopsis.splitlines():
        options = parser.parse_args(shlex.split(line.replace("[", "").replace("]", ""))[1:])
        assert callable(options.command), line
    assert DEMO_WORKSPACE in "".join(SHELL)

"""What docs/SELF-HOSTING.md tells an operator to use: the unit, the container file, and a backup."""

import argparse
import asyncio
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.import_graph import ROOT
from tidegate.aws.expressions import Put
from tidegate.aws.store import Store
from tidegate.local import serve
from tidegate.local.serve import choose_store
from tidegate.sqlite.client import SqliteClient
from tidegate.sqlite.folder import DataFolder

FILES = ROOT / "infra" / "self-hosting"
DOCUMENT = (ROOT / "docs" / "SELF-HOSTING.md").read_text()


def parse(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    serve.add_parser(parser.add_subparsers(), "serve", "")
    return parser.parse_args(words)


def unit(name: str) -> str:
    [value] = re.findall(rf"^{name}=(.*)$", (FILES / "tidegate.service").read_text(), re.MULTILINE)
    return value


def test_the_unit_serves_its_data_folder_to_this_machine_alone() -> None:
    program, *words = shlex.split(unit("ExecStart"))
    name, _, folder = unit("Environment").partition("=")
    options = parse(words)
    choice = choose_store(options, {name: folder})
    assert (Path(program).name, options.host) == ("tidegate", "127.0.0.1")
    assert (choice.store, choice.folder.path, choice.has_demo) == ("local", Path("/var/lib/tidegate"), False)
    assert Path(folder) == Path("/var/lib") / unit("StateDirectory")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd")
def test_systemd_reads_the_unit(tmp_path: Path) -> None:
    text = (FILES / "tidegate.service").read_text().replace("/opt/tidegate/bin/tidegate", "/bin/true")
    (tmp_path / "tidegate.service").write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", str(tmp_path / "tidegate.service")], capture_output=True, text=True, check=False
    )
    assert "tidegate.service:" not in done.stderr


def test_the_container_file_copies_what_is_there_and_serves_its_volume() -> None:
    text = (FILES / "Containerfile").read_text()
    sources = [word for line in re.findall(r"^COPY (.*) \S+$", text, re.MULTILINE) for word in line.split()]
    assert [name for name in sources if not (ROOT / name).exists()] == []
    assert re.findall(r"^FROM (.*)$", text, re.MULTILINE) == ["python:3.13-slim"]
    [command] = re.findall(r"^CMD \[(.*)\]$", text, re.MULTILINE)
    choice = choose_store(parse([word.strip().strip('"') for word in command.split(",")]), {"TIDEGATE_DATA": "/data"})
    assert (choice.store, choice.folder.path, choice.has_demo) == ("local", Path("/data"), False)


def test_every_file_that_the_document_names_is_there() -> None:
    names = set(re.findall(r"\b(?:infra|docs)/[\w./-]+\w", DOCUMENT))
    assert {path.name for path in FILES.iterdir()} <= {Path(name).name for name in names}
    assert [name for name in names if not (ROOT / name).exists()] == []


@pytest.mark.skipif(shutil.which("sqlite3") is None, reason="no sqlite3")
async def test_the_documents_backup_of_a_running_server_can_be_restored(tmp_path: Path) -> None:
    block = DOCUMENT.partition("While the server runs:")[2].partition("```sh\n")[2].partition("```")[0]
    folder = DataFolder(tmp_path / "data")
    folder.create()
    (folder.objects / "cache").mkdir(parents=True)
    (folder.objects / "cache" / "one").write_bytes(b"reply")
    client = SqliteClient(folder.database)
    await Store(client, "table").put(Put("table", {"pk": "P", "sk": "S"}))
    script = block.replace("/var/lib/tidegate", str(folder.path)).replace("/backup", str(tmp_path / "backup"))
    await asyncio.to_thread(subprocess.run, ["sh", "-ec", script], check=True, env={"PATH": os.environ["PATH"]})
    await Store(client, "table").put(Put("table", {"pk": "P", "sk": "later"}))
    client.close()
    restored = SqliteClient(tmp_path / "backup" / "tidegate.db")
    assert [item["sk"] for item in await Store(restored, "table").query("P", "")] == ["S"]
    restored.close()
    assert (tmp_path / "backup" / "objects" / "cache" / "one").read_bytes() == b"reply"
    assert (tmp_path / "backup" / "tidegate.db").stat().st_mode & 0o077 == 0

"""Commands find the data folder, whether a server runs or not, and the table of a running server of any store."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.terminal import Said, Terminal, parse
from tests.store_worlds import NOON
from tidegate.cli import commands
from tidegate.cli.connection import find_store
from tidegate.cli.main import READER_GONE
from tidegate.errors import ConfigurationError
from tidegate.sqlite.database import MIGRATIONS, open_database
from tidegate.sqlite.folder import DataFolder, RunningServer, find_data_folder

OPTIONS = ("workspaces", "list")


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    """A data folder that a server has used."""
    made = DataFolder(tmp_path / "data")
    made.create()
    open_database(made.database).close()
    return made


@pytest.fixture
def tidegate(folder: DataFolder, capsys: pytest.CaptureFixture[str]) -> Terminal:
    def typed(*words: str, **env: str) -> Said:
        code = commands.run(parse(*words), {"TIDEGATE_DATA": str(folder.path), **env}, lambda: NOON)
        return Said(code, *capsys.readouterr())

    return typed


def server(store: str, pid: int | None = None, **fields: Any) -> RunningServer:
    return RunningServer(os.getpid() if pid is None else pid, "http://127.0.0.1:8123", store, **fields)


def test_what_one_command_makes_the_next_one_finds(tidegate: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    tidegate("workspaces", "create", "Harbour", "--id", "ws_harbour", "--limits", "usd_per_month=5")
    key = json.loads(tidegate("keys", "create", "--workspace", "ws_harbour", "--json").out)
    monkeypatch.setattr("sys.stdin", io.StringIO("a-key-of-its-own"))
    assert tidegate("workspaces", "credentials", "put", "ws_harbour", "GROQ_API_KEY").code == 0
    assert "GROQ_API_KEY" in tidegate("workspaces", "credentials", "list", "ws_harbour").out
    [listed] = json.loads(tidegate("keys", "list", "--workspace", "ws_harbour", "--json").out)
    assert listed["id"] == key["id"]
    shown = json.loads(tidegate("workspaces", "show", "ws_harbour", "--json").out)
    assert shown["limits"] == {"usd_per_month": "5"}
    assert "ws_harbour" in tidegate("usage", "audit").out


def test_the_contents_of_files_are_deleted_with_their_workspace(tidegate: Terminal, folder: DataFolder) -> None:
    contents = [folder.objects / f"{kind}/ws_harbour/file-1" for kind in ("files", "uploads", "batches", "workspaces")]
    other = folder.objects / "files/ws_harbour2/file-1"
    for path in (*contents, other):
        path.parent.mkdir(parents=True)
        path.write_text("Secret.")
    tidegate("workspaces", "create", "Harbour", "--id", "ws_harbour")
    assert tidegate("workspaces", "delete", "ws_harbour").code == 0
    assert ([path.exists() for path in contents], other.exists()) == ([False] * 4, True)


def test_a_reader_that_has_enough_ends_a_command_without_a_traceback(folder: DataFolder) -> None:
    """Python writes to the pipe when the command ends: the text is short."""
    words = [sys.executable, "-m", "tidegate", "workspaces", "list", "--data", str(folder.path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as command:
        assert command.stdout is not None and command.stderr is not None
        command.stdout.close()
        assert (command.stderr.read(), command.wait()) == ("", READER_GONE)


def test_a_folder_can_be_named(tidegate: Terminal, folder: DataFolder, tmp_path: Path) -> None:
    said = tidegate(*OPTIONS, "--data", str(folder.path), TIDEGATE_DATA=str(tmp_path / "other"))
    assert said.code == 0
    missing = tidegate(*OPTIONS, "--data", str(tmp_path / "none"))
    assert (missing.code, missing.out) == (2, "")
    assert missing.err.startswith(f"tidegate: There is no data folder at {tmp_path / 'none'}: start ")
    assert not (tmp_path / "none").exists()


def test_a_folder_that_cannot_be_used_is_one_line(tidegate: Terminal, folder: DataFolder) -> None:
    open_database(folder.database, (*MIGRATIONS, "CREATE TABLE more (a)")).close()
    said = tidegate(*OPTIONS)
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert "newer version" in said.err


@pytest.mark.parametrize(
    "running", [None, server("local"), server("memory", pid=2**22 + 1)], ids=["none", "local", "ended"]
)
def test_without_another_server_it_is_the_data_folder(folder: DataFolder, running: RunningServer | None) -> None:
    if running:
        folder.write_server(running)
    location = find_store(parse(*OPTIONS), {"TIDEGATE_DATA": str(folder.path)})
    assert (location.folder, location.settings.table) == (folder, "tidegate")


def test_the_embedded_aws_of_the_running_server_is_found_at_its_port(folder: DataFolder) -> None:
    folder.write_server(server("embedded", endpoint="http://127.0.0.1:8777"))
    env = {"TIDEGATE_DATA": str(folder.path)}
    for words in (OPTIONS, (*OPTIONS, "--store", "embedded")):
        location = find_store(parse(*words), env)
        assert (location.settings.aws.dynamodb_endpoint, location.folder) == ("http://127.0.0.1:8777", None)
        assert location.embedded_credentials
    assert find_store(parse(*OPTIONS, "--store", "local"), env).folder == folder


def test_the_table_of_a_server_on_aws_is_found(folder: DataFolder) -> None:
    folder.write_server(server("aws", table="production", region="eu-west-1"))
    settings = find_store(parse(*OPTIONS), {"TIDEGATE_DATA": str(folder.path)}).settings
    assert (settings.table, settings.aws.region, settings.aws.dynamodb_endpoint) == ("production", "eu-west-1", None)
    other = find_store(
        parse(*OPTIONS, "--table", "other"), {"TIDEGATE_DATA": str(folder.path), "AWS_REGION": "us-east-2"}
    )
    assert (other.settings.table, other.settings.aws.region) == ("other", "us-east-2")


def test_a_server_in_memory_is_named_with_what_to_do(folder: DataFolder) -> None:
    folder.write_server(server("memory"))
    with pytest.raises(ConfigurationError, match=r"http://127.0.0.1:8123/admin/v1.*--ephemeral"):
        find_store(parse(*OPTIONS), {"TIDEGATE_DATA": str(folder.path)})


def test_a_server_forgets_only_itself(folder: DataFolder) -> None:
    folder.write_server(server("local"))
    folder.forget_server(os.getpid() + 1)
    assert folder.running_server() == server("local")
    folder.forget_server(os.getpid())
    assert folder.running_server() is None
    folder.server_file.write_text("not JSON")
    assert folder.running_server() is None


@pytest.mark.parametrize(
    ("option", "env", "path"),
    [
        ("/a", {"TIDEGATE_DATA": "/b"}, "/a"),
        (None, {"TIDEGATE_DATA": "/b", "XDG_DATA_HOME": "/x"}, "/b"),
        (None, {"XDG_DATA_HOME": "/x", "HOME": "/h"}, "/x/tidegate"),
        (None, {"HOME": "/h"}, "/h/.local/share/tidegate"),
        ("data", {}, str(Path.cwd() / "data")),
    ],
)
def test_the_folder_of_a_user_is_where_data_of_programs_is(option: str | None, env: dict[str, str], path: str) -> None:
    assert find_data_folder(option, env).path == Path(path)

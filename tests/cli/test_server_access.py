"""Which gateway and key `tidegate batch` takes: a key never goes to a server that it does not belong to."""

import argparse
import json
import os
from pathlib import Path

import pytest

from tidegate.cli.server_access import ServerAccess, add_server_options, find_server
from tidegate.errors import ConfigurationError
from tidegate.sqlite.folder import DataFolder, RunningServer

OPENAI = {"OPENAI_BASE_URL": "https://one.test/v1", "OPENAI_API_KEY": "sk-openai"}
OWN = {"TIDEGATE_URL": "https://two.test", "TIDEGATE_API_KEY": "sk-own"}


def found(env: dict[str, str], *words: str) -> tuple[str, str]:
    access = found_access(env, *words)
    return access.base_url, access.key


def found_access(env: dict[str, str], *words: str) -> ServerAccess:
    parser = argparse.ArgumentParser()
    add_server_options(parser)
    return find_server(parser.parse_args(words), env)


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    """The folder of a server that runs in this process."""
    folder = DataFolder(tmp_path / "folder")
    folder.write_server(RunningServer(os.getpid(), "http://127.0.0.1:8123", "local"))
    folder.write_file("demo_keys.json", json.dumps({"key": "sk-demo", "admin_key": "sk-admin"}).encode())
    return folder


def test_options_come_before_the_environment() -> None:
    words = ("--url", "http://three.test/v1/", "--key", "sk-three", "--workspace", "ws_one")
    access = found_access(OPENAI | OWN, *words)
    assert access == ServerAccess("http://three.test/v1", "sk-three", "ws_one")
    assert "sk-three" not in repr(access)


def test_the_variables_of_the_gateway_come_before_those_of_openai() -> None:
    assert found(OPENAI | OWN) == ("https://two.test/v1", "sk-own")
    assert found(OPENAI) == ("https://one.test/v1", "sk-openai")


def test_the_running_server_is_asked_with_its_demo_key(folder: DataFolder) -> None:
    env = {"TIDEGATE_DATA": str(folder.path)}
    assert found(env) == ("http://127.0.0.1:8123/v1", "sk-demo")
    assert found({}, "--data", str(folder.path)) == ("http://127.0.0.1:8123/v1", "sk-demo")
    assert found(env | {"TIDEGATE_DEMO_KEY": "sk-chosen"}) == ("http://127.0.0.1:8123/v1", "sk-chosen")
    assert found(env, "--key", "sk-mine") == ("http://127.0.0.1:8123/v1", "sk-mine")


def test_openais_key_goes_to_no_other_server(folder: DataFolder) -> None:
    key = {"OPENAI_API_KEY": "sk-openai"}
    assert found(key | {"TIDEGATE_DATA": str(folder.path)}) == ("http://127.0.0.1:8123/v1", "sk-demo")
    with pytest.raises(ConfigurationError, match=r"A key for https://two\.test is missing: use --key"):
        found(key | {"TIDEGATE_URL": "https://two.test"})


def test_a_server_in_memory_keeps_no_key(folder: DataFolder) -> None:
    folder.write_server(RunningServer(os.getpid(), "http://127.0.0.1:8123", "memory"))
    with pytest.raises(ConfigurationError, match="use --key with one that the server has printed"):
        found({"TIDEGATE_DATA": str(folder.path)})


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({}, "No server runs on this machine: start `python -m tidegate serve`"),
        ({"OPENAI_BASE_URL": "https://one.test"}, "which OPENAI_BASE_URL names, is missing"),
        ({"TIDEGATE_URL": "two.test", "TIDEGATE_API_KEY": "sk"}, "'two.test' is not a URL"),
    ],
)
def test_what_is_missing_is_said(env: dict[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=message):
        found({"TIDEGATE_DATA": str(tmp_path), **env})

"""`tidegate connect`: the settings of each client, printed and written."""

import json
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tidegate.catalog.models import load_catalog
from tidegate.cli.client_settings import CLIENTS, ClientSettings, GatewayAccess
from tidegate.cli.connect import describe
from tidegate.cli.main import main

KEY = "sk-tidegate-example"
SERVER = ("--url", "https://gateway.example/v1", "--key", KEY)
ODD = GatewayAccess("https://gateway.example", 'a"b\\c', 'o"d\nd: {x}', 'w"s')


def connect(home: Path, client: str, *words: str) -> int:
    return main(["connect", client, *SERVER, "--home", str(home), *words])


@pytest.mark.parametrize("client", sorted(CLIENTS))
def test_every_client_is_told_the_gateway_and_the_key(client: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["connect", client, *SERVER, "--model", "openai/gpt-5"]) == 0
    said = capsys.readouterr().out
    assert "https://gateway.example" in said and KEY in said


def test_claude_code_gets_its_variables_beside_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / ".claude/settings.json"
    path.parent.mkdir()
    path.write_text('{"theme": "dark", "env": {"OTHER": "1"}}')
    assert connect(tmp_path, "claude-code", "--write", "--model", "openai/gpt-5", "--workspace", "ws_1") == 0
    assert json.loads(path.read_text()) == {
        "theme": "dark",
        "env": {
            "OTHER": "1",
            "ANTHROPIC_BASE_URL": "https://gateway.example",
            "ANTHROPIC_AUTH_TOKEN": KEY,
            "ANTHROPIC_MODEL": "openai/gpt-5",
            "ANTHROPIC_DEFAULT_HAIKU_MODEL": "openai/gpt-5",
            "ANTHROPIC_CUSTOM_HEADERS": "x-workspace-id: ws_1",
            "CLAUDE_CODE_AUTO_COMPACT_WINDOW": "400000",
        },
    }
    assert path.with_name("settings.json.bak").read_text() == '{"theme": "dark", "env": {"OTHER": "1"}}'
    assert path.stat().st_mode & 0o077 == 0


def settings_of(client: str, model: str) -> ClientSettings:
    return CLIENTS[client](GatewayAccess("https://gateway.example", KEY, model, None, load_catalog().find_model(model)))


def test_claude_code_is_told_the_limits_of_models_that_it_does_not_know() -> None:
    """What it assumes is 200,000 tokens, and replies of 32,000."""
    limits = {
        model: {
            name: value
            for name, value in json.loads(settings_of("claude-code", model).text)["env"].items()
            if name.startswith("CLAUDE_CODE")
        }
        for model in ("openai/gpt-4o", "deepseek/deepseek-reasoner", "anthropic/claude-sonnet-4-5", "nobody/knows")
    }
    known = {"CLAUDE_CODE_AUTO_COMPACT_WINDOW": "128000", "CLAUDE_CODE_MAX_OUTPUT_TOKENS": "16384"}
    assert list(limits.values()) == [known, {}, {}, {}]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (
            "openai/gpt-4o",
            {
                "limit": {"context": 128_000, "output": 16_384},
                "attachment": True,
                "modalities": {"input": ["text", "image", "pdf"], "output": ["text"]},
            },
        ),
        ("deepseek/deepseek-reasoner", {"limit": {"context": 64_000, "output": 32_000}}),
        ("demo/echo", {"limit": {"context": 131_072, "output": 65_536}}),
        ("nobody/knows", {}),
    ],
)
def test_opencode_is_told_what_the_model_can_hold_and_read(model: str, expected: Any) -> None:
    provider = json.loads(settings_of("opencode", model).text)["provider"]["tidegate"]
    assert provider["models"] == {model: {"name": model, **expected}}


@pytest.mark.parametrize("client", sorted(CLIENTS))
def test_every_client_names_the_workspace_or_says_that_it_cannot(client: str) -> None:
    said = describe(CLIENTS[client](GatewayAccess("https://gateway.example", KEY, "openai/gpt-5", "ws_1")))
    assert ("ws_1" in said) != ("It cannot name a workspace" in said)
    if client == "continue":
        (model,) = yaml.safe_load(said)["models"]
        assert model["requestOptions"] == {"headers": {"x-workspace-id": "ws_1"}}


def test_continue_and_goose_are_told_what_the_model_can_hold() -> None:
    (model,) = yaml.safe_load(settings_of("continue", "openai/gpt-4o").text)["models"]
    assert model["defaultCompletionOptions"] == {"contextLength": 128_000}
    assert model["capabilities"] == ["tool_use", "image_input"]
    (model,) = yaml.safe_load(settings_of("continue", "nobody/knows").text)["models"]
    assert (model["capabilities"], "defaultCompletionOptions" in model) == (["tool_use"], False)
    assert settings_of("goose", "openai/gpt-4o").variables["GOOSE_CONTEXT_LIMIT"] == "128000"


def test_codex_gets_a_profile_with_its_provider_and_the_list_of_models(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / ".codex/tidegate.config.toml"
    assert connect(tmp_path, "codex", "--write") == 0
    written = tomllib.loads(path.read_text())
    assert (written["model_provider"], written["features"]["api_key_model_discovery"]) == ("tidegate", True)
    provider = written["model_providers"]["tidegate"]
    assert (provider["base_url"], provider["wire_api"]) == ("https://gateway.example/v1", "responses")
    assert provider["model_catalog_url"] == "https://gateway.example/v1/models"
    assert KEY not in path.read_text() and f"TIDEGATE_API_KEY={KEY}" in capsys.readouterr().out
    assert connect(tmp_path, "codex", "--write") == 2
    assert "already" in capsys.readouterr().err


def test_a_link_stays_a_link_and_the_first_file_is_kept(tmp_path: Path) -> None:
    real, link = tmp_path / "dotfiles.json", tmp_path / ".claude/settings.json"
    real.write_text('{"theme": "dark"}')
    link.parent.mkdir()
    link.symlink_to(real)
    for model in ("a/b", "c/d"):
        assert connect(tmp_path, "claude-code", "--write", "--model", model) == 0
    assert link.is_symlink() and json.loads(real.read_text())["env"]["ANTHROPIC_MODEL"] == "c/d"
    assert (tmp_path / "dotfiles.json.bak").read_text() == '{"theme": "dark"}'


@pytest.mark.parametrize("client", ["aider", "continue"])
def test_a_file_that_exists_is_not_replaced(client: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert connect(tmp_path, client, "--write") == 0
    (path,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    before = path.read_text()
    assert connect(tmp_path, client, "--write", "--model", "other/model") == 2
    assert "add this by hand" in capsys.readouterr().err and path.read_text() == before


@pytest.mark.parametrize("content", ["{", "// a comment\n{}", "\xff"])
def test_a_file_that_cannot_be_read_is_left_alone(content: str, tmp_path: Path) -> None:
    path = tmp_path / ".claude/settings.json"
    path.parent.mkdir()
    path.write_text(content, "latin-1")
    assert connect(tmp_path, "claude-code", "--write") == 2
    assert path.read_text("latin-1") == content


def test_a_client_without_a_file_says_what_to_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert connect(tmp_path, "goose", "--write") == 2
    assert "export OPENAI_HOST=https://gateway.example" in capsys.readouterr().err


@pytest.mark.parametrize("client", sorted(CLIENTS))
def test_odd_characters_stay_within_their_values(client: str) -> None:
    settings = CLIENTS[client](ODD)
    match settings.form, settings.file:
        case "json", _:
            json.loads(settings.text)
        case _, str(file) if file.endswith(".toml"):
            assert tomllib.loads(settings.text)["model"] == ODD.model
        case _, str():
            assert ODD.model in str(yaml.safe_load(settings.text)).replace("\\\\", "\\").replace("\\n", "\n")
        case _:
            pass


def test_the_command_of_cline_can_be_pasted_into_a_shell() -> None:
    command = CLIENTS["cline"](GatewayAccess("https://g.example", "it's $HOME", "m")).text.partition("\n")[0]
    script = f'cline() {{ printf "%s|" "$@"; }}\n{command}'
    said = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    assert said == "auth|-p|openai|-b|https://g.example/v1|-k|it's $HOME|-m|m|"


def test_the_exports_can_be_pasted_into_a_shell() -> None:
    settings = CLIENTS["goose"](GatewayAccess("https://g.example", "it's $HOME", "m"))
    script = describe(settings) + 'printf %s "$OPENAI_API_KEY"'
    assert subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout == "it's $HOME"

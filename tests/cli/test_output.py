"""Text for people has no Python values, and a command line without a command is answered with help."""

from decimal import Decimal

import pytest

from tests.cli.terminal import Terminal
from tidegate import __main__
from tidegate.cli.main import main
from tidegate.cli.output import columns, pairs

VALUES = [
    (True, "yes"),
    (False, "no"),
    (Decimal("1E-7"), "0.0000001"),
    (Decimal("2.50"), "2.5"),
    (0.0, "0"),
    (7, "7"),
    ({"a": [1, None]}, '{"a": [1, null]}'),
    (["x"], '["x"]'),
    ("text", "text"),
]


@pytest.mark.parametrize(("value", "text"), VALUES)
def test_values_are_written_for_people(value: object, text: str) -> None:
    assert pairs([("name", value)]) == f"name  {text}"
    assert columns(["NAME"], [[value]]) == f"NAME\n{text}"


@pytest.mark.parametrize("value", [None, (), []])
def test_a_missing_value_is_none_or_nothing(value: object) -> None:
    assert (pairs([("name", value)]), columns(["NAME", "B"], [[value, 1]])) == ("name  none", "NAME  B\n      1")


GROUPS = [[], ["workspaces"], ["plans"], ["usage"], ["admin-keys"], ["keys"], ["workspaces", "members"]]


@pytest.mark.parametrize("words", GROUPS)
def test_a_command_that_is_missing_is_answered_with_help(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert out.startswith(" ".join(["usage: tidegate", *words])) and "list" in out and err == ""


def test_no_table_has_a_python_value(tidegate: Terminal) -> None:
    tidegate("workspaces", "create", "Acme", "--id", "ws_acme", "--timeout", "2.5", "--limits", "models=openai/*")
    tidegate("keys", "create", "--workspace", "ws_acme")
    tidegate("plans", "create", "plan_pro", "--limits", "usd_per_month=1.50")
    tidegate("admin-keys", "create", "--workspace", "ws_acme")
    tidegate("workspaces", "members", "put", "ws_acme", "ada@example.com", "--role", "reader")
    shown = [
        tidegate(*words).out
        for words in (
            *(("workspaces", "list"), ("workspaces", "show", "ws_acme"), ("keys", "list", "--workspace", "ws_acme")),
            *(("plans", "list"), ("plans", "show", "plan_pro"), ("admin-keys", "list"), ("usage", "audit")),
            *(
                ("usage", "report", "ws_acme"),
                ("usage", "calls", "ws_acme"),
                ("workspaces", "members", "list", "ws_acme"),
            ),
        )
    ]
    for text in shown:
        assert not any(word in text for word in ("None", "True", "False", "Decimal", "()", "[]", "{", "'")), text
        assert text.strip()


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def load(module: str, name: str) -> object:
        raise ModuleNotFoundError("No module named 'uvicorn'", name="uvicorn")

    monkeypatch.setattr("tidegate.cli.main.load", load)
    assert main(["serve"]) == 2
    assert capsys.readouterr().err == "tidegate: The package 'uvicorn' is missing: run pip install '.[local]'.\n"


def test_an_interrupt_is_silent_also_while_modules_are_imported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load(module: str, name: str) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr(__main__, "load", load)
    assert __main__.main() == 130
    assert capsys.readouterr() == ("", "")

"""Members and credentials of workspaces from the command line."""

import io
import sys
from typing import Any, cast

import boto3
import pytest

from tests.cli.terminal import Terminal, parse
from tests.store_worlds import REGION

SECRET = "a-key-of-its-own"


def said(tidegate: Terminal, *words: str, **changed: str) -> Any:
    return cast(Any, tidegate(*words, "--json", **changed).json)


class Typed(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def vault(table: str, env: dict[str, str]) -> dict[str, str]:
    """Where workspaces' keys are, as the environment says it."""
    return {
        "TIDEGATE_WORKSPACE_SECRETS": f"{table}/workspaces",
        "AWS_ENDPOINT_URL_SECRETS_MANAGER": env["AWS_ENDPOINT_URL_DYNAMODB"],
    }


def kept(vault: dict[str, str]) -> str:
    endpoint = vault["AWS_ENDPOINT_URL_SECRETS_MANAGER"]
    client = boto3.client("secretsmanager", endpoint_url=endpoint, region_name=REGION)
    name = f"{vault['TIDEGATE_WORKSPACE_SECRETS']}/ws_acme"
    value = client.get_secret_value(SecretId=name)["SecretString"]
    client.close()
    return value


def test_a_workspace_has_members_in_roles(tidegate: Terminal) -> None:
    assert tidegate("workspaces", "members", "list", "ws_acme").code == 1
    tidegate("workspaces", "create", "Acme", "--id", "ws_acme")
    assert tidegate("workspaces", "members", "list", "ws_acme").out == "The workspace has no members.\n"
    made = said(tidegate, "workspaces", "members", "put", "ws_acme", "ada@example.com", "--role", "reader")
    assert made == {
        "workspace_id": "ws_acme",
        "subject": "ada@example.com",
        "role": "reader",
        "created_at": "2026-11-21T12:00:00.000Z",
        "version": 1,
    }
    put = tidegate("workspaces", "members", "put", "ws_acme", "ada@example.com", "--role", "admin")
    assert put.out == "ada@example.com is admin of ws_acme.\n"
    assert said(tidegate, "workspaces", "members", "list", "ws_acme") == [{**made, "role": "admin", "version": 2}]
    assert tidegate("workspaces", "members", "list", "ws_acme").out == (
        "SUBJECT          ROLE   SINCE\nada@example.com  admin  2026-11-21T12:00:00.000Z\n"
    )
    removed = tidegate("workspaces", "members", "remove", "ws_acme", "ada@example.com")
    assert removed.out == "ada@example.com is no longer a member of ws_acme.\n"
    assert tidegate("workspaces", "members", "remove", "ws_acme", "ada@example.com").code == 1
    assert said(tidegate, "workspaces", "members", "list", "ws_acme") == []


def test_a_member_that_makes_no_sense_is_refused(tidegate: Terminal) -> None:
    tidegate("workspaces", "create", "Acme", "--id", "ws_acme")
    assert tidegate("workspaces", "members", "put", "ws_acme", "a b", "--role", "reader").code == 2
    assert tidegate("workspaces", "members", "put", "ws_nobody", "ada", "--role", "reader").code == 1
    for words in (("ada",), ("ada", "--role", "owner")):
        with pytest.raises(SystemExit) as caught:
            parse("workspaces", "members", "put", "ws_acme", *words)
        assert caught.value.code == 2


def test_a_credential_is_read_from_standard_input_and_never_shown(
    tidegate: Terminal,
    vault: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tidegate("workspaces", "create", "Acme", "--id", "ws_acme")
    words = ("workspaces", "credentials")
    assert tidegate(*words, "list", "ws_acme").out == "The workspace has no credentials of its own.\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{SECRET}\n"))
    put = tidegate(*words, "put", "ws_acme", "OPENAI_API_KEY", **vault)
    assert (put.code, put.out) == (0, "Within a minute, calls of ws_acme use its own OPENAI_API_KEY.\n")
    assert kept(vault) == f'{{"OPENAI_API_KEY":"{SECRET}"}}'
    listed = tidegate(*words, "list", "ws_acme", "--json")
    assert listed.json == [{"name": "OPENAI_API_KEY", "changed_at": "2026-11-21T12:00:00.000Z"}]
    told = put.out + listed.out
    told += tidegate("workspaces", "show", "ws_acme", "--json").out + tidegate("usage", "audit", "--json").out
    assert SECRET not in told
    assert [each["name"] for each in said(tidegate, "workspaces", "show", "ws_acme")["credentials"]] == [
        "OPENAI_API_KEY"
    ]
    removed = tidegate(*words, "remove", "ws_acme", "OPENAI_API_KEY", **vault)
    assert removed.out == "Within a minute, calls of ws_acme use the gateway's OPENAI_API_KEY.\n"
    assert tidegate(*words, "remove", "ws_acme", "OPENAI_API_KEY", **vault).code == 1


def test_the_secret_of_webhooks_is_a_credential_as_well(
    tidegate: Terminal, vault: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tidegate("workspaces", "create", "Acme", "--id", "ws_acme")
    words = ("workspaces", "credentials")
    secret = "whsec_" + "eHh4" * 8
    monkeypatch.setattr(sys, "stdin", io.StringIO(secret))
    put = tidegate(*words, "put", "ws_acme", "TIDEGATE_WEBHOOK_SECRET", **vault)
    assert (put.code, put.out) == (0, "Webhooks of ws_acme are signed with it from now on.\n")
    assert kept(vault) == f'{{"TIDEGATE_WEBHOOK_SECRET":"{secret}"}}'
    removed = tidegate(*words, "remove", "ws_acme", "TIDEGATE_WEBHOOK_SECRET", **vault)
    assert removed.out == "No webhook of ws_acme is sent from now on: they must be signed.\n"


def test_at_a_terminal_a_credential_is_asked_for_unseen(
    tidegate: Terminal,
    vault: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tidegate("workspaces", "create", "Acme", "--id", "ws_acme")
    asked: list[str] = []

    def unseen(prompt: str) -> str:
        asked.append(prompt)
        return SECRET

    def gone(prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr(sys, "stdin", Typed())
    monkeypatch.setattr("tidegate.cli.credentials.getpass", unseen)
    assert tidegate("workspaces", "credentials", "put", "ws_acme", "OPENAI_API_KEY", **vault).code == 0
    assert (asked, kept(vault)) == (["OPENAI_API_KEY: "], f'{{"OPENAI_API_KEY":"{SECRET}"}}')
    monkeypatch.setattr("tidegate.cli.credentials.getpass", gone)
    nothing = tidegate("workspaces", "credentials", "put", "ws_acme", "OPENAI_API_KEY", **vault)
    assert (nothing.code, nothing.err) == (2, "tidegate: A key has 1 to 4096 characters, all ASCII, no spaces.\n")


@pytest.mark.parametrize(("name", "value"), [("PATH", SECRET), ("OPENAI_API_KEY", ""), ("OPENAI_API_KEY", "two words")])
def test_a_credential_that_makes_no_sense_is_refused(
    tidegate: Terminal,
    vault: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
) -> None:
    tidegate("workspaces", "create", "Acme", "--id", "ws_acme")
    monkeypatch.setattr(sys, "stdin", io.StringIO(value))
    assert tidegate("workspaces", "credentials", "put", "ws_acme", name, **vault).code == 2
    assert tidegate("workspaces", "credentials", "put", "ws_nobody", name, **vault).code == 1


def test_where_credentials_are_has_to_be_said_and_must_answer(
    tidegate: Terminal,
    vault: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tidegate("workspaces", "create", "Acme", "--id", "ws_acme")
    words = ("workspaces", "credentials", "put", "ws_acme", "OPENAI_API_KEY")
    unset = tidegate(*words)
    assert (unset.code, "set TIDEGATE_WORKSPACE_SECRETS" in unset.err) == (2, True)
    monkeypatch.setattr(sys, "stdin", io.StringIO(SECRET))
    silent = tidegate(*words, **{**vault, "AWS_ENDPOINT_URL_SECRETS_MANAGER": "http://127.0.0.1:1"})
    assert (silent.code, silent.err) == (
        2,
        "tidegate: Secrets Manager does not answer; try again in a moment.\n",
    )

import asyncio
import re
import shlex
import socket
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.cli.terminal import Said, Terminal, parse
from tests.store_worlds import CREDENTIALS, NOON, REGION, outcome
from tidegate.aws.dynamo import create_dynamo_client
from tidegate.aws.meter import DynamoMeter
from tidegate.aws.store import Store
from tidegate.aws.tenants import DynamoTenants
from tidegate.cli import commands
from tidegate.domain.identity import grant_id, hash_subject
from tidegate.domain.keys import hash_secret
from tidegate.domain.workspace import Workspace
from tidegate.transport.reqwest import ReqwestTransport

WORKSPACE = {
    "id": "ws_acme",
    "name": "Acme",
    "status": "active",
    "created_at": "2026-11-21T12:00:00.000Z",
    "words_method": "tokens",
    "charge_input_words": False,
    "plan_id": None,
    "plan_limits": {},
    "limits": {},
    "effective_limits": {},
    "first_day": 1,
    "allows_unpriced": False,
    "lowers_max_tokens": False,
    "adds_max_tokens": True,
    "shards": 1,
    "version": 1,
    "credentials": [],
    "routes": [],
    "guardrails": [],
    "cache_ttl_seconds": None,
    "timeout_seconds": None,
    "batch_webhook": None,
    "batch_mode": "calls",
    "trace_sample": 0.0,
    "trace_failures": False,
    "trace_callers": True,
    "trace_days": 7,
    "trace_mask": [],
}


def test_a_workspace_is_created_listed_and_shown(tidegate: Terminal) -> None:
    assert tidegate("workspaces", "create", "Acme", "--id", "ws_acme", "--json").json == WORKSPACE
    assert tidegate("workspaces", "list", "--json").json == [WORKSPACE]
    shown = tidegate("workspaces", "show", "ws_acme", "--json").json
    assert shown == {**WORKSPACE, "month": "2026-11", "counters": {}}


def test_a_workspace_may_count_its_words_otherwise(tidegate: Terminal) -> None:
    options = ("--id", "ws_acme", "--words-method", "unicode", "--charge-input-words", "--json")
    expected = {**WORKSPACE, "words_method": "unicode", "charge_input_words": True}
    assert tidegate("workspaces", "create", "Acme", *options).json == expected


def test_people_read_tables(tidegate: Terminal) -> None:
    assert tidegate("workspaces", "list").out == "There are no workspaces.\n"
    assert tidegate("workspaces", "create", "Acme", "--id", "ws_acme").out == "Created workspace ws_acme.\n"
    tidegate("workspaces", "create", "Beta & Söhne", "--id", "ws_b")
    expected = (
        "ID       STATUS  CREATED                   NAME\n"
        "ws_acme  active  2026-11-21T12:00:00.000Z  Acme\n"
        "ws_b     active  2026-11-21T12:00:00.000Z  Beta & Söhne\n"
    )
    assert tidegate("workspaces", "list").out == expected
    assert tidegate("workspaces", "show", "ws_b").out.endswith("\n\n2026-11\nno usage yet\n")


def test_an_id_is_made_up_where_none_is_given(tidegate: Terminal) -> None:
    created = tidegate("workspaces", "create", "Acme", "--json").json
    assert isinstance(created, dict)
    assert created["id"].startswith("ws_")


def test_the_months_counters_are_shown(tidegate: Terminal, env: dict[str, str]) -> None:
    tidegate("workspaces", "create", "Acme", "--id", "ws_acme")

    async def call() -> None:
        transport = ReqwestTransport()
        client = create_dynamo_client(transport, CREDENTIALS, REGION, env["AWS_ENDPOINT_URL_DYNAMODB"])
        await DynamoMeter(Store(client, env["TIDEGATE_TABLE"])).record(outcome(workspace_id="ws_acme"))
        await transport.close()

    asyncio.run(call())
    shown = tidegate("workspaces", "show", "ws_acme", "--json").json
    assert isinstance(shown, dict)
    assert (shown["counters"]["calls"], shown["counters"]["cost_usd"]) == (1, "0.00012345")
    assert "cost_usd          0.00012345\n" in tidegate("workspaces", "show", "ws_acme").out


def test_the_months_counters_are_those_of_all_shards(tidegate: Terminal, env: dict[str, str]) -> None:
    async def call() -> None:
        transport = ReqwestTransport()
        store = Store(
            create_dynamo_client(transport, CREDENTIALS, REGION, env["AWS_ENDPOINT_URL_DYNAMODB"]),
            env["TIDEGATE_TABLE"],
        )
        busy = Workspace("ws_busy", "Busy", shards=4)
        await DynamoTenants(store).put_workspace(busy)
        for n in range(8):
            made = outcome(at=NOON + n, id=f"{n:026}")
            await DynamoMeter(store).record(replace(made, call=replace(made.call, workspace=busy)))
        assert await store.query("WS#ws_busy#1", "USE#")
        await transport.close()

    asyncio.run(call())
    shown = tidegate("workspaces", "show", "ws_busy", "--json").json
    assert isinstance(shown, dict)
    assert (shown["counters"]["calls"], shown["counters"]["cost_usd"]) == (8, "0.0009876")


def test_a_workspace_is_suspended_and_resumed(tidegate: Terminal) -> None:
    tidegate("workspaces", "create", "Acme", "--id", "ws_acme")
    assert tidegate("workspaces", "suspend", "ws_acme").out == "Workspace ws_acme is suspended.\n"
    assert tidegate("workspaces", "list", "--json").json == [{**WORKSPACE, "status": "suspended", "version": 2}]
    assert tidegate("workspaces", "resume", "ws_acme", "--json").json == {"id": "ws_acme", "status": "active"}
    assert tidegate("workspaces", "list", "--json").json == [{**WORKSPACE, "version": 3}]


def test_a_key_shows_its_secret_once(tidegate: Terminal) -> None:
    tidegate("workspaces", "create", "Acme", "--id", "ws_acme")
    created = tidegate(
        "keys", "create", "--workspace", "ws_acme", "--name", "ci", "--expires", "2027-01-31", "--json"
    ).json
    assert isinstance(created, dict)
    secret = created.pop("secret")
    expected = {
        "id": created["id"],
        "prefix": secret[:16],
        "name": "ci",
        "status": "active",
        "workspace_ids": ["ws_acme"],
        "default_workspace_id": None,
        "created_at": "2026-11-21T12:00:00.000Z",
        "expires_at": "2027-01-31T00:00:00.000Z",
        "endpoints": None,
        "networks": None,
        "trace_sample": None,
        "traces_since": 0.0,
        "limits": {},
        "previous_prefix": None,
        "previous_expires_at": None,
        "version": 1,
    }
    assert created == expected
    listed = tidegate("keys", "list", "--workspace", "ws_acme", "--json")
    assert listed.json == [expected]
    assert secret not in listed.out
    assert hash_secret(secret) not in listed.out


def test_people_read_keys_too(tidegate: Terminal) -> None:
    tidegate("workspaces", "create", "Acme", "--id", "ws_acme")
    assert tidegate("keys", "list", "--workspace", "ws_acme").out == "The workspace has no keys.\n"
    created = tidegate("keys", "create", "--workspace", "ws_acme", "--name", "ci").out
    assert created.startswith("Created key key_")
    assert created.endswith("\n\nStore it now: it is not shown again.\n")
    head, row = tidegate("keys", "list", "--workspace", "ws_acme").out.splitlines()
    assert head.split() == ["ID", "KEY", "STATUS", "EXPIRES", "NAME"]
    assert row.split()[2:] == ["active", "never", "ci"]


def test_a_key_of_several_workspaces_is_revoked_in_all(tidegate: Terminal) -> None:
    for id in ("ws_a", "ws_b"):
        tidegate("workspaces", "create", id, "--id", id)
    words = ("keys", "create", "--workspace", "ws_a", "--workspace", "ws_b", "--default", "ws_b", "--json")
    created = tidegate(*words).json
    assert isinstance(created, dict)
    assert (created["workspace_ids"], created["default_workspace_id"]) == (["ws_a", "ws_b"], "ws_b")
    revoked = tidegate("keys", "revoke", created["id"], "--workspace", "ws_a")
    assert revoked.out == f"Key {created['id']} is revoked.\n"
    assert "  revoked  " in tidegate("keys", "list", "--workspace", "ws_b").out


def test_a_key_is_limited_to_endpoints_and_networks(tidegate: Terminal) -> None:
    tidegate("workspaces", "create", "Acme", "--id", "ws_acme")
    where = (
        "--endpoint",
        "/v1/chat/*",
        "--endpoint",
        "/v1/models",
        "--network",
        "2001:DB8::/32",
        "--network",
        "192.0.2.1",
    )
    created = tidegate("keys", "create", "--workspace", "ws_acme", *where, "--json").json
    assert isinstance(created, dict)
    assert created["endpoints"] == ["/v1/chat/*", "/v1/models"]
    assert created["networks"] == ["2001:db8::/32", "192.0.2.1/32"]
    del created["secret"]
    assert tidegate("keys", "list", "--workspace", "ws_acme", "--json").json == [created]


def test_a_subject_is_given_workspaces_until_it_is_revoked(tidegate: Terminal) -> None:
    for id in ("ws_a", "ws_b"):
        tidegate("workspaces", "create", id, "--id", id)
    who = ("--subject", "service-1", "--issuer", "https://issuer.example")
    key_id = grant_id(hash_subject("https://issuer.example", "service-1"), "ws_a")
    given = tidegate("keys", "create", "--workspace", "ws_a", *who, "--json").json
    assert isinstance(given, dict)
    assert (given["id"], given["name"], given["workspace_ids"], "secret" in given) == (
        key_id,
        "service-1",
        ["ws_a"],
        False,
    )
    again = tidegate("keys", "create", "--workspace", "ws_b", "--workspace", "ws_a", *who)
    message = "The subject has another grant for one of these workspaces, which was not changed: revoke it first."
    assert (again.code, again.err) == (2, f"tidegate: {message}\n")
    _, row = tidegate("keys", "list", "--workspace", "ws_a").out.splitlines()
    assert row.split() == [key_id, "OIDC", "active", "never", "service-1"]
    assert tidegate("keys", "revoke", key_id, "--workspace", "ws_a").code == 0
    said = tidegate("keys", "create", "--workspace", "ws_a", "--workspace", "ws_b", "--name", "Service", *who).out
    assert said == f"The subject may use ws_a, ws_b, as {key_id}.\n"


NOT_FOUND = [
    (("workspaces", "show", "ws_no"), "There is no workspace 'ws_no'; to see all, run `workspaces list`."),
    (("workspaces", "suspend", "ws_no"), "There is no workspace 'ws_no'; to see all, run `workspaces list`."),
    (("workspaces", "resume", "ws_no"), "There is no workspace 'ws_no'; to see all, run `workspaces list`."),
    (("keys", "list", "--workspace", "ws_no"), "There is no workspace 'ws_no'; to see all, run `workspaces list`."),
    (("keys", "create", "--workspace", "ws_no"), "There is no workspace 'ws_no'; to see all, run `workspaces list`."),
    (
        ("keys", "revoke", "key_no", "--workspace", "ws_no"),
        "The workspace has no key 'key_no'; to see all, run `keys list`.",
    ),
]


@pytest.mark.parametrize(("words", "message"), NOT_FOUND)
def test_what_is_not_there_is_one_line_and_exit_code_1(
    tidegate: Terminal, words: tuple[str, ...], message: str
) -> None:
    assert tidegate(*words) == Said(1, "", f"tidegate: {message}\n")


MISUSED = [
    (
        ("workspaces", "create", "Acme", "--id", "acme"),
        "'acme' is not a valid id: use ws_ and 1 to 60 letters, digits, - or _.",
    ),
    (
        ("workspaces", "create", "Acme", "--id", "ws_taken"),
        "The workspace 'ws_taken' exists already, and was not changed.",
    ),
    (
        ("keys", "create", "--workspace", "ws_taken", "--subject", "x"),
        "--subject and --issuer must be given together.",
    ),
    (
        ("keys", "create", "--workspace", "ws_taken", "--issuer", "https://issuer.example", "--subject", "x" * 256),
        "--subject must have 1 to 255 characters.",
    ),
    (
        ("keys", "create", "--workspace", "ws_taken", "--endpoint", "v1"),
        "'v1' is not a valid endpoint: write a path such as '/v1/chat/*'.",
    ),
    (
        ("keys", "create", "--workspace", "ws_taken", "--network", "192.0.2.1/24"),
        "'192.0.2.1/24' is not a valid network: write it as '203.0.113.0/24' or '2001:db8::/32', "
        "with no host bits set.",
    ),
    (
        ("keys", "create", "--workspace", "ws_taken", "--default", "ws_b"),
        "The default workspace 'ws_b' is not one of the key's workspaces: add it with --workspace.",
    ),
    (
        ("keys", "create", "--workspace", "ws_taken", "--expires", "2026-11-21T12:00"),
        "The expiry is in the past (2026-11-21T12:00:00.000Z): choose a later time.",
    ),
    (
        ("keys", "create", *(word for n in range(31) for word in ("--workspace", f"ws_{n}"))),
        "A key may have at most 30 workspaces, not 31.",
    ),
]


@pytest.mark.parametrize(("words", "message"), MISUSED)
def test_misuse_is_one_line_and_exit_code_2(tidegate: Terminal, words: tuple[str, ...], message: str) -> None:
    tidegate("workspaces", "create", "Taken", "--id", "ws_taken")
    assert tidegate(*words) == Said(2, "", f"tidegate: {message}\n")


@pytest.mark.parametrize(
    "words", [("keys", "create"), ("keys", "create", "--workspace", "ws_a", "--expires", "tomorrow")]
)
def test_bad_usage_is_exit_code_2(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(*words)
    assert caught.value.code == 2


def test_all_that_is_not_configured_is_named_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.run(parse("workspaces", "list", "--store", "aws"), {}) == 2
    message = "tidegate: Missing settings: --table or TIDEGATE_TABLE; --region or AWS_REGION.\n"
    assert capsys.readouterr().err == message


def test_options_win_over_the_environment(tidegate: Terminal, env: dict[str, str]) -> None:
    words = ["--table", env["TIDEGATE_TABLE"], "--region", REGION]
    words += ["--dynamodb-endpoint", env["AWS_ENDPOINT_URL_DYNAMODB"]]
    wrong = {"TIDEGATE_TABLE": "wrong", "AWS_REGION": "wrong", "AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:1"}
    assert tidegate("workspaces", "list", "--json", *words, **wrong).json == []


def test_a_table_that_does_not_exist_is_named(tidegate: Terminal) -> None:
    expected = Said(2, "", f"tidegate: The table 'wrong' does not exist in {REGION}.\n")
    assert tidegate("workspaces", "list", "--table", "wrong") == expected


def test_without_a_local_server_it_says_how_to_start_one(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{free.getsockname()[1]}"
    options = parse("workspaces", "list", "--store", "embedded", "--dynamodb-endpoint", endpoint)
    assert commands.run(options, {}) == 2
    message = f"Nothing answers at {endpoint}: start `python -m tidegate serve`, or name a table with --table."
    assert capsys.readouterr().err == f"tidegate: {message}\n"


@pytest.mark.parametrize("document", ["README.md", "infra/DEPLOY.md", "docs/RELIABILITY.md"])
def test_the_commands_that_documents_show_work(tidegate: Terminal, document: str) -> None:
    lines = (Path(__file__).parents[2] / document).read_text().splitlines()
    shown = [shlex.split(line, comments=True)[3:] for line in lines if line.startswith("python -m tidegate ")]
    typed = [words for words in shown if words[0] in ("workspaces", "keys", "plans", "usage", "admin-keys")]
    keys: list[str] = []
    for words in typed:
        said = tidegate(*[keys[0] if word == "key_…" else word for word in words])
        assert (said.code, said.err) == (0, ""), words
        keys += re.findall(r"key_\w+", said.out)
    assert typed

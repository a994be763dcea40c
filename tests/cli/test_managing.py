"""Plans, limits and admin keys from the command line."""

import json
import re
from pathlib import Path
from typing import Any, cast

import pytest

from tests.cli.terminal import Terminal, parse


def said(tidegate: Terminal, *words: str) -> Any:
    return cast(Any, tidegate(*words, "--json").json)


def test_the_first_admin_key_comes_from_here_and_is_shown_once(tidegate: Terminal) -> None:
    made = said(tidegate, "admin-keys", "create", "--name", "first")
    assert re.fullmatch(r"sk-tidegate-admin-[A-Za-z0-9_-]{20,}", made["secret"])
    assert (made["scopes"], made["workspace_ids"], made["name"]) == (["read", "write"], None, "first")
    [listed] = said(tidegate, "admin-keys", "list")
    assert listed == {name: value for name, value in made.items() if name != "secret"}
    assert made["secret"] not in tidegate("admin-keys", "list").out
    assert tidegate("admin-keys", "revoke", made["id"]).out == f"Admin key {made['id']} is revoked.\n"
    assert [each["status"] for each in said(tidegate, "admin-keys", "list")] == ["revoked"]


def test_an_admin_key_may_be_for_some_workspaces_and_for_reading(tidegate: Terminal) -> None:
    assert tidegate("admin-keys", "create", "--workspace", "ws_acme").code == 1
    tidegate("workspaces", "create", "Acme", "--id", "ws_acme")
    made = said(tidegate, "admin-keys", "create", "--workspace", "ws_acme", "--read-only")
    assert (made["scopes"], made["workspace_ids"]) == (["read"], ["ws_acme"])
    assert "ws_acme" in tidegate("admin-keys", "list").out
    assert tidegate("admin-keys", "create", "--expires", "2020-01-01").code == 2
    assert tidegate("admin-keys", "revoke", "adm_nobody").code == 1


def test_a_plans_limits_hold_in_its_workspaces_and_follow_when_it_changes(tidegate: Terminal) -> None:
    assert tidegate("plans", "list").out == "There are no plans.\n"
    words = ("usd_per_month=100.50", "models=openai/*,azure/*", "tokens_per_minute=50000")
    made = said(tidegate, "plans", "create", "plan_pro", "--limits", *words)
    limits = {"tokens_per_minute": 50000, "usd_per_month": "100.50", "models": ["openai/*", "azure/*"]}
    assert made["limits"] == limits
    tidegate("workspaces", "create", "Acme", "--id", "ws_acme")
    assert said(tidegate, "workspaces", "set-plan", "ws_acme", "plan_pro")["effective_limits"] == limits
    own = said(tidegate, "workspaces", "set-limits", "ws_acme", "--limits", "usd_per_month=5", "requests_per_minute=9")
    assert own["effective_limits"] == {**limits, "usd_per_month": "5", "requests_per_minute": 9}
    changed = said(tidegate, "plans", "set", "plan_pro", "--limits", "models=none", "tokens_per_minute=7")
    assert (changed["limits"], changed["updated"]) == ({"tokens_per_minute": 7, "usd_per_month": "100.50"}, 1)
    shown = tidegate("plans", "show", "plan_pro").out
    assert shown == "id      plan_pro\nname    plan_pro\nlimits  tokens_per_minute=7 usd_per_month=100.50\n"
    assert tidegate("plans", "list").out.splitlines()[1].split()[:2] == ["plan_pro", "plan_pro"]
    alone = said(tidegate, "workspaces", "set-plan", "ws_acme", "none")
    assert alone["effective_limits"] == {"usd_per_month": "5", "requests_per_minute": 9}


def test_what_does_not_exist_is_not_found_and_an_unknown_plan_is_refused(tidegate: Terminal) -> None:
    assert tidegate("plans", "show", "plan_gold").code == 1
    assert tidegate("plans", "set", "plan_gold", "--limits", "usd_per_day=1").code == 1
    assert tidegate("workspaces", "set-limits", "ws_nobody", "--limits", "usd_per_day=1").code == 1
    tidegate("workspaces", "create", "Acme", "--id", "ws_acme")
    assert tidegate("workspaces", "set-plan", "ws_acme", "plan_gold").code == 2


@pytest.mark.parametrize(
    ("word", "fault"),
    [
        ("usd_per_week=1", "is not a valid limit"),
        ("usd_per_day", "does not have a number"),
        ("usd_per_day=ten", "does not have a number"),
        ("usd_per_day=NaN", "does not have a number"),
        ("usd_per_day=Infinity", "does not have a number"),
        ("tokens_per_day=-1", "must not be negative"),
        ("tokens_per_day=1.5", "must be a whole number"),
    ],
)
def test_a_limit_that_makes_no_sense_says_so(word: str, fault: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse("plans", "create", "plan_pro", "--limits", word)
    assert caught.value.code == 2
    assert fault in capsys.readouterr().err


def test_what_was_used_and_changed_can_be_read(tidegate: Terminal) -> None:
    assert tidegate("usage", "report", "ws_acme").code == 1
    tidegate("workspaces", "create", "Acme", "--id", "ws_acme")
    tidegate("workspaces", "set-limits", "ws_acme", "--limits", "usd_per_month=5")
    report = said(tidegate, "usage", "report", "ws_acme", "--by", "model", "--first", "2026-11-01")
    assert (report["by"], report["first"], report["last"], report["rows"]) == ("model", "2026-11-01", "2026-11-21", [])
    assert tidegate("usage", "report", "ws_acme").out.splitlines()[-1].split() == [
        "total",
        "0",
        "0",
        "0",
        "0",
        "0",
        "0",
    ]
    assert said(tidegate, "usage", "calls", "ws_acme") == {"data": [], "next_cursor": None}
    changes = said(tidegate, "usage", "audit", "--workspace", "ws_acme")["data"]
    assert {(each["who"], each["action"], each["target"]) for each in changes} == {
        ("command-line", "create", "workspaces/ws_acme"),
        ("command-line", "update", "workspaces/ws_acme"),
    }
    _, *rows = tidegate("usage", "audit").out.splitlines()
    assert sorted(row.split()[1:] for row in rows) == [
        ["command-line", "create", "workspaces/ws_acme"],
        ["command-line", "update", "workspaces/ws_acme"],
    ]
    assert tidegate("usage", "calls", "ws_acme", "--limit", "0").code == 2


def test_a_key_gets_a_new_secret(tidegate: Terminal) -> None:
    tidegate("workspaces", "create", "Acme", "--id", "ws_acme")
    made = said(tidegate, "keys", "create", "--workspace", "ws_acme")
    rotated = said(tidegate, "keys", "rotate", "--workspace", "ws_acme", made["id"], "--overlap-hours", "1")
    assert (rotated["id"], rotated["previous_prefix"]) == (made["id"], made["prefix"])
    assert (rotated["previous_expires_at"], rotated["secret"] != made["secret"]) == ("2026-11-21T13:00:00.000Z", True)
    assert tidegate("keys", "rotate", "--workspace", "ws_acme", "key_nobody").code == 1
    assert tidegate("keys", "rotate", "--workspace", "ws_acme", made["id"], "--overlap-hours", "-1").code == 2


def test_every_change_is_on_record(tidegate: Terminal) -> None:
    tidegate("workspaces", "create", "Acme", "--id", "ws_acme")
    assert tidegate("workspaces", "create", "Acme", "--id", "ws_acme").code == 2
    for verb in ("suspend", "suspend", "resume"):
        tidegate("workspaces", verb, "ws_acme")
    key = said(tidegate, "keys", "create", "--workspace", "ws_acme")
    subject = ("--subject", "service-1", "--issuer", "https://issuer.example")
    given = said(tidegate, "keys", "create", "--workspace", "ws_acme", *subject)
    for made in (key, given):
        tidegate("keys", "revoke", "--workspace", "ws_acme", made["id"])
    changes = said(tidegate, "usage", "audit", "--workspace", "ws_acme")["data"]
    workspace, key_target, given_target = "workspaces/ws_acme", f"keys/{key['id']}", f"keys/{given['id']}"
    assert sorted((change["who"], change["target"], change["action"]) for change in changes) == sorted(
        [
            *(("command-line", workspace, action) for action in ("create", "suspend", "resume")),
            *(("command-line", key_target, action) for action in ("create", "revoke")),
            *(("command-line", given_target, action) for action in ("create", "revoke")),
        ]
    )


def test_a_workspace_is_made_with_a_plan_limits_and_options(tidegate: Terminal) -> None:
    tidegate("plans", "create", "plan_pro", "--limits", "usd_per_month=100")
    words = ("--plan", "plan_pro", "--limits", "parallel_calls=3", "--first-day", "15", "--allow-unpriced")
    made = said(tidegate, "workspaces", "create", "Acme", "--id", "ws_acme", *words)
    assert made["effective_limits"] == {"usd_per_month": "100", "parallel_calls": 3}
    assert (made["first_day"], made["allows_unpriced"], made["lowers_max_tokens"]) == (15, True, False)
    lines = tidegate("workspaces", "show", "ws_acme").out.splitlines()
    assert "limits              parallel_calls=3 usd_per_month=100" in lines
    assert "first_day           15" in lines
    assert tidegate("workspaces", "create", "Beta", "--plan", "plan_gold").code == 2


def test_a_workspaces_options_are_changed_one_by_one(tidegate: Terminal) -> None:
    assert tidegate("workspaces", "set", "ws_acme", "--shards", "2").code == 1
    made = said(tidegate, "workspaces", "create", "Acme", "--id", "ws_acme", "--allow-unpriced")
    words = (
        "--name",
        "Acme & Co",
        "--first-day",
        "28",
        "--shards",
        "4",
        "--lower-max-tokens",
        "--no-add-max-tokens",
        "--words-method",
        "unicode",
    )
    changed = {
        "name": "Acme & Co",
        "first_day": 28,
        "shards": 4,
        "lowers_max_tokens": True,
        "adds_max_tokens": False,
        "words_method": "unicode",
    }
    assert said(tidegate, "workspaces", "set", "ws_acme", *words) == {**made, **changed, "version": 2}
    words = ("--no-allow-unpriced", "--no-lower-max-tokens", "--charge-input-words")
    again = said(tidegate, "workspaces", "set", "ws_acme", *words)
    assert [again[name] for name in ("allows_unpriced", "lowers_max_tokens", "charge_input_words", "shards")] == [
        False,
        False,
        True,
        4,
    ]
    assert tidegate("workspaces", "set", "ws_acme").out == "Changed workspace ws_acme, in force within a minute.\n"


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("--first-day", "29"), "The first day of the months must be 1 to 28."),
        (("--shards", "0"), "A workspace must have 1 to 512 shards."),
        (("--shards", "1"), "The workspace has 2 shards: the number can only grow."),
        *(
            (
                ("--timeout", seconds),
                "The timeout must be more than 0 and at most 3600 seconds; leave it out for the gateway's own timeout.",
            )
            for seconds in ("0", "3601", "nan", "inf")
        ),
        (("--batch-webhook", "http://a"), "The webhook must be an https URL without credentials or fragment."),
        (("--cache-ttl", "0"), "Replies can be cached for 1 to 2592000 seconds; leave it out for no caching."),
        (("--name", "a" * 201), "A name must be one line of at most 200 characters."),
    ],
)
def test_an_option_that_makes_no_sense_says_so(tidegate: Terminal, words: tuple[str, str], fault: str) -> None:
    tidegate("workspaces", "create", "Acme", "--id", "ws_acme", "--shards", "2")
    refused = tidegate("workspaces", "set", "ws_acme", *words)
    assert (refused.code, refused.err) == (2, f"tidegate: {fault}\n")


ROUTES = [{"name": "fast", "targets": [{"model": "openai/gpt-4o"}, {"model": "mistral/m", "weight": 2}]}]
GUARDRAILS = [{"name": "plans", "kind": "words", "on": "both", "words": ["plan"]}]


def test_routes_guardrails_and_the_cache_are_set_and_taken_away(tidegate: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "routes.json"
    file.write_text(json.dumps(ROUTES))
    words = ("--routes", f"@{file}", "--guardrails", json.dumps(GUARDRAILS), "--cache-ttl", "60", "--timeout", "2.5")
    words = (*words, "--batch-webhook", "https://hook.example/batches", "--batch-mode", "provider_batch")
    made = said(tidegate, "workspaces", "create", "Acme", "--id", "ws_acme", *words)
    assert (made["routes"], made["guardrails"], made["cache_ttl_seconds"]) == (ROUTES, GUARDRAILS, 60)
    assert (made["timeout_seconds"], made["batch_webhook"]) == (2.5, "https://hook.example/batches")
    assert made["batch_mode"] == "provider_batch"
    assert said(tidegate, "workspaces", "set", "ws_acme", "--name", "none") == {**made, "name": "none", "version": 2}
    lines = tidegate("workspaces", "show", "ws_acme").out.splitlines()
    for line in (
        "timeout_seconds     2.5",
        "cache_ttl_seconds   60",
        "batch_webhook       https://hook.example/batches",
        "batch_mode          provider_batch",
        "routes              fast",
        "guardrails          plans",
    ):
        assert line in lines
    entries = said(tidegate, "usage", "audit", "--workspace", "ws_acme")["data"]
    [entry] = [each for each in entries if each["action"] == "create"]
    assert entry["after"]["routes"] == ROUTES
    words = (
        "--routes",
        "[]",
        "--guardrails",
        "[]",
        "--cache-ttl",
        "none",
        "--timeout",
        "none",
        "--batch-webhook",
        "none",
    )
    bare = said(tidegate, "workspaces", "set", "ws_acme", *words)
    assert (bare["routes"], bare["guardrails"], bare["cache_ttl_seconds"]) == ([], [], None)
    assert (bare["timeout_seconds"], bare["batch_webhook"]) == (None, None)


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("--routes", "fast"), "not valid JSON"),
        (("--routes", "{}"), "routes: Expected `array`"),
        (("--routes", "@/nowhere/at/all"), "cannot read"),
        (("--routes", '[{"name": "a", "targets": [{"model": "m"}]}]'), "routes[0].targets[0].model: A target's model"),
        (("--routes", '[{"name": "a", "targets": [{"model": "a/m", "key": "K"}]}]'), "routes[0].targets[0].key: "),
        (("--guardrails", '[{"name": "a", "kind": "luck"}]'), "guardrails[0].kind: A guardrail's kind must be one of"),
        (("--cache-ttl", "soon"), "write a whole number of seconds, or none"),
        (("--cache-ttl", "-1"), "write a whole number of seconds, or none"),
        (("--timeout", "soon"), "write a number of seconds, or none"),
    ],
)
def test_a_list_that_makes_no_sense_says_where(
    words: tuple[str, str], fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse("workspaces", "set", "ws_acme", *words)
    assert caught.value.code == 2
    assert fault in capsys.readouterr().err


def test_which_content_is_kept_is_set_and_its_key_destroyed(tidegate: Terminal) -> None:
    words = ("--trace-sample", "0.05", "--trace-failures", "--no-trace-callers", "--trace-days", "30")
    names = ("trace_sample", "trace_failures", "trace_callers", "trace_days", "trace_mask")
    words = (*words, "--trace-mask", "personal-data")
    made = said(tidegate, "workspaces", "create", "Acme", "--id", "ws_acme", *words, "--trace-mask", "secrets")
    assert [made[name] for name in names] == [0.05, True, False, 30, ["personal-data", "secrets"]]
    words = ("--trace-sample", "0", "--no-trace-failures", "--trace-callers", "--trace-mask", "none")
    changed = said(tidegate, "workspaces", "set", "ws_acme", *words)
    assert [changed[name] for name in names] == [0, False, True, 30, []]
    for words in (("--trace-sample", "1.5"), ("--trace-days", "91"), ("--trace-mask", "nothing")):
        assert tidegate("workspaces", "set", "ws_acme", *words).code == 2
    key = said(tidegate, "keys", "create", "--workspace", "ws_acme", "--trace-sample", "1")
    change = ("keys", "set", key["id"], "--workspace", "ws_acme", "--trace-sample", "workspace")
    assert (key["trace_sample"], said(tidegate, *change)["trace_sample"]) == (1, None)
    assert tidegate("workspaces", "destroy-traces", "ws_nobody").code == 1
    destroyed = tidegate("workspaces", "destroy-traces", "ws_acme")
    assert (destroyed.code, destroyed.out.startswith("The key of the traces of ws_acme is destroyed")) == (0, True)
    entries = said(tidegate, "usage", "audit", "--workspace", "ws_acme")["data"]
    assert ("destroy", "workspaces/ws_acme/traces") in [(each["action"], each["target"]) for each in entries]


def test_an_admin_key_may_read_content_only_if_it_was_given_the_scope(tidegate: Terminal) -> None:
    made = said(tidegate, "admin-keys", "create", "--scope", "read", "--scope", "content", "--scope", "read")
    assert made["scopes"] == ["read", "content"]
    for words in (("--scope", "write", "--read-only"), ("--scope", "all")):
        with pytest.raises(SystemExit):
            parse("admin-keys", "create", *words)


def test_a_key_has_limits_of_its_own(tidegate: Terminal) -> None:
    tidegate("workspaces", "create", "Acme", "--id", "ws_acme")
    words = ("--limits", "usd_per_day=2.5", "models=openai/*")
    made = said(tidegate, "keys", "create", "--workspace", "ws_acme", *words)
    assert made["limits"] == {"usd_per_day": "2.5", "models": ["openai/*"]}
    assert [key["limits"] for key in said(tidegate, "keys", "list", "--workspace", "ws_acme")] == [made["limits"]]


def test_a_key_is_changed_and_changed_back(tidegate: Terminal) -> None:
    tidegate("workspaces", "create", "Acme", "--id", "ws_acme")
    made = said(tidegate, "keys", "create", "--workspace", "ws_acme", "--name", "ci", "--default", "ws_acme")
    del made["secret"]
    change = ("keys", "set", "--workspace", "ws_acme", made["id"])
    words = ("--endpoint", "/v1/chat/*", "--network", "192.0.2.1", "--expires", "2027-01-31", "--default", "none")
    narrowed = said(tidegate, *change, *words, "--limits", "usd_per_day=1")
    assert narrowed == {
        **made,
        "endpoints": ["/v1/chat/*"],
        "networks": ["192.0.2.1/32"],
        "expires_at": "2027-01-31T00:00:00.000Z",
        "default_workspace_id": None,
        "limits": {"usd_per_day": "1"},
        "version": 2,
    }
    words = ("--endpoint", "any", "--network", "any", "--expires", "never", "--default", "ws_acme")
    assert said(tidegate, *change, *words, "--limits", "usd_per_day=none") == {**made, "version": 3}
    assert tidegate(*change, "--name", "cd").out == f"Changed key {made['id']}, in force within a minute.\n"
    assert tidegate(*change, "--default", "ws_other").code == 2
    assert tidegate("keys", "set", "--workspace", "ws_acme", "key_nobody").code == 1


def test_workspaces_and_plans_are_deleted(tidegate: Terminal) -> None:
    tidegate("plans", "create", "plan_pro", "--limits", "usd_per_month=5")
    tidegate("workspaces", "create", "Acme", "--id", "ws_acme", "--plan", "plan_pro")
    key = said(tidegate, "keys", "create", "--workspace", "ws_acme")
    refused = tidegate("plans", "delete", "plan_pro")
    assert (refused.code, "Workspaces are on this plan: ws_acme." in refused.err) == (2, True)
    refused = tidegate("workspaces", "delete", "ws_acme")
    assert (refused.code, f"has keys in use: {key['id']}." in refused.err) == (2, True)
    assert tidegate("workspaces", "delete", "ws_acme", "--force").out == (
        "Workspace ws_acme is deleted, with its keys, members and batches. Its usage and records are kept.\n"
    )
    assert said(tidegate, "plans", "delete", "plan_pro") == {"id": "plan_pro"}
    assert (said(tidegate, "workspaces", "list"), said(tidegate, "plans", "list")) == ([], [])
    assert tidegate("workspaces", "delete", "ws_acme").code == tidegate("plans", "delete", "plan_pro").code == 1

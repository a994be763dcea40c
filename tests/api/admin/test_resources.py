"""What is made, changed and listed, under its version."""

import base64

import pytest

from tests.api.admin.world import Api
from tests.store_worlds import NOON, outcome

WORKSPACE = {
    "id": "ws_acme",
    "name": "Acme",
    "status": "active",
    "created_at": "2026-11-21T12:00:00.000Z",
    "words_method": "tokens",
    "charge_input_words": False,
    "plan_id": None,
    "plan_limits": {},
    "limits": {"usd_per_month": "12.5"},
    "effective_limits": {"usd_per_month": "12.5"},
    "first_day": 1,
    "allows_unpriced": False,
    "lowers_max_tokens": False,
    "adds_max_tokens": True,
    "shards": 1,
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
    "version": 1,
}
ASKED = {"id": "ws_acme", "name": "Acme", "limits": {"usd_per_month": 12.5}}


async def test_a_workspace_is_made_shown_and_changed(api: Api) -> None:
    made = await api.whole("POST", "/workspaces", ASKED)
    assert (made.status, made.json, made.headers["etag"]) == (201, WORKSPACE, '"1"')
    again = await api.whole("POST", "/workspaces", ASKED)
    assert (again.status, again.json) == (200, WORKSPACE)
    shown = await api.reader("GET", "/workspaces/ws_acme")
    assert (shown.json, shown.headers["etag"]) == (WORKSPACE, '"1"')
    sent = {"limits": {"tokens_per_day": 5, "usd_per_month": None}, "allows_unpriced": True}
    changed = await api.whole("PATCH", "/workspaces/ws_acme", sent, if_match='"1"')
    limits = {"tokens_per_day": 5}
    expected = {"limits": limits, "effective_limits": limits, "allows_unpriced": True, "version": 2}
    assert (changed.json, changed.headers["etag"]) == ({**WORKSPACE, **expected}, '"2"')


ROUTES = [
    {"name": "fast", "targets": [{"model": "openai/gpt-4o"}, {"model": "bedrock/m", "region": "eu-west-1"}]},
    {
        "name": "cheap",
        "targets": [{"model": "openai/gpt-4o-mini", "weight": 3}, {"model": "mistral/m"}],
        "by": "weight",
        "fallbacks": ["fast"],
        "sticky": True,
        "timeout_seconds": 2.5,
    },
]
GUARDRAILS = [
    {"name": "plans", "kind": "words", "on": "both", "words": ["plan"], "always": True},
    {"name": "form", "kind": "json_schema", "on": "output", "schema": {"type": "object"}},
]


async def test_routes_and_guardrails_are_shown_as_they_were_sent_and_replaced_as_a_whole(api: Api) -> None:
    sent = {"routes": ROUTES, "guardrails": GUARDRAILS, "cache_ttl_seconds": 60, "timeout_seconds": 2.5}
    made = await api.whole("POST", "/workspaces", {**ASKED, **sent})
    assert (made.status, made.json) == (201, {**WORKSPACE, **sent})
    assert (await api.whole("POST", "/workspaces", {**ASKED, **sent})).status == 200
    shown = (await api.reader("GET", "/workspaces/ws_acme")).json
    again = {name: shown[name] for name in sent}
    same = await api.whole("PATCH", "/workspaces/ws_acme", again, if_match='"1"')
    assert (same.status, same.json["version"]) == (200, 1)
    other = {"routes": ROUTES[:1], "guardrails": [], "cache_ttl_seconds": None, "timeout_seconds": 3}
    changed = await api.whole("PATCH", "/workspaces/ws_acme", other, if_match='"1"')
    assert changed.json == {**WORKSPACE, **other, "version": 2}
    named = await api.whole("PATCH", "/workspaces/ws_acme", {"name": "Other"}, if_match='"2"')
    assert named.json["routes"] == ROUTES[:1]


async def test_which_content_is_kept_is_set_for_workspaces_and_keys(api: Api) -> None:
    masks = ["personal-data", "secrets"]
    sent = {"trace_sample": 0.05, "trace_failures": True, "trace_callers": False, "trace_days": 30, "trace_mask": masks}
    made = await api.whole("POST", "/workspaces", {**ASKED, **sent})
    assert (made.status, made.json) == (201, {**WORKSPACE, **sent})
    off = {"trace_sample": 0, "trace_failures": False, "trace_callers": True, "trace_days": 7, "trace_mask": []}
    changed = await api.whole("PATCH", "/workspaces/ws_acme", off, if_match='"1"')
    assert changed.json == {**WORKSPACE, "version": 2}
    key = await api.whole("POST", "/keys", {"workspace_ids": ["ws_acme"], "trace_sample": 1})
    path = f"/workspaces/ws_acme/keys/{key.json['id']}"
    assert (key.status, (await api.whole("GET", path)).json["trace_sample"]) == (201, 1.0)
    for share, version in ((0, '"1"'), (None, '"2"')):
        assert (await api.whole("PATCH", path, {"trace_sample": share}, if_match=version)).json["trace_sample"] == share
    refused = await api.whole("PATCH", path, {"trace_sample": 2}, if_match="*")
    assert refused.fault == (400, "invalid_request", "trace_sample")


async def test_what_changed_of_routes_and_guardrails_is_on_record(api: Api) -> None:
    sent = {"routes": ROUTES, "guardrails": GUARDRAILS, "cache_ttl_seconds": 60}
    await api.whole("PATCH", "/workspaces/ws_one", sent, if_match="*")
    entries = (await api.whole("GET", "/workspaces/ws_one/audit")).json["data"]
    [entry] = [each for each in entries if each["action"] == "update"]
    assert {name: entry["after"][name] for name in sent} == sent
    assert {name: entry["before"][name] for name in sent} == {"routes": [], "guardrails": [], "cache_ttl_seconds": None}


async def test_a_workspace_is_suspended_and_resumed(api: Api) -> None:
    assert (await api.whole("POST", "/workspaces/ws_one/suspend")).json["status"] == "suspended"
    assert (await api.whole("POST", "/workspaces/ws_one/resume", if_match='"2"')).json["status"] == "active"
    assert (await api.whole("POST", "/workspaces/ws_one/resume", if_match='"2"')).fault[:2] == (412, "stale")


@pytest.mark.parametrize("path", ["/workspaces", "/plans", "/keys"])
async def test_an_empty_idempotency_key_is_refused(api: Api, path: str) -> None:
    body = {"name": "A", "workspace_ids": ["ws_one"]} if path == "/keys" else {"name": "A"}
    refused = await api.whole("POST", path, body, idempotency_key="")
    assert (refused.fault[0], refused.fault[2]) == (400, "idempotency-key")


async def test_an_idempotency_key_makes_one_thing(api: Api) -> None:
    first = await api.whole("POST", "/workspaces", {"name": "A"}, idempotency_key="one")
    again = await api.whole("POST", "/workspaces", {"name": "A"}, idempotency_key="one")
    assert (first.status, again.status, first.json) == (201, 200, again.json)
    other = await api.whole("POST", "/workspaces", {"name": "B"}, idempotency_key="one")
    assert other.fault == (409, "already_exists", None)


async def test_a_plan_reaches_its_workspaces(api: Api) -> None:
    plan = await api.whole("POST", "/plans", {"id": "plan_a", "name": "A", "limits": {"words_per_day": 5}})
    assert plan.status == 201
    for id in ("ws_a", "ws_b"):
        await api.whole("POST", "/workspaces", {"id": id, "name": id, "plan_id": "plan_a"})
    changed = await api.whole("PATCH", "/plans/plan_a", {"limits": {"words_per_day": 7}}, if_match='W/"1"')
    assert changed.json["workspaces"] == {"updated": 2, "pending": []}
    assert (await api.whole("GET", "/workspaces/ws_b")).json["effective_limits"] == {"words_per_day": 7}
    assert [each["id"] for each in (await api.one("GET", "/plans")).json["data"]] == ["plan_a"]


async def test_a_key_is_made_rotated_and_revoked(api: Api) -> None:
    made = await api.one("POST", "/keys", {"workspace_ids": ["ws_one"], "name": "app"}, idempotency_key="k")
    secret, id = made.json["secret"], made.json["id"]
    assert made.status == 201
    assert secret.startswith("sk-tidegate-")
    again = await api.one("POST", "/keys", {"workspace_ids": ["ws_one"], "name": "app"}, idempotency_key="k")
    assert (again.status, again.json["secret"], again.json["id"]) == (200, None, id)
    at = f"/workspaces/ws_one/keys/{id}"
    changed = await api.one("PATCH", at, {"limits": {"requests_per_minute": 5}}, if_match='"1"')
    assert changed.json["limits"] == {"requests_per_minute": 5}
    rotated = await api.one("POST", f"{at}/rotate", {"overlap_seconds": 60}, if_match='"2"')
    assert rotated.json["previous_prefix"] == made.json["prefix"]
    assert rotated.json["previous_expires_at"] == "2026-11-21T12:01:00.000Z"
    assert rotated.json["secret"] not in (secret, None)
    assert (await api.one("POST", f"{at}/rotate")).status == 200
    revoked = await api.one("DELETE", at)
    assert revoked.json["status"] == "revoked"
    assert (await api.one("POST", f"{at}/rotate")).fault == (409, "conflict", None)
    shown = [await api.one("GET", path) for path in (at, "/workspaces/ws_one/keys", "/workspaces/ws_one/audit")]
    text = str([each.json for each in shown])
    assert secret not in text
    assert "hash" not in text


async def test_members_come_and_go(api: Api) -> None:
    at = "/workspaces/ws_one/members/auth0%7Cada/1"
    assert (await api.one("PUT", at, {"role": "reader"})).status == 201
    assert (await api.one("PUT", at, {"role": "admin"}, if_match='"1"')).json["version"] == 2
    assert (await api.one("GET", at)).json["subject"] == "auth0|ada/1"
    assert len((await api.one("GET", "/workspaces/ws_one/members")).json["data"]) == 1
    gone = await api.one("DELETE", at)
    assert (gone.status, gone.json) == (204, None)
    assert (await api.one("DELETE", at)).fault == (404, "not_found", "subject")


async def test_a_credential_is_put_and_never_shown(api: Api) -> None:
    at = "/workspaces/ws_one/credentials/OPENAI_API_KEY"
    put = await api.one("PUT", at, {"value": "a-key-of-its-own"}, if_match='"1"')
    assert put.json["credentials"] == [{"name": "OPENAI_API_KEY", "changed_at": "2026-11-21T12:00:00.000Z"}]
    shown = [await api.one("GET", path) for path in ("/workspaces/ws_one", "/workspaces/ws_one/audit")]
    assert "a-key-of-its-own" not in str([put.json, *(each.json for each in shown)])
    assert (await api.one("PUT", at, {"value": "x"}, if_match='"1"')).fault[:2] == (412, "stale")
    assert (await api.one("DELETE", at)).json["credentials"] == []
    assert (await api.one("DELETE", at)).fault == (404, "not_found", "name")
    webhooks = "/workspaces/ws_one/credentials/TIDEGATE_WEBHOOK_SECRET"
    secret = "whsec_" + base64.b64encode(b"x" * 24).decode()
    put = await api.one("PUT", webhooks, {"value": secret})
    assert [each["name"] for each in put.json["credentials"]] == ["TIDEGATE_WEBHOOK_SECRET"]
    for value in ("x", secret[6:], "whsec_" + base64.b64encode(b"x" * 23).decode(), f"{secret[:-1]}!"):
        assert (await api.one("PUT", webhooks, {"value": value})).fault == (400, "invalid_request", "value")
    for wrong in ("openai", "OPENAI_BASE_URL", "TIDEGATE_OTHER_SECRET"):
        refused = await api.one("PUT", f"/workspaces/ws_one/credentials/{wrong}", {"value": "x"})
        assert refused.fault == (400, "invalid_request", "name")
    for value in ("", "a b", "é", "x" * 4097, 5):
        refused = await api.one("PUT", at, {"value": value})
        assert refused.fault == (400, "invalid_request", "value")
        assert "4097" not in str(refused.json) or len(str(refused.json)) < 300


async def test_admin_keys_are_made_and_revoked(api: Api) -> None:
    made = await api.whole("POST", "/admins", {"name": "Ada", "scopes": ["read"], "workspace_ids": ["ws_one"]})
    assert made.status == 201
    assert made.json["secret"].startswith("sk-tidegate-admin-")
    at = f"/admins/{made.json['id']}"
    assert (await api.whole("DELETE", at)).json["status"] == "revoked"
    assert (await api.reader("GET", at)).json["status"] == "revoked"
    assert len((await api.whole("GET", "/admins")).json["data"]) == 4


async def test_pages_lead_to_the_last(api: Api) -> None:
    for n in range(5):
        await api.whole("POST", "/workspaces", {"id": f"ws_{n}", "name": "x"})
    seen: list[str] = []
    query = "limit=3"
    while True:
        page = (await api.whole("GET", f"/workspaces?{query}")).json
        seen += [each["id"] for each in page["data"]]
        if page["next_cursor"] is None:
            break
        query = f"limit=3&cursor={page['next_cursor']}"
    assert seen == [*(f"ws_{n}" for n in range(5)), "ws_one", "ws_two"]


async def test_usage_is_reported_as_json_and_as_a_table(api: Api) -> None:
    await api.world.stores.meter.record(outcome())
    figures = {
        "calls": 1,
        "calls_failed": 0,
        "input_tokens": 11,
        "output_tokens": 12,
        "words": 9,
        "cost_usd": "0.00012345",
    }
    report = await api.one("GET", "/workspaces/ws_one/usage?by=model&from=2026-11-21&to=2026-11-21")
    assert report.json == {
        "object": "usage_report",
        "workspace_id": "ws_one",
        "by": "model",
        "first": "2026-11-21",
        "last": "2026-11-21",
        "rows": [{"name": "demo/echo-1", **figures}],
        "total": figures,
    }
    table = await api.one.http.get("/admin/v1/workspaces/ws_one/usage?by=app&format=csv")
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    assert table.text.splitlines()[1] == "app,1,0,11,12,9,0.00012345"


async def test_calls_are_listed_and_filtered(api: Api) -> None:
    for n in range(3):
        await api.world.stores.meter.record(outcome(at=NOON + n, status="failed" if n == 1 else "ok"))
    first = (await api.one("GET", "/workspaces/ws_one/calls?limit=2")).json
    assert [call["time"][17:19] for call in first["data"]] == ["02", "01"]
    rest = (await api.one("GET", f"/workspaces/ws_one/calls?limit=2&cursor={first['next_cursor']}")).json
    assert ([call["time"][17:19] for call in rest["data"]], rest["next_cursor"]) == (["00"], None)
    failed = (await api.one("GET", "/workspaces/ws_one/calls?status=failed&from=2026-11-21T12:00:00Z")).json
    assert [call["status"] for call in failed["data"]] == ["failed"]


async def test_calls_are_searched_and_exported(api: Api) -> None:
    failed = outcome(at=NOON + 1, status="failed", error_code="provider_timeout")
    for call in (outcome(at=NOON), failed):
        await api.world.stores.meter.record(call)
    path = "/workspaces/ws_one/calls"
    numbers = {"error=TIMEOUT": 1, "slower=1.4": 2, "slower=1.5": 0, "dearer=0.0001": 2, "dearer=1": 0, "session=x": 0}
    for query, number in numbers.items():
        assert len((await api.one("GET", f"{path}?{query}")).json["data"]) == number, query
    live = (await api.one("GET", f"{path}?after={failed.call.id[:10]}")).json
    assert [call["status"] for call in live["data"]] == ["failed", "ok"]
    table = await api.one.http.get(f"/admin/v1{path}?format=csv&error=timeout")
    assert (table.headers["content-type"], "x-next-cursor" in table.headers) == ("text/csv; charset=utf-8", False)
    assert [line.split(",")[2] for line in table.text.splitlines()] == ["status", "failed"]
    long = await api.one("GET", f"{path}?from=2025-01-01")
    assert long.fault == (400, "invalid_request", "from")
    assert "/console/v1/overview" in long.json["error"]["message"]


async def test_the_audit_log_says_who_did_what(api: Api) -> None:
    await api.one("PUT", "/workspaces/ws_one/members/ada@example.com", {"role": "reader"})
    admins = (await api.whole("GET", "/admins")).json["data"]
    own = next(each["id"] for each in admins if each["name"] == "one")
    entries = (await api.reader("GET", "/audit?limit=200")).json["data"]
    entry = next(each for each in entries if each["target"] == "members/ada@example.com")
    assert {**entry, "id": ""} == {
        "id": "",
        "at": "2026-11-21T12:00:00.000Z",
        "who": own,
        "action": "create",
        "target": "members/ada@example.com",
        "workspace_ids": ["ws_one"],
        "before": None,
        "after": {
            "workspace_id": "ws_one",
            "subject": "ada@example.com",
            "role": "reader",
            "created_at": "2026-11-21T12:00:00.000Z",
            "version": 1,
        },
    }
